"""Pictures taken out of albums: what is refused, what links and grantees are given no more, and given again."""

from dataclasses import replace

import pytest

from safelight.server.domain.ports.commits import (
    AlbumUse,
    BlobUse,
    Commit,
    Committed,
    IntoAlbum,
    OutOfAlbum,
    Rejected,
)
from safelight.sync_protocol.log import NO_HEAD, Head
from safelight.sync_protocol.records import RestoreAssetsBody, TrashAssetsBody
from safelight.sync_protocol.refusals import Code
from tests.conformance.library import BLOB_SIZE_BYTES, Library, refused, some_hash, some_id
from tests.conformance.test_approvals import Wall, after

Picture = tuple[bytes, bytes, bytes]


@pytest.fixture
def wall(library: Library) -> Wall:
    """An album."""
    return Wall(library)


def removes(wall: Wall, *asset_ids: bytes) -> Commit:
    """Take assets out of the album, which is not shared."""
    return replace(wall.library.a_record(), kind="album.remove", out_of_album=OutOfAlbum(wall.album_id, asset_ids))


async def in_log(wall: Wall, commit: Commit) -> Commit:
    """The same as the next entry of the album's own log."""
    head = await wall.library.database.album_head(wall.library.space_id, wall.album_id)
    return replace(commit, album=AlbumUse(wall.album_id, 0, head))


async def shows(wall: Wall, *pictures: Picture) -> Commit:
    """Show pictures in the album, which is shared."""
    head = await wall.library.database.album_head(wall.library.space_id, wall.album_id)
    blobs = [each for _, original, preview in pictures for each in ((original, "full"), (preview, "view"))]
    ids = [asset_id for asset_id, *_ in pictures]
    into = IntoAlbum(wall.album_id, ids)
    use = AlbumUse(wall.album_id, 2, head, blobs)
    return replace(wall.library.a_record(), kind="album.show", known_assets=ids, album=use, into_album=into)


async def showing(wall: Wall, picture: Picture) -> list[int]:
    """How many shared albums show the original of a picture, and its preview."""
    database = wall.library.database
    return [len(await database.albums_showing(wall.library.space_id, name)) for name in picture[1:]]


async def twin_of(wall: Wall, picture: Picture) -> Picture:
    """Another asset of the same files, in the album as well."""
    commit = await wall.library.an_asset(picture[1])
    asset_id = commit.assets[0].asset_id
    blobs = [*commit.blobs, BlobUse(picture[2], BLOB_SIZE_BYTES, "view", asset_id, "preview")]
    await wall.library.do(replace(commit, blobs=blobs))
    return asset_id, picture[1], picture[2]


async def test_only_what_is_in_the_album_is_taken_out(wall: Wall) -> None:
    """What never was in it, or is no more, or is in another album: nothing of the record is done."""
    library, picture, outside = wall.library, await wall.picture(), await wall.picture(into=False)
    other = Wall(library)
    elsewhere = await other.picture()
    for asset_ids in ([outside[0]], [picture[0], outside[0]], [some_id()], [elsewhere[0]]):
        assert await refused(library, removes(wall, *asset_ids)) is Code.NOT_FOUND
    assert await refused(library, removes(other, picture[0])) is Code.NOT_FOUND
    await library.do(removes(wall, picture[0]))
    assert await refused(library, removes(wall, picture[0])) is Code.NOT_FOUND
    await library.do(wall.adds(picture[0]))
    await library.do(removes(wall, picture[0]))


async def test_an_approval_ends_with_its_place(wall: Wall) -> None:
    """A link of an album that requires approval gives it no more; put back, it waits for approval anew."""
    library, picture, other = wall.library, await wall.picture(), await wall.picture()
    await library.do(wall.requires())
    await library.do(wall.approves(picture))
    await library.do(wall.approves(other))
    link_id = await library.publish(await wall.link(picture[2], other[2]))

    async def given() -> list[bool]:
        return [await library.database.link_blob(link_id, name) is not None for name in (picture[2], other[2])]

    assert await given() == [True, True]
    await library.do(removes(wall, picture[0]))
    assert await given() == [False, True]
    assert await library.database.approved(library.space_id) == {(wall.album_id, other[0])}
    assert await refused(library, wall.approves(picture)) is Code.NOT_FOUND
    await library.do(wall.adds(picture[0]))
    assert await given() == [False, True]
    assert await refused(library, await wall.link(picture[2])) is Code.NOT_APPROVED
    await library.do(wall.approves(picture))
    assert await given() == [True, True]


