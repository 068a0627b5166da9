"""The whole of Safelight on one folder: a server, an account, a camera that uploads, an album, a link to look at.

    make demo PHOTOS=~/Pictures

Runs the real server and the real commands, each on a line of its own, as one would type them. Without PHOTOS it paints
a few pictures itself. Everything lies in one folder (./demo-data, or --data): a second run goes on with it, --fresh
begins anew. It keeps serving until Ctrl-C; --once ends after the link is printed, for tests.
"""

import argparse
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.demo_pictures import paint_pictures

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SPACE, ALBUM, ACCOUNT, CAMERA = "Demo", "From the roll", "demo", "Demo camera"
STOPPED = 130
_MAX_ALBUM_ASSETS = 500


class Demo:
    """The demo's folder and the commands run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_path = folder / "demo.json"
        self.state: dict[str, str] = json.loads(self.state_path.read_text()) if self.state_path.exists() else {}

    def keep(self, **values: str) -> None:
        """Remember what a second run needs. This is a demo: its passwords stand in a file, readable by its owner."""
        self.state |= values
        self.state_path.touch(mode=0o600)
        self.state_path.write_text(json.dumps(self.state, indent=2))

    def clear_unfinished(self) -> None:
        """Throw away what a demo left that was stopped before it was set up: nobody's photographs are in it yet."""
        if self.state and "ready" not in self.state:
            for name in ("owner", "camera", "server"):
                shutil.rmtree(self.folder / name, ignore_errors=True)

    def run(self, profile: str, *arguments: str, stdin: str = "") -> Any:
        """Run a `safelight` command with one of the demo's profiles and return its JSON."""
        say(f"$ safelight {shlex.join(arguments)}", dim=True)
        code, said = command("safelight", *arguments, "--json", stdin=stdin, env=self.environment(profile))
        if code:
            sys.exit(f"the demo ends here: `safelight {shlex.join(arguments)}` failed")
        return json.loads(said)

    def show(self, profile: str, *arguments: str) -> None:
        """Run a command whose own words and progress the person shall see."""
        say(f"$ safelight {shlex.join(arguments)}", dim=True)
        code, _ = command("safelight", *arguments, env=self.environment(profile), shown=True)
        if code not in (0, 1):  # 1: some files could not be uploaded, which was said
            sys.exit("the demo ends here")

    def environment(self, profile: str) -> dict[str, str]:
        """What the commands see: the profile, and the passwords."""
        return {
            **os.environ,
            # A demo leaves nothing in the person's own keyring.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "SAFELIGHT_PROFILE": str(self.folder / profile),
            "SAFELIGHT_PASSWORD": self.state["password"],
            "SAFELIGHT_LINK_PASSWORD": self.state["link_password"],
        }


def command(
    name: str, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None, shown: bool = False
) -> tuple[int, str]:
    """Run one of our commands to its end; returns its exit code, and what it printed unless that is *shown*.

    Ctrl-C is for the demo, which then ends the command: one that is only just starting could not take it in good order.
    """
    process = subprocess.Popen(
        [BIN / name, *arguments],
        stdin=subprocess.PIPE,
        stdout=None if shown else subprocess.PIPE,
        env=env,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(stdin)
    except BaseException:
        process.terminate()
        process.communicate()
        raise
    if process.returncode == STOPPED:
        raise KeyboardInterrupt
    return process.returncode, said or ""


def stop(*_: object) -> None:
    """End the demo at the first Ctrl-C. Whoever presses it again meanwhile does not disturb what ends in order."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: None)
    raise KeyboardInterrupt


def say(text: str = "", *, dim: bool = False) -> None:
    """Print a line."""
    print(f"\033[2m{text}\033[0m" if dim and sys.stdout.isatty() else text, flush=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(data: Path, listen: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the server, with its log beside the data, until the end of the block."""
    with (data.parent / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [BIN / "safelight-server", "run", "--data", data, "--listen", listen],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends the server
        )
        try:
            if not any(line.startswith("listening on ") for line in process.stdout or ()):
                said = Path(log.name).read_text(errors="replace").strip().splitlines()[-1:]
                sys.exit("\n".join([*said, f"The server did not start (see {log.name}). Is another demo running?"]))
            yield process
        finally:
            process.terminate()
            process.wait()


def words(count: int) -> str:
    """A password that can be read out: so many groups of letters."""
    letters = "abcdefghjkmnpqrstuvwxyz"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(count))


