"""`safelight camera …`: devices that add to a space and can read nothing back."""

import time
from pathlib import Path
from typing import Annotated

import typer

from safelight.clients.camera.develop.pool import developers
from safelight.clients.camera.outcomes import Outcome, Tally
from safelight.clients.camera.push import open_pusher
from safelight.clients.camera.watch import watch
from safelight.clients.cli.asking import Misuse, ask_pairing_code
from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.output import (
    Column,
    JsonOption,
    complain,
    count_text,
    note,
    print_json,
    print_qr,
    print_table,
    say,
)
from safelight.clients.cli.progress import PushProgress, summary
from safelight.clients.cli.running import profile, run, with_space
from safelight.clients.engine.albums import find_album, list_albums
from safelight.clients.engine.cameras import add_camera
from safelight.clients.engine.pairing_codes import (
    ListedCamera,
    PairingCode,
    list_cameras,
    pair_camera,
    revoke_camera,
)
from safelight.clients.engine.pointing import point_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.refusals import Code, Refused

app = typer.Typer(no_args_is_help=True, help="Cameras: devices that add to a space and can read nothing back.")

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder with the photographs.")]
NoRenditionsOption = Annotated[
    bool, typer.Option("--no-renditions", help="Send originals only, without previews and what they say of themselves.")
]


@app.command()
def pair(
    space: SpaceOption,
    name: Annotated[str, typer.Option("--name", metavar="DEVICE", help="What to call the camera.")],
    json: JsonOption = False,
) -> None:
    """Print a pairing code for a phone or computer that shall add to a space. It is good once, and for an hour.

    Example: safelight camera pair --space Family --name "Ada's phone"
    """

    async def certify(view: SpaceView) -> tuple[PairingCode, str]:
        return await pair_camera(view, name), (await view.session.connection.server_info()).warning

    code, warning = with_space(space, certify)
    if warning:
        note(warning)
    if json:
        print_json({"id": code.camera_id, "uri": code.uri, "expires_ms": code.expires_ms, "warning": warning})
        return
    print_qr(code.uri)
    say(code.uri)
    note("On the device that shall add, within the hour: safelight camera add, which then asks for this code.")
    note("Whoever uses this code first becomes the camera: show it to nobody else.")


@app.command(name="list")
def list_(space: SpaceOption, json: JsonOption = False) -> None:
    """List a space's cameras."""

    async def look(view: SpaceView) -> tuple[list[ListedCamera], dict[bytes, str]]:
        cameras = await list_cameras(view)
        pointed = any(camera.album_id for camera in cameras)
        return cameras, {album.album_id: album.title for album in await list_albums(view)} if pointed else {}

    now_ms = time.time_ns() // 1_000_000
    cameras, titles = with_space(space, look)
    rows = [
        (camera.camera_id.hex(), camera.name, _state(camera, now_ms), titles.get(camera.album_id, ""))
        for camera in cameras
    ]
    if json:
        print_json([{"id": id_, "name": name, "state": state, "album": album} for id_, name, state, album in rows])
        return
    columns = [Column("id"), Column("name", fold=True), Column("state"), Column("album", fold=True)]
    print_table(columns, ((camera_id[:12], *others) for camera_id, *others in rows))


def _state(camera: ListedCamera, now_ms: int) -> str:
    if camera.revoked:
        return "revoked"
    if camera.bound:
        return "added"
    return "waiting" if now_ms < camera.expires_ms else "expired"


@app.command()
def revoke(
    camera_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, or as much of it as is its alone.")],
    space: SpaceOption,
    json: JsonOption = False,
) -> None:
    """Shut a camera out: it adds nothing more. What it added stays.

    Example: safelight camera revoke 5be0 --space Family
    """

    async def shut_out(view: SpaceView) -> bytes:
        found = await _find(view, camera_id)
        await revoke_camera(view, found)
        return found

    revoked = with_space(space, shut_out)
    if json:
        print_json({"id": revoked, "state": "revoked"})
    else:
        say("The camera is shut out.")


async def _find(view: SpaceView, prefix: str) -> bytes:
    """The camera whose id begins so; NOT_FOUND for none, BAD_REQUEST for more than one."""
    wanted = prefix.strip().lower()
    found = [one.camera_id for one in await list_cameras(view) if one.camera_id.hex().startswith(wanted)]
    if not wanted or not found:
        raise Refused(Code.NOT_FOUND, f"no camera's id begins with {wanted[:32]!r}; `camera list` shows them")
    if len(found) > 1:
        raise Refused(Code.BAD_REQUEST, f"more than one camera's id begins with {wanted[:32]!r}")
    return found[0]


