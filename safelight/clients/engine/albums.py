"""Albums: selections with a key of their own, under which asset keys are wrapped again (docs/spec/albums.md)."""

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from safelight.clients.engine.assets import AssetReader, FailedAsset, OpenedAsset
from safelight.clients.engine.epochs import DOES_NOT_OPEN, EpochSecrets
from safelight.clients.engine.generations import AlbumKeys, Place, open_for_members, open_title
from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import check_name
from safelight.clients.engine.titles import Renaming, title_of
from safelight.sync_protocol import ids
from safelight.sync_protocol.grant_entries import FIRST_SHARED_GENERATION
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import CreateAlbumBody, RecordKind, RenameAlbumBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box
from safelight.sync_protocol.wire import unpack

FIRST_GENERATION = 1


@dataclass(frozen=True, slots=True)
class Album:
    """An album, opened. `key` is None for who reads the view tier. `is_shared` says whether grants were given.

    `unread_title` is the slot of its newest renaming where that does not open, and another title counts; else 0.
    """

    album_id: bytes
    generation: int
    title: str
    asset_count: int
    view_key: bytes
    key: bytes | None
    is_shared: bool = False
    unread_title: int = 0

    def __repr__(self) -> str:
        return f"Album({self.album_id.hex()})"

    @property
    def keys(self) -> AlbumKeys:
        """The keys of its generation."""
        return AlbumKeys(self.generation, self.view_key, self.key)


async def create_album(space: SpaceView, title: str) -> bytes:
    """Make an album and return its id; BAD_REQUEST if one of that title is there already."""
    title = await check_title(space, title)
    held = await space.epoch_secrets()
    key = secrets.token_bytes(KEY_SIZE_BYTES)
    view_key = keytree.album_view_key(key)
    place = Place(space.space_id, ids.new_id())
    body = CreateAlbumBody(
        album_id=place.album_id,
        generation=FIRST_GENERATION,
        epoch=held.number,
        full_inbox=hpke.public_key(keytree.album_full_inbox_seed(key)),
        view_inbox=hpke.public_key(keytree.album_view_inbox_seed(view_key)),
        key_full=seal_box(
            held.full_metadata_key, place.key(FIRST_GENERATION, held.number, Tier.FULL), key, nonce=random_nonce()
        ),
        key_view=seal_box(
            held.view_metadata_key, place.key(FIRST_GENERATION, held.number, Tier.VIEW), view_key, nonce=random_nonce()
        ),
        title=seal_box(
            keytree.album_metadata_key(view_key), place.title(FIRST_GENERATION), title.encode(), nonce=random_nonce()
        ),
    )
    await space.commit(RecordKind.CREATE_ALBUM, body)
    return place.album_id


async def check_title(space: SpaceView, title: str) -> str:
    """Return *title* as an album may be called; BAD_REQUEST for one that is too long, or another album's already."""
    title = check_name(title, "an album's title")
    if any(album.title == title for album in await list_albums(space)):
        raise Refused(Code.BAD_REQUEST, "an album of that title is there already")
    return title


async def list_albums(space: SpaceView, closed: dict[bytes, Refused] | None = None) -> list[Album]:
    """Open every album that opens, oldest first; one that does not is passed over, and *closed* says why by its id."""
    albums: list[Album] = []
    for album_id, number in space.index.albums():
        try:
            albums.append(await _open(space, album_id, number))
        except Refused as refusal:
            if refusal.code not in DOES_NOT_OPEN:
                raise
            if closed is not None:
                closed[album_id] = refusal
    return albums


async def _open(space: SpaceView, album_id: bytes, number: int) -> Album:
    shared = space.state.albums.get(album_id)
    count = len(space.index.album_assets(album_id))
    if shared is None:
        return await _open_record(space, album_id, number, count)
    place, generation = Place(space.space_id, album_id), shared.generation
    held = await space.epoch_secrets(generation.epoch)
    try:
        keys = open_for_members(place, generation, held)
    except Refused as refusal:
        # *An album whose new keys are none*, so that nobody could list the others: it alone does not open.
        raise Refused(Code.OPEN_FAILED, refusal.detail) from None
    secrets_of = await _secrets_of(space, {each.epoch for each in shared.generations})

    @cache
    def keys_of(number: int) -> AlbumKeys:
        """Those of the generation under which the album was renamed."""
        renamed_under = shared.generations[number - FIRST_SHARED_GENERATION]
        if renamed_under.epoch not in secrets_of:
            raise Refused(Code.EPOCH_OLD, f"epoch {renamed_under.epoch} does not open")
        return open_for_members(place, renamed_under, secrets_of[renamed_under.epoch])

    renamings = (each for each in _renamings(space, album_id) if each.body.generation >= FIRST_SHARED_GENERATION)
    title = title_of(place, renamings, keys_of, lambda: open_title(place, generation, keys))
    return Album(
        album_id,
        generation.number,
        title.text,
        count,
        keys.view,
        keys.full,
        is_shared=True,
        unread_title=title.unread,
    )


