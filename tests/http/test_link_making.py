"""Making links: what may be published by whom, what is refused, and what the maker sees."""

import os
from dataclasses import replace

import msgspec
import pytest

from safelight.sync_protocol.ledger_entries import LedgerKind, Policy, SetPolicyBody
from safelight.sync_protocol.messages.links import Links
from safelight.sync_protocol.signatures import public_key_of
from tests.http.conftest import Owner, Server, StartServer
from tests.support.links import cookie_of, fetch, open_link, photo, shared
from tests.support.protocol import Blob, Link, Pairing


async def test_the_makers_list(server: Server, owner: Owner) -> None:
    """Makers see their links, newest first, and how they stand."""
    live = await shared(owner, max_opens=5)
    await open_link(server.api, live)
    revoked = await shared(owner)
    await owner.api.commit(owner.writer, revoked.revoke(owner.writer))
    rows = (await owner.api.get(f"{owner.space}/links")).as_(Links).links
    assert [(row.link_id, row.state, row.opens) for row in rows] == [
        (revoked.link_id.hex(), "revoked", 0),
        (live.link_id.hex(), "live", 1),
    ]
    _, stranger = await server.account()
    assert (await stranger.get(f"{owner.space}/links")).code == "space-unknown"


async def test_links_that_are_refused(owner: Owner) -> None:
    """A link whose guests could not open it, or that its space does not allow, is refused when it is made."""
    _, preview = await photo(owner)
    page = Blob(os.urandom(500))
    await owner.api.upload(owner.writer.space_id, page)

    async def refused(link: Link) -> str:
        return (await owner.api.try_commit(owner.writer, link.publish(owner.writer))).code

    assert await refused(Link(Blob(b"never sent"), view=[preview])) == "blob-missing"
    assert await refused(Link(page, view=[Blob(b"never sent")])) == "blob-missing"
    stray = Blob(os.urandom(100))
    await owner.api.upload(owner.writer.space_id, stray)
    assert await refused(Link(page, view=[stray])) == "blob-missing"
    link = Link(page, view=[preview])
    await owner.api.commit(owner.writer, link.publish(owner.writer))
    assert await refused(Link(page, view=[preview], link_id=link.link_id)) == "ledger-rule"


async def test_a_links_own_pictures(server: Server, owner: Owner) -> None:
    """What a link brings is served to its guests and to full readers, counts against the quota, and stays."""
    watermarked = [Blob(os.urandom(700)), Blob(os.urandom(800))]
    link = Link(Blob(os.urandom(500)), made=watermarked)
    await owner.api.upload(owner.writer.space_id, *watermarked)
    await owner.api.publish(owner.writer, link)
    cookie = cookie_of(await open_link(server.api, link))
    for blob in watermarked:
        assert (await fetch(server.api, link, blob, cookie)).body == blob.data
        assert (await owner.api.get(f"{owner.space}/blobs/{blob.name.hex()}")).body == blob.data


async def test_the_clean_preview_asked_for_through_a_watermarked_link(server: Server, owner: Owner) -> None:
    """Neither preview nor original: not by name, not listed beside, and not passed off as made for the link."""
    original, preview = await photo(owner)
    watermarked = Blob(os.urandom(700))
    await owner.api.upload(owner.writer.space_id, watermarked)
    link = Link(Blob(os.urandom(500)), made=[watermarked])
    await owner.api.publish(owner.writer, link)
    cookie = cookie_of(await open_link(server.api, link))
    assert (await fetch(server.api, link, watermarked, cookie)).status == 200
    for blob in (original, preview):
        assert (await fetch(server.api, link, blob, cookie)).code == "not-found"
        assert (
            await server.api.get(f"{owner.space}/blobs/{blob.name.hex()}", Cookie=cookie)
        ).code == "session-required"

    async def refused(link: Link) -> str:
        return (await owner.api.try_commit(owner.writer, link.publish(owner.writer))).code

    assert await refused(Link(link.page, made=[watermarked], view=[preview])) == "entry-malformed"
    for blob in (original, preview):
        assert await refused(Link(link.page, made=[blob])) == "policy-forbids"


