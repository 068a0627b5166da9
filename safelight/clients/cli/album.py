"""`safelight album …`: selections that can be shared."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from safelight.clients.cli.album_approvals import approval, approve, disapprove
from safelight.clients.cli.album_grants import TitleArgument, grant, grants, revoke
from safelight.clients.cli.album_organising import remove, rename
from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.output import Column, JsonOption, count_text, date_text, note, print_json, print_table, say
from safelight.clients.cli.running import with_account, with_space
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import Album, create_album, find_album, list_albums
from safelight.clients.engine.approvals import requires_approval
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.granted import Granted, granted_albums
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.refusals import Refused

app = typer.Typer(no_args_is_help=True, help="Albums: selections of a space's assets, to share.")


@app.command()
def create(title: TitleArgument, space: SpaceOption, json: JsonOption = False) -> None:
    """Make an empty album.

    Example: safelight album create Summer --space Family
    """

    async def make(view: SpaceView) -> bytes:
        return await create_album(view, title)

    album_id = with_space(space, make)
    if json:
        print_json({"id": album_id, "name": title.strip()})
    else:
        say(f"Album {title.strip()} is ready.")


@app.command()
def add(
    title: TitleArgument,
    space: SpaceOption,
    asset_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Assets, by as much of their ids as is theirs alone.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Add all of the space's assets.")] = False,
    json: JsonOption = False,
) -> None:
    """Add assets to an album, in the order given. What is in it already stays where it is.

    Example: safelight album add Summer --space Family 3f2a 77c1
    """
    if bool(asset_ids) == everything:
        raise Misuse("name the assets to add by their ids, or say --all")

    async def put(view: SpaceView) -> int:
        reader = AssetReader(view)
        album = await find_album(view, title)
        if everything:
            assets = [found async for found in reader.each() if isinstance(found, OpenedAsset)]
        else:
            assets = [await reader.find(prefix) for prefix in asset_ids or []]
        return await add_to_album(view, album, assets)

    added = with_space(space, put)
    if json:
        print_json({"added": added})
    else:
        say(f"{count_text(added, 'asset')} added to {title}.")


@app.command(name="list")
def list_(
    space: Annotated[str | None, typer.Option("--space", metavar="NAME", help="The albums of this space.")] = None,
    json: JsonOption = False,
) -> None:
    """List a space's albums; without --space, those that others granted to you, in all spaces."""
    if space is None:
        _list_granted(json=json)
        return

    closed: dict[bytes, Refused] = {}

    async def look(view: SpaceView) -> list[tuple[Album, bool]]:
        return [(album, requires_approval(view, album)) for album in await list_albums(view, closed)]

    albums = with_space(space, look)
    _note_closed(closed)
    _note_unread((album.album_id, album.unread_title) for album, _ in albums)
    if json:
        print_json(
            [
                {"id": album.album_id, "name": album.title, "assets": album.asset_count, "approval": requires}
                for album, requires in albums
            ]
        )
        return
    columns = [Column("name", fold=True), Column("assets", right=True), Column("links show"), Column("id")]
    print_table(
        columns,
        (
            (album.title, str(album.asset_count), "approved" if requires else "all", album.album_id.hex()[:12])
            for album, requires in albums
        ),
    )


def _note_closed(closed: Mapping[bytes, Refused]) -> None:
    """Say which albums do not open, and why: they hide no others, and are not silent."""
    for album_id, refusal in closed.items():
        note(f"safelight: album {album_id.hex()[:12]}: {refusal.sentence}")


def _note_unread(albums: Iterable[tuple[bytes, int]]) -> None:
    """Say which albums have a newer name that does not open, and by which entry of the log."""
    for album_id, number in albums:
        if number:
            note(
                f"safelight: album {album_id.hex()[:12]}: its newest name, of entry {number}, does not open; shown by"
                " the one before"
            )


def _list_granted(*, json: bool) -> None:
    async def look(session: AccountSession) -> Granted:
        return await granted_albums(session)

    granted = with_account(look)
    for space_id, refusal in granted.refused.items():
        note(f"safelight: space {space_id.hex()[:12]}: {refusal.sentence}")
    _note_closed(granted.closed)
    albums = [album for _, album in granted.albums]
    _note_unread((album.album_id, album.unread_title) for album in albums)
    if json:
        print_json(
            [
                {
                    "id": album.album_id,
                    "name": album.title,
                    "assets": album.asset_count,
                    "space_id": album.space_id,
                    "tier": album.tier.value,
                    "expires_ms": album.expires_ms,
                    "given_by": album.given_by,
                    "given_ms": album.given_ms,
                }
                for album in albums
            ]
        )
        return
    columns = [Column("name", fold=True), Column("assets", right=True), Column("tier"), Column("until"), Column("id")]
    print_table(
        columns,
        (
            (
                album.title,
                str(album.asset_count),
                album.tier.value,
                date_text(album.expires_ms) if album.expires_ms else "revoked",
                album.album_id.hex()[:12],
            )
            for album in albums
        ),
    )


app.command(name="remove")(remove)
app.command(name="rename")(rename)
app.command(name="approval")(approval)
app.command(name="approve")(approve)
app.command(name="disapprove")(disapprove)
app.command(name="grant")(grant)
app.command(name="revoke")(revoke)
app.command(name="grants")(grants)
