"""The plaintext hunt over a whole journey: no word and no key in anything that is written, on either engine."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from safelight.server import control, data_folder
from tests.faults.machine import served
from tests.journeys.test_push_canaries import _roll
from tests.support.canaries import _files, _layers, canary, disguises_of_bytes, hunt
from tests.support.commands import TIMEOUT_S, Cli
from tests.support.postgres import PostgresServer
from tests.support.samples import REPOSITORY
from tests.support.seaweed import CREDENTIALS, Seaweed

_WORDS = (
    "file name", "caption", "rights", "keyword", "xmp", "comment", "content", "space", "album", "camera", "label",
    "watermark", "password", "link password", "new password",
)  # fmt: skip

# A server that logs what it is sent, and one that keeps it, packed.
LOGS_BODIES = """
import structlog
from safelight.server.routes.call import Call
read = Call._read
async def noted(self):
    body = await read(self)
    structlog.get_logger("requests").debug("body", body=body.decode("latin-1"))
    return body
Call._read = noted
"""
KEEPS_BODIES = """
import gzip, os, tempfile
from safelight.server.routes.call import Call
read = Call._read
async def noted(self):
    body = await read(self)
    descriptor, path = tempfile.mkstemp()
    os.write(descriptor, gzip.compress(body))
    return body
Call._read = noted
"""


@dataclass
class Collecting(Cli):
    """A command line whose keys are collected in `keys`, a file."""

    keys: Path = Path()

    def run(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "tests.faults.collecting", str(self.keys), *arguments],
            check=False,
            input=stdin or "",
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env=self.environment,
            timeout=TIMEOUT_S,
        )


def journey(url: str, invite: str, folder: Path, words: dict[str, str]) -> tuple[list[str], set[bytes]]:
    """Use everything that carries words and keys; returns the secrets that were shown, and all keys."""
    keys = folder / "keys"
    passwords = {
        "SAFELIGHT_PASSWORD": words["password"],
        "SAFELIGHT_LINK_PASSWORD": words["link password"],
        "SAFELIGHT_NEW_PASSWORD": words["new password"],
    }
    owner = Collecting(folder / "owner", passwords, keys)
    made = owner.json("account", "create", "--server", url, "--name", "ada", "--invite", invite)
    space, album = words["space"], words["album"]
    owner.ok("space", "create", space, "--kind", "work")
    uri = owner.json("camera", "pair", "--space", space, "--name", words["camera"])["uri"]
    camera = Collecting(folder / "phone", {}, keys)
    camera.ok("camera", "add", uri)
    camera.ok("camera", "push", str(_roll(folder / "roll", words)))
    owner.ok("album", "create", album, "--space", space)
    owner.ok("album", "add", album, "--space", space, "--all")
    common = ("--album", album, "--space", space)
    owner.ok("camera", "point", owner.json("camera", "list", "--space", space)[0]["id"], *common)
    link = owner.json("link", "create", *common, "--password", "--label", words["label"])
    owner.ok("link", "create", *common, "--watermark", words["watermark"])
    owner.ok("account", "password")
    owner.variables["SAFELIGHT_PASSWORD"] = words["new password"]
    owner.ok("export", "--space", space, str(folder / "out"))
    shown = " ".join(made["recovery_words"])
    collected = {bytes.fromhex(line) for line in keys.read_text().split()}
    return [shown, shown.rpartition(" ")[0], link["url"].split("#")[1], uri.partition("#")[2]], collected


def hunt_keys(folders: Iterable[Path], keys: Iterable[bytes], known: dict[Path, bytes]) -> list[tuple[str, str]]:
    """Return (key, file) for every key that stands in a file as it is, in hex or base64, or in something gzipped."""
    forms = {form: key.hex() for key in keys for form in disguises_of_bytes(key)}
    found = []
    for path in _files(folders):
        data = path.read_bytes()
        if known.get(path) == hashlib.sha256(data).digest():
            continue  # it was so before anything was said
        for layer in _layers(data):
            found += [(forms[form], str(path)) for form in forms if form in layer]
    return found


def _state(folders: Iterable[Path]) -> dict[Path, bytes]:
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in _files(folders)}


def _cores(folder: Path) -> list[Path]:
    return [path for path in (*REPOSITORY.glob("core*"), *folder.glob("core*")) if path.is_file()]


def _of_process(data: Path, folder: Path) -> Path:
    """What anyone on the machine sees of the server's process: its command line, and its environment."""
    seen = folder / "process"
    seen.mkdir()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            command = (process / "cmdline").read_bytes()
            if str(data).encode() in command.split(b"\0"):
                (seen / f"command-{process.name}").write_bytes(command)
                (seen / f"environment-{process.name}").write_bytes((process / "environ").read_bytes())
    assert any(seen.iterdir())
    return seen


async def found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str, mutant: str = "", also: tuple[Path, ...] = ()
) -> list[tuple[str, str]]:
    """Go on the journey at a server that logs all it can; returns what was found."""
    temporary = folder / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    words = {what: canary(what) for what in _WORDS}
    before = _state(also)
    async with served(folder / "server", "--log-level", "debug", *options, mutant=mutant) as server:
        invite = (await control.ask(data_folder.control_path(server.data), "invite"))["code"]
        shown, keys = await asyncio.to_thread(journey, server.url, invite, folder, words)
        assert len(keys) > 60
        written = [server.data, folder / "server.log", temporary, _of_process(server.data, folder), *also]
        written += _cores(folder)
        in_exif = [word.encode("ascii", "replace").decode() for word in words.values()]
        hits = hunt(written, [*words.values(), *in_exif, *shown]) + hunt_keys(written, keys, before)
        # What the clients keep does hold them: the hunt can find both.
        assert hunt([folder / "roll"], words.values())
        assert hunt_keys([folder / "phone"], keys, {})
    return hits


async def test_nothing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite and a folder: data, logs at their loudest, temporary files, environment and command line hold nothing."""
    assert await found(tmp_path, monkeypatch) == []


@pytest.mark.battery
async def test_nothing_is_found_in_postgresql_and_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer, seaweed: Seaweed
) -> None:
    """PostgreSQL's data, WAL and log, and the bucket's volumes and index hold nothing either."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    bucket, name = seaweed.address(), postgres.make_database()
    options = ["--database", postgres.address(name), "--blobs", f"s3://{bucket.bucket}/{bucket.prefix}"]
    options += ["--s3-endpoint", seaweed.endpoint]
    assert await found(tmp_path, monkeypatch, *options, also=(postgres.folder, seaweed.folder)) == []


@pytest.mark.battery
@pytest.mark.parametrize("mutant", [LOGS_BODIES, KEEPS_BODIES], ids=["logs", "keeps"])
async def test_a_server_that_keeps_what_it_is_sent_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    """Bodies in a log, or packed in a temporary file, carry proofs and tokens: they are found there."""
    hits = await found(tmp_path, monkeypatch, mutant=mutant)
    assert any(("server.log" if mutant is LOGS_BODIES else "temporary") in path for _, path in hits)
