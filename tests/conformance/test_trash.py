"""The trash: what commits put into it and take out, and whose blobs are withheld for it; the same on every engine."""

from collections.abc import Sequence
from dataclasses import replace

from safelight.server.domain.ports.commits import AlbumUse, AssetUse, Commit, Committed, Rejected
from safelight.sync_protocol.log import NO_HEAD
from safelight.sync_protocol.records import DecideDeletionBody, ProposeDeletionBody, RestoreAssetsBody, TrashAssetsBody
from safelight.sync_protocol.refusals import Code
from tests.conformance.library import BLOB_SIZE_BYTES, Library, refused, some_hash, some_id
from tests.conformance.test_checks import change


def _trash(library: Library, *asset_ids: bytes, after: Commit | None = None) -> Commit:
    body = TrashAssetsBody(list(asset_ids))
    return replace(library.a_record(after=after), kind="asset.trash", known_assets=asset_ids, trash=body)


def _restore(library: Library, *asset_ids: bytes, after: Commit | None = None) -> Commit:
    body = RestoreAssetsBody(list(asset_ids))
    return replace(library.a_record(after=after), kind="asset.restore", known_assets=asset_ids, trash=body)


def _propose(library: Library, *asset_ids: bytes, after: Commit | None = None) -> Commit:
    body = ProposeDeletionBody(1, list(asset_ids), b"sealed")
    return replace(library.a_record(after=after), kind="deletion.propose", known_assets=asset_ids, trash=body)


def _decide(library: Library, *asset_ids: bytes, confirmed: bool, after: Commit | None = None) -> Commit:
    body = DecideDeletionBody(list(asset_ids), confirmed)
    return replace(library.a_record(after=after), kind="deletion.decide", known_assets=asset_ids, trash=body)


async def _picture(library: Library, *tiers: str) -> tuple[bytes, list[bytes]]:
    """An asset with a blob of each tier: its id, and their names."""
    names = [await library.hold() for _ in tiers or ("full",)]
    commit = await library.an_asset(*names)
    blobs = [replace(blob, tier=tier) for blob, tier in zip(commit.blobs, tiers or ("full",), strict=True)]
    await library.do(replace(commit, blobs=blobs))
    return commit.assets[0].asset_id, names


async def _withheld(library: Library, names: Sequence[bytes]) -> list[bool]:
    return [await library.database.is_in_trash(library.space_id, name) for name in names]


async def test_into_the_trash_and_out_of_it(library: Library) -> None:
    """All blobs of an asset are withheld as long as it is there, in its space alone, and no others."""
    (one, its), (_, others) = await _picture(library, "full", "view"), await _picture(library)
    elsewhere = await Library.make(library.database)
    await elsewhere.hold_named(its[0])
    assert await _withheld(library, [*its, *others, some_hash()]) == [False] * 4
    await library.do(_trash(library, one))
    assert await _withheld(library, [*its, *others]) == [True, True, False]
    assert await _withheld(elsewhere, its) == [False, False]
    assert await library.database.trashed_assets(library.space_id) == {one}
    await library.do(_restore(library, one))
    assert await _withheld(library, its) == [False, False]
    assert await library.database.trashed_assets(library.space_id) == set()
    space = await library.database.space(library.space_id)
    assert space is not None
    assert space.used_bytes >= 3 * BLOB_SIZE_BYTES


async def test_one_of_two_that_were_added_together(library: Library) -> None:
    """The blobs of the one are withheld, and those of the other, which the same record names, are not."""
    names = [await library.hold() for _ in range(2)]
    commit, other = await library.an_asset(*names), AssetUse(some_id(), some_hash())
    blobs = [commit.blobs[0], replace(commit.blobs[1], owner_id=other.asset_id)]
    await library.do(replace(commit, assets=[*commit.assets, other], blobs=blobs))
    await library.do(_trash(library, other.asset_id))
    assert await _withheld(library, names) == [False, True]
    assert await library.database.wrong_trash(library.space_id) == []


