"""Links: what they show, openings counted, hand-overs used once."""

import asyncio
from dataclasses import replace

from safelight.server.domain.ports.commits import BlobUse, Committed, Rejected
from safelight.sync_protocol.refusals import Code
from tests.conformance.library import BLOB_SIZE_BYTES, DAY_MS, NOW_MS, Library, an_opening, refused, some_hash, some_id


async def test_a_link_as_published(library: Library) -> None:
    """A link is found as its record made it, and among its space's, the newest first."""
    commit = await library.a_link(max_opens=7)
    link_id = await library.publish(commit)
    state = await library.database.link(link_id)
    assert state is not None
    assert commit.link is not None
    assert (state.space_id, state.tier, state.max_opens, state.originals) == (library.space_id, "view", 7, False)
    assert (state.head, state.head_signature) == (commit.link.head, commit.link.head_signature)
    assert (state.token_hash, state.publishing_key) == (commit.link.token_hash, commit.link.publishing_key)
    assert (state.created_ms, state.revoked, state.opens, state.downloads) == (NOW_MS, False, 0, 0)
    second = await library.publish(await library.a_link())
    assert [link.link_id for link in await library.database.links_of(library.space_id)] == [second, link_id]
    assert await library.database.link(some_id()) is None
    assert await library.database.links_of(some_hash()) == []


async def test_a_link_shows_its_own_blobs(library: Library) -> None:
    """A link may fetch what it names, and not another link's or an original that it did not name."""
    original, preview = await library.hold(), await library.hold()
    await library.do(await library.an_asset(original))
    await library.do(await library.an_asset(preview, tier="view"))
    commit = await library.a_link(view=(preview,))
    link_id, other = await library.publish(commit), await library.publish(await library.a_link())
    assert commit.link is not None
    ask = library.database.link_blob
    assert [(await ask(link_id, name) or (0, ""))[1] for name in (preview, commit.link.pages[0])] == ["view", "page"]
    assert await ask(link_id, original) is None
    assert await ask(other, preview) is None
    assert await ask(some_id(), preview) is None


async def test_a_link_brings_blobs_of_its_own(library: Library) -> None:
    """What was made for a link is its own: held, counted and kept, shown by it alone, and no asset's."""
    made, loose = await library.hold(), await library.hold()
    link_id, other = (
        await library.publish(await library.a_link(made=(made,))),
        await library.publish(await library.a_link()),
    )
    ask = library.database.link_blob
    assert await ask(link_id, made) == (BLOB_SIZE_BYTES, "made")
    assert await ask(other, made) is None
    assert await library.database.blob_in_space(library.space_id, made) == (BLOB_SIZE_BYTES, "made")
    # Only what no record names is forgotten.
    assert await library.database.collectable_blobs(NOW_MS + DAY_MS, 10) == [loose]
    assert not await library.database.forget_blob(made, NOW_MS + DAY_MS)


async def test_an_assets_blob_is_not_made_for_a_link(library: Library) -> None:
    """An original or a preview is refused as a link's own picture, also within one run; so is what is not held."""
    original, preview = await library.hold(), await library.hold()
    await library.do(await library.an_asset(original))
    await library.do(await library.an_asset(preview, tier="view"))
    refused = {original: Code.POLICY_FORBIDS, preview: Code.POLICY_FORBIDS, some_hash(): Code.BLOB_MISSING}
    for name, code in refused.items():
        [outcome] = await library.commit(await library.a_link(made=(name,)))
        assert isinstance(outcome, Rejected)
        assert outcome.code is code
    late = await library.hold()
    adding, link = await library.an_asset(late), await library.a_link(made=(late,))
    follows = replace(link, counter=adding.counter + 1, previous_id=adding.entry_id)
    outcomes = await library.commit(adding, follows)
    assert isinstance(outcomes[0], Committed)
    assert isinstance(outcomes[1], Rejected)


async def test_one_opening_and_a_hundred_racers(library: Library) -> None:
    """Of a hundred that open a link at once, as many get in as it allows: one."""
    link_id = await library.publish(await library.a_link(max_opens=1))
    openings = [an_opening(link_id) for _ in range(100)]
    opened = await asyncio.gather(*(library.database.open_link(opening, 1) for opening in openings))
    assert sum(opened) == 1
    known = [await library.database.known_opening(link_id, opening.opening_id) for opening in openings]
    assert known == opened
    state = await library.database.link(link_id)
    assert state is not None
    assert state.opens == 1


async def test_openings_without_limit(library: Library) -> None:
    """A limit of 0 is none; every opening counts, and the last one's time is kept."""
    link_id = await library.publish(await library.a_link())
    for number in range(3):
        assert await library.database.open_link(an_opening(link_id, NOW_MS + number), 0)
    state = await library.database.link(link_id)
    assert state is not None
    assert (state.opens, state.last_opened_ms) == (3, NOW_MS + 2)


