"""The log: signed entries, the chain that holds them in order, and the checks that find a dropped or forked history.

docs/spec/log.md. `chain_n = SHA-256(context("log", chain_{n-1}, n, entry id))`, where an entry's id is the SHA-256 of
its bytes.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias, TypeVar

import msgspec

from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.envelopes import Content, SignedEntry, build_envelope, parse_envelope, verify_envelope
from safelight.sync_protocol.ids import Hash, Id, OptionalHash
from safelight.sync_protocol.limits import HASH_SIZE_BYTES, MAX_ENTRY_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.wire import Count, Signed, TimeMs, pack, unpack

T = TypeVar("T", bound=Signed)

ENTRY_VERSION = 1
Kind = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+(\.[a-z-]+)+\Z", max_length=40)]


class Head(Signed, frozen=True):
    """A place in a log or ledger: its number and the hash there; (0, empty) before the first entry."""

    number: Count
    hash: OptionalHash


NO_HEAD = Head(0, b"")


class Header(Signed, frozen=True):
    """What every entry says of itself, under its signature."""

    version: Count
    critical: bool
    kind: Kind
    space_id: OptionalHash
    author_id: Id
    device_id: Id
    counter: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    previous_id: OptionalHash
    ledger: Head
    log: Head
    signed_ms: TimeMs


# Its signature is not verified by parsing: see `verify_entry`.
Entry: TypeAlias = SignedEntry[Header]


class Frame(Signed, frozen=True):
    """One entry as the feed carries it: its slot, the server's time, the chain there, and the envelope.

    Of a purged entry, `envelope` is empty and `entry_id` and `signature` remain, so that the chain still verifies.
    """

    number: Count
    time_ms: TimeMs
    chain: Hash
    entry_id: Hash
    envelope: bytes
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class DevicePosition:
    """The last entry of one device in one space."""

    counter: int
    entry_id: bytes


@dataclass(frozen=True, slots=True)
class LogState:
    """How far a reader has verified a log.

    The keys of `devices` are author id ‖ device id: accounts choose their devices' ids, and nobody moves another's
    counter by choosing the same.
    """

    number: int = 0
    chain: bytes = b""
    devices: Mapping[bytes, DevicePosition] = field(default_factory=dict)

    @property
    def head(self) -> Head:
        """The place reached."""
        return Head(self.number, self.chain)

    def position(self, author_id: bytes, device_id: bytes) -> DevicePosition | None:
        """The last entry of one author's device, or None before its first."""
        return self.devices.get(author_id + device_id)


def build_entry(header: Header, body: Signed, signing_seed: bytes) -> bytes:
    """Sign *header* and *body* with the device's *signing_seed* and return the envelope's bytes."""
    return build_envelope(header, body, Label.SIGN_ENTRY, signing_seed)


def parse_entry(envelope: bytes) -> Entry:
    """Parse the envelope's bytes, of whatever version; raises ENTRY_MALFORMED or TOO_LARGE."""
    if len(envelope) > MAX_ENTRY_SIZE_BYTES:
        raise Refused(Code.TOO_LARGE, f"an entry has at most {MAX_ENTRY_SIZE_BYTES} bytes")
    return parse_envelope(envelope, Content[Header])


def verify_entry(entry: Entry, device_key: bytes) -> None:
    """Verify the entry's signature by *device_key* (Ed25519, 32 bytes); raises SIGNATURE_INVALID."""
    verify_envelope(entry, Label.SIGN_ENTRY, device_key)


def next_chain(chain: bytes, number: int, entry_id: bytes) -> bytes:
    """Return the chain hash at slot *number* after *chain*, the hash at the slot before (empty at the first)."""
    return hashlib.sha256(context(Label.LOG_CHAIN, chain, uint(number), entry_id)).digest()


def step(state: LogState, frame: Frame, *, may_be_purged: bool = False) -> LogState:
    """Take one frame into the chain; raises CHAIN_BROKEN if it was dropped, reordered, changed or blanked.

    An empty envelope keeps the chain whole, so a server could hide a revocation behind one: it passes only where the
    caller knows, from a signed entry, that this slot *may_be_purged*.
    """
    if frame.number != state.number + 1:
        raise Refused(Code.CHAIN_BROKEN, f"slot {frame.number} follows slot {state.number}")
    if not frame.envelope and not may_be_purged:
        raise Refused(Code.CHAIN_BROKEN, f"the entry at slot {frame.number} is withheld")
    if frame.envelope and hashlib.sha256(frame.envelope).digest() != frame.entry_id:
        raise Refused(Code.CHAIN_BROKEN, f"the entry at slot {frame.number} is not the one it is named for")
    chain = next_chain(state.chain, frame.number, frame.entry_id)
    if chain != frame.chain:
        raise Refused(Code.CHAIN_BROKEN, f"the chain at slot {frame.number} does not follow")
    return LogState(frame.number, chain, state.devices)


def check_position(state: LogState, entry: Entry) -> None:
    """Check that *entry* follows its device's last one; raises COUNTER_CONFLICT (a record was dropped or repeated)."""
    last = state.position(entry.header.author_id, entry.header.device_id)
    counter, previous_id = (last.counter, last.entry_id) if last else (0, b"")
    if entry.header.counter != counter + 1 or entry.header.previous_id != previous_id:
        raise Refused(Code.COUNTER_CONFLICT, f"entry {entry.header.counter} follows entry {counter} of its device")


def check_heads(
    entry: Entry, number: int, chain_at: Callable[[int], bytes | None], ledger_at: Callable[[int], bytes | None]
) -> None:
    """Check the heads that the signer knew against mine; raises HISTORY_FORKED where they contradict.

    *chain_at* and *ledger_at* return the hash that this reader verified at a slot, or None where it kept none.
    """
    for name, head, known in (
        ("log", entry.header.log, chain_at(entry.header.log.number)),
        ("ledger", entry.header.ledger, ledger_at(entry.header.ledger.number)),
    ):
        if head.number >= number:
            raise Refused(Code.HISTORY_FORKED, f"the signer knew a {name} beyond its own slot")
        if len(head.hash) != (HASH_SIZE_BYTES if head.number else 0):
            raise Refused(Code.HISTORY_FORKED, f"the signer names no place of a {name}")
        if known is not None and known != head.hash:
            raise Refused(Code.HISTORY_FORKED, f"the signer was shown another {name} at slot {head.number}")


def place(state: LogState, entry: Entry) -> LogState:
    """Remember *entry* as its device's last one."""
    position = DevicePosition(entry.header.counter, entry.id)
    key = entry.header.author_id + entry.header.device_id
    return LogState(state.number, state.chain, {**state.devices, key: position})


def frames_to_bytes(frames: Iterable[Signed]) -> bytes:
    """Join frames, of a space's log or an album's, as feeds send them: each a 4-byte big-endian length and itself."""
    packed = [pack(frame) for frame in frames]
    return b"".join(piece for data in packed for piece in (len(data).to_bytes(4, "big"), data))


def frames_from_bytes(data: bytes) -> Iterator[Frame]:
    """Split the feed's bytes into frames; raises ENTRY_MALFORMED at a cut or damaged one."""
    return split_frames(data, Frame)


def split_frames(data: bytes, shape: type[T]) -> Iterator[T]:
    """The same for frames of another *shape*."""
    offset = 0
    while offset < len(data):
        size_bytes = int.from_bytes(data[offset : offset + 4], "big")
        start, offset = offset + 4, offset + 4 + size_bytes
        if offset > len(data):
            raise Refused(Code.ENTRY_MALFORMED, "the feed's page is cut short")
        yield unpack(data[start:offset], shape)