async def test_what_the_trash_refuses(library: Library) -> None:
    """Assets that are not there, and a record that changes nothing; in one that changes something, the rest stays."""
    (one, _), (two, its) = await _picture(library), await _picture(library)
    for commit, code in (
        (_trash(library, one, some_id()), Code.NOT_FOUND),
        (_restore(library, some_id()), Code.NOT_FOUND),
        (_restore(library, one, two), Code.UNCHANGED),
    ):
        assert await refused(library, commit) is code
    await library.do(_trash(library, one))
    assert await refused(library, _trash(library, one)) is Code.UNCHANGED
    await library.do(_trash(library, one, two))
    assert await library.database.trashed_assets(library.space_id) == {one, two}
    assert await refused(library, _trash(library, two, one)) is Code.UNCHANGED
    await library.do(_restore(library, two, one))
    assert await refused(library, _restore(library, one)) is Code.UNCHANGED
    assert await _withheld(library, its) == [False]


async def test_several_changes_in_one_run(library: Library) -> None:
    """Commits that are written together count in their order, also of an asset that came with them."""
    blob = await library.hold()
    added = await library.an_asset(blob)
    asset_id = added.assets[0].asset_id
    first = _trash(library, asset_id, after=added)
    refused_one = _trash(library, asset_id, after=first)
    back = _restore(library, asset_id, after=first)
    outcomes = await library.commit(added, first, refused_one, back, _trash(library, asset_id, after=back))
    assert [isinstance(outcome, Committed) for outcome in outcomes] == [True, True, False, True, True]
    assert isinstance(outcomes[2], Rejected)
    assert outcomes[2].code is Code.UNCHANGED
    assert await _withheld(library, [blob]) == [True]
    again = _restore(library, asset_id)
    twice = _trash(library, asset_id, after=again)
    await library.commit(again, twice, _restore(library, asset_id, after=twice))
    assert await _withheld(library, [blob]) == [False]


async def test_a_repeated_commit_changes_nothing_again(library: Library) -> None:
    """The first answer comes again, and what was restored meanwhile stays restored."""
    one, its = await _picture(library)
    trash = _trash(library, one)
    first = await library.do(trash)
    await library.do(_restore(library, one))
    [again] = await library.database.commit([trash])
    assert again == replace(first, repeated=True)
    assert await _withheld(library, its) == [False]


async def test_a_blob_that_another_asset_names(library: Library) -> None:
    """*A picture that is given out on, since another asset names its blob*: no asset of ours shares one."""
    one, its = await _picture(library)
    other = await library.an_asset(its[0])
    await library.do(other)
    await library.do(_trash(library, one))
    assert await _withheld(library, its) == [True]
    await library.do(_trash(library, other.assets[0].asset_id))
    await library.do(_restore(library, one))
    assert await _withheld(library, its) == [True]


async def test_what_is_a_links_own(library: Library) -> None:
    """*A link that is cut off by who may not revoke it*: its pages and pictures are no asset's, whoever names them."""
    made = await library.hold()
    link = await library.a_link(made=(made,))
    await library.publish(link)
    assert link.link is not None
    own = [*link.link.pages, made]
    claiming = await library.an_asset(*own)
    claiming = replace(
        claiming,
        blobs=[
            replace(blob, size_bytes=size) for blob, size in zip(claiming.blobs, (1000, BLOB_SIZE_BYTES), strict=True)
        ],
    )
    await library.do(claiming)
    await library.do(_trash(library, claiming.assets[0].asset_id))
    assert await _withheld(library, own) == [False, False]


async def test_what_an_album_shows_of_the_trash(library: Library) -> None:
    """Those of its assets that are in the trash are told, and nothing in the trash is added to an album."""
    album_id, shown = some_id(), []
    for _ in range(3):
        one, its = await _picture(library)
        head = await library.database.album_head(library.space_id, album_id)
        use = AlbumUse(album_id, 2, head, [(its[0], "full")])
        await library.do(replace(library.a_record(), kind="album.show", known_assets=[one], album=use))
        shown.append(one)
    other, its = await _picture(library)
    await library.do(_trash(library, *shown[:2], other))
    ask = library.database.trash_shown
    assert await ask(library.space_id, album_id, 10) == sorted(shown[:2])
    assert await ask(library.space_id, album_id, 1) == sorted(shown[:2])[:1]
    assert await ask(library.space_id, some_id(), 10) == []
    use = AlbumUse(some_id(), 2, NO_HEAD, [(its[0], "full")])
    adding = replace(library.a_record(), kind="album.show", known_assets=[other], album=use)
    assert await refused(library, adding) is Code.IN_TRASH
    await library.do(_restore(library, *shown[:2]))
    assert await ask(library.space_id, album_id, 10) == []


