"""The command `move`: an installation goes from its stores to others, with its key, and can be fetched back."""

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from safelight.server import data_folder
from safelight.server.blob_store import open_blobs, remember_bucket
from safelight.server.data_folder import ServerSecrets
from safelight.server.database import open_database_anyway
from safelight.server.domain.clock import wall_ms
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.settings import Settings
from safelight.server.stores.blobs_directory import DirectoryBlobs
from safelight.server.stores.blobs_s3 import S3Blobs
from safelight.server.stores.bucket_address import BucketAddress
from safelight.server.stores.engine_postgres import PostgresDatabase
from safelight.server.stores.engine_sqlite import SqliteDatabase
from safelight.server.upkeep.move import MOVED, MOVING, Move, MoveRefused, Place
from safelight.server.upkeep.printing import ProgressLine, count, size
from safelight.sync_protocol.signatures import public_key_of

SETTINGS = frozenset({"data", "database", "blobs", "s3_endpoint", "s3_timeout_s"})
_VARIABLE = "SAFELIGHT_TO_DATABASE"
_SAME_BUCKET = "the blobs are in that bucket already; name another, or another prefix, with --to-blobs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked for."""
    parser.add_argument("--to-data", metavar="DIR", help="the new data folder; default: DIR-moved beside the old one")
    parser.add_argument(
        "--to-database",
        metavar="ADDRESS",
        default=os.environ.get(_VARIABLE, ""),
        help=f"an empty PostgreSQL; without it rows go into the new data folder [{_VARIABLE}]",
    )
    parser.add_argument(
        "--to-blobs",
        metavar="ADDRESS",
        default="",
        help="an empty bucket and prefix (s3://BUCKET/PREFIX); without it blobs go into the new data folder",
    )
    parser.add_argument("--to-s3-endpoint", metavar="URL", help="that S3 service's address; default: --s3-endpoint")
    parser.add_argument(
        "--without-damaged", action="store_true", help="leave behind blobs that are missing or damaged, and name them"
    )
    parser.add_argument("--undo", action="store_true", help="let the installation in --data start again, after a move")


async def run(settings: Settings, arguments: dict[str, Any], *, as_json: bool) -> int:  # noqa: ARG001 - as all commands
    """Move, say what was done, and return the exit status."""
    if arguments["undo"]:
        await _undo(settings)
        return 0
    to = _target(settings, arguments)
    progress = ProgressLine()
    try:
        async with _opened(settings, to) as (move, begun):
            if begun:
                _say("going on with a move that was begun")
            move.tell = progress.show
            await move.copy()
            progress.clear()
            _check_damaged(move, leave=arguments["without_damaged"])
            await _finish(move, to)
    except asyncio.CancelledError:
        progress.clear()
        sys.stderr.write("stopped; repeat the command, and the move goes on from there\n")
        raise
    _say(
        f"moved and compared {count(move.rows, 'row')} and {count(move.blobs, 'blob')}"
        + (f" ({size(move.size_bytes)} read in this run)" if move.size_bytes else "")
    )
    _say(f"start it from now on with: safelight-server run {_flags(to)}")
    _say(
        f"what is in {settings.data} is as it was, and does not start any more. To go back to it, without anything that"
        f" comes from now on: safelight-server move --undo {_flags(settings)}"
    )
    return 0


def _target(settings: Settings, arguments: dict[str, Any]) -> Settings:
    old = settings.data.resolve()
    endpoint = arguments["to_s3_endpoint"]
    to = replace(
        settings,
        data=Path(arguments["to_data"]) if arguments["to_data"] else old.with_name(f"{old.name}-moved"),
        database=arguments["to_database"],
        blobs=arguments["to_blobs"],
        s3_endpoint=settings.s3_endpoint if endpoint is None else endpoint,
    )
    if to.data.resolve() == old:
        raise MoveRefused("an installation moves to another data folder; name it with --to-data")
    if to.database and to.database == settings.database:
        raise MoveRefused("the rows are in that database already; name another with --to-database")
    if to.blobs and (to.blobs, to.s3_endpoint) == (settings.blobs, settings.s3_endpoint):
        raise MoveRefused(_SAME_BUCKET)
    return to


