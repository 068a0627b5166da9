"""Upload links past any client of ours: what guests and insiders send, and what the server makes of it."""

import asyncio
import base64
import os

import msgspec

from safelight.server.domain.commits import LEDGER_ENTRIES_AT_ONCE
from safelight.sync_protocol import signatures
from safelight.sync_protocol.ledger_entries import LedgerKind, RotateEpochBody
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.links import UploadLinkOpened
from safelight.sync_protocol.messages.spaces import CommitEntry
from safelight.sync_protocol.records import PublishInboxBody, RecordKind
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.upload_entries import CloseUploadLinkBody
from safelight.sync_protocol.upload_links import UploadHead, sign_upload_head
from safelight.sync_protocol.wire import unpack
from tests.http.conftest import Owner, Server
from tests.support.api import Answer, Api
from tests.support.invitations import become_member
from tests.support.protocol import Blob, Signer, Writer, now_ms
from tests.support.uploaders import UploadLink, bound, opened, terms


async def _adding(api: Api, writer: Writer, signer: Signer, *, at_ms: int = 0) -> Answer:
    """Open a roll as a guest, at a time of its own choice."""
    entry = writer.open_roll(signer, **({"signed_ms": at_ms} if at_ms else {}))
    return await api.try_commit(writer, entry)


async def _head(api: Api, link: UploadLink) -> Answer:
    return await api.send(
        "GET",
        f"/v1/upload-links/{link.link_id.hex()}",
        None,
        {"Safelight-Guest": base64.b64encode(link.read_signature).decode()},
    )


async def test_guests_hold_together_what_the_link_takes(owner: Owner) -> None:
    """*A disk filled by guests, each of whom keeps to the cap of a device*: what they sent counts for all of them."""
    link = await opened(owner.api, owner.writer, UploadLink(terms(quota_bytes=100_000)))
    one, two = [(await bound(owner.api, owner.writer, link))[0] for _ in range(2)]
    await one.upload(owner.writer.space_id, Blob(os.urandom(60_000)))
    refused = await two.try_upload(owner.writer.space_id, os.urandom(50_000))
    assert (refused.status, refused.code) == (403, "upload-link-full")
    await two.upload(owner.writer.space_id, Blob(os.urandom(30_000)))
    for api in (one, two):
        assert (await api.try_upload(owner.writer.space_id, os.urandom(20_000))).code == "upload-link-full"


async def test_a_guest_says_how_much_is_coming(owner: Owner) -> None:
    """An upload without a length could grow past what the link takes."""
    link = await opened(owner.api, owner.writer)
    guest, _ = await bound(owner.api, owner.writer, link)
    path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
    refused = await guest.send("POST", path, b"", {"Upload-Complete": "?0"})
    assert (refused.status, refused.code) == (400, "bad-request")
    assert (await guest.send("POST", path, b"", {"Upload-Complete": "?0", "Upload-Length": "5000"})).status == 201


async def test_yesterdays_date_after_the_end(owner: Owner) -> None:
    """The server judges by its own clock besides: for binding, adding, uploading and asking."""
    link = await opened(owner.api, owner.writer, UploadLink(terms(expires_ms=now_ms() + 1500)))
    guest, signer = await bound(owner.api, owner.writer, link)
    assert (await _head(guest, link)).status == 200
    await asyncio.sleep(1.6)
    before = now_ms() - 60_000
    assert (await _adding(guest, owner.writer, signer, at_ms=before)).code == "upload-link-over"
    assert (await guest.try_upload(owner.writer.space_id, os.urandom(100))).code == "upload-link-over"
    assert (await _head(guest, link)).code == "upload-link-over"
    late = Signer(guest_id := os.urandom(16), guest_id, os.urandom(32))
    entry = owner.writer.entry(LedgerKind.BIND_GUEST, link.binding(owner.writer, late), late, signed_ms=before)
    answer = await owner.api.with_token("").post(f"{owner.space}/bind", CommitEntry(entry.envelope))
    assert answer.code == "upload-link-over"


