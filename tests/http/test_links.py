"""Links over HTTP: opening, counting, refusing alike, revoking, and what a guest's session can never fetch."""

import asyncio
import os
from http.cookies import SimpleCookie

import pytest

from safelight.server.routes.services import SERVICES
from safelight.sync_protocol import links as link_protocol
from safelight.sync_protocol.ids import key_fingerprint
from safelight.sync_protocol.links import LinkAddress
from safelight.sync_protocol.messages.links import LinkOpened, Links
from safelight.sync_protocol.signatures import public_key_of
from tests.http.conftest import Owner, Server, StartServer
from tests.support.links import cookie_of, fetch, open_link, photo, shared
from tests.support.protocol import Blob, Link
from tests.support.raw_http import raw


async def test_opening(server: Server, owner: Owner) -> None:
    """With the token alone a guest gets the signed manifest and the blobs that the link shows, in ranges, too."""
    link = await shared(owner)
    answer = await open_link(server.api, link)
    opened = answer.as_(LinkOpened)
    fingerprint = key_fingerprint(public_key_of(link.publishing_seed))
    address = LinkAddress(link.link_id, has_password=False, secret=bytes(16), publisher_fingerprint=fingerprint)
    head = link_protocol.verify_head(address, opened.head, opened.head_signature, opened.publishing_key)
    assert head.pages[0].blob == link.page.name
    cookie = cookie_of(answer)
    for blob in (link.page, *link.view):
        assert (await fetch(server.api, link, blob, cookie)).body == blob.data
        assert (await fetch(server.api, link, blob, cookie, Range="bytes=1-2")).body == blob.data[1:3]


async def test_the_cookie(start_server: StartServer) -> None:
    """The session is a cookie that scripts and other sites do not see, and that goes nowhere but to its link."""
    for url, secure in (("https://photos.example", True), ("http://localhost:8080", False)):
        server = await start_server(public_url=url)
        link = await shared(await server.owner())
        morsel = next(iter(SimpleCookie((await open_link(server.api, link)).headers["Set-Cookie"]).values()))
        assert (bool(morsel["httponly"]), morsel["samesite"]) == (True, "Strict")
        assert morsel["path"] == f"/v1/links/{link.link_id.hex()}"
        assert bool(morsel["secure"]) is secure


async def test_refusals_without_a_token_are_alike(server: Server, owner: Owner) -> None:
    """Unknown link, wrong token, wrong password, no password, revoked or expired with a wrong token: one answer."""
    plain = await shared(owner)
    locked = await shared(owner, password_proof=os.urandom(32))
    gone = await shared(owner, expires_ms=1)
    revoked = await shared(owner)
    await owner.api.commit(owner.writer, revoked.revoke(owner.writer))
    answers = [
        await open_link(server.api, Link(Blob(b""))),
        await open_link(server.api, plain, token=os.urandom(32)),
        await open_link(server.api, locked, token=os.urandom(32)),
        await open_link(server.api, locked, proof=os.urandom(32)),
        await open_link(server.api, locked, proof=None),
        await open_link(server.api, gone, token=os.urandom(32)),
        await open_link(server.api, revoked, token=os.urandom(32)),
    ]
    assert {(answer.status, answer.body) for answer in answers} == {(403, answers[0].body)}
    names = [set(answer.headers) for answer in answers]
    assert all(name == names[0] for name in names)
    assert answers[0].code == "link-not-opened"


async def test_refusals_with_a_token_say_why(server: Server, owner: Owner) -> None:
    """Who has the link and its password is told that it expired, was withdrawn, is used up, or is not open yet."""
    expired = await shared(owner, expires_ms=1)
    revoked = await shared(owner)
    await owner.api.commit(owner.writer, revoked.revoke(owner.writer))
    used_up = await shared(owner, max_opens=1)
    await open_link(server.api, used_up)
    waiting = await shared(owner, starts_ms=2**50)
    codes = [(await open_link(server.api, link)).code for link in (expired, revoked, used_up, waiting)]
    assert codes == ["link-expired", "link-revoked", "link-exhausted", "link-not-opened"]


async def test_password(server: Server, owner: Owner) -> None:
    """The right proof opens, and only it."""
    link = await shared(owner, password_proof=os.urandom(32))
    assert (await open_link(server.api, link)).status == 200


