"""`safelight asset mirror`: chosen assets of one space in another as well."""

from typing import Annotated

import typer

from safelight.clients.cli.output import JsonOption, complain, count_text, note, print_json, say
from safelight.clients.cli.progress import CountProgress
from safelight.clients.cli.running import with_account
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
from safelight.clients.engine.mirroring import Mirrored, mirror_assets


def mirror(
    source: SourceOption,
    target: Annotated[str, typer.Option("--to", metavar="NAME", help="The space where they are to be as well.")],
    asset_ids: ChosenArgument = None,
    album: ChosenAlbumOption = "",
    everything: EverythingOption = False,
    json: JsonOption = False,
) -> None:
    """Put assets of one space into another as well, with everything that belongs to them.

    No picture is sent again: only its keys are sealed anew, for the members of the other space. They stay where they
    were, too. Albums do not go along. Running it again mirrors what is missing.

    Example: safelight asset mirror 3f2a 77c1 --from Family --to Work
    """
    check_chosen(asset_ids, album, everything=everything)

    async def put(session: AccountSession) -> Mirrored:
        async with both_spaces(session, source, target) as (first, second):
            places = await places_of(first, asset_ids or [], album)
            with CountProgress("mirrored") as progress, room_in(target):
                return await mirror_assets(first, second, places, on_progress=progress.reached)

    result = with_account(put)
    failed = {asset_id.hex(): refusal.sentence for asset_id, refusal in result.failed.items()}
    if json:
        print_json({"mirrored": result.mirrored, "known": result.known, "failed": failed})
    else:
        there = f"; {result.known} were there already" if result.known else ""
        say(f"{count_text(result.mirrored, 'asset')} mirrored into {target}{there}.")
    if failed:
        for asset_id, sentence in failed.items():
            note(f"{asset_id[:12]}: {sentence}")
        complain(f"{count_text(len(failed), 'asset')} could not be mirrored")
        raise typer.Exit(1)
