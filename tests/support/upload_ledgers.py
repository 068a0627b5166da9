"""Upload links made from fixed seeds: opened, bound and published, as honest clients would sign them."""

from msgspec.structs import replace

from safelight.sync_protocol import signatures
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.records import PublishInboxBody, RecordKind
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.upload_entries import (
    BindGuestBody,
    CloseUploadLinkBody,
    OpenUploadLinkBody,
    UploadTerms,
    bind_guest_message,
)
from safelight.sync_protocol.upload_links import UploadHead, album_inboxes, sign_upload_head
from tests.support.ledgers import NOW_MS, Signer, Space, id_of, seed_of

LINK = id_of("upload link")
SECRET = id_of("upload secret")
PUBLISHING_SEED = seed_of("upload publisher")
GUEST_SEED = keytree.upload_signing_seed(SECRET)
TERMS = UploadTerms(expires_ms=NOW_MS + 60_000, max_files=10, quota_bytes=10**6, max_guests=2)


def upload_body(space: Space, **changes: object) -> OpenUploadLinkBody:
    """Build what opens the link."""
    usual = OpenUploadLinkBody(
        link_id=LINK,
        guest_key=signatures.public_key_of(GUEST_SEED),
        publishing_key=signatures.public_key_of(PUBLISHING_SEED),
        terms=TERMS,
        album_id=b"",
        epoch=space.state.epoch.number,
        makers=b"sealed",
    )
    return replace(usual, **changes)


def upload_link(space: Space, signer: Signer | None = None, **changes: object) -> None:
    """Open the link."""
    space.take(space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(space, **changes), signer), signer)


def guest_of(name: str = "guest") -> Signer:
    """Return what signs for a guest, bound or not."""
    guest_id = id_of(f"guest {name}")
    return Signer(guest_id, guest_id, seed_of(f"guest {name}"))


def guest_body(
    space: Space, guest: Signer, *, seed: bytes = GUEST_SEED, link: bytes = LINK, **changes: object
) -> BindGuestBody:
    """Build what binds a guest's key, for who has the link's secret or another *seed*."""
    key = signatures.public_key_of(guest.seed)
    message = bind_guest_message(space.state.space_id, link, guest.author_id, key)
    return replace(BindGuestBody(link, guest.author_id, key, signatures.sign(seed, message)), **changes)


def guest_entry(space: Space, guest: Signer, at_ms: int = NOW_MS, **changes: object) -> Entry:
    """Build a guest's binding."""
    body = guest_body(space, guest, **changes)  # type: ignore[arg-type]  # values by name
    return space.entry(LedgerKind.BIND_GUEST, body, guest, signed_ms=at_ms)


def bound(space: Space, name: str = "guest", link: bytes = LINK) -> Signer:
    """Bind a guest; returns its signer."""
    guest = guest_of(name)
    space.take(guest_entry(space, guest, link=link), guest)
    return guest


def close_entry(space: Space, signer: Signer | None = None, link: bytes = LINK) -> Entry:
    """Build the link's end."""
    return space.entry(LedgerKind.CLOSE_UPLOAD_LINK, CloseUploadLinkBody(link), signer)


def upload_head(space: Space, **changes: object) -> UploadHead:
    """Build the link's head by the ledger and the log as they stand."""
    state, link = space.state, space.state.upload_links.get(LINK)
    usual = UploadHead(
        version=1,
        link_id=LINK,
        space_id=state.space_id,
        server_key=signatures.public_key_of(seed_of("server")),
        epoch=state.epoch.number,
        full_inbox=state.epoch.full_inbox,
        view_inbox=state.epoch.view_inbox,
        album=album_inboxes(state, link.album_id if link else b""),
        ledger=state.head,
        log=space.log.head,
        terms=link.terms if link else TERMS,
        signed_ms=NOW_MS,
        sealed=b"sealed",
    )
    return replace(usual, **changes)


def inbox_entry(
    space: Space,
    signer: Signer | None = None,
    at_ms: int = NOW_MS,
    *,
    seed: bytes = PUBLISHING_SEED,
    link: bytes = LINK,
    **changes: object,
) -> Entry:
    """Build the record that gives guests the link's head, with changes of the head."""
    body = PublishInboxBody(link, *sign_upload_head(upload_head(space, **changes), seed))
    return space.entry(RecordKind.PUBLISH_INBOX, body, signer, signed_ms=at_ms)
