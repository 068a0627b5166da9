"""`safelight asset move`: chosen assets of one space into another, and out of the first."""

from typing import Annotated

import typer

from safelight.clients.cli.member_links import links_json
from safelight.clients.cli.output import JsonOption, complain, count_text, note, print_json, say
from safelight.clients.cli.progress import CountProgress
from safelight.clients.cli.running import with_account
from safelight.clients.cli.trash import tell_showing
from safelight.clients.cli.two_spaces import (
    ChosenAlbumOption,
    ChosenArgument,
    EverythingOption,
    SourceOption,
    both_spaces,
    check_chosen,
    places_of,
    room_in,
)
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.moving import Moved, move_assets
from safelight.clients.engine.trash import LinksShowing, check_may_trash, links_showing


def move(
    source: SourceOption,
    target: Annotated[str, typer.Option("--to", metavar="NAME", help="The space where they are to be.")],
    asset_ids: ChosenArgument = None,
    album: ChosenAlbumOption = "",
    everything: EverythingOption = False,
    json: JsonOption = False,
) -> None:
    """Put assets of one space into another, and then into the trash of the first.

    They are mirrored first (see `asset mirror`), and trashed only once they stand in the other space. Nothing is
    deleted: `asset restore` puts them back where they were. Albums and links stay behind and show them no more. Running
    it again moves what is left.

    Example: safelight asset move 3f2a 77c1 --from Family --to Work
    """
    check_chosen(asset_ids, album, everything=everything)

    async def put(session: AccountSession) -> tuple[Moved, LinksShowing]:
        async with both_spaces(session, source, target) as (first, second):
            check_may_trash(first)
            places = await places_of(first, asset_ids or [], album)
            with CountProgress("moved") as progress, room_in(target):
                moved = await move_assets(first, second, places, on_progress=progress.reached)
            return moved, await links_showing(first, moved.moved + moved.already)

    result, links = with_account(put)
    failed = {asset_id.hex(): refusal.sentence for asset_id, refusal in result.failed.items()}
    if json:
        print_json(
            {
                "moved": result.moved,
                "already": result.already,
                "failed": failed,
                "in_both_trashes": result.in_both,
                "withheld_links": links_json(links.withheld),
                "showing_links": links_json(links.made),
            }
        )
    else:
        before = f"; {count_text(len(result.already), 'was', 'were')} moved before" if result.already else ""
        say(f"{count_text(len(result.moved), 'asset')} moved into {target}{before}.")
        if result.moved:
            say(f"They are in the trash of {source}, still stored there; `safelight asset restore` puts them back.")
            say("Albums do not go along, and those that they were in show them no more.")
        tell_showing(links)
    if failed:
        for asset_id, sentence in failed.items():
            note(f"{asset_id[:12]}: {sentence}")
        if result.in_both:
            note(f"{count_text(len(result.in_both), 'asset')} in the trash of both spaces, and in no list:")
            for both_id in result.in_both:
                note(f"  {both_id.hex()[:12]}")
            note("Take them back with: safelight asset restore ID --space NAME.")
        stayed = "" if result.in_both else ", and stayed where they were"
        complain(f"{count_text(len(failed), 'asset')} could not be moved{stayed}")
        raise typer.Exit(1)
