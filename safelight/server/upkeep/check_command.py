"""The command `check`: by the running server where one runs, else alone with the data folder held."""

import argparse
import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
import structlog

from safelight.server import control, data_folder
from safelight.server.blob_store import open_blobs
from safelight.server.database import open_database
from safelight.server.domain.clock import ServerClock, monotonic_ms, wall_ms
from safelight.server.domain.leases import Leases
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.jobs.clearing import LEASE_S, Clearing
from safelight.server.settings import Settings
from safelight.server.upkeep.check import Check
from safelight.server.upkeep.events import EVENT, CheckRequest, Event, Failure
from safelight.server.upkeep.printing import CheckPrinter
from safelight.server.upkeep.quantities import rate, share, time_s
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.signatures import public_key_of

SETTINGS = frozenset({"data", "database", "blobs", "s3_endpoint", "s3_timeout_s", "unreferenced_grace_s"})
_log = structlog.get_logger("check")


class CheckStopped(Exception):
    """The server that was checking is gone, or refused; the message says which."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked for."""
    parser.epilog = (
        "Where a server runs over the data folder it does the check, with its own settings: those given here are not"
        " used. Where none runs, name the stores as you do for it, and --unreferenced-grace-s, too: orphans are"
        " reported, and with --repair deleted, by what is given here."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="hash every blob (so it is without any of these three)")
    which.add_argument("--fraction", type=share, metavar="SHARE", help="hash so many of them, for example 10%%")
    which.add_argument("--not-checked-for", type=time_s, metavar="TIME", help="hash those not checked for, say, 30d")
    parser.add_argument("--rate", type=rate, default=0, metavar="RATE", help="read no faster than, say, 50MB/s")
    parser.add_argument("--repair", action="store_true", help="delete what is nobody's, and correct counts")
    parser.add_argument("--json", action="store_true", help="print a JSON document")


async def run(settings: Settings, arguments: dict[str, Any], *, as_json: bool) -> int:
    """Check, print what is found, and return the exit status."""
    request = CheckRequest(arguments["fraction"], arguments["not_checked_for"], arguments["rate"], arguments["repair"])
    printer = CheckPrinter(as_json)
    try:
        try:
            await _ask_server(settings, request, printer)
        except control.NotRunning:
            await _check_alone(settings, request, printer)
    except asyncio.CancelledError:
        printer.stopped()
        raise
    if printer.summary is None:
        raise CheckStopped("the server stopped before the check was over; what was checked so far is noted")
    return printer.finish()


async def _ask_server(settings: Settings, request: CheckRequest, printer: CheckPrinter) -> None:
    path = data_folder.control_path(settings.data)
    async with aclosing(control.follow(path, "check", msgspec.to_builtins(request))) as lines:
        async for line in lines:
            event = EVENT.decode(line)
            if isinstance(event, Failure):
                printer.take(event)
                raise CheckStopped(event.message)
            printer.take(event)


async def _check_alone(settings: Settings, request: CheckRequest, printer: CheckPrinter) -> None:
    with data_folder.opened(settings.data, existing=True) as secrets:
        key = public_key_of(secrets.signing_seed)
        database = await open_database(settings, key)
        try:
            blobs = await open_blobs(settings, database, key)
            try:
                grace_s = settings.unreferenced_grace_s
                clock = ServerClock(wall_ms, monotonic_ms, await database.highest_time_ms(), grace_s)
                clearing = Clearing(database, blobs, Leases(database, LEASE_S))
                check = Check(database, blobs, clock.now_ms, grace_s, request, clock.may_purge, clearing)
                async with aclosing(check.events()) as events:
                    async for event in events:
                        printer.take(event)
            finally:
                await blobs.close()
        finally:
            await database.close()


class ServersChecks:
    """The running server's side: one check at a time, told through the control socket."""

    def __init__(self, database: Database, blobs: Blobs, clock: ServerClock, grace_s: int, clearing: Clearing) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._grace_s = grace_s
        self._clearing = clearing
        self._checking = False

    async def tell(self, asked: Any) -> AsyncGenerator[bytes, None]:
        """Check as *asked*, and yield each event as a line."""
        if self._checking:
            yield _line(Failure("a check is under way already"))
            return
        self._checking = True
        try:
            request = msgspec.convert(asked, CheckRequest)
            check = Check(
                self._database,
                self._blobs,
                self._clock.now_ms,
                self._grace_s,
                request,
                self._clock.may_purge,
                self._clearing,
            )
            async with aclosing(check.events()) as events:
                async for event in events:
                    yield _line(event)
        except (Refused, OSError, msgspec.ValidationError) as error:
            yield _line(Failure(str(error)))
        except Exception:  # noqa: BLE001 - whoever asked is told, and the server goes on
            _log.exception("a check failed")
            yield _line(Failure(str(Refused(Code.SERVER_FAULT))))
        finally:
            self._checking = False


def _line(event: Event) -> bytes:
    return msgspec.json.encode(event)
