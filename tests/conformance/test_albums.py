"""Shared albums: their own logs, which end where a commit says or take nothing, and the blobs that they show."""

from dataclasses import replace

from safelight.server.domain.ports.commits import AlbumUse, Commit, Committed
from safelight.sync_protocol.album_log import next_album_head
from safelight.sync_protocol.log import NO_HEAD, Head
from safelight.sync_protocol.refusals import Code
from tests.conformance.library import Library, refused, some_hash, some_id

LARGE = 10**9


async def _picture(library: Library) -> tuple[bytes, bytes, bytes]:
    """An asset with an original and a preview: its id, and their names."""
    original, preview = await library.hold(), await library.hold()
    first = await library.an_asset(original)
    await library.do(first)
    await library.do(await library.an_asset(preview, tier="view"))
    return first.assets[0].asset_id, original, preview


def _showing(library: Library, album_id: bytes, log: Head, asset_id: bytes, *blobs: tuple[bytes, str]) -> Commit:
    return replace(
        library.a_record(), kind="album.show", known_assets=[asset_id], album=AlbumUse(album_id, 2, log, list(blobs))
    )


async def test_an_albums_log_is_its_own(library: Library) -> None:
    """Its entries are those of the space that are about it, numbered and chained anew."""
    asset_id, original, preview = await _picture(library)
    album_id, other_id, database = some_id(), some_id(), library.database
    assert await database.album_head(library.space_id, album_id) == NO_HEAD
    head, made = NO_HEAD, []
    for blobs in ([(original, "full"), (preview, "view")], [(preview, "view")]):
        commit = _showing(library, album_id, head, asset_id, *blobs)
        done = await library.do(commit)
        head = next_album_head(library.space_id, album_id, head, done.number, commit.entry_id)
        made.append((head.number, done.number, head.hash, commit.entry_id, commit.envelope))
        await library.do(library.a_record())
    rows = await database.album_entries(library.space_id, album_id, 0, 10, LARGE)
    assert [(row.number, row.slot, row.chain, row.entry_id, row.envelope) for row in rows] == made
    assert await database.album_head(library.space_id, album_id) == head
    assert await database.album_entries(library.space_id, album_id, 1, 10, LARGE) == rows[1:]
    assert await database.album_entries(library.space_id, album_id, 2, 10, LARGE) == []
    assert await database.album_entries(library.space_id, album_id, 0, 1, LARGE) == rows[:1]
    assert await database.album_entries(library.space_id, album_id, 0, 10, 1) == rows[:1]
    assert await database.album_entries(library.space_id, other_id, 0, 10, LARGE) == []
    assert await database.album_entries(some_hash(), album_id, 0, 10, LARGE) == []


async def test_which_albums_show_a_blob(library: Library) -> None:
    """Each that was told to, in its own space alone."""
    asset_id, original, preview = await _picture(library)
    one, two = sorted((some_id(), some_id()))
    await library.do(_showing(library, one, NO_HEAD, asset_id, (original, "full"), (preview, "view")))
    await library.do(_showing(library, two, NO_HEAD, asset_id, (preview, "view")))
    ask = library.database.albums_showing
    assert await ask(library.space_id, original) == [one]
    assert sorted(await ask(library.space_id, preview)) == [one, two]
    assert await ask(some_hash(), preview) == []
    assert await ask(library.space_id, some_hash()) == []


async def test_what_an_album_cannot_show(library: Library) -> None:
    """An asset that is not there, a blob that no record names or that is of another tier; nothing is written."""
    asset_id, original, preview = await _picture(library)
    loose, album_id = await library.hold(), some_id()
    for code, asset, blob in (
        (Code.NOT_FOUND, some_id(), (preview, "view")),
        (Code.BLOB_MISSING, asset_id, (some_hash(), "view")),
        (Code.BLOB_MISSING, asset_id, (loose, "full")),
        (Code.POLICY_FORBIDS, asset_id, (original, "view")),
        (Code.POLICY_FORBIDS, asset_id, (preview, "full")),
    ):
        assert await refused(library, _showing(library, album_id, NO_HEAD, asset, blob)) is code
    assert await library.database.album_head(library.space_id, album_id) == NO_HEAD


async def test_an_albums_log_ends_where_its_signer_says(library: Library) -> None:
    """Two who add at once: one is told, also within one run, and a repeated entry gets its first answer."""
    asset_id, _, preview = await _picture(library)
    album_id = some_id()
    first = _showing(library, album_id, NO_HEAD, asset_id, (preview, "view"))
    late = replace(
        _showing(library, album_id, NO_HEAD, asset_id), counter=first.counter + 1, previous_id=first.entry_id
    )
    stands, stale = await library.commit(first, late)
    assert isinstance(stands, Committed)
    assert not isinstance(stale, Committed)
    assert stale.code is Code.ALBUM_STALE
    head = await library.database.album_head(library.space_id, album_id)
    assert head.number == 1
    assert await refused(library, _showing(library, album_id, Head(1, some_hash()), asset_id)) is Code.ALBUM_STALE
    assert await refused(library, _showing(library, album_id, NO_HEAD, asset_id)) is Code.ALBUM_STALE
    [again] = await library.commit(first)
    assert isinstance(again, Committed)
    assert again.repeated
    together = _showing(library, album_id, head, asset_id)
    done = await library.do(together)
    assert (await library.database.album_head(library.space_id, album_id)) == next_album_head(
        library.space_id, album_id, head, done.number, together.entry_id
    )


async def test_what_is_added_under_a_roll_of_an_album(library: Library) -> None:
    """To the album, and under the keys, that the roll was opened for: not under a plain roll, nor elsewhere."""
    album_id, roll_id, plain = some_id(), some_id(), await library.open_roll()
    opening = replace(
        library.a_record(),
        kind="roll.open-album",
        roll=library.roll_use(roll_id, opens=True),
        album=AlbumUse(album_id, 2, None),
    )
    await library.do(opening)
    original = await library.hold()

    async def adding(roll: bytes, album: AlbumUse) -> Commit:
        library.rolls[library.device_id] = roll
        return replace(await library.an_asset(original), kind="asset.add-album", album=album)

    use = AlbumUse(album_id, 2, None, [(original, "full")])
    for roll, album, code in (
        (plain, use, Code.ROLL_UNKNOWN),
        (roll_id, replace(use, album_id=some_id()), Code.ROLL_UNKNOWN),
        (roll_id, replace(use, generation=3), Code.ROLL_UNKNOWN),
        (roll_id, replace(use, blobs=[(original, "view")]), Code.POLICY_FORBIDS),
    ):
        assert await refused(library, await adding(roll, album)) is code
    done = await library.do(await adding(roll_id, use))
    rows = await library.database.album_entries(library.space_id, album_id, 0, 10, LARGE)
    assert [(row.number, row.entry_id) for row in rows] == [(1, opening.entry_id), (2, rows[-1].entry_id)]
    assert rows[-1].slot == done.number
    assert await library.database.albums_showing(library.space_id, original) == [album_id]
