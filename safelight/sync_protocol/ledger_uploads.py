"""Upload links in the space ledger: opened, joined by guests who only add, closed. docs/spec/upload-links.md.

A guest is a camera, but for three things: its key is bound by a secret that many know, it has no dedupe key, and it
never reads the ledger. So nobody's reach is lost with it, and a link is closed without a new epoch.
"""

from msgspec.structs import replace

from safelight.sync_protocol import signatures
from safelight.sync_protocol.ledger_state import Camera, LedgerState, UploadLink, authorise
from safelight.sync_protocol.limits import MAX_OPEN_UPLOAD_LINKS, UPLOAD_LINK_MAX_AGE_S
from safelight.sync_protocol.log import Entry, verify_entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Tier
from safelight.sync_protocol.upload_entries import (
    BindGuestBody,
    CloseUploadLinkBody,
    OpenUploadLinkBody,
    bind_guest_message,
)


def change_upload_links(
    state: LedgerState, entry: Entry, body: OpenUploadLinkBody | BindGuestBody | CloseUploadLinkBody
) -> LedgerState:
    """Take an entry about an upload link; raises what the ledger raises, and UPLOAD_LINK_OVER or UPLOAD_LINK_FULL."""
    match body:
        case OpenUploadLinkBody():
            return _open(state, entry, body)
        case BindGuestBody():
            return _bind(state, entry, body)
        case _:
            return _close(state, entry, body)


def _open(state: LedgerState, entry: Entry, body: OpenUploadLinkBody) -> LedgerState:
    """Who may add and make links hands the right to add on. It reads all: the link's keys are kept for such members."""
    authorise(state, entry, Right.LINK)
    author_id = entry.header.author_id
    if not state.may_add(author_id) or state.tier_of(author_id) is not Tier.FULL:
        raise Refused(Code.RIGHT_MISSING, Right.ADD.value)
    if state.policy.links == "none":
        raise Refused(Code.POLICY_FORBIDS, "links are not allowed in this space")
    if body.link_id in state.upload_links:
        raise Refused(Code.LEDGER_RULE, "the link's id is taken")
    signed_ms = entry.header.signed_ms
    if sum(not link.closed and signed_ms < link.terms.expires_ms for link in state.upload_links.values()) >= (
        MAX_OPEN_UPLOAD_LINKS
    ):
        raise Refused(Code.LEDGER_RULE, f"a space has at most {MAX_OPEN_UPLOAD_LINKS} upload links; close some first")
    if not 0 < body.terms.expires_ms - entry.header.signed_ms <= UPLOAD_LINK_MAX_AGE_S * 1000:
        raise Refused(Code.LEDGER_RULE, "an upload link expires within a year")
    if body.epoch != state.epoch.number:
        raise Refused(Code.EPOCH_OLD)
    if body.album_id:
        if body.album_id not in state.albums:
            raise Refused(Code.LEDGER_RULE, "that album is not shared")
        if Right.ORGANISE not in state.rights_of(author_id):
            raise Refused(Code.RIGHT_MISSING, Right.ORGANISE.value)
    link = UploadLink(
        made_by=author_id,
        guest_key=body.guest_key,
        publishing_key=body.publishing_key,
        terms=body.terms,
        album_id=body.album_id,
        makers=body.makers,
        makers_epoch=body.epoch,
    )
    return replace(state, upload_links={**state.upload_links, body.link_id: link})


def _bind(state: LedgerState, entry: Entry, body: BindGuestBody) -> LedgerState:
    """The expiry is judged by the signed time, the same for everyone; the server judges by its own clock besides."""
    header = entry.header
    link = state.upload_links.get(body.link_id)
    if link is None or header.author_id != body.guest_id or header.device_id != body.guest_id:
        raise Refused(Code.SIGNER_UNKNOWN)
    signatures.verify(
        link.guest_key,
        body.guest_signature,
        bind_guest_message(state.space_id, body.link_id, body.guest_id, body.device_key),
    )
    verify_entry(entry, body.device_key)
    if not state.upload_link_stands(body.link_id, header.signed_ms):
        raise Refused(Code.UPLOAD_LINK_OVER)
    # *A guest who adds under the name of somebody who left*: an id stays whose it was.
    if body.guest_id in state.cameras or body.guest_id in state.members or body.guest_id in state.removed:
        raise Refused(Code.LEDGER_RULE, "the guest's id is taken")
    if link.guests >= link.terms.max_guests:
        raise Refused(Code.UPLOAD_LINK_FULL, f"it takes {link.terms.max_guests} guests")
    guest = Camera(
        certified_by=link.made_by,
        pairing_key=link.guest_key,
        expires_ms=link.terms.expires_ms,
        quota_bytes=0,
        name=b"",
        name_epoch=0,
        dedupe=b"",
        device_key=body.device_key,
        album_id=link.album_id,
        link_id=body.link_id,
    )
    return replace(
        state,
        cameras={**state.cameras, body.guest_id: guest},
        upload_links={**state.upload_links, body.link_id: replace(link, guests=link.guests + 1)},
    )


def _close(state: LedgerState, entry: Entry, body: CloseUploadLinkBody) -> LedgerState:
    """Its maker may, and who may revoke links."""
    authorise(state, entry, None)
    link = state.upload_links.get(body.link_id)
    if link is None or link.closed:
        raise Refused(Code.LEDGER_RULE, "there is no such upload link to close")
    author_id = entry.header.author_id
    if author_id != link.made_by and Right.REVOKE_LINK not in state.rights_of(author_id):
        raise Refused(Code.RIGHT_MISSING, Right.REVOKE_LINK.value)
    guests = {
        guest_id: replace(camera, revoked=True)
        for guest_id, camera in state.cameras.items()
        if camera.link_id == body.link_id
    }
    return replace(
        state,
        cameras={**state.cameras, **guests},
        upload_links={**state.upload_links, body.link_id: replace(link, closed=True)},
    )
