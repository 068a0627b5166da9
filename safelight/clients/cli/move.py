"""`safelight asset move`: chosen assets of one space into another, and out of the first."""

from contextlib import ExitStack
from typing import Annotated

import typer

from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.member_links import links_json
from safelight.clients.cli.mirror import places_of, room_in
from safelight.clients.cli.output import JsonOption, complain, count_text, note, print_json, say
from safelight.clients.cli.progress import CountProgress
from safelight.clients.cli.running import enter, with_account
from safelight.clients.cli.trash import tell_showing
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.moving import Moved, move_assets
from safelight.clients.engine.spaces import find_space
from safelight.clients.engine.trash import LinksShowing, check_may_trash, links_showing
from safelight.sync_protocol.refusals import Code, Refused


def move(
    source: Annotated[str, typer.Option("--from", metavar="NAME", help="The space where they are.")],
    target: Annotated[str, typer.Option("--to", metavar="NAME", help="The space where they are to be.")],
    asset_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Assets, by as much of their ids as is theirs alone.")
    ] = None,
    album: Annotated[str, typer.Option("--album", metavar="TITLE", help="All that is in this album.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All of the space's assets.")] = False,
    json: JsonOption = False,
) -> None:
    """Put assets of one space into another, and then into the trash of the first.

    They are mirrored first (see `asset mirror`), and trashed only once they stand in the other space. Nothing is
    deleted: `asset restore` puts them back where they were. Albums and links stay behind and show them no more. Running
    it again moves what is left.

    Example: safelight asset move 3f2a 77c1 --from Family --to Work
    """
    if sum((bool(asset_ids), bool(album), everything)) != 1:
        raise Misuse("name the assets by their ids, or an --album, or say --all")

    async def put(session: AccountSession) -> tuple[Moved, LinksShowing]:
        with ExitStack() as both:
            first = both.enter_context(await find_space(session, source))
            second = both.enter_context(await find_space(session, target))
            if first.space_id == second.space_id:
                raise Refused(Code.BAD_REQUEST, "these are the same space")
            await enter(first)
            await enter(second)
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
