"""Spaces: making one, and listing those that count for this account."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.epochs import make_epoch
from safelight.clients.engine.grant_view import GrantView
from safelight.clients.engine.keyring_document import KnownSpace, VaultWrap, with_space
from safelight.clients.engine.space_view import SpaceView, field_place
from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import CreateSpaceBody, LedgerKind, Policy, SpaceKind, SpaceTerms
from safelight.sync_protocol.ledger_state import Member
from safelight.sync_protocol.limits import HASH_SIZE_BYTES, KEY_SIZE_BYTES, MAX_NAME_LENGTH
from safelight.sync_protocol.log import ENTRY_VERSION, NO_HEAD, DevicePosition, Head, Header, build_entry
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed, NewBox, SpaceRow, Spaces
from safelight.sync_protocol.receipts import verify_receipt
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import TIERS, Role, Tier
from safelight.sync_protocol.sealing.boxes import random_nonce, seal_box
from safelight.sync_protocol.wire import pack

_LINKS: dict[SpaceKind, Literal["none", "view", "full"]] = {"family": "view", "work": "full", "vault": "none"}
_READ_BY_GRANTS = frozenset(role for role, tier in TIERS.items() if tier is Tier.NONE)
_MIN_PREFIX = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class SpaceSummary:
    """A space that counts: verified, with its name opened; that of a vault that is shut is empty. `shut` opens it."""

    space_id: bytes
    name: str
    kind: SpaceKind
    role: Role
    used_bytes: int
    quota_bytes: int
    shut: VaultWrap | None = field(default=None, repr=False)

    @property
    def is_shut(self) -> bool:
        """Whether it is a vault that this device does not hold open."""
        return self.shut is not None


@dataclass(frozen=True, slots=True)
class SpaceList:
    """The account's spaces; *refused* says, by space id, which ones the server showed in vain and why.

    *waiting* are those that it joined, and where nobody has let it in yet; *granted* those of which it reads albums
    alone.
    """

    spaces: list[SpaceSummary]
    refused: dict[bytes, Refused]
    waiting: list[bytes] = field(default_factory=list)
    granted: list[GrantView] = field(default_factory=list)


def check_name(name: str, what: str) -> str:
    """Return *name* without surrounding spaces; BAD_REQUEST unless it has 1 to 64 characters."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise Refused(Code.BAD_REQUEST, f"{what} has 1 to {MAX_NAME_LENGTH} characters")
    return name


async def create_space(session: AccountSession, name: str, kind: SpaceKind, passphrase: str | None = None) -> bytes:
    """Make a space of *kind* and return its id; this account is its owner. A vault needs a *passphrase*, and is open.

    The keyring lists the space before the server takes it: a space that it does not list is one that was slipped in.
    Raises BAD_REQUEST for a name that is taken, and for a passphrase that is too short or missing.
    """
    name = check_name(name, "a space's name")
    if (kind == "vault") != (passphrase is not None):
        raise Refused(Code.BAD_REQUEST, "a vault, and only that, has a passphrase")
    if any(space.name == name for space in (await list_spaces(session)).spaces):
        raise Refused(Code.BAD_REQUEST, "a space of that name is there already")
    nonce = secrets.token_bytes(HASH_SIZE_BYTES)
    vault = None if passphrase is None else await session.vaults.make(nonce, passphrase)
    envelope, boxes = _sign_genesis(session, name, kind, nonce, vault.public_key if vault else None)
    space_id = ids.space_id(envelope)
    content = session.content
    begun = KnownSpace(space_id, confirmed=False, vaults=[vault.wrap] if vault else [])
    await session.keyring.update(lambda known: with_space(known or content, begun))
    answer = await session.connection.request("POST", "/v1/spaces", CommitEntry(envelope, boxes), Committed)
    entry_id = hashlib.sha256(envelope).digest()
    receipt = verify_receipt(
        answer.receipt,
        answer.signature,
        session.connection.server_key,
        space_id=space_id,
        entry_id=entry_id,
        blobs=(),
    )
    memory = session.folder.memory(space_id)
    memory.position = DevicePosition(1, entry_id)
    memory.pin_ledger(Head(receipt.number, entry_id))
    memory.pin_log(Head(receipt.number, receipt.chain))
    memory.save()
    confirmed = KnownSpace(space_id, ledger_number=receipt.number, ledger_hash=entry_id)
    await session.keyring.update(lambda known: with_space(known or content, confirmed))
    if vault is not None:
        session.vaults.hold(space_id, vault)
    return space_id


