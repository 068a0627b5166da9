"""`safelight asset trash|restore`: into the trash of a space, and out of it."""

from typing import Annotated

import typer

from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.member_links import links_json, tell_links
from safelight.clients.cli.output import JsonOption, count_text, note, print_json, say
from safelight.clients.cli.running import with_space
from safelight.clients.engine.assets import AssetReader
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.trash import (
    Changed,
    LinksShowing,
    links_showing,
    restore_assets,
    trash_assets,
)

IdsArgument = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Assets, by as much of their ids as is theirs alone.")
]


def trash(asset_ids: IdsArgument, space: SpaceOption, json: JsonOption = False) -> None:
    """Put assets into the trash: out of lists, exports and albums, and shown to no guest and no grantee any more.

    Nothing is deleted: the files stay stored and count against the quota, members still see them with `asset list
    --trash`, and `asset restore` puts them back. A camera that has them does not upload them again.

    Example: safelight asset trash 3f2a 77c1 --space Family
    """

    async def put(view: SpaceView) -> tuple[Changed, LinksShowing]:
        changed = await trash_assets(view, ids_of(view, asset_ids))
        return changed, await links_showing(view, changed.changed + changed.already)

    result, links = with_space(space, put)
    if json:
        print_json(
            {
                "trashed": result.changed,
                "already": result.already,
                "withheld_links": links_json(links.withheld),
                "showing_links": links_json(links.made),
            }
        )
        return
    there = f"; {count_text(len(result.already), 'was', 'were')} there already" if result.already else ""
    say(f"{count_text(len(result.changed), 'asset')} put into the trash of {space}{there}.")
    say("Nothing is deleted: they stay stored, and count. `safelight asset restore` puts them back.")
    tell_showing(links)


def tell_showing(links: LinksShowing) -> None:
    """Say which links show what is in the trash, and which of them go on showing it."""
    if links.withheld:
        note("These links show them, and the server gives them out no more as long as they are in the trash:")
        tell_links(links.withheld)
    if links.made:
        note("These links have watermarked pictures of their own, and may go on showing them:")
        tell_links(links.made)
        note("End one with: safelight link revoke ID.")


def restore(asset_ids: IdsArgument, space: SpaceOption, json: JsonOption = False) -> None:
    """Take assets out of the trash: they are where they were, in albums and links, too.

    Example: safelight asset restore 3f2a --space Family
    """

    async def put_back(view: SpaceView) -> Changed:
        return await restore_assets(view, ids_of(view, asset_ids))

    result = with_space(space, put_back)
    if json:
        print_json({"restored": result.changed, "already": result.already})
        return
    there = f"; {count_text(len(result.already), 'was', 'were')} not in it" if result.already else ""
    say(f"{count_text(len(result.changed), 'asset')} restored from the trash of {space}{there}.")


def ids_of(view: SpaceView, prefixes: list[str]) -> list[bytes]:
    """The assets that are meant, also in the trash; raises what `AssetReader.place` raises."""
    reader = AssetReader(view)
    return [reader.place(prefix).asset_id for prefix in prefixes]