async def test_trashing_when_the_quota_is_used_up(library: Library) -> None:
    """Taking away never fails for want of room; restoring does, so that nobody fills a disk by turns."""
    one, its = await _picture(library)
    space = await library.database.space(library.space_id)
    assert space is not None
    await change(library.database, f"UPDATE spaces SET quota_bytes = {space.used_bytes}")
    await library.do(replace(_trash(library, one), entry_bytes=100))
    assert await _withheld(library, its) == [True]
    assert await refused(library, replace(_restore(library, one), entry_bytes=100)) is Code.QUOTA_EXCEEDED


async def test_rows_of_the_trash_that_are_wrong(library: Library) -> None:
    """What is lost and what is too much is found, and put right while nothing is committed."""
    (one, its), (two, others) = await _picture(library, "full", "view"), await _picture(library)
    database, space_id = library.database, library.space_id
    await library.do(_trash(library, one, two))
    space = await database.space(space_id)
    assert space is not None
    assert await database.wrong_trash(space_id) == []
    await change(database, "UPDATE trashed_blobs SET place = 7 WHERE place = 1")
    assert await database.wrong_trash(space_id) == [one]
    await change(database, "DELETE FROM trashed_blobs WHERE place = 7")
    assert await database.wrong_trash(space_id) == [one]
    assert not await database.correct_trash(space_id, space.number - 1, [one], [])
    assert not await database.correct_trash(some_hash(), space.number, [one], [])
    assert await database.correct_trash(space_id, space.number, [one], [two])
    assert await database.wrong_trash(space_id) == []
    assert await _withheld(library, [*its, *others]) == [True, True, False]
    assert await database.proposed_assets(space_id) == {two}
    assert await database.correct_trash(space_id, space.number, [], [one])
    assert await database.proposed_assets(space_id) == {one}


async def test_proposed_and_decided(library: Library) -> None:
    """It stays until it is confirmed, which trashes it, or declined; what is trashed is proposed no more."""
    (one, its), (two, others) = await _picture(library), await _picture(library)
    database, space_id = library.database, library.space_id
    await library.do(_propose(library, one, two))
    assert await database.proposed_assets(space_id) == {one, two}
    assert await _withheld(library, [*its, *others]) == [False, False]
    for again in (_propose(library, two, one), _decide(library, some_id(), confirmed=True)):
        assert await refused(library, again) in {Code.UNCHANGED, Code.NOT_FOUND}
    await library.do(_decide(library, one, confirmed=False))
    assert await refused(library, _decide(library, one, confirmed=True)) is Code.UNCHANGED
    await library.do(_propose(library, one, two))
    assert await database.proposed_assets(space_id) == {one, two}
    await library.do(_trash(library, two))
    assert await database.proposed_assets(space_id) == {one}
    assert await refused(library, _propose(library, two)) is Code.UNCHANGED
    await library.do(_decide(library, one, two, confirmed=True))
    assert await database.proposed_assets(space_id) == set()
    assert await _withheld(library, [*its, *others]) == [True, True]
    await library.do(_restore(library, one, two))
    assert await database.proposed_assets(space_id) == set()
    assert await _withheld(library, [*its, *others]) == [False, False]


async def test_proposals_in_one_run(library: Library) -> None:
    """Proposed, confirmed, restored and proposed anew by commits that are written together."""
    one, its = await _picture(library)
    run = [_propose(library, one)]
    run.append(_propose(library, one, after=run[0]))
    run.append(_decide(library, one, confirmed=True, after=run[0]))
    run.append(_restore(library, one, after=run[2]))
    run.append(_propose(library, one, after=run[3]))
    outcomes = await library.commit(*run)
    assert [isinstance(outcome, Committed) for outcome in outcomes] == [True, False, True, True, True]
    assert await library.database.proposed_assets(library.space_id) == {one}
    assert await _withheld(library, its) == [False]


async def test_proposing_when_the_quota_is_used_up(library: Library) -> None:
    """A proposal takes room, a decision is free."""
    (one, _), (two, _) = await _picture(library), await _picture(library)
    await library.do(_propose(library, one))
    space = await library.database.space(library.space_id)
    assert space is not None
    await change(library.database, f"UPDATE spaces SET quota_bytes = {space.used_bytes}")
    assert await refused(library, replace(_propose(library, two), entry_bytes=100)) is Code.QUOTA_EXCEEDED
    await library.do(replace(_decide(library, one, confirmed=True), entry_bytes=100))