def _sign_genesis(
    session: AccountSession, name: str, kind: SpaceKind, nonce: bytes, vault_key: bytes | None
) -> tuple[bytes, list[NewBox]]:
    members = {session.account_id: Member.usual(Role.OWNER, session.state, vault_key)}
    epoch = make_epoch(1, nonce, members, None)
    dedupe_key = secrets.token_bytes(KEY_SIZE_BYTES)
    terms = pack(
        SpaceTerms(
            kind=kind,
            nonce=nonce,
            account_id=session.account_id,
            account_entries=session.entries,
            vault_key=vault_key,
            policy=Policy(min_version=1, links=_LINKS[kind]),
            epoch=epoch.epoch,
            name=seal_box(
                epoch.secrets.view_metadata_key, field_place(nonce, "name", 1), name.encode(), nonce=random_nonce()
            ),
            dedupe=seal_box(
                epoch.secrets.full_metadata_key, field_place(nonce, "dedupe", 1), dedupe_key, nonce=random_nonce()
            ),
        )
    )
    message = context(Label.SIGN_GENESIS_IDENTITY, session.device.device_id, terms)
    body = CreateSpaceBody(terms, signatures.sign(session.keys.signing_seed, message))
    header = Header(
        version=ENTRY_VERSION,
        critical=True,
        kind=LedgerKind.CREATE_SPACE.value,
        space_id=b"",
        author_id=session.account_id,
        device_id=session.device.device_id,
        counter=1,
        previous_id=b"",
        ledger=NO_HEAD,
        log=NO_HEAD,
        signed_ms=session.clock(),
    )
    return build_entry(header, body, session.device.signing_seed), list(epoch.boxes)


async def list_spaces(session: AccountSession) -> SpaceList:
    """List the spaces that count, each verified up to now, and report the others.

    *Injected space*: one that the keyring does not list is ignored, and so is one that does not verify; a space that
    the keyring lists and the server does not show is reported, too.
    """
    answer = await session.connection.request("GET", "/v1/spaces", None, Spaces)
    rows = {row.space_id: row for row in answer.spaces}
    listed = {known.space_id: known for known in session.content.spaces}
    result = SpaceList([], {})
    for shown in rows:
        space_id = _space_id(shown)
        if space_id not in listed:
            result.refused[space_id] = Refused(Code.SPACE_INJECTED, shown[:12])
    for space_id, known in listed.items():
        row = rows.get(space_id.hex())
        if row is None:
            if known.confirmed:
                result.refused[space_id] = Refused(Code.SPACE_UNKNOWN, "the server does not show it any more")
            elif known.ledger_number:
                result.waiting.append(space_id)
            continue
        try:
            if row.role in _READ_BY_GRANTS:
                result.granted.append(await _granted(session, known))
            else:
                result.spaces.append(await _summary(session, known, row))
        except Refused as refusal:
            if refusal.code is Code.SERVER_UNREACHABLE:
                raise
            result.refused[space_id] = refusal
    return result


def _space_id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Refused(Code.SERVER_FAULT, "the server lists a space without an id") from None


async def _granted(session: AccountSession, known: KnownSpace) -> GrantView:
    """What the server says of the role is only how to ask: the ledger says whether it is so."""
    view = GrantView(session, known)
    state = await view.sync()
    role = state.members[session.account_id].role
    if role not in _READ_BY_GRANTS:
        raise Refused(
            Code.SPACE_UNKNOWN, f"the server says that you read albums of it alone, and you are a {role.value}"
        )
    return view


async def _summary(session: AccountSession, known: KnownSpace, row: SpaceRow) -> SpaceSummary:
    with SpaceView(session, known) as view:
        state = await view.sync(opens=False)
        role = state.members[session.account_id].role
        shut = view.vault_wrap if view.is_vault and not session.vaults.is_open(known.space_id) else None
        with session.vaults.only_looked_at(known.space_id):
            name = "" if shut else await view.name()
        return SpaceSummary(known.space_id, name, state.kind, role, row.used_bytes, row.quota_bytes, shut)


