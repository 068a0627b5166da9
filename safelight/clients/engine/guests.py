"""A guest of an upload link: binds a key of its own, and adds to a space of which it learns nothing.

docs/spec/upload-links.md. The guest believes the head that the link's publishing key signed: under which inboxes it
seals, and whose receipts count. It keeps a profile for each link, so that a second run goes on where the first stopped.
"""

import contextlib
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from safelight.clients.engine.clock import Clock, now_ms
from safelight.clients.engine.commits import Committer
from safelight.clients.engine.connection import Connection, DeviceKey
from safelight.clients.engine.inboxes import Inboxes
from safelight.clients.engine.memory import SpaceMemory
from safelight.clients.engine.profile import PROFILE_VERSION, GuestProfile, ProfileFolder
from safelight.clients.engine.upload_heads import OpenedHead, fetch_upload_head
from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.links import LinkAddress, parse_address
from safelight.sync_protocol.log import ENTRY_VERSION, DevicePosition, Head, Header, build_entry
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed, DevicePositionRow
from safelight.sync_protocol.receipts import verify_receipt
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.upload_entries import BindGuestBody, bind_guest_message

_MAX_BINDINGS = 12
# What stands right before the link's own part, of one address: no other one, and no page that would send on to it.
_SERVER = re.compile(r"(https?://[^\s/?#]+(?:/[^\s?#]*?)?)/s/[0-9a-f]{32}(?:#|%23|$)", re.IGNORECASE)
# What a sign-in is answered that has no key here: the binding did not come, or did not stay.
_NOT_BOUND = frozenset({Code.SIGNATURE_INVALID, Code.SESSION_REQUIRED})


@dataclass(frozen=True, slots=True)
class GuestAddress:
    """An upload link's address: the server, and what stands after it."""

    server_url: str
    link: LinkAddress


def parse_upload_address(text: str) -> GuestAddress:
    """Read an upload link, pasted with whatever stands around it.

    Raises the refusals of a link's address, and BAD_REQUEST for a link that shows pictures.
    """
    server = _SERVER.search(text)
    link = parse_address(text if server is None else text[server.start() :])
    if server is None:
        raise Refused(Code.LINK_ADDRESS_CUT, "it begins with https://")
    if not link.is_upload:
        raise Refused(Code.BAD_REQUEST, "this link shows pictures and takes none; open it in a browser")
    return GuestAddress(server[1], link)


def guest_folder(profile_path: Path, link_id: bytes) -> Path:
    """Return where the guest of a link has its profile, below the person's own."""
    return profile_path / "guest" / link_id.hex()


class GuestSession:
    """A guest at work: its connection, the head that it verified, and who commits for it."""

    def __init__(
        self, folder: ProfileFolder, profile: GuestProfile, connection: Connection, link: LinkAddress, head: OpenedHead
    ) -> None:
        self._folder = folder
        self._link = link
        self.profile = profile
        self.connection = connection
        self.opened = head
        self.memory = folder.memory(profile.space_id)
        self.committer: Committer

    @property
    def ledger_head(self) -> Head:
        """The newest ledger entry that the link's maker signed for, or that this guest's binding is."""
        return max(self.opened.head.ledger, self.memory.ledger, key=lambda head: head.number)

    async def refresh(self) -> OpenedHead:
        """Fetch and verify the link's head anew; UPLOAD_LINK_PAUSED while its keys are old, UPLOAD_LINK_OVER."""
        self.opened = await fetch_upload_head(self.connection, self._link)
        self.profile = _pinned(self._folder, self.profile, self.opened)
        self.memory.pin_log(self.opened.head.log)
        return self.opened

    def inboxes(self, _: int) -> Inboxes:
        """Return what is sealed to."""
        head = self.opened.head
        return Inboxes(head.space_id, head.epoch, head.full_inbox, head.view_inbox, head.album)


@contextlib.asynccontextmanager
async def open_guest(
    folder: ProfileFolder, address: GuestAddress, *, clock: Clock = now_ms
) -> AsyncIterator[GuestSession]:
    """Open an upload link as the guest of this folder, who is bound first if it is new.

    Raises LINK_NOT_OPENED, UPLOAD_LINK_OVER, UPLOAD_LINK_FULL, UPLOAD_LINK_PAUSED, MANIFEST_INVALID and
    SERVER_KEY_CHANGED.
    """
    known = _known(folder, address.link.link_id)
    async with Connection(address.server_url, server_key=known.server_key if known else None) as connection:
        opened = await fetch_upload_head(connection, address.link)
        profile = _pinned(folder, known or _new_profile(address, opened), opened)
        if not profile.is_bound:
            profile = await _bind_once(connection, folder, profile, address.link, clock)
    device = DeviceKey(profile.guest_id, profile.signing_seed)
    async with Connection(profile.server_url, server_key=profile.server_key, device=device) as connection:
        session = GuestSession(folder, profile, connection, address.link, opened)
        session.committer = Committer(
            connection,
            author_id=profile.guest_id,
            device=device,
            space_id=profile.space_id,
            memory=session.memory,
            view=session,
            refresh=session.refresh,
            clock=clock,
        )
        await session.refresh()
        yield session
        session.memory.save()