async def test_own_pictures_that_are_refused(start_server: StartServer) -> None:
    """One that never arrived, one of another size, one of another space, and more than the quota has room for."""
    server = await start_server(space_quota_bytes=60_000)
    owner, other = await server.owner(), await server.owner()
    page, foreign = Blob(os.urandom(500)), Blob(os.urandom(600))
    first, second = Blob(os.urandom(35_000)), Blob(os.urandom(35_000))
    await owner.api.upload(owner.writer.space_id, page, first, second)
    await other.api.upload(other.writer.space_id, foreign)

    async def refused(*made: Blob) -> str:
        link = Link(page, made=list(made))
        return (await owner.api.try_commit(owner.writer, link.publish(owner.writer))).code

    assert await refused(Blob(b"never sent")) == "blob-missing"
    assert await refused(foreign) == "blob-missing"
    assert await refused(first, second) == "quota-exceeded"
    await owner.api.commit(owner.writer, Link(page, made=[first]).publish(owner.writer))
    assert await refused(second) == "quota-exceeded"


async def test_spaces_without_links(server: Server) -> None:
    """The space's policy decides which links there are."""
    owner = await server.owner(kind="family", links_policy="view")
    original, preview = await photo(owner)
    page = Blob(os.urandom(500))
    await owner.api.upload(owner.writer.space_id, page)
    full = Link(page, view=[preview], full=[original], tier="full", originals=True)
    assert (await owner.api.try_commit(owner.writer, full.publish(owner.writer))).code == "policy-forbids"
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing())
    body = Link(page, view=[preview]).body(owner.writer)
    entry = owner.writer.entry("link.publish", body, signer)
    assert (await camera.try_commit(owner.writer, entry)).code == "right-missing"


@pytest.mark.parametrize("allowed", ["view", "none"])
async def test_links_from_before_a_narrower_policy(server: Server, owner: Owner, allowed: str) -> None:
    """No such link is made any more, and one from before goes on, original included, until it is revoked."""
    original, preview = await photo(owner)
    page, later = Blob(os.urandom(500)), Blob(os.urandom(500))
    await owner.api.upload(owner.writer.space_id, later)
    link = Link(page, view=[preview], full=[original], tier="full", originals=True)
    await owner.api.publish(owner.writer, link)
    policy = SetPolicyBody(Policy(1, allowed))  # type: ignore[arg-type]  # a word of three
    await owner.api.commit(owner.writer, owner.writer.entry(LedgerKind.SET_POLICY, policy))
    again = replace(link, page=later, link_id=os.urandom(16))
    assert (await owner.api.try_commit(owner.writer, again.publish(owner.writer))).code == "policy-forbids"
    cookie = cookie_of(await open_link(server.api, link))
    assert (await fetch(server.api, link, original, cookie)).body == original.data
    await owner.api.commit(owner.writer, link.revoke(owner.writer))
    assert (await fetch(server.api, link, original, cookie)).code == "link-revoked"


async def test_a_mangled_manifest(owner: Owner) -> None:
    """A head that is not signed by the publishing key, or names other pages, is refused."""
    _, preview = await photo(owner)
    page, other = Blob(os.urandom(500)), Blob(os.urandom(600))
    await owner.api.upload(owner.writer.space_id, page, other)
    link = Link(page, view=[preview])
    body = link.body(owner.writer)
    elsewhere = Link(other, view=[preview], link_id=link.link_id).body(owner.writer)
    for changed, code in (
        (msgspec.structs.replace(body, head_signature=bytes(64)), "signature-invalid"),
        (msgspec.structs.replace(body, publishing_key=public_key_of(os.urandom(32))), "signature-invalid"),
        (msgspec.structs.replace(body, head=b"nonsense"), "manifest-invalid"),
        (
            msgspec.structs.replace(body, head=elsewhere.head, head_signature=elsewhere.head_signature),
            "manifest-invalid",
        ),
    ):
        answer = await owner.api.try_commit(owner.writer, owner.writer.entry("link.publish", changed))
        assert answer.code == code