async def test_links_of_an_album_without_approval(wall: Wall) -> None:
    """They go on, as they were made; in a space where another album requires approval they are held to their own."""
    library, picture = wall.library, await wall.picture()
    link_id = await library.publish(await wall.link(picture[2]))
    await library.do(removes(wall, picture[0]))
    assert await library.database.link_blob(link_id, picture[2]) is not None
    await library.do(Wall(library).requires())
    assert await library.database.link_blob(link_id, picture[2]) is None
    await library.do(wall.adds(picture[0]))
    assert await library.database.link_blob(link_id, picture[2]) is not None


async def test_grantees_are_given_no_blob_of_it(wall: Wall) -> None:
    """Until it is shown again; another album that shows it goes on."""
    library, picture, other = wall.library, await wall.picture(into=False), await wall.picture(into=False)
    another = Wall(library)
    for album in (wall, another):
        await library.do(await shows(album, picture, other))
    assert [await showing(wall, each) for each in (picture, other)] == [[2, 2], [2, 2]]
    await library.do(await in_log(wall, removes(wall, picture[0])))
    assert [await showing(wall, each) for each in (picture, other)] == [[1, 1], [2, 2]]
    assert await library.database.albums_showing(library.space_id, picture[1]) == [another.album_id]
    await library.do(await in_log(another, removes(another, picture[0])))
    assert await showing(wall, picture) == [0, 0]
    await library.do(await shows(wall, picture))
    assert await library.database.albums_showing(library.space_id, picture[2]) == [wall.album_id]


async def test_one_file_of_two_pictures_of_an_album(wall: Wall) -> None:
    """What another of its pictures shows as well is shown on, until that is taken out, too."""
    library, picture = wall.library, await wall.picture(into=False)
    await library.do(await shows(wall, picture))
    twin = await twin_of(wall, picture)
    await library.do(await shows(wall, twin))
    await library.do(await in_log(wall, removes(wall, picture[0])))
    assert await showing(wall, picture) == [1, 1]
    await library.do(await in_log(wall, removes(wall, twin[0])))
    assert await showing(wall, picture) == [0, 0]


async def test_a_removal_stands_in_the_albums_log(wall: Wall) -> None:
    """Where its signer says that the log ends; a title stands there in the same way, and takes nothing out."""
    library, picture = wall.library, await wall.picture(into=False)
    await library.do(await shows(wall, picture))
    for head in (NO_HEAD, Head(1, some_hash())):
        stale = replace(removes(wall, picture[0]), album=AlbumUse(wall.album_id, 0, head))
        assert await refused(library, stale) is Code.ALBUM_STALE
    title = await in_log(wall, replace(library.a_record(), kind="album.rename"))
    await library.do(title)
    assert await showing(wall, picture) == [1, 1]
    removal = await in_log(wall, removes(wall, picture[0]))
    await library.do(removal)
    rows = await library.database.album_entries(library.space_id, wall.album_id, 0, 10, 10**9)
    assert [row.entry_id for row in rows[1:]] == [title.entry_id, removal.entry_id]
    assert (await library.database.album_head(library.space_id, wall.album_id)).number == 3