async def test_a_link_that_does_not_stand_opens_nothing(library: Library) -> None:
    """Not before its time, not after it, not once revoked, and not one that never was."""
    commit = await library.a_link()
    assert commit.link is not None
    timed = replace(commit, link=replace(commit.link, starts_ms=NOW_MS + 10, expires_ms=NOW_MS + 20))
    link_id = await library.publish(timed)

    async def opens(now_ms: int) -> bool:
        return await library.database.open_link(an_opening(link_id, now_ms), 0)

    assert [await opens(NOW_MS + age) for age in (9, 10, 19, 20)] == [False, True, True, False]
    await library.do(replace(library.a_record(), revoked_link=link_id))
    assert not await opens(NOW_MS + 15)
    assert not await library.database.open_link(an_opening(some_id()), 0)


async def test_handover_is_used_once(library: Library) -> None:
    """Of fifty browsers with one hand-over token one gets the opening; a new token ends the one before."""
    link_id = await library.publish(await library.a_link())
    opening = an_opening(link_id)
    assert await library.database.open_link(opening, 0)
    used = await asyncio.gather(
        *(library.database.use_handover(link_id, opening.handover_hash, NOW_MS) for _ in range(50))
    )
    assert sorted(used, key=bool) == [None] * 49 + [opening.opening_id]
    second, third = (replace(opening, handover_hash=some_hash()) for _ in range(2))
    await library.database.set_handover(second)
    await library.database.set_handover(third)
    assert await library.database.use_handover(link_id, second.handover_hash, NOW_MS) is None
    assert await library.database.use_handover(link_id, third.handover_hash, NOW_MS) == opening.opening_id


async def test_handover_ends(library: Library) -> None:
    """A hand-over token is good until its time, for its own link, and clearing away leaves younger ones be."""
    link_id, other = [await library.publish(await library.a_link()) for _ in range(2)]
    opening = an_opening(link_id)
    assert await library.database.open_link(opening, 0)
    use = library.database.use_handover
    assert await use(link_id, opening.handover_hash, NOW_MS + DAY_MS) is None
    assert await use(other, opening.handover_hash, NOW_MS) is None
    await library.database.delete_expired(NOW_MS + DAY_MS - 1)
    assert await use(link_id, opening.handover_hash, NOW_MS) == opening.opening_id
    await library.database.set_handover(opening)
    await library.database.delete_expired(NOW_MS + DAY_MS)
    assert await use(link_id, opening.handover_hash, NOW_MS) is None
    assert await library.database.known_opening(link_id, opening.opening_id)


async def test_downloads_are_counted(library: Library) -> None:
    """Downloads count one by one, also at once."""
    link_id = await library.publish(await library.a_link())
    await asyncio.gather(*(library.database.count_download(link_id, NOW_MS) for _ in range(20)))
    state = await library.database.link(link_id)
    assert state is not None
    assert state.downloads == 20


async def test_link_needs_named_blobs(library: Library) -> None:
    """A link shows what records name: nothing that is missing, uncommitted, or of the full tier in its view list."""
    original, preview = await library.hold(), await library.hold()
    await library.do(await library.an_asset(original))
    await library.do(await library.an_asset(preview, tier="view"))
    assert await refused(library, await library.a_link(view=(some_hash(),))) is Code.BLOB_MISSING
    assert await refused(library, await library.a_link(view=(await library.hold(),))) is Code.BLOB_MISSING
    assert await refused(library, await library.a_link(view=(original,))) is Code.POLICY_FORBIDS
    page_of = await library.a_link()
    assert page_of.link is not None
    disguised = replace(
        page_of,
        link=replace(page_of.link, pages=[original]),
        blobs=[BlobUse(original, BLOB_SIZE_BYTES, "page", page_of.link.link_id, "page")],
    )
    assert await refused(library, disguised) is Code.POLICY_FORBIDS
    link_id = await library.publish(await library.a_link(view=(preview,), full=(original,)))
    assert await library.database.link_blob(link_id, original) == (BLOB_SIZE_BYTES, "full")
    assert await library.database.link_blob(link_id, preview) == (BLOB_SIZE_BYTES, "view")


async def test_link_id_is_given_once(library: Library) -> None:
    """A link's id belongs to one space, and only that space revokes it."""
    link_id = await library.publish(await library.a_link())
    other = await Library.make(library.database)
    copy = await other.a_link()
    assert copy.link is not None
    assert await refused(other, replace(copy, link=replace(copy.link, link_id=link_id))) is Code.LEDGER_RULE
    assert await refused(other, replace(other.a_record(), revoked_link=link_id)) is Code.NOT_FOUND
    await library.do(replace(library.a_record(), revoked_link=link_id))
    link = await library.database.link(link_id)
    assert link is not None
    assert link.revoked