async def find_space(session: AccountSession, wanted: str) -> SpaceView:
    """Return the space named *wanted* (or with an id that begins so), not yet entered.

    Where none of those that are open has that name, it may be a vault's, and a passphrase is asked for. Raises
    SPACE_UNKNOWN, VAULT_LOCKED for a passphrase that opens none, or BAD_REQUEST where two spaces have that name; a
    space that was refused says why.
    """
    listing = await list_spaces(session)
    named = [summary.space_id for summary in listing.spaces if summary.name == wanted]
    if not named and _MIN_PREFIX.fullmatch(wanted):
        named = [summary.space_id for summary in listing.spaces if summary.space_id.hex().startswith(wanted)]
    if not named:
        named = await _vaults_named(
            session, {summary.space_id: summary.shut for summary in listing.spaces if summary.shut}, wanted
        )
    if len(named) > 1:
        raise Refused(Code.BAD_REQUEST, "more than one space has that name; use its id")
    unread = [v for v in listing.granted if _MIN_PREFIX.fullmatch(wanted) and v.space_id.hex().startswith(wanted)]
    if not named and unread:
        if unread[0].role is Role.CONTRIBUTOR:
            raise Refused(Code.FORBIDDEN, "you add to this space and see nothing of it: `safelight asset add`")
        raise Refused(Code.FORBIDDEN, "you read albums of this space alone; `safelight album list` shows them")
    if not named:
        serious = [refusal for refusal in listing.refused.values() if refusal.code is not Code.SPACE_INJECTED]
        shut = any(summary.is_shut for summary in listing.spaces)
        missing = Refused(Code.SPACE_UNKNOWN, f"{wanted}, unless it is a vault, which is shut" if shut else wanted)
        raise serious[0] if serious else missing
    return SpaceView(session, _known(session, named[0]))


async def find_adding(session: AccountSession, wanted: str) -> GrantView | None:
    """Return the space that this account contributes to and reads nothing of, by how its id begins; None for none.

    Raises BAD_REQUEST for more than one.
    """
    if not _MIN_PREFIX.fullmatch(wanted):
        return None
    listing = await list_spaces(session)
    found = [v for v in listing.granted if v.role is Role.CONTRIBUTOR and v.space_id.hex().startswith(wanted)]
    if len(found) > 1:
        raise Refused(Code.BAD_REQUEST, "more than one space's id begins so")
    return found[0] if found else None


def _known(session: AccountSession, space_id: bytes) -> KnownSpace:
    return next(known for known in session.content.spaces if known.space_id == space_id)


async def _vaults_named(session: AccountSession, shut: Mapping[bytes, VaultWrap], wanted: str) -> list[bytes]:
    """Of vaults that are shut, those that one passphrase opens and that have the name: not even that is told before.

    Another that it opens as well was not asked for, and is shut again.
    """
    passphrase = await session.vaults.ask() if shut else None
    if passphrase is None:
        return []
    opened = [space_id for space_id, wrap in shut.items() if await _opens(session, space_id, wrap, passphrase)]
    if not opened:
        raise Refused(Code.VAULT_LOCKED, f"no open space is called {wanted[:32]!r}, and this passphrase opens no vault")
    named = []
    for space_id in opened:
        with SpaceView(session, _known(session, space_id)) as view:
            await view.sync()
            is_wanted = await view.name() == wanted
        if is_wanted:
            named.append(space_id)
        else:
            session.vaults.shut(space_id)
    return named


async def _opens(session: AccountSession, space_id: bytes, wrap: VaultWrap, passphrase: str) -> bool:
    try:
        await session.vaults.open(space_id, wrap, passphrase)
    except Refused as refusal:
        if refusal.code is not Code.VAULT_LOCKED:
            raise
        return False
    return True


async def change_passphrase(space: SpaceView, passphrase: str) -> None:
    """Put another *passphrase* in place of a vault's; the key itself stays.

    Raises BAD_REQUEST for what is no vault and for one that is too short, VAULT_LOCKED where it does not open.
    """
    if not space.is_vault:
        raise Refused(Code.BAD_REQUEST, "only a vault has a passphrase")
    session = space.session
    wrap = await session.vaults.rewrap(space.space_id, space.vault_wrap, passphrase)
    known, content = _known(session, space.space_id), session.content
    changed = msgspec.structs.replace(known, vaults=[wrap])
    await session.keyring.update(lambda kept: with_space(kept or content, changed))