async def test_out_and_in_within_one_group(wall: Wall) -> None:
    """Of several changes that are written together the last counts, and each sees what the ones before it did."""
    library, picture = wall.library, await wall.picture()
    await library.do(wall.requires())
    await library.do(wall.approves(picture))
    link = await wall.link(picture[2])
    steps = [removes(wall, picture[0])]
    for commit in (link, removes(wall, picture[0]), wall.adds(picture[0])):
        steps.append(after(commit, steps[-1]))
    first, linked, again, back = await library.commit(*steps)
    assert isinstance(first, Committed)
    assert isinstance(linked, Rejected)
    assert linked.code is Code.NOT_APPROVED
    assert isinstance(again, Rejected)
    assert isinstance(back, Rejected)  # it names the entry that was refused as the one before it
    steps = [wall.adds(picture[0])]
    for commit in (removes(wall, picture[0]), wall.adds(picture[0])):
        steps.append(after(commit, steps[-1]))
    assert all(isinstance(outcome, Committed) for outcome in await library.commit(*steps))
    assert await library.database.approved(library.space_id) == set()
    await library.do(wall.approves(picture))
    steps = [removes(wall, picture[0])]
    for commit in (wall.adds(picture[0]), wall.approves(picture), removes(wall, picture[0]), wall.adds(picture[0])):
        steps.append(after(commit, steps[-1]))
    assert all(isinstance(outcome, Committed) for outcome in await library.commit(*steps))
    assert await library.database.approved(library.space_id) == set()
    await library.publish(await Wall(library).link(made=(await library.hold(),)))
    await library.do(removes(wall, picture[0]))


async def test_shown_again_within_one_group(wall: Wall) -> None:
    """Taken out and shown again at once, a picture is shown; and taken out again, it is not."""
    library, picture = wall.library, await wall.picture(into=False)
    await library.do(await shows(wall, picture))
    head = await library.database.album_head(library.space_id, wall.album_id)
    out = await in_log(wall, removes(wall, picture[0]))
    # Nobody foresees the place after it, so whoever shows it in the same group follows no log.
    back = await shows(wall, picture)
    assert back.album is not None
    back = replace(after(back, out), album=replace(back.album, log=None))
    assert all(isinstance(outcome, Committed) for outcome in await library.commit(out, back))
    assert await showing(wall, picture) == [1, 1]
    again = removes(wall, picture[0])
    again = replace(again, album=AlbumUse(wall.album_id, 0, None))
    assert isinstance((await library.commit(again))[0], Committed)
    assert await showing(wall, picture) == [0, 0]
    assert (await library.database.album_head(library.space_id, wall.album_id)).number == head.number + 3


async def test_what_is_in_the_trash_is_taken_out_as_well(wall: Wall) -> None:
    """And is not in the album when it is restored."""
    library, picture = wall.library, await wall.picture(into=False)
    await library.do(await shows(wall, picture))
    trashes, restores = TrashAssetsBody([picture[0]]), RestoreAssetsBody([picture[0]])
    await library.do(replace(library.a_record(), known_assets=[picture[0]], trash=trashes))
    assert await library.database.trash_shown(library.space_id, wall.album_id, 10) == [picture[0]]
    await library.do(await in_log(wall, removes(wall, picture[0])))
    assert await library.database.trash_shown(library.space_id, wall.album_id, 10) == []
    await library.do(replace(library.a_record(), known_assets=[picture[0]], trash=restores))
    assert await showing(wall, picture) == [0, 0]


async def test_taking_out_takes_no_room(library: Library) -> None:
    """In a space that is full; adding again does, so that nobody fills a disk by turns, and so does a title."""
    full = Wall(await Library.make(library.database, quota_bytes=2 * BLOB_SIZE_BYTES + 1500))
    picture = await full.picture()
    await full.library.do(replace(full.library.a_record(), entry_bytes=1400))
    await full.library.do(replace(removes(full, picture[0]), entry_bytes=1000))
    for commit in (full.adds(picture[0]), replace(full.library.a_record(), kind="album.rename")):
        assert await refused(full.library, replace(commit, entry_bytes=1000)) is Code.QUOTA_EXCEEDED


async def test_albums_of_two_spaces_with_one_id(wall: Wall) -> None:
    """What one of them loses stays in the other, also a file that both have."""
    library, picture = wall.library, await wall.picture()
    other = Wall(await Library.make(library.database), wall.album_id)
    theirs = await other.picture()
    await other.library.do(other.requires())
    await other.library.do(other.approves(theirs))
    await library.do(removes(wall, picture[0]))
    assert await refused(library, removes(wall, theirs[0])) is Code.NOT_FOUND
    assert await library.database.approved(other.library.space_id) == {(other.album_id, theirs[0])}
