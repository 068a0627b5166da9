"""A server that lies to the guests of an upload link."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine.upload_links import renew_upload_links
from safelight.sync_protocol import signatures
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.messages.links import UploadLinkOpened
from safelight.sync_protocol.messages.spaces import Committed
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.upload_links import UploadHead, sign_upload_head
from safelight.sync_protocol.wire import pack, unpack
from tests.hostile.proxy import Exchange, Proxy
from tests.journeys.test_grants import Studio
from tests.journeys.test_grants import studio as studio  # noqa: PLC0414 - a fixture
from tests.support.guests import Guest, upload_link
from tests.support.people import Someone, new_space

HEADS = r"^/v1/upload-links/"


@contextmanager
def refused_with(*codes: Code) -> Iterator[None]:
    """Check that what is done inside is refused."""
    with pytest.raises(Refused) as refused:
        yield
    assert refused.value.code in codes, refused.value


@pytest.fixture
async def guest(victim: Someone, proxy: Proxy, tmp_path: Path) -> Guest:
    """Somebody with a link to the victim's space, who added once."""
    await new_space(victim, "Family")
    url = await upload_link(victim, "Family")
    guest = Guest(tmp_path / "guest", proxy.url + url[url.index("/s/") :])
    await guest.adds()
    return guest


async def test_another_inbox_in_the_head(guest: Guest, proxy: Proxy) -> None:
    """*The server tells guests to seal to itself*: it has not the publishing key."""
    mine = os.urandom(32)

    def lie(exchange: Exchange) -> Exchange:
        answer = exchange.as_(UploadLinkOpened)
        head = msgspec.structs.replace(unpack(answer.head, UploadHead), full_inbox=os.urandom(1216))
        content, signature = sign_upload_head(head, mine)
        return exchange.changed(
            answer, head=content, head_signature=signature, publishing_key=signatures.public_key_of(mine)
        )

    proxy.lie("GET", HEADS, lie)
    with refused_with(Code.MANIFEST_INVALID):
        await guest.adds()


async def test_a_changed_head_under_the_right_key(guest: Guest, proxy: Proxy) -> None:
    """What the publishing key did not sign counts for nothing."""

    def lie(exchange: Exchange) -> Exchange:
        answer = exchange.as_(UploadLinkOpened)
        head = msgspec.structs.replace(unpack(answer.head, UploadHead), view_inbox=os.urandom(1216))
        return exchange.changed(answer, head=pack(head))

    proxy.lie("GET", HEADS, lie)
    with refused_with(Code.MANIFEST_INVALID):
        await guest.adds()


async def test_an_older_head_again(guest: Guest, proxy: Proxy, victim: Someone) -> None:
    """*Keys of long ago*, which somebody has who was removed since: whoever saw newer ones notices."""
    old: list[bytes] = []

    def keep(exchange: Exchange) -> Exchange:
        old[:] = [exchange.body]
        return exchange

    proxy.lie("GET", HEADS, keep)
    await guest.adds()
    proxy.be_honest()
    async with victim.space("Family") as view:
        await view.rotate_epoch()
        assert await renew_upload_links(view) == 1
    await guest.adds()
    proxy.lie("GET", HEADS, lambda exchange: exchange.with_json(msgspec.json.decode(old[0])))
    with refused_with(Code.HISTORY_ROLLED_BACK):
        await guest.adds()


async def test_another_server_in_its_place(guest: Guest, proxy: Proxy, tmp_path: Path) -> None:
    """*A server that takes pictures and keeps none*: its receipts are not those of the server that the maker knew."""

    def lie(exchange: Exchange) -> Exchange:
        return exchange.changed(exchange.as_(ServerInfo), server_key=signatures.public_key_of(os.urandom(32)))

    proxy.lie("GET", r"^/v1/server$", lie)
    with refused_with(Code.SERVER_KEY_CHANGED):
        await Guest(tmp_path / "new", guest.url).adds()
    with refused_with(Code.SERVER_KEY_CHANGED):
        await guest.adds()


async def test_a_receipt_that_is_none(guest: Guest, proxy: Proxy) -> None:
    """*Stored, says the server*: without a receipt that verifies nothing counts, and the file goes up again."""
    seed = os.urandom(32)

    def lie(exchange: Exchange) -> Exchange:
        answer = exchange.as_(Committed)
        return exchange.changed(answer, signature=signatures.sign(seed, answer.receipt))

    folder = guest.pictures()
    proxy.lie("POST", r".*/commits$", lie)
    with refused_with(Code.RECEIPT_INVALID):
        await guest.push(folder)
    proxy.be_honest()
    await guest.push(folder)


async def test_a_false_end_of_the_ledger(guest: Guest, proxy: Proxy, tmp_path: Path) -> None:
    """*A guest bound on a history of the server's own*: the binding stands nowhere, and no reader sees it."""

    def lie(exchange: Exchange) -> Exchange:
        return exchange.changed(exchange.as_(UploadLinkOpened), ledger_hash=hashlib.sha256(b"other").digest())

    proxy.lie("GET", HEADS, lie)
    with refused_with(Code.ENTRY_STALE):
        await Guest(tmp_path / "new", guest.url).adds()


async def test_a_head_that_waits_for_ever(guest: Guest, proxy: Proxy, victim: Someone) -> None:
    """A server that tells guests they must wait loses nothing of theirs, and stops no maker's command."""

    def lie(exchange: Exchange) -> Exchange:
        problem = {"type": "urn:x", "title": "x", "status": 503, "code": "upload-link-paused", "detail": ""}
        headers = {**exchange.headers, "Content-Type": "application/problem+json"}
        return replace(exchange, status=503, headers=headers, body=msgspec.json.encode(problem))

    proxy.lie("GET", HEADS, lie)
    with refused_with(Code.UPLOAD_LINK_PAUSED):
        await guest.adds()
    async with victim.space("Family") as view:
        await renew_upload_links(view)
        assert view.problems == []


async def test_a_guest_who_stops_everyone_that_reads_by_grants(studio: Studio, tmp_path: Path) -> None:
    """*A record named as the ledger's end* would be another history to grantees: the server takes no such entry."""
    await studio.grant(Tier.FULL)
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio", album="Wedding"))
    async with guest.session() as (session, pusher):
        await pusher.push(guest.pictures())
        session.memory.ledger = Head(session.memory.log.number, session.memory.position.entry_id)
        with refused_with(Code.HISTORY_FORKED):
            await pusher.push(guest.pictures())
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 1