async def test_guessing_a_password(start_server: StartServer) -> None:
    """A link takes so many wrong passwords, then none for a while; without its token nobody uses them up."""
    server = await start_server(link_burst=3, link_refill_s=3600)
    owner = await server.owner()
    link = await shared(owner, password_proof=os.urandom(32))
    for _ in range(10):
        assert (await open_link(server.api, link, token=os.urandom(32))).code == "link-not-opened"
        assert (await open_link(server.api, link)).status == 200
    codes = [(await open_link(server.api, link, proof=os.urandom(32))).code for _ in range(4)]
    assert codes == ["link-not-opened"] * 3 + ["rate-limited"]
    other = await shared(owner, password_proof=os.urandom(32))
    assert (await open_link(server.api, other)).status == 200


async def test_guessing_at_many_links(start_server: StartServer) -> None:
    """Wrong passwords from one address count together, whichever links they were for; the right one costs nothing."""
    server = await start_server(address_burst=3, address_refill_s=3600)
    owner = await server.owner()
    links = [await shared(owner, password_proof=os.urandom(32)) for _ in range(4)]
    for _ in range(5):
        assert (await open_link(server.api, links[0])).status == 200
    codes = [(await open_link(server.api, link, proof=os.urandom(32))).code for link in links]
    assert codes == ["link-not-opened"] * 3 + ["rate-limited"]


async def test_renewing_costs_no_opening(server: Server, owner: Owner) -> None:
    """Reload and back are the same opening, as long as the browser has its cookie; another browser is another."""
    link = await shared(owner, max_opens=2)
    cookie = cookie_of(await open_link(server.api, link))
    for _ in range(3):
        answer = await open_link(server.api, link, cookie)
        assert answer.status == 200
        cookie = cookie_of(answer)
    assert (await open_link(server.api, link)).status == 200
    assert (await open_link(server.api, link)).code == "link-exhausted"
    assert (await open_link(server.api, link, cookie)).status == 200
    forged = cookie[:-3] + "abc"
    assert (await open_link(server.api, link, forged)).code == "link-exhausted"


async def test_coming_back_costs_no_opening(server: Server, owner: Owner) -> None:
    """The browser that opened a link comes back a week later: its session is over, and opening again counts nothing."""
    link = await shared(owner, max_opens=1)
    cookie = cookie_of(await open_link(server.api, link))
    server.clock.offset_ms = 7 * 24 * 60 * 60 * 1000
    assert (await fetch(server.api, link, link.page, cookie)).code == "link-session-required"
    answer = await open_link(server.api, link, cookie)
    assert answer.status == 200
    assert (await fetch(server.api, link, link.page, cookie_of(answer))).status == 200
    assert (await open_link(server.api, link)).code == "link-exhausted"


async def test_a_cookie_of_an_opening_that_is_not_known(server: Server, owner: Owner) -> None:
    """Signed by this server, but of no opening that it counted, as after a restored backup: it opens like a new one."""
    link = await shared(owner, max_opens=1)
    value = server.app[SERVICES].links._cookies.dumps(
        [os.urandom(16).hex(), server.clock() + 60_000], salt=f"link {link.link_id.hex()}"
    )
    cookie = cookie_of(await open_link(server.api, link))
    unknown = f"{cookie.partition('=')[0]}={value}"
    assert (await fetch(server.api, link, link.page, unknown)).status == 200  # the signature holds …
    assert (await open_link(server.api, link, unknown)).code == "link-exhausted"  # … and opens nothing anew


async def test_open_in_browser_costs_no_opening(server: Server, owner: Owner) -> None:
    """A hand-over token lets another browser of the same person in, once; the next one works again once."""
    link = await shared(owner, max_opens=1)
    first = (await open_link(server.api, link)).as_(LinkOpened).handover
    answer = await open_link(server.api, link, handover=first)
    second = answer.as_(LinkOpened).handover
    assert (await open_link(server.api, link, handover=first)).code == "link-exhausted"
    assert (await open_link(server.api, link, handover=second)).status == 200
    assert (await open_link(server.api, link, handover=os.urandom(16))).code == "link-exhausted"
    assert (await open_link(server.api, link, handover=b"short")).code == "link-exhausted"


async def test_a_hundred_race_for_one_opening(server: Server, owner: Owner) -> None:
    """Of a hundred who open at once exactly one gets in."""
    link = await shared(owner, max_opens=1)
    answers = await asyncio.gather(*(open_link(server.api, link) for _ in range(100)))
    assert sorted(answer.status for answer in answers) == [200] + [410] * 99