async def _secrets_of(space: SpaceView, epochs: Iterable[int]) -> dict[int, EpochSecrets]:
    """The secrets of those epochs that open."""
    found = {}
    for number in epochs:
        try:
            found[number] = await space.epoch_secrets(number)
        except Refused as refusal:
            if refusal.code is not Code.EPOCH_OLD:
                raise
    return found


def _renamings(space: SpaceView, album_id: bytes) -> Iterator[Renaming]:
    """The verified records that renamed an album, the newest first."""
    for number in space.index.album_titles(album_id):
        entry = parse_entry(space.index.envelope_at(number) or b"")
        yield Renaming(number, entry.header.author_id, unpack(entry.body, RenameAlbumBody))


async def _open_record(space: SpaceView, album_id: bytes, number: int, count: int) -> Album:
    envelope = space.index.envelope_at(number)
    if envelope is None:
        raise Refused(Code.OPEN_FAILED, "the album's record is not kept here")
    body = unpack(parse_entry(envelope).body, CreateAlbumBody)
    held = await space.epoch_secrets(body.epoch)
    place = Place(space.space_id, album_id)
    view_key = open_box(held.view_metadata_key, place.key(body.generation, body.epoch, Tier.VIEW), body.key_view)
    key: bytes | None = None
    if held.full is not None:
        key = open_box(held.full_metadata_key, place.key(body.generation, body.epoch, Tier.FULL), body.key_full)
        if keytree.album_view_key(key) != view_key:
            raise Refused(Code.OPEN_FAILED, "the album's view key does not come from its key")
    keys = AlbumKeys(body.generation, view_key, key)

    def first() -> str:
        title = open_box(keytree.album_metadata_key(view_key), place.title(body.generation), body.title)
        return title.decode("utf-8", "replace")

    title = title_of(place, _renamings(space, album_id), lambda _: keys, first)
    return Album(album_id, body.generation, title.text, count, view_key, key, unread_title=title.unread)


async def find_album(space: SpaceView, title: str) -> Album:
    """Return the album of that title or with that id, as `album list` shows it.

    NOT_FOUND where there is none, BAD_REQUEST for more than one. An id first: *an album that is called like another's
    id*, or like another one, by who may rename it.

    Where some do not open, it may be one of them: what stands in the way is said.
    """
    closed: dict[bytes, Refused] = {}
    albums = await list_albums(space, closed)
    found = [album for album in albums if title in (album.album_id.hex(), album.album_id.hex()[:12])]
    found = found or [album for album in albums if album.title == title]
    if not found and closed:
        raise next(iter(closed.values()))
    if not found:
        raise Refused(Code.NOT_FOUND, f"there is no album {title!r} in this space")
    if len(found) > 1:
        raise Refused(
            Code.BAD_REQUEST, "more than one album has that title; use its id, as `safelight album list` shows it"
        )
    return found[0]


async def reopen(space: SpaceView, album: Album) -> Album:
    """Return the album as it is by now."""
    number = next(number for album_id, number in space.index.albums() if album_id == album.album_id)
    return await _open(space, album.album_id, number)


class AlbumReader(AssetReader):
    """Opens an album's assets, as a reader of its space."""

    def __init__(self, space: SpaceView, album: Album) -> None:
        super().__init__(space)
        self.space = space
        self.album = album
        self._places = space.index.album_assets(album.album_id)

    async def each(self, places: list[AssetPlace] | None = None) -> AsyncIterator[OpenedAsset | FailedAsset]:
        """Open them in the album's order; one that does not open comes as a `FailedAsset`."""
        async for found in super().each(self._places if places is None else places):
            yield found


async def album_assets(space: SpaceView, album: Album) -> list[OpenedAsset]:
    """Open an album's assets, in its order; one that does not open is left out."""
    return [found async for found in AlbumReader(space, album).each() if isinstance(found, OpenedAsset)]
