"""`safelight asset …` and `safelight export`: seeing what a space holds, and taking it out."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from safelight.clients.cli.approved import approved_text, with_approvals
from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.asset_rows import WITHHELD, asset_row
from safelight.clients.cli.output import (
    Column,
    JsonOption,
    complain,
    count_text,
    note,
    print_json,
    print_table,
    say,
    size_text,
)
from safelight.clients.cli.running import in_spaces, with_account, with_granted, with_space
from safelight.clients.cli.trash_list import list_trash
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.albums import AlbumReader, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.export import ExportReport, ReadsAssets, export_assets
from safelight.clients.engine.granted_assets import GrantedAlbum, GrantedReader
from safelight.clients.engine.listing import listed_assets
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier

app = typer.Typer(no_args_is_help=True, help="Assets: the photographs and videos of a space.")

T = TypeVar("T")

SpaceOption = Annotated[str, typer.Option("--space", metavar="NAME", help="The space's name.")]
AnySpaceOption = Annotated[str | None, typer.Option("--space", metavar="NAME", help="The space's name.")]
AlbumOption = Annotated[str | None, typer.Option("--album", metavar="NAME", help="This album only.")]


def with_assets(
    space: str | None,
    album: str | None,
    work: Callable[[ReadsAssets], Coroutine[object, object, T]],
    *,
    full: bool = False,
) -> T:
    """Do *work* with what opens a space's assets, an album's of it, or those of an album that was granted.

    FORBIDDEN where the *full* tier is needed and not held.
    """
    if space is None and album is None:
        raise Misuse("say which: --space NAME, or --album NAME for an album that was granted to you")

    async def inside(view: SpaceView) -> T:
        if full:
            (await view.epoch_secrets()).require_full()
        return await work(AssetReader(view) if album is None else AlbumReader(view, await find_album(view, album)))

    async def granted(reader: GrantedReader, found: GrantedAlbum) -> T:
        if full and found.tier is not Tier.FULL:
            raise Refused(Code.FORBIDDEN, "this album was granted to you without originals")
        return await work(reader)

    return with_space(space, inside) if space is not None else with_granted(album or "", granted)


@app.command(name="list")
def list_(
    space: AnySpaceOption = None,
    album: AlbumOption = None,
    trash: Annotated[bool, typer.Option("--trash", help="What is in the trash, who put it there, and when.")] = False,
    json: JsonOption = False,
) -> None:
    """List a space's assets, one row each, oldest upload first; or an album's, in its order.

    An album without --space is one that others granted to you. An album of a space is listed with who approved what.
    What is in the trash is listed with --trash alone.

    Example: safelight asset list --space Family

    Example: safelight asset list --space Studio --album Proofs

    Example: safelight asset list --album Wedding

    Example: safelight asset list --space Family --trash
    """
    if trash:
        if space is None or album is not None:
            raise Misuse("--trash goes with --space NAME: a trash is a space's own")
        list_trash(space, json=json)
        return

    async def look(reader: ReadsAssets) -> list[dict[str, Any]]:
        rows = [asset_row(one, withheld=one.asset_id in reader.withheld) async for one in listed_assets(reader)]
        return await with_approvals(reader, rows) if isinstance(reader, AlbumReader) else rows

    rows = with_assets(space, album, look)
    if withheld := sum(row["state"] == WITHHELD for row in rows):
        note(f"safelight: of {count_text(withheld, 'picture')} the server gives out no file any more")
    if json:
        print_json(rows)
        return
    columns = [Column("id"), Column("name", fold=True), Column("taken"), Column("size", right=True), Column("state")]
    if any(row.get("approved") for row in rows):
        columns.append(Column("approved", fold=True))
    print_table(
        columns,
        (
            (row["id"][:12], row["name"], row["taken"], size_text(row["size_bytes"]), row["state"], approved_text(row))[
                : len(columns)
            ]
            for row in rows
        ),
    )


@app.command()
def get(
    asset_id: Annotated[str, typer.Argument(metavar="ID", help="The asset's id, or as much of it as is its alone.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it.")],
    rendition: Annotated[RenditionName, typer.Option("--rendition", help="Which one.")] = RenditionName.ORIGINAL,
    space: Annotated[str | None, typer.Option("--space", metavar="NAME", help="Look in this space only.")] = None,
    album: Annotated[
        str | None, typer.Option("--album", metavar="NAME", help="Look in this album, which was granted to you.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Download one file of an asset, decrypted and verified; it appears whole or not at all.

    Example: safelight asset get 3f2a --out beach.jpg

    Example: safelight asset get 3f2a --album Wedding --rendition preview --out beach.webp
    """
    if space is not None and album is not None:
        raise Misuse("--space and --album: an asset's id says which one is meant in a space")

    async def fetch(view: SpaceView) -> OpenedAsset | None:
        return await _fetch(view, asset_id, rendition, out)

    async def search(session: AccountSession) -> OpenedAsset | None:
        return await in_spaces(session, fetch)

    async def fetch_granted(reader: GrantedReader, _: GrantedAlbum) -> OpenedAsset:
        found = await reader.find(asset_id)
        await reader.fetch_file(found, rendition, out)
        return found

    asset: OpenedAsset | None
    if album is not None:
        asset = with_granted(album, fetch_granted)
    else:
        asset = with_space(space, fetch) if space else with_account(search)
    if asset is None:
        raise Refused(Code.NOT_FOUND, f"no asset's id begins with {asset_id[:32]!r}")
    if json:
        print_json({"id": asset.asset_id, "out": str(out), "size_bytes": out.stat().st_size})
    else:
        say(f"{out} ({size_text(out.stat().st_size)})")