@app.command()
def point(
    camera_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, or as much of it as is its alone.")],
    space: SpaceOption,
    album: Annotated[str | None, typer.Option("--album", metavar="NAME", help="The album that it shall fill.")] = None,
    away: Annotated[bool, typer.Option("--away", help="It shall fill no album any more.")] = False,
    json: JsonOption = False,
) -> None:
    """Let a camera fill an album: what it adds from now on is in the album as well, while this computer sleeps.

    Whoever was granted the album sees it at once. After a grant ended, or somebody left the space, the album needs new
    keys first, which your next command in the space begins; what came meanwhile is then added.

    Example: safelight camera point 5be0 --space Studio --album Wedding
    """
    if (album is None) is not away:
        raise Misuse("say which album: --album NAME, or --away for none")

    async def aim(view: SpaceView) -> bytes:
        found = await _find(view, camera_id)
        await point_camera(view, found, None if album is None else await find_album(view, album))
        return found

    pointed = with_space(space, aim)
    if json:
        print_json({"id": pointed, "album": album or ""})
    else:
        say(f"What the camera adds from now on is in {album} as well." if album else "The camera fills no album now.")


@app.command()
def add(
    uri: Annotated[
        str | None,
        typer.Argument(
            metavar="URI", help="What `camera pair` printed; - reads it from standard input.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make this computer the camera that a pairing code is for.

    Without URI it is asked for, and not shown. A code in the command itself can be read by other users of this computer
    while the command runs, and stays in the shell's history; it is good once.

    Example: safelight camera add

    Example: safelight camera add - < code.txt
    """
    with profile() as folder:
        made = run(add_camera(folder, ask_pairing_code(uri)))
    if json:
        print_json({"id": made.camera_id, "space_id": made.space_id, "server": made.server_url})
    else:
        say("This computer is now a camera: it can add photographs to the space, and read none back.")
        say("Next: safelight camera push DIR, or safelight camera run DIR to go on watching a folder.")


@app.command()
def push(folder: FolderArgument, no_renditions: NoRenditionsOption = False, json: JsonOption = False) -> None:
    """Upload what is new in a folder, then exit.

    Every file goes up but those that are named as skipped: dotfiles, Thumbs.db, desktop.ini, symbolic links and what is
    no file. What was deleted in the space is known there as well, and does not come back: who may trash restores it. An
    interrupted push is completed by the next one.

    Example: safelight camera push ~/Pictures
    """
    with profile() as held, PushProgress(quiet=json) as progress:
        tally = run(_push(held, folder, progress, renditions=not no_renditions))
    report_push(tally, json=json, by_camera=True)


def report_push(tally: Tally, *, json: bool, by_camera: bool = False) -> None:
    """Print what became of a folder's files; exits with 1 where one failed.

    A camera reads nothing, and so cannot tell which of the *known* lie in the trash; that some may is said.
    """
    failed = tally.counts[Outcome.FAILED]
    if json:
        print_json(_document(tally))
    else:
        say(summary(tally))
        if by_camera and tally.counts[Outcome.KNOWN]:
            say("Known is also what lies in the space's trash: a member sees it with `safelight asset list --trash`.")
    if failed:
        complain(f"{count_text(failed, 'file')} could not be uploaded")
        raise typer.Exit(1)


@app.command(name="run")
def run_(folder: FolderArgument, no_renditions: NoRenditionsOption = False) -> None:
    """Keep watching a folder and upload what is new in it, until Ctrl-C.

    A file is uploaded once it stops changing. Lost networks are waited out.

    Example: safelight camera run ~/Pictures
    """
    with profile() as held, PushProgress(watching=True) as progress:
        say(f"Watching {folder} – Ctrl-C ends it.")
        try:
            run(_watch(held, folder, progress, renditions=not no_renditions))
        except KeyboardInterrupt:
            say("Stopped. What is up is safe; the next run goes on from here.")


async def _push(held: ProfileFolder, folder: Path, progress: PushProgress, *, renditions: bool) -> Tally:
    async with developers() as pool, open_pusher(held, pool if renditions else None, progress) as pusher:
        return await pusher.push(folder)


async def _watch(held: ProfileFolder, folder: Path, progress: PushProgress, *, renditions: bool) -> None:
    async with developers() as pool:
        await watch(folder, lambda: open_pusher(held, pool if renditions else None, progress), progress)


def _document(tally: Tally) -> dict[str, object]:
    counts = {outcome.value: tally.counts[outcome] for outcome in Outcome}
    left_out = [
        {"name": relative, "outcome": outcome.value, "reason": reason} for relative, outcome, reason in tally.reasons
    ]
    return {**counts, "left_out": left_out}