async def test_cookies_of_other_links(server: Server, owner: Owner) -> None:
    """A cookie is good for its own link."""
    one, other = await shared(owner), await shared(owner)
    cookie = cookie_of(await open_link(server.api, one))
    assert (await fetch(server.api, other, other.page, cookie)).code == "link-session-required"
    assert (await fetch(server.api, one, other.page, cookie)).code == "not-found"
    assert (await fetch(server.api, one, one.page, "")).code == "link-session-required"
    assert (await fetch(server.api, one, one.page, "safelight-link=nonsense")).code == "link-session-required"
    signer_only = owner.api.token
    assert (
        await server.api.with_token(signer_only).get(f"/v1/links/{one.link_id.hex()}/blobs/{one.page.name.hex()}")
    ).status == 401


async def test_originals_stay(server: Server, owner: Owner) -> None:
    """A link of the view tier yields no original: not by name through its session, nor named as a preview."""
    original, preview = await photo(owner)
    link = Link(Blob(os.urandom(500)), view=[preview])
    await owner.api.publish(owner.writer, link)
    cookie = cookie_of(await open_link(server.api, link))
    assert (await fetch(server.api, link, original, cookie)).code == "not-found"
    assert (
        await server.api.get(f"{owner.space}/blobs/{original.name.hex()}", Cookie=cookie)
    ).code == "session-required"
    lying = Link(Blob(os.urandom(500)), view=[original])
    await owner.api.upload(owner.writer.space_id, lying.page)
    assert (await owner.api.try_commit(owner.writer, lying.publish(owner.writer))).code == "policy-forbids"
    full_in_view = Link(lying.page, full=[original])
    assert (await owner.api.try_commit(owner.writer, full_in_view.publish(owner.writer))).code == "entry-malformed"


async def test_originals_by_policy(server: Server, owner: Owner) -> None:
    """A link of the full tier yields originals where its policy says so, and counts them."""
    original, preview = await photo(owner)
    for allowed in (True, False):
        link = Link(Blob(os.urandom(500)), view=[preview], full=[original], tier="full", originals=allowed)
        await owner.api.publish(owner.writer, link)
        cookie = cookie_of(await open_link(server.api, link))
        assert (await fetch(server.api, link, preview, cookie)).status == 200
        assert (await fetch(server.api, link, original, cookie)).status == (200 if allowed else 404)
    rows = (await owner.api.get(f"{owner.space}/links")).as_(Links).links
    assert [row.downloads for row in rows] == [0, 1]


async def test_revoking(server: Server, owner: Owner) -> None:
    """A revoked link serves nothing at the next request, whatever the cookie says."""
    link = await shared(owner)
    cookie = cookie_of(await open_link(server.api, link))
    await owner.api.commit(owner.writer, link.revoke(owner.writer))
    assert (await fetch(server.api, link, link.page, cookie)).code == "link-revoked"
    assert (await open_link(server.api, link, cookie)).code == "link-revoked"


async def test_expiring(server: Server, owner: Owner) -> None:
    """An expired link serves nothing at the next request, and its sessions do not outlive it."""
    link = await shared(owner, expires_ms=server.clock() + 60_000)
    answer = await open_link(server.api, link)
    assert answer.as_(LinkOpened).expires_ms <= server.clock() + 60_000
    server.clock.offset_ms = 61_000
    assert (await fetch(server.api, link, link.page, cookie_of(answer))).status in {401, 410}
    assert (await open_link(server.api, link)).code == "link-expired"
    server.clock.offset_ms = 0
    assert (await open_link(server.api, link)).code == "link-expired"  # a clock set back revives nothing


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_over_in_the_middle_of_a_download(server: Server, owner: Owner, end: str) -> None:
    """A link that is revoked, or whose time is over, stops at the next chunk."""
    size = 48 * 1024 * 1024
    big = Blob(os.urandom(1024 * 1024) * 48)
    await owner.api.add_photo(owner.writer, Blob(os.urandom(100)), big)
    link = Link(Blob(os.urandom(500)), view=[big], expires_ms=server.clock() + 600_000)
    await owner.api.publish(owner.writer, link)
    cookie = cookie_of(await open_link(server.api, link))
    async with raw(server.api.url) as connection:
        await connection.request("GET", f"/v1/links/{link.link_id.hex()}/blobs/{big.name.hex()}", {"Cookie": cookie})
        await connection.reader.readuntil(b"\r\n\r\n")
        received = len(await connection.reader.readexactly(1024 * 1024))
        if end == "revoked":
            await owner.api.commit(owner.writer, link.revoke(owner.writer))
        else:
            server.clock.offset_ms = 601_000
        received += await connection.rest_size_bytes()
    assert received < size // 2