async def _check_places(source: Blobs, target: Blobs) -> None:
    """Raise MoveRefused for one bucket under two names: two installations over it would delete each other's blobs."""
    if isinstance(source, S3Blobs) and isinstance(target, S3Blobs) and await target.is_same_place(source):
        raise MoveRefused(_SAME_BUCKET)


@asynccontextmanager
async def _opened(settings: Settings, to: Settings) -> AsyncIterator[tuple[Move, bool]]:
    """Hold both data folders and open all stores. The target gets the source's key before anything else."""
    with data_folder.opened(settings.data, existing=True) as secrets:
        key = public_key_of(secrets.signing_seed)
        database = await open_database_anyway(settings, key)
        try:
            blobs = await open_blobs(settings, database, key)
            try:
                with data_folder.opened(to.data, existing=False, key_of=settings.data) as new:
                    async with _target_opened(to, secrets, new) as target:
                        await _check_places(blobs, target.blobs)
                        move = Move(Place(database, blobs), target, key, wall_ms, lambda _: None)
                        yield move, await move.begin(partial(_claim_blobs, target.blobs, key))
            finally:
                await blobs.close()
        finally:
            await database.close()


@asynccontextmanager
async def _target_opened(to: Settings, secrets: ServerSecrets, new: ServerSecrets) -> AsyncIterator[Place]:
    if new != secrets:
        raise MoveRefused(f"{to.data} belongs to another server; name an empty folder with --to-data")
    database: Database
    if to.database:
        database = await PostgresDatabase.open(to.database)
    else:
        database = await SqliteDatabase.open(data_folder.database_path(to.data))
    try:
        blobs: S3Blobs | DirectoryBlobs
        if to.blobs:
            blobs = await S3Blobs.open_at(BucketAddress.parse(to.blobs, to.s3_endpoint), to.s3_timeout_s)
        else:
            blobs = await DirectoryBlobs.open_in(data_folder.blobs_path(to.data))
        try:
            yield Place(database, blobs)
        finally:
            await blobs.close()
    finally:
        await database.close()


async def _claim_blobs(blobs: Blobs, key: bytes, *, claimed_before: bool) -> None:
    if isinstance(blobs, S3Blobs):
        await blobs.claim(key, claimed_before=claimed_before)


def _check_damaged(move: Move, *, leave: bool) -> None:
    for name in move.damaged:
        sys.stderr.write(f"missing or damaged: {name.hex()}\n")
    if move.damaged and not leave:
        raise MoveRefused(
            f"{count(len(move.damaged), 'blob')} could not be moved, because the source does not have them whole:"
            " `safelight-server check` says who has them. Put them back and repeat this, or repeat it with"
            " --without-damaged to leave them behind"
        )


async def _finish(move: Move, to: Settings) -> None:
    """The source is marked before the target may start: at no moment do both."""
    when = datetime.fromtimestamp(wall_ms() / 1000, UTC).strftime("%Y-%m-%d")
    await move.source.database.set_meta(MOVED, f"{to.data.resolve()} on {when}".encode())
    if to.blobs:
        await remember_bucket(move.target.database, to)
    data_folder.moved_in(to.data)
    await move.target.database.set_meta(MOVING, b"")


async def _undo(settings: Settings) -> None:
    with data_folder.opened(settings.data, existing=True) as secrets:
        database = await open_database_anyway(settings, public_key_of(secrets.signing_seed))
        try:
            moved = await database.get_meta(MOVED)
            if not moved:
                raise MoveRefused("this installation was not moved; there is nothing to undo")
            await database.set_meta(MOVED, b"")
        finally:
            await database.close()
    _say(f"the installation in {settings.data} may start again; let the one in {moved.decode()} not run beside it")


def _flags(settings: Settings) -> str:
    flags = ["--data", str(settings.data)]
    if settings.database:
        flags += ["--database", "ADDRESS"]
    if settings.blobs:
        flags += ["--blobs", settings.blobs]
    if settings.blobs and settings.s3_endpoint:
        flags += ["--s3-endpoint", settings.s3_endpoint]
    return shlex.join(flags)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