def set_up(demo: Demo, url: str) -> None:
    """Make the account, the space and the camera, where an earlier run has not."""
    if "ready" in demo.state:
        say(f"Going on with what is in {demo.folder}.")
        return
    demo.keep(password=words(4), link_password=words(2))
    data = str(demo.folder / "server")
    code, invite = command("safelight-server", "invite", "--data", data)
    if code:
        sys.exit("the demo ends here: `safelight-server invite` failed")
    invite = invite.split()[-1]
    demo.run("owner", "account", "create", "--server", url, "--name", ACCOUNT, "--invite", invite)
    # A work space: its links may hold originals, so that the page can offer them.
    demo.run("owner", "space", "create", SPACE, "--kind", "work")
    pairing = demo.run("owner", "camera", "pair", "--space", SPACE, "--name", CAMERA)
    demo.run("camera", "camera", "add", "-", stdin=pairing["uri"])
    demo.run("owner", "album", "create", ALBUM, "--space", SPACE)
    demo.keep(ready="yes")


def share(demo: Demo) -> str:
    """Put the newest pictures into the album, and make a link to it with a password."""
    assets = demo.run("owner", "asset", "list", "--space", SPACE)
    pictures = [asset for asset in assets if "preview" in asset["renditions"]][-_MAX_ALBUM_ASSETS:]
    shown = [asset["id"] for asset in sorted(pictures, key=lambda asset: (asset["taken"], asset["name"]))]
    if not shown:
        sys.exit("There is no picture in this folder that can be shown, so there is nothing to share.")
    say(f"$ safelight album add {shlex.quote(ALBUM)} --space {SPACE} … ({len(shown)} assets)", dim=True)
    code, _ = command("safelight", "album", "add", ALBUM, "--space", SPACE, *shown, env=demo.environment("owner"))
    if code:
        sys.exit("the demo ends here: `safelight album add` failed")
    made = demo.run("owner", "link", "create", "--album", ALBUM, "--space", SPACE, "--password", "--expires", "7d")
    return str(made["url"])


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", nargs="?", default="", help="the folder with photographs")
    parser.add_argument("--data", type=Path, default=ROOT / "demo-data", help="where the demo keeps everything")
    parser.add_argument("--fresh", action="store_true", help="throw away what an earlier demo left, and begin anew")
    parser.add_argument("--once", action="store_true", help="end after printing the link")
    parser.add_argument("--listen", default="", help="HOST:PORT; default: the port of the run before, or a free one")
    arguments = parser.parse_args()
    once = arguments.once or bool(os.environ.get("SAFELIGHT_DEMO_ONCE"))
    photos = Path(arguments.photos).expanduser() if arguments.photos else None
    if photos and not photos.is_dir():
        sys.exit(f"{photos} is not a folder; try: make demo PHOTOS=~/Pictures")
    if photos and not any(entry.is_file() for entry in photos.rglob("*")):
        sys.exit(f"{photos} has no file in it; name a folder with photographs, or none: then the demo paints some.")
    folder = arguments.data.expanduser().resolve()
    if arguments.fresh and (folder / "demo.json").exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run_demo(Demo(folder), photos, arguments.listen, once=once)
    except KeyboardInterrupt:
        say(f"\nStopped. The same command goes on from here; without the folder {folder} it begins anew.")


def run_demo(demo: Demo, photos: Path | None, listen: str, *, once: bool) -> None:
    """Serve, and set up, fill and share what the earlier run has not; then go on serving, unless it is for *once*."""
    folder = demo.folder
    demo.clear_unfinished()
    listen = listen or demo.state.get("listen") or f"127.0.0.1:{free_port()}"
    demo.keep(listen=listen)
    url = f"http://{listen}"
    with serving(folder / "server", listen) as server:
        say(f"A server is running at {url}; its data is in {folder / 'server'}.")
        set_up(demo, url)
        demo.show("camera", "camera", "push", str(photos or paint_pictures(folder / "pictures")))
        link = share(demo)
        say()
        say("Open this link in a browser:")
        say(f"  {link}")
        say(f"  password: {demo.state['link_password']}")
        if once:
            return
        say()
        say("The server runs until you press Ctrl-C.")
        server.wait()


if __name__ == "__main__":
    for ending in (signal.SIGINT, signal.SIGTERM):  # however it ends, its server ends with it
        signal.signal(ending, stop)
    main()
