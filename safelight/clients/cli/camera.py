"""`safelight camera …`: devices that add to a space and can read nothing back."""

from pathlib import Path
from typing import Annotated

import typer

from safelight.clients.camera.develop.pool import developers
from safelight.clients.camera.outcomes import Outcome, Tally
from safelight.clients.camera.push import open_pusher
from safelight.clients.camera.watch import watch
from safelight.clients.cli.output import JsonOption, complain, count_text, print_json, say
from safelight.clients.cli.progress import PushProgress, summary
from safelight.clients.cli.running import profile, run
from safelight.clients.engine.cameras import add_camera
from safelight.clients.engine.profile import ProfileFolder

app = typer.Typer(no_args_is_help=True, help="Cameras: devices that add to a space and can read nothing back.")

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder with the photographs.")]
NoRenditionsOption = Annotated[
    bool, typer.Option("--no-renditions", help="Send originals only, without previews and what they say of themselves.")
]


@app.command()
def add(
    uri: Annotated[str, typer.Argument(metavar="URI", help="What `camera pair` printed.")], json: JsonOption = False
) -> None:
    """Make this computer the camera that a pairing code is for.

    Example: safelight camera add 'safelight:pair?server=…'
    """
    with profile() as folder:
        made = run(add_camera(folder, uri))
    if json:
        print_json({"id": made.camera_id, "space_id": made.space_id, "server": made.server_url})
    else:
        say("This computer is now a camera: it can add photographs to the space, and read none back.")


@app.command()
def push(folder: FolderArgument, no_renditions: NoRenditionsOption = False, json: JsonOption = False) -> None:
    """Upload what is new in a folder, then exit.

    Every file goes up but those that are named as skipped: dotfiles, Thumbs.db, desktop.ini, symbolic links and what is
    no file. An interrupted push is completed by the next one.

    Example: safelight camera push ~/Pictures
    """
    with profile() as held, PushProgress(quiet=json) as progress:
        tally = run(_push(held, folder, progress, renditions=not no_renditions))
    failed = tally.counts[Outcome.FAILED]
    if json:
        print_json(_document(tally))
    else:
        say(summary(tally))
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
