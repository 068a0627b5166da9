"""Upload links and their guests, entry by entry, as no client of ours would make them."""

import os
import time
from dataclasses import dataclass, field

import msgspec

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import key_fingerprint
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.links import LinkAddress
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.records import PublishInboxBody
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.upload_entries import (
    BindGuestBody,
    OpenUploadLinkBody,
    UploadTerms,
    bind_guest_message,
)
from safelight.sync_protocol.upload_links import UploadHead, album_inboxes, sign_upload_head
from tests.support.api import Api
from tests.support.protocol import Signer, Writer

HOUR_MS = 60 * 60 * 1000


def terms(**changes: int) -> UploadTerms:
    """What a link takes, unless said otherwise: an hour, ten files, a megabyte, three guests."""
    expires_ms = time.time_ns() // 1_000_000 + HOUR_MS
    usual = {"expires_ms": expires_ms, "max_files": 10, "quota_bytes": 10**6, "max_guests": 3}
    return UploadTerms(**{**usual, **changes})


@dataclass
class UploadLink:
    """An upload link, as who made it knows it."""

    terms: UploadTerms = field(default_factory=terms)
    album: bytes = b""
    link_id: bytes = field(default_factory=lambda: os.urandom(16))
    secret: bytes = field(default_factory=lambda: os.urandom(16))
    publishing_seed: bytes = field(default_factory=lambda: os.urandom(32))

    @property
    def guest_seed(self) -> bytes:
        """The seed that whoever has the address can derive."""
        return keytree.upload_signing_seed(self.secret)

    @property
    def address(self) -> LinkAddress:
        """What the address says."""
        fingerprint = key_fingerprint(signatures.public_key_of(self.publishing_seed))
        return LinkAddress(self.link_id, False, self.secret, fingerprint, is_upload=True)

    @property
    def read_signature(self) -> bytes:
        """What proves the secret when the head is asked for."""
        return signatures.sign(self.guest_seed, context(Label.SIGN_UPLOAD_READ, self.link_id))

    def opening(self, writer: Writer) -> OpenUploadLinkBody:
        """What opens it."""
        return OpenUploadLinkBody(
            link_id=self.link_id,
            guest_key=signatures.public_key_of(self.guest_seed),
            publishing_key=signatures.public_key_of(self.publishing_seed),
            terms=self.terms,
            album_id=self.album,
            epoch=writer.state.epoch.number,
            makers=b"sealed",
        )

    def head(self, writer: Writer, **changes: object) -> UploadHead:
        """Its head by the ledger of *writer*."""
        state = writer.state
        said: dict[str, object] = {
            "version": 1,
            "link_id": self.link_id,
            "space_id": state.space_id,
            "server_key": bytes(32),
            "epoch": state.epoch.number,
            "full_inbox": state.epoch.full_inbox,
            "view_inbox": state.epoch.view_inbox,
            "album": album_inboxes(state, self.album),
            "ledger": state.head,
            "log": writer.log,
            "terms": self.terms,
            "signed_ms": 1,
            "sealed": b"sealed",
        }
        return UploadHead(**{**said, **changes})  # type: ignore[arg-type]  # values by name

    def inbox(self, writer: Writer, **changes: object) -> PublishInboxBody:
        """The record that gives guests its head."""
        return PublishInboxBody(self.link_id, *sign_upload_head(self.head(writer, **changes), self.publishing_seed))

    def binding(self, writer: Writer, signer: Signer, **changes: bytes) -> BindGuestBody:
        """What binds a guest's key."""
        message = bind_guest_message(writer.space_id, self.link_id, signer.device_id, signer.key)
        said = {
            "link_id": self.link_id,
            "guest_id": signer.device_id,
            "device_key": signer.key,
            "guest_signature": signatures.sign(self.guest_seed, message),
        }
        return BindGuestBody(**{**said, **changes})


async def opened(api: Api, writer: Writer, link: UploadLink | None = None) -> UploadLink:
    """Open an upload link, head and all."""
    link = link or UploadLink()
    await api.commit(writer, writer.entry(LedgerKind.OPEN_UPLOAD_LINK, link.opening(writer)))
    body = link.inbox(writer)
    await api.commit(writer, writer.entry("link.inbox", body))
    return link


async def bound(api: Api, writer: Writer, link: UploadLink) -> tuple[Api, Signer]:
    """Bind a guest and sign it in."""
    guest_id = os.urandom(16)
    signer = Signer(guest_id, guest_id, os.urandom(32))
    entry = writer.entry(LedgerKind.BIND_GUEST, link.binding(writer, signer), signer)
    path = f"/v1/spaces/{writer.space_id.hex()}/bind"
    committed = (await api.with_token("").post(path, CommitEntry(entry.envelope))).as_(Committed)
    receipt = msgspec.msgpack.decode(committed.receipt, type=Receipt)
    writer.took(entry, receipt.number, receipt.chain, signer)
    return await api.sign_in(signer), signer
