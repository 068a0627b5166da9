"""Accounts, spaces and records as a client makes them, for tests that talk to a real server.

What only readers would open is random bytes here: the server must take it as it comes. Every object is new each time,
so tests share nothing.
"""

import os
from dataclasses import dataclass, field

import msgspec

from safelight.sync_protocol import ids, ledger, ledger_entries, links, log, records, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import BoxRef, Epoch, LedgerKind, Policy, SpaceTerms
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import NO_HEAD, Entry, Head, Header
from safelight.sync_protocol.messages.spaces import CommitEntry, NewBox
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AssetBody,
    LinkPolicy,
    OpenRollBody,
    PageRef,
    PublishLinkBody,
    RecordKind,
    RenditionName,
    RenditionRef,
)
from safelight.sync_protocol.wire import Signed, pack
from tests.support.identities import INBOX_SIZE_BYTES, Person, Signer, now_ms, sha256

FLOE_HEADER_SIZE_BYTES = 74


def make_epoch(number: int, readers: list[tuple[bytes, str]]) -> tuple[Epoch, list[NewBox]]:
    """Build an epoch with a box for each of *readers*, and the boxes."""
    boxes = [(account_id, tier, os.urandom(1200)) for account_id, tier in readers]
    history = b"sealed history" if number > 1 else b""
    epoch = Epoch(
        number=number,
        full_inbox=os.urandom(INBOX_SIZE_BYTES),
        view_inbox=os.urandom(INBOX_SIZE_BYTES),
        boxes=[BoxRef(account_id, tier, sha256(box)) for account_id, tier, box in boxes],  # type: ignore[arg-type]  # a word of two
        full_history=history,
        view_history=history,
    )
    return epoch, [NewBox(account_id.hex(), box) for account_id, _, box in boxes]


@dataclass(frozen=True)
class Blob:
    """Stored ciphertext, as far as the server knows."""

    data: bytes

    @property
    def name(self) -> bytes:
        """Its name."""
        return sha256(self.data)


def rendition(name: RenditionName, blob: Blob) -> RenditionRef:
    """Refer to a blob as a rendition."""
    return RenditionRef(name, os.urandom(16), blob.name, len(blob.data), os.urandom(FLOE_HEADER_SIZE_BYTES))


def make_asset(original: Blob, *view: Blob, fingerprint: bytes = b"") -> AssetBody:
    """Build an asset with an original and, after it, a preview and a thumbnail."""
    names = (RenditionName.PREVIEW, RenditionName.THUMBNAIL)
    return AssetBody(
        asset_id=os.urandom(16),
        fingerprint=fingerprint,
        renditions=[rendition(RenditionName.ORIGINAL, original), *map(rendition, names, view)],
        wrap_full=os.urandom(100),
        wrap_view=os.urandom(100),
        view=os.urandom(300),
        full=os.urandom(500),
    )


@dataclass
class Writer:
    """A space as one client follows it: what it knows of the log, and entries built on that."""

    owner: Person
    signer: Signer
    ledger: LedgerState | None = None
    log: Head = NO_HEAD
    roll_id: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def state(self) -> LedgerState:
        """The ledger's state."""
        if self.ledger is None:
            raise LookupError("the space has no genesis yet")
        return self.ledger

    @property
    def space_id(self) -> bytes:
        """The space's id."""
        return self.state.space_id

    def genesis(self, links_policy: str = "full", kind: str = "work") -> tuple[Entry, CommitEntry]:
        """Build the genesis."""
        epoch, boxes = make_epoch(1, [(self.owner.account_id, "full")])
        terms = SpaceTerms(
            kind=kind,  # type: ignore[arg-type]  # a word of three
            nonce=os.urandom(32),
            account_id=self.owner.account_id,
            account_entries=list(self.owner.entries),
            vault_key=os.urandom(1216) if kind == "vault" else None,
            policy=Policy(1, links_policy),  # type: ignore[arg-type]  # a word of three
            epoch=epoch,
            name=b"sealed name",
            dedupe=b"sealed dedupe key",
        )
        packed = pack(terms)
        message = context(Label.SIGN_GENESIS_IDENTITY, self.signer.device_id, packed)
        body = ledger_entries.CreateSpaceBody(packed, signatures.sign(self.owner.identity_seed, message))
        entry = self.entry(LedgerKind.CREATE_SPACE, body)
        return entry, CommitEntry(entry.envelope, boxes)

    def entry(self, kind: str, body: Signed, signer: Signer | None = None, **changes: object) -> Entry:
        """Build the entry that *signer* would sign next, with *changes* to its header."""
        who = signer or self.signer
        values: dict[str, object] = {
            "version": 1,
            "critical": True,
            "kind": str(kind),
            "space_id": self.ledger.space_id if self.ledger else b"",
            "author_id": who.author_id,
            "device_id": who.device_id,
            "counter": who.counter + 1,
            "previous_id": who.last_id,
            "ledger": self.ledger.head if self.ledger else NO_HEAD,
            "log": self.log,
            "signed_ms": now_ms(),
        }
        header = Header(**{**values, **changes})  # type: ignore[arg-type]  # values by name
        return log.parse_entry(log.build_entry(header, body, who.seed))

    def took(self, entry: Entry, number: int, chain: bytes, signer: Signer | None = None) -> None:
        """Note that the server gave *entry* a slot."""
        who = signer or self.signer
        who.counter, who.last_id = entry.header.counter, entry.id
        self.log = Head(number, chain)
        if ledger_entries.is_ledger_kind(entry.header.kind):
            self.ledger = msgspec.structs.replace(ledger.apply(self.ledger, entry, number), head=Head(number, entry.id))

    def next_epoch(self) -> tuple[Epoch, list[NewBox]]:
        """Build the epoch that follows."""
        readers = [(key, self.state.tier_of(key).value) for key in self.state.members]
        return make_epoch(self.state.epoch.number + 1, readers)

    def open_roll(self, signer: Signer | None = None, /, **changes: object) -> Entry:
        """Open a new roll."""
        self.roll_id = os.urandom(16)
        body = OpenRollBody(self.roll_id, self.state.epoch.number, os.urandom(1168), os.urandom(1168))
        return self.entry(RecordKind.OPEN_ROLL, body, signer, **changes)

    def add_assets(self, *assets: AssetBody, signer: Signer | None = None, **changes: object) -> Entry:
        """Add assets under the roll last opened."""
        return self.entry(RecordKind.ADD_ASSETS, AddAssetsBody(self.roll_id, list(assets)), signer, **changes)