async def test_tomorrows_end(owner: Owner) -> None:
    """*A maker whose clock is years ahead* makes no link for years."""
    link = UploadLink(terms(expires_ms=now_ms() + 700 * 24 * 60 * 60 * 1000))
    ahead = now_ms() + 400 * 24 * 60 * 60 * 1000
    entry = owner.writer.entry(LedgerKind.OPEN_UPLOAD_LINK, link.opening(owner.writer), signed_ms=ahead)
    assert (await owner.api.try_commit(owner.writer, entry)).code == "ledger-rule"


async def test_a_makers_copy_that_is_none(owner: Owner) -> None:
    """*A server's memory filled with links*: all of a space's are at hand, and what is sealed in one is an address."""
    link = UploadLink()
    large = msgspec.structs.replace(link.opening(owner.writer), makers=bytes(2049))
    entry = owner.writer.entry(LedgerKind.OPEN_UPLOAD_LINK, large)
    assert (await owner.api.try_commit(owner.writer, entry)).code == "ledger-rule"


async def test_guests_do_not_keep_a_manager_from_the_ledger(server: Server, owner: Owner) -> None:
    """*A hundred guests bind, and nobody can be removed*: their pace is the link's, not their maker's."""
    manager, api = await server.account()
    signer = await become_member(owner.api, owner.writer, manager, api, Role.MANAGER)
    link = UploadLink(terms(max_guests=1000))
    for kind, body in (
        (LedgerKind.OPEN_UPLOAD_LINK, link.opening(owner.writer)),
        (RecordKind.PUBLISH_INBOX, None),
    ):
        entry = owner.writer.entry(kind, body or link.inbox(owner.writer), signer)
        await api.commit(owner.writer, entry, None, signer)
    for _ in range(LEDGER_ENTRIES_AT_ONCE):
        await bound(owner.api, owner.writer, link)
    guest = Signer(guest_id := os.urandom(16), guest_id, os.urandom(32))
    entry = owner.writer.entry(LedgerKind.BIND_GUEST, link.binding(owner.writer, guest), guest)
    answer = await owner.api.with_token("").post(f"{owner.space}/bind", CommitEntry(entry.envelope))
    assert answer.code == "rate-limited"
    close = owner.writer.entry(LedgerKind.CLOSE_UPLOAD_LINK, CloseUploadLinkBody(link.link_id), signer)
    await api.commit(owner.writer, close, None, signer)


async def test_an_insiders_own_inbox(owner: Owner) -> None:
    """*Who may make links, and knows the publishing key, would alone open what guests add*: not by this server."""
    link = await opened(owner.api, owner.writer)
    good = await _head(owner.api, link)
    for changes in (
        {"full_inbox": os.urandom(1216)},
        {"view_inbox": os.urandom(1216)},
        {"terms": terms(max_files=999)},
        {"space_id": os.urandom(32)},
        {"ledger": owner.writer.log},
    ):
        entry = owner.writer.entry(RecordKind.PUBLISH_INBOX, link.inbox(owner.writer, **changes))
        assert (await owner.api.try_commit(owner.writer, entry)).code == "manifest-invalid", changes
    stale = owner.writer.entry(RecordKind.PUBLISH_INBOX, link.inbox(owner.writer, epoch=7))
    assert (await owner.api.try_commit(owner.writer, stale)).code == "epoch-old"
    content, signature = sign_upload_head(link.head(owner.writer), os.urandom(32))
    forged = PublishInboxBody(link.link_id, content, signature)
    assert (
        await owner.api.try_commit(owner.writer, owner.writer.entry(RecordKind.PUBLISH_INBOX, forged))
    ).code == "manifest-invalid"
    assert (await _head(owner.api, link)).body == good.body