def _known(folder: ProfileFolder, link_id: bytes) -> GuestProfile | None:
    try:
        found = folder.load()
    except Refused as refusal:
        if refusal.code is not Code.PROFILE_MISSING:
            raise
        folder.require_free()
        return None
    if isinstance(found, GuestProfile) and found.link_id == link_id:
        return found
    raise Refused(Code.PROFILE_EXISTS, str(folder.path))


def _new_profile(address: GuestAddress, opened: OpenedHead) -> GuestProfile:
    return GuestProfile(
        version=PROFILE_VERSION,
        server_url=address.server_url,
        server_key=opened.head.server_key,
        link_id=address.link.link_id,
        space_id=opened.head.space_id,
        guest_id=ids.new_id(),
        signing_seed=secrets.token_bytes(KEY_SIZE_BYTES),
        local_key=secrets.token_bytes(KEY_SIZE_BYTES),
        head_number=0,
        is_bound=False,
    )


def _pinned(folder: ProfileFolder, profile: GuestProfile, opened: OpenedHead) -> GuestProfile:
    """Keep the newest head's number durably: *an older head shown again* has keys of who was removed since."""
    head = opened.head
    if head.space_id != profile.space_id:
        raise Refused(Code.MANIFEST_INVALID, "it is of another space than before")
    if head.log.number < profile.head_number:
        raise Refused(Code.HISTORY_ROLLED_BACK, "the link's keys are older than those that it showed before")
    if head.log.number > profile.head_number:
        profile = msgspec.structs.replace(profile, head_number=head.log.number)
        folder.save(profile)
    return profile


async def _bind_once(
    connection: Connection, folder: ProfileFolder, profile: GuestProfile, link: LinkAddress, clock: Clock
) -> GuestProfile:
    """Bind the profile's key, which is on the disk, unless an earlier call did whose answer was lost."""
    memory = folder.memory(profile.space_id)
    if not await _is_bound(profile):
        await _bind(connection, profile, link, memory, clock)
    bound = msgspec.structs.replace(profile, is_bound=True)
    folder.save(bound)
    return bound


async def _is_bound(profile: GuestProfile) -> bool:
    device = DeviceKey(profile.guest_id, profile.signing_seed)
    async with Connection(profile.server_url, server_key=profile.server_key, device=device) as connection:
        try:
            await connection.request("GET", f"/v1/spaces/{profile.space_id.hex()}/position", None, DevicePositionRow)
        except Refused as refusal:
            if refusal.code not in _NOT_BOUND:
                raise
            return False
        return True


async def _bind(
    connection: Connection, profile: GuestProfile, link: LinkAddress, memory: SpaceMemory, clock: Clock
) -> None:
    """Commit the binding on top of the ledger's end, which the server names, and verify its receipt.

    That end is the server's word alone. A wrong one gives an entry that stands nowhere.
    """
    for binding in range(_MAX_BINDINGS):
        opened = await fetch_upload_head(connection, link)
        envelope = _binding(profile, link, opened, clock())
        path = f"/v1/spaces/{profile.space_id.hex()}/bind"
        try:
            answer = await connection.request("POST", path, CommitEntry(envelope), Committed, anonymous=True)
        except Refused as refusal:
            if refusal.code is not Code.ENTRY_STALE or binding == _MAX_BINDINGS - 1:
                raise
            continue
        entry_id = hashlib.sha256(envelope).digest()
        receipt = verify_receipt(
            answer.receipt,
            answer.signature,
            profile.server_key,
            space_id=profile.space_id,
            entry_id=entry_id,
            blobs=(),
        )
        memory.position = DevicePosition(1, entry_id)
        memory.pin_ledger(Head(receipt.number, entry_id))
        memory.pin_log(Head(receipt.number, receipt.chain))
        memory.save()
        return


def _binding(profile: GuestProfile, link: LinkAddress, opened: OpenedHead, signed_ms: int) -> bytes:
    device_key = signatures.public_key_of(profile.signing_seed)
    message = bind_guest_message(profile.space_id, link.link_id, profile.guest_id, device_key)
    body = BindGuestBody(
        link_id=link.link_id,
        guest_id=profile.guest_id,
        device_key=device_key,
        guest_signature=signatures.sign(keytree.upload_signing_seed(link.secret), message),
    )
    header = Header(
        version=ENTRY_VERSION,
        critical=True,
        kind=LedgerKind.BIND_GUEST.value,
        space_id=profile.space_id,
        author_id=profile.guest_id,
        device_id=profile.guest_id,
        counter=1,
        previous_id=b"",
        ledger=opened.ledger,
        log=opened.head.log,
        signed_ms=signed_ms,
    )
    return build_entry(header, body, profile.signing_seed)
