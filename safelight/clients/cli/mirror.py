"""`safelight asset mirror`: chosen assets of one space in another as well."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer

from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.output import JsonOption, complain, count_text, note, print_json, say
from safelight.clients.cli.progress import CountProgress
from safelight.clients.cli.running import enter, with_account
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.assets import AssetReader
from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.mirroring import Mirrored, mirror_assets
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_space
from safelight.sync_protocol.refusals import Code, Refused


def mirror(
    source: Annotated[str, typer.Option("--from", metavar="NAME", help="The space where they are.")],
    target: Annotated[str, typer.Option("--to", metavar="NAME", help="The space where they are to be as well.")],
    asset_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Assets, by as much of their ids as is theirs alone.")
    ] = None,
    album: Annotated[str, typer.Option("--album", metavar="TITLE", help="All that is in this album.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All of the space's assets.")] = False,
    json: JsonOption = False,
) -> None:
    """Put assets of one space into another as well, with everything that belongs to them.

    No picture is sent again: only its keys are sealed anew, for the members of the other space. They stay where they
    were, too. Albums do not go along. Running it again mirrors what is missing.

    Example: safelight asset mirror 3f2a 77c1 --from Family --to Work
    """
    if sum((bool(asset_ids), bool(album), everything)) != 1:
        raise Misuse("name the assets by their ids, or an --album, or say --all")

    async def put(session: AccountSession) -> Mirrored:
        with ExitStack() as both:
            first = both.enter_context(await find_space(session, source))
            second = both.enter_context(await find_space(session, target))
            if first.space_id == second.space_id:
                raise Refused(Code.BAD_REQUEST, "these are the same space")
            await enter(first)
            await enter(second)
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


@contextmanager
def room_in(target: str) -> Iterator[None]:
    """Say which of the two spaces is full, and what became of those that came over before it was."""
    try:
        yield
    except Refused as refusal:
        if refusal.code is not Code.QUOTA_EXCEEDED:
            raise
        goes_on = "what came over by now is in both spaces, and running it again goes on"
        raise Refused(refusal.code, f"{target}: {refusal.detail}; {goes_on}") from None


async def places_of(space: SpaceView, asset_ids: list[str], album: str) -> list[AssetPlace]:
    """Where the chosen assets stand in the space."""
    if album:
        return space.index.album_assets((await find_album(space, album)).album_id)
    if not asset_ids:
        return list(space.index.assets())
    reader = AssetReader(space)
    return [reader.place(prefix) for prefix in asset_ids]
