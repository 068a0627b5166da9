"""`safelight asset add`: a folder's pictures go into a space, or into an album, from a member's own computer."""

from pathlib import Path
from typing import Annotated

import typer

from safelight.clients.camera.develop.pool import developers
from safelight.clients.camera.members_add import SeenFiles, adder_without_reading, reader_adds
from safelight.clients.camera.outcomes import Tally
from safelight.clients.camera.push import pushing
from safelight.clients.camera.who_adds import WhoAdds
from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.asset import AnySpaceOption
from safelight.clients.cli.camera import FolderArgument, NoRenditionsOption, report_push
from safelight.clients.cli.output import JsonOption, count_text, note
from safelight.clients.cli.progress import PushProgress
from safelight.clients.cli.running import enter, warn_of_problems, with_account
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.granted import find_granted
from safelight.clients.engine.same_files import assets_of
from safelight.clients.engine.sharing import standing_keys, unless_overtaken
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_adding, find_space
from safelight.sync_protocol.roles import Right

_NAMED = 10


def add(
    folder: FolderArgument,
    space: AnySpaceOption = None,
    album: Annotated[str | None, typer.Option("--album", metavar="NAME", help="Into this album as well.")] = None,
    no_renditions: NoRenditionsOption = False,
    json: JsonOption = False,
) -> None:
    """Add what is new in a folder to a space, from this computer. What is there already is not sent again.

    Who only contributes names the space by its id, as `space list` shows it, and sees nothing of what is there. An
    album without --space is one that others granted to you and let you add to.

    Example: safelight asset add ~/Pictures/june --space Family

    Example: safelight asset add ~/Pictures/wedding --album Wedding
    """
    if space is None and album is None:
        raise Misuse("say where to: --space NAME, or --album NAME for an album that was granted to you")

    async def put(session: AccountSession) -> Tally:
        with PushProgress(quiet=json) as progress:
            return await _put(session, folder, space, album, progress, renditions=not no_renditions)

    report_push(with_account(put), json=json)


async def _put(
    session: AccountSession,
    folder: Path,
    space: str | None,
    album: str | None,
    progress: PushProgress,
    *,
    renditions: bool,
) -> Tally:
    if space is None:
        view, _, granted = await find_granted(session, album or "")
        warn_of_problems(view.problems)
        return await _push(session, adder_without_reading(view, granted.album_id), folder, progress, renditions)
    contributing = await find_adding(session, space)
    if contributing is not None:
        if album is not None:
            raise Misuse("an album that was granted to you is named without --space")
        return await _push(session, adder_without_reading(contributing), folder, progress, renditions)
    with await find_space(session, space) as reading:
        await enter(reading)
        album_id = b"" if album is None else await _shared(reading, album)
        who = await reader_adds(reading, album_id)
        tally = await _push(session, who, folder, progress, renditions)
        if isinstance(who.known, SeenFiles) and who.known.seen:
            await _tell_of_known(reading, who.known.seen, album)
        return tally


async def _tell_of_known(view: SpaceView, seen: set[bytes], album: str | None) -> None:
    """Put what was there already into the album as well, and name what is in the trash: "known" alone would hide it.

    *A picture that somebody wants back, and that is passed over for ever.*
    """
    places = assets_of(view, seen)
    trashed = view.index.in_trash([place.asset_id for place in places])
    if trashed:
        note(f"safelight: {count_text(len(trashed), 'file')} stayed in the trash of the space: safelight asset restore")
        for asset_id in sorted(trashed)[:_NAMED]:
            note(f"safelight:   {asset_id.hex()[:12]}")
    places = [place for place in places if place.asset_id not in trashed]
    if album is None or not places:
        return
    into = await find_album(view, album)
    out = view.index.taken_out(into.album_id, [place.asset_id for place in places])
    if out:
        note(f"safelight: {count_text(len(out), 'file')} left out, taken out of {album} before: safelight album add")
        places = [place for place in places if place.asset_id not in out]
    if not places:
        return
    if Right.ORGANISE not in view.state.rights_of(view.session.account_id):
        note(f"safelight: {count_text(len(places), 'file')} not put into the album: who organises does that")
        return
    found = [one async for one in AssetReader(view).each(places) if isinstance(one, OpenedAsset)]
    added = await add_to_album(view, into, found)
    if added:
        note(f"safelight: {count_text(added, 'file')} of the space put into {album} as well")


async def _shared(view: SpaceView, album: str) -> bytes:
    """The album's id. Who organises begins its keys, if they are due: it is shared then, though perhaps with nobody."""
    found = await find_album(view, album)
    if {Right.ADD, Right.ORGANISE} <= view.state.rights_of(view.session.account_id):
        await unless_overtaken(view, lambda: standing_keys(view, found))
    return found.album_id


async def _push(session: AccountSession, who: WhoAdds, folder: Path, progress: PushProgress, renditions: bool) -> Tally:
    spool = session.folder.space_folder(who.space_id) / who.spool
    async with developers() as pool, pushing(who, spool, pool if renditions else None, progress) as pusher:
        return await pusher.push(folder)
