"""An account's devices: listed as its own ledger has them, and shut out."""

from dataclasses import dataclass

from safelight.clients.engine.account_entries import EntryChain
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.grant_view import GrantView
from safelight.clients.engine.keyring_document import KnownSpace
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.account_ledger import AccountKind, RevokeDeviceBody
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.messages.sessions import Devices
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier

_MAX_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A device of the account; when it was made and last heard of is the server's word, 0 where it has none."""

    device_id: bytes
    created_ms: int
    last_seen_ms: int
    revoked: bool
    is_this: bool


@dataclass(frozen=True, slots=True)
class SpaceOutcome:
    """Whether a space has heard of what changed; if not, what is in the way."""

    space_id: bytes
    refused: Refused | None


async def list_devices(session: AccountSession) -> list[ListedDevice]:
    """List the account's devices, those that its ledger names and no others, in the order in which they came."""
    answer = await session.connection.request("GET", "/v1/devices", None, Devices)
    told = {row.device_id: row for row in answer.devices}
    listed = []
    for device_id, device in session.state.devices.items():
        row = told.get(device_id.hex())
        created_ms, last_seen_ms = (row.created_ms, row.last_seen_ms) if row else (0, 0)
        is_this = device_id == session.device.device_id
        listed.append(ListedDevice(device_id, created_ms, last_seen_ms, device.revoked, is_this))
    return listed


def find_device(devices: list[ListedDevice], prefix: str) -> ListedDevice:
    """Return the device whose id begins so; NOT_FOUND for none, BAD_REQUEST for several and for this one."""
    wanted = prefix.strip().lower()
    found = [device for device in devices if device.device_id.hex().startswith(wanted)] if len(wanted) >= 4 else []
    if not found:
        raise Refused(Code.NOT_FOUND, "no device's id begins so; `device list` shows them")
    if len(found) > 1:
        raise Refused(Code.BAD_REQUEST, "more than one device's id begins so")
    if found[0].is_this:
        raise Refused(Code.BAD_REQUEST, "that is this device; use another one of yours")
    return found[0]


async def revoke_device(session: AccountSession, device_id: bytes) -> None:
    """Shut a device out of the account: it may sign in and sign nothing more. Raises LEDGER_RULE if it is already."""
    for attempt in range(_MAX_ATTEMPTS):
        chain = EntryChain(session.keys, session.account_id, session.state.head)
        chain.add(AccountKind.REVOKE_DEVICE, RevokeDeviceBody(device_id), session.clock())
        try:
            await session.append(AppendAccountEntries(chain.entries))
        except Refused as refusal:
            if refusal.code is not Code.ACCOUNT_LEDGER_CONFLICT or attempt == _MAX_ATTEMPTS - 1:
                raise
            await session.refresh()
            device = session.state.devices.get(device_id)
            if device is not None and device.revoked:
                break  # the answer to this very request was lost, or another device did the same
            continue
        break
    await session.refresh()


async def _tell(session: AccountSession, known: KnownSpace) -> None:
    """Where the account reads albums alone, it may not ask for the log; what counts is in the ledger all the same.

    *A server that forbids who reads the space to read it*, so that its keys go on and nobody is told.
    """
    try:
        with SpaceView(session, known) as view:
            await view.sync()
    except Refused as refusal:
        if refusal.code is not Code.FORBIDDEN:
            raise
        state = await GrantView(session, known).sync()
        if state.tier_of(session.account_id) is not Tier.NONE:
            raise


async def tell_spaces(session: AccountSession) -> list[SpaceOutcome]:
    """Bring every space up to date with the account's ledger: where reach was lost, it begins a new epoch at once.

    One that cannot be reached now, or is a vault that nobody opens, hears of it the next time that it is opened.
    """
    outcomes = []
    for known in session.content.spaces:
        if not known.confirmed:
            continue
        refused = None
        try:
            await _tell(session, known)
        except Refused as refusal:
            refused = refusal
        outcomes.append(SpaceOutcome(known.space_id, refused))
    return outcomes