@dataclass
class Pairing:
    """A camera that was certified and may be bound."""

    camera_id: bytes = field(default_factory=lambda: os.urandom(16))
    pairing_seed: bytes = field(default_factory=lambda: os.urandom(32))
    device_seed: bytes = field(default_factory=lambda: os.urandom(32))
    lifetime_ms: int = 600_000
    quota_bytes: int = 0

    @property
    def signer(self) -> Signer:
        """The camera, once it is bound."""
        return Signer(self.camera_id, self.camera_id, self.device_seed)

    def certify(self, writer: Writer, signer: Signer | None = None) -> Entry:
        """Certify the camera."""
        body = ledger_entries.CertifyCameraBody(
            camera_id=self.camera_id,
            pairing_key=signatures.public_key_of(self.pairing_seed),
            expires_ms=now_ms() + self.lifetime_ms,
            quota_bytes=self.quota_bytes,
            epoch=writer.state.epoch.number,
            name=b"sealed camera name",
            dedupe=b"sealed dedupe key",
        )
        return writer.entry(LedgerKind.CERTIFY_CAMERA, body, signer)

    def bind(self, writer: Writer, signer: Signer) -> Entry:
        """Bind the key of *signer* to the camera."""
        message = ledger_entries.bind_message(writer.space_id, self.camera_id, signer.key)
        body = ledger_entries.BindCameraBody(self.camera_id, signer.key, signatures.sign(self.pairing_seed, message))
        return writer.entry(LedgerKind.BIND_CAMERA, body, signer)

    def read_signature(self, space_id: bytes) -> bytes:
        """Sign for reading the ledger before being bound."""
        return signatures.sign(self.pairing_seed, context(Label.SIGN_PAIRING_READ, space_id, self.camera_id))


@dataclass
class Link:
    """A share link, as its maker has it."""

    page: Blob
    view: list[Blob] = field(default_factory=list)
    full: list[Blob] = field(default_factory=list)
    made: list[Blob] = field(default_factory=list)
    tier: str = "view"
    password_proof: bytes = b""
    max_opens: int = 0
    expires_ms: int = 0
    starts_ms: int = 0
    originals: bool = False
    album_id: bytes = field(default_factory=lambda: os.urandom(16))
    link_id: bytes = field(default_factory=lambda: os.urandom(16))
    token: bytes = field(default_factory=lambda: os.urandom(32))
    publishing_seed: bytes = field(default_factory=lambda: os.urandom(32))

    def body(self, writer: Writer) -> PublishLinkBody:
        """Build the record that publishes the link."""
        pages = [PageRef(self.page.name, len(self.page.data))]
        head = links.ManifestHead(1, self.link_id, 1, now_ms(), pages, os.urandom(200))
        content, signature = links.sign_head(head, self.publishing_seed)
        return PublishLinkBody(
            link_id=self.link_id,
            album_id=self.album_id,
            tier=self.tier,  # type: ignore[arg-type]  # a word of two
            epoch=writer.state.epoch.number,
            token_hash=sha256(self.token),
            proof_hash=sha256(self.password_proof) if self.password_proof else b"",
            publishing_key=signatures.public_key_of(self.publishing_seed),
            head=content,
            head_signature=signature,
            pages=pages,
            view_blobs=[blob.name for blob in self.view],
            full_blobs=[blob.name for blob in self.full],
            made_blobs=[PageRef(blob.name, len(blob.data)) for blob in self.made],
            policy=LinkPolicy(self.starts_ms, self.expires_ms, self.max_opens, self.originals),
            makers=os.urandom(200),
        )

    def publish(self, writer: Writer) -> Entry:
        """Publish the link."""
        return writer.entry(RecordKind.PUBLISH_LINK, self.body(writer))

    def revoke(self, writer: Writer) -> Entry:
        """Revoke the link."""
        return writer.entry(RecordKind.REVOKE_LINK, records.RevokeLinkBody(self.link_id))


__all__ = [
    "Blob",
    "Link",
    "Pairing",
    "Person",
    "Signer",
    "Writer",
    "ids",
    "make_asset",
    "make_epoch",
    "now_ms",
    "sha256",
]