async def _fetch(view: SpaceView, prefix: str, name: RenditionName, out: Path) -> OpenedAsset | None:
    """Fetch the asset if the space has it: its id is enough to say which one is meant."""
    reader = AssetReader(view)
    try:
        asset = await reader.find(prefix)
    except Refused as refusal:
        if refusal.code is not Code.NOT_FOUND:
            raise
        return None
    await reader.fetch_file(asset, name, out)
    return asset


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; made if it is not there.")],
    space: AnySpaceOption = None,
    album: AlbumOption = None,
    json: JsonOption = False,
) -> None:
    """Write all originals of a space, or of an album, under their own names, with a JSON sidecar each and a SHA256SUMS.

    Names that meet are kept apart, and modification times are the originals'. Running it again fetches what is missing.
    An album without --space is one that others granted to you, originals included.

    Example: safelight export ~/Everything --space Family

    Example: safelight export ~/Wedding --album Wedding
    """
    started = datetime.now(UTC)

    async def take_out(reader: ReadsAssets) -> ExportReport:
        return await export_assets(reader, folder, on_file=None if json else say)

    report = with_assets(space, album, take_out, full=True)
    failed = {asset_id: refusal.sentence for asset_id, refusal in report.failed.items()}
    if json:
        print_json({"written": report.written, "present": report.present, "failed": failed})
    else:
        say(_exported(report, (datetime.now(UTC) - started).total_seconds()))
    if failed:
        for asset_id, sentence in failed.items():
            note(f"{asset_id[:12]}: {sentence}")
        complain(f"{count_text(len(failed), 'asset')} could not be exported")
        raise typer.Exit(1)


def _exported(report: ExportReport, seconds: float) -> str:
    """What an export did, in a sentence that is true of an empty space and of a second run, too."""
    if report.written:
        there = f", {report.present} were there already" if report.present else ""
        return f"{count_text(report.written, 'file')} written{there}, in {seconds:.0f} s."
    if report.present:
        there = count_text(report.present, "file is", "files are")
        return f"Nothing to write: {there} there already, all as they should be."
    return "Nothing to write."
