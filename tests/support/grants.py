"""Shared albums made from fixed seeds: generations and grants, as honest clients would sign them."""

from typing import Protocol

from msgspec.structs import replace

from safelight.sync_protocol.grant_entries import (
    EndGrantBody,
    Generation,
    GiveGrantBody,
    GrantBox,
    OpenGenerationBody,
)
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.log import NO_HEAD, Head
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    AssetBody,
    OpenAlbumRollBody,
    RemoveFromAlbumBody,
    RenameAlbumBody,
    RenditionName,
    RenditionRef,
    ShowInAlbumBody,
    ShownItem,
)
from safelight.sync_protocol.roles import Tier
from tests.support.ledgers import NOW_MS, Space, id_of, inbox_of, seed_of

ALBUM = id_of("album")


class HasState(Protocol):
    """A space as somebody follows it."""

    @property
    def state(self) -> LedgerState:
        """The ledger's state."""
        ...


class HasAccount(Protocol):
    """Somebody to whom an album is granted."""

    @property
    def account_id(self) -> bytes:
        """The account's id."""
        ...


def grant_box(account_id: bytes, tier: Tier = Tier.VIEW) -> GrantBox:
    """Build a grantee's box; nothing in the ledger opens it."""
    return GrantBox(account_id, tier.value, b"sealed")  # type: ignore[arg-type]  # never "none" here


def generation_of(
    space: HasState, *, album: bytes = ALBUM, at_ms: int = NOW_MS, without: bytes = b"", **changes: object
) -> Generation:
    """Build the generation of *album* that follows, for the grants that stand at a time, but for one account."""
    known = space.state.albums.get(album)
    number = known.generation.number + 1 if known else 2
    standing = known.standing(at_ms) if known else {}
    values: dict[str, object] = {
        "number": number,
        "epoch": space.state.epoch.number,
        "full_inbox": inbox_of(f"full {album.hex()} {number}"),
        "view_inbox": inbox_of(f"view {album.hex()} {number}"),
        "boxes": [grant_box(key, grant.tier) for key, grant in standing.items() if key != without],
        "key_full": b"sealed",
        "key_view": b"sealed",
        "full_history": b"sealed" if known else b"",
        "view_history": b"sealed" if known else b"",
        "title": b"sealed",
    }
    return Generation(**{**values, **changes})  # type: ignore[arg-type]  # values by name


def open_body(space: HasState, *, album: bytes = ALBUM, **changes: object) -> OpenGenerationBody:
    """Build the entry that begins the album's next generation."""
    return OpenGenerationBody(album, generation_of(space, album=album, **changes))  # type: ignore[arg-type]  # values by name


def give_body(
    space: HasState,
    person: HasAccount,
    tier: Tier = Tier.VIEW,
    *,
    expires_ms: int = 0,
    generation: int = 0,
    album: bytes = ALBUM,
    can_add: bool = False,
    can_organise: bool = False,
) -> GiveGrantBody:
    """Build a grant of the album under its generation in force."""
    number = generation or space.state.albums[album].generation.number
    return GiveGrantBody(album, number, expires_ms, can_add, can_organise, grant_box(person.account_id, tier))


def showing_body(
    space: HasState, *assets: AssetBody | None, log: Head = NO_HEAD, album: bytes = ALBUM, **changes: object
) -> ShowInAlbumBody:
    """Build what shows assets in the album, whose own log ends at *log*."""
    items = [ShownItem(bytes(16), replace(asset, fingerprint=b"")) for asset in assets if asset]
    body = ShowInAlbumBody(album, space.state.albums[album].generation.number, log, items)
    return replace(body, **changes)


def remove_body(*names: str, log: Head = NO_HEAD, album: bytes = ALBUM) -> RemoveFromAlbumBody:
    """Build what takes assets out of the album, whose own log ends at *log*: those of *names*, or one."""
    return RemoveFromAlbumBody(album, log, [id_of(f"asset {name}") for name in names or ("one",)])


def renaming_body(*, log: Head = NO_HEAD, generation: int = 2, album: bytes = ALBUM) -> RenameAlbumBody:
    """Build what renames the album; nothing in the ledger opens its title."""
    return RenameAlbumBody(album, generation, log, b"sealed")


def end_body(space: HasState, person: HasAccount, *, album: bytes = ALBUM, **changes: object) -> EndGrantBody:
    """Build the end of a person's grant, with the generation of those whose grants go on."""
    generation = generation_of(space, album=album, without=person.account_id, **changes)  # type: ignore[arg-type]  # values by name
    return EndGrantBody(album, person.account_id, generation)


def shown(which: str = "one", **changes: object) -> ShownItem:
    """Build an asset as it is shown."""
    original = RenditionRef(RenditionName.ORIGINAL, id_of(f"rendition {which}"), seed_of(which), 4096, bytes(74))
    values: dict[str, object] = {
        "asset_id": id_of(f"asset {which}"),
        "fingerprint": b"",
        "renditions": [original],
        "wrap_full": b"wrap",
        "wrap_view": b"wrap",
        "view": b"view",
        "full": b"full",
    }
    return ShownItem(id_of("roll"), AssetBody(**{**values, **changes}))  # type: ignore[arg-type]  # values by name


def show_body(*items: ShownItem, generation: int = 2) -> ShowInAlbumBody:
    """Build the album's first record: *items*, or two assets."""
    return ShowInAlbumBody(ALBUM, generation, NO_HEAD, list(items) or [shown("one"), shown("two")])


def album_roll(**changes: object) -> OpenAlbumRollBody:
    """Build a roll of the shared album."""
    return replace(OpenAlbumRollBody(id_of("roll"), 1, b"full", b"view", ALBUM, 2, b"full", b"view"), **changes)


def album_assets(**changes: object) -> AddAlbumAssetsBody:
    """Build what adds one asset under that roll, which has no fingerprint, to space and album."""
    return replace(AddAlbumAssetsBody(id_of("roll"), ALBUM, 2, [shown().asset]), **changes)


def share(space: Space, *people: HasAccount, tier: Tier = Tier.VIEW, expires_ms: int = 0) -> None:
    """Share the album, if it is not yet, and give each of *people*, who are members, a grant."""
    if ALBUM not in space.state.albums:
        space.take(space.entry(LedgerKind.OPEN_GENERATION, open_body(space)))
    for person in people:
        space.take(space.entry(LedgerKind.GIVE_GRANT, give_body(space, person, tier, expires_ms=expires_ms)))