async def test_a_head_of_the_epoch_in_force(owner: Owner) -> None:
    """After a new epoch guests wait until somebody signs; then they are given the new head."""
    link = await opened(owner.api, owner.writer)
    guest, signer = await bound(owner.api, owner.writer, link)
    epoch, boxes = owner.writer.next_epoch()
    rotation = owner.writer.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(epoch))
    await owner.api.commit(owner.writer, rotation, boxes)
    paused = await _head(guest, link)
    assert (paused.status, paused.code) == (503, "upload-link-paused")
    await owner.api.commit(owner.writer, owner.writer.entry(RecordKind.PUBLISH_INBOX, link.inbox(owner.writer)))
    head = unpack((await _head(guest, link)).as_(UploadLinkOpened).head, UploadHead)
    assert head.epoch == owner.writer.state.epoch.number
    assert (await _adding(guest, owner.writer, signer)).status == 200


async def test_a_guest_signs_nothing_else(owner: Owner) -> None:
    """Not what members sign, nor what it would need to let others in."""
    link = await opened(owner.api, owner.writer)
    guest, signer = await bound(owner.api, owner.writer, link)
    other = UploadLink()
    for kind, body in (
        (LedgerKind.OPEN_UPLOAD_LINK, other.opening(owner.writer)),
        (LedgerKind.CLOSE_UPLOAD_LINK, CloseUploadLinkBody(link.link_id)),
        (RecordKind.PUBLISH_INBOX, link.inbox(owner.writer)),
    ):
        entry = owner.writer.entry(kind, body, signer)
        assert (await guest.try_commit(owner.writer, entry)).code == "right-missing", kind


async def test_a_binding_by_another_key(owner: Owner) -> None:
    """Who has not the link's secret binds nobody, nor does one link's guest bind by another."""
    link, other = await opened(owner.api, owner.writer), await opened(owner.api, owner.writer)
    late = Signer(guest_id := os.urandom(16), guest_id, os.urandom(32))
    for changes in (
        {"guest_signature": signatures.sign(os.urandom(32), b"x")},
        {"link_id": other.link_id},
        {"device_key": signatures.public_key_of(os.urandom(32))},
    ):
        entry = owner.writer.entry(LedgerKind.BIND_GUEST, link.binding(owner.writer, late, **changes), late)
        answer = await owner.api.with_token("").post(f"{owner.space}/bind", CommitEntry(entry.envelope))
        assert answer.code == "signature-invalid", changes


async def test_a_ledger_that_is_a_record(owner: Owner) -> None:
    """*A guest who stops everyone that reads by grants*: to them no ledger ends where a picture was added."""
    genesis = owner.writer.state.head
    link = await opened(owner.api, owner.writer)
    guest, signer = await bound(owner.api, owner.writer, link)
    first = owner.writer.open_roll(signer)
    await guest.commit(owner.writer, first, None, signer)
    assert owner.writer.log.number > owner.writer.state.head.number
    forked = owner.writer.open_roll(signer, ledger=Head(owner.writer.log.number, first.id))
    assert (await guest.try_commit(owner.writer, forked)).code == "history-forked"
    older = owner.writer.open_roll(signer, ledger=genesis)
    assert (await guest.try_commit(owner.writer, older)).status == 200


async def test_guests_who_begin_at_once_hold_together_what_the_link_takes(owner: Owner) -> None:
    """*A disk filled by guests who all begin before any of them is counted*: no more is promised than is there."""
    link = await opened(owner.api, owner.writer, UploadLink(terms(quota_bytes=100_000)))
    guests = [(await bound(owner.api, owner.writer, link))[0] for _ in range(3)]
    path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
    begun = {"Upload-Complete": "?0", "Upload-Length": "60000"}
    answers = await asyncio.gather(*(guest.send("POST", path, b"", begun) for guest in guests for _ in range(4)))
    assert sum(answer.status == 201 for answer in answers) <= 1
    assert {answer.code for answer in answers if answer.status != 201} == {"upload-link-full"}
