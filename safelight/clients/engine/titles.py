"""Titles of albums that were renamed: boxed by who renames, opened by members and grantees (docs/spec/albums.md §7)."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

from safelight.clients.engine.epochs import DOES_NOT_OPEN
from safelight.clients.engine.generations import AlbumKeys, Place
from safelight.sync_protocol.limits import MAX_NAME_LENGTH
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.records import RenameAlbumBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box

MAX_TITLES_TRIED = 100
_NO_KEYS = DOES_NOT_OPEN | {Code.EPOCH_MISMATCH}


class Renaming(NamedTuple):
    """A verified record that renames an album: its slot in the space's log, who signed it, and what it says."""

    number: int
    author_id: bytes
    body: RenameAlbumBody


class Title(NamedTuple):
    """An album's title. *unread* is the slot of the newest renaming that does not open, 0 where it does."""

    text: str
    unread: int = 0


def rename_body(place: Place, keys: AlbumKeys, title: str, author_id: bytes, log: Head) -> RenameAlbumBody:
    """Box *title* under the keys in force, for this author and this place in the album's own log."""
    box = seal_box(
        keytree.album_metadata_key(keys.view),
        place.new_title(keys.number, author_id, log),
        title.encode(),
        nonce=random_nonce(),
    )
    return RenameAlbumBody(place.album_id, keys.number, log, box)


def open_renaming(place: Place, keys: AlbumKeys, renaming: Renaming) -> str:
    """Open the title that a record gives; OPEN_FAILED for what is none.

    *An older title, or another's, put into a record anew by who cannot read it*: a box is for one author and place.
    """
    body = renaming.body
    bound = place.new_title(keys.number, renaming.author_id, body.log)
    opened = open_box(keytree.album_metadata_key(keys.view), bound, body.title)
    try:
        title = opened.decode()
    except UnicodeDecodeError:
        title = ""
    if title != title.strip() or not 1 <= len(title) <= MAX_NAME_LENGTH:
        raise Refused(Code.OPEN_FAILED, "the album's new title is none")
    return title


def title_of(
    place: Place,
    renamings: Iterable[Renaming],
    keys_of: Callable[[int], AlbumKeys],
    first: Callable[[], str],
) -> Title:
    """Return the title that the newest of *renamings* (newest first) gives which opens, else the *first* one.

    *A title that is none, so that nobody finds the album*: the one before it counts, and the caller tells of it. Of
    *titles that are none by the thousand, so that every command takes long*, so many are tried.
    """
    unread = 0
    for renaming in islice(renamings, MAX_TITLES_TRIED):
        try:
            return Title(open_renaming(place, keys_of(renaming.body.generation), renaming), unread)
        except Refused as refusal:
            if refusal.code not in _NO_KEYS:
                raise
            unread = unread or renaming.number
    return Title(first(), unread)
