"""The command `safelight-server`: run the server, make an invite code, or look at all that it stands on."""

import argparse
import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from safelight.server import control, data_folder, logs
from safelight.server.app import BLOBS, CLEARING, CLOCK, DATABASE, build_app, build_services, runner_for
from safelight.server.data_folder import DataFolderRefused, ServerSecrets
from safelight.server.database import open_database
from safelight.server.doctor.examination import examine
from safelight.server.doctor.findings import as_document, as_text, has_problem
from safelight.server.domain.clock import ServerClock, monotonic_ms, wall_ms
from safelight.server.listening import bound
from safelight.server.routes.server import PROBES
from safelight.server.routes.services import SERVICES, SERVING
from safelight.server.settings import SettingInvalid, Settings, flag_of, load, split_listen, variable_of
from safelight.server.stores.blobs_directory import DirectoryBlobs
from safelight.server.stores.postgres_errors import DatabaseRefused
from safelight.server.stores.s3_bucket import BucketRefused
from safelight.server.upkeep import commands as upkeep
from safelight.server.upkeep.check_command import CheckStopped, ServersChecks
from safelight.server.upkeep.move import MoveRefused
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.signatures import public_key_of

# What the doctor looks at where no server runs that could tell it.
DOCTORS_SETTINGS = frozenset({"data", "database", "blobs", "public_url", "tls_cert", "tls_key", "ready_free_bytes"})

# What ends a command with one line: it says what to do.
REFUSALS = (DataFolderRefused, DatabaseRefused, BucketRefused, CheckStopped, MoveRefused, Refused, OSError)


def main() -> None:
    """Run the command. Exit 1 is a refusal, 2 is misuse; errors are one line on stderr."""
    os.umask(0o077)  # whatever the server makes is its owner's alone
    arguments = vars(_parser().parse_args())
    command = arguments.pop("command")
    as_json = bool(arguments.pop("json", False))
    try:
        settings = load(arguments, os.environ)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            match command:
                case "run":
                    runner.run(_run(settings))
                case "invite":
                    runner.run(_invite(settings, as_json=as_json))
                case "doctor":
                    sys.exit(runner.run(_doctor(settings, as_json=as_json)))
                case _:
                    sys.exit(runner.run(upkeep.COMMANDS[command].run(settings, arguments, as_json=as_json)))
    except SettingInvalid as error:
        _fail(str(error), 2)
    except REFUSALS as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        sys.exit(130)  # as shells have it for what was interrupted


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"safelight-server: {message}\n")
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="safelight-server", description="A server for sealed photographs.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_settings(
        commands.add_parser("run", help="serve until stopped"), {setting.name for setting in fields(Settings)}
    )
    doctor = commands.add_parser("doctor", help="look at everything a server stands on, and say what to do")
    _add_settings(doctor, DOCTORS_SETTINGS)
    doctor.add_argument("--json", action="store_true", help="print a JSON document")
    invite = commands.add_parser("invite", help="print a one-time code for a new account")
    invite.add_argument("--data", help="the server's data folder", metavar="DIR")
    invite.add_argument("--database", help="where rows are kept, if not in the data folder", metavar="ADDRESS")
    invite.add_argument("--invite-lifetime-s", help="how long the code is good (seconds)", metavar="VALUE")
    invite.add_argument("--json", action="store_true", help="print a JSON document")
    for name, command in upkeep.COMMANDS.items():
        kept = commands.add_parser(name, help=command.help)
        _add_settings(kept, command.settings)
        command.add_arguments(kept)
    return parser


def _add_settings(parser: argparse.ArgumentParser, names: AbstractSet[str]) -> None:
    """Give *parser* a flag for each of the settings."""
    for setting in fields(Settings):
        if setting.name not in names:
            continue
        if setting.type is bool:
            parser.add_argument(flag_of(setting.name), help=_help_of(setting), metavar="yes|no", nargs="?", const="yes")
        else:
            parser.add_argument(flag_of(setting.name), help=_help_of(setting), metavar="VALUE")


def _help_of(setting: "Field[Any]") -> str:
    """Return a setting's help: sentence, unit, default where there is one, variable."""
    unit = f" ({setting.metadata['unit']})" if setting.metadata["unit"] else ""
    value = setting.default
    shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
    default = "" if value is MISSING or value == "" else f"; default: {shown}"
    return f"{setting.metadata['sentence']}{unit}{default} [{variable_of(setting.name)}]".replace("%", "%%")


async def _run(settings: Settings) -> None:
    """Serve until a signal comes; then finish what is under way, for a while."""
    stopped = _stop_signal()  # before the line that says we serve: who reads it may stop us at once
    logs.configure(settings.log_format, settings.log_level)
    with data_folder.opened(settings.data, existing=settings.existing) as secrets:
        await _serve(settings, secrets, stopped)


async def _serve(settings: Settings, secrets: ServerSecrets, stopped: asyncio.Event) -> None:
    """Listen, take commands, and answer, until *stopped*."""
    tls = _tls(settings)
    host, port = split_listen(settings.listen)
    scheme = "https" if tls else "http"
    listener = bound(host, port)
    port = listener.getsockname()[1]
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    app = build_app(settings, secrets, settings.public_url.rstrip("/") or address)
    runner = runner_for(app, settings)
    try:
        await runner.setup()

        checks = ServersChecks(app[DATABASE], app[BLOBS], app[CLOCK], settings.unreferenced_grace_s, app[CLEARING])
        path = data_folder.control_path(settings.data)
        async with control.serving(path, _commands(app, settings), {"check": checks.tell}):
            await web.SockSite(runner, listener, ssl_context=tls, backlog=1024).start()
            if app[SERVING].warning:
                sys.stderr.write(f"warning: {app[SERVING].warning}\n")
            sys.stdout.write(f"listening on {address}\n")
            sys.stdout.flush()
            await stopped.wait()
            app[SERVICES].readiness.stop()
            await asyncio.sleep(settings.stop_delay_s)
    finally:
        await runner.cleanup()


def _commands(app: web.Application, settings: Settings) -> dict[str, control.Command]:
    """What the running server does for its operator's commands."""
    here = Path.cwd()  # paths are told whole: a command may be called from elsewhere

    async def invite() -> dict[str, Any]:
        return {"code": await app[SERVICES].accounts.new_invite(settings.invite_lifetime_s)}

    async def about() -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": app[SERVING].version,
            "public_url": app[SERVING].public_url,
            "tls_cert": settings.tls_cert and str(here / settings.tls_cert),
            "tls_key": settings.tls_key and str(here / settings.tls_key),
            "interim": settings.upload_interim,
            "parts": await app[SERVICES].readiness.parts(),
        }

    probes = app[PROBES]
    return {"invite": invite, "about": about, "probe": probes.expect, "probed": probes.seen}


async def _doctor(settings: Settings, *, as_json: bool) -> int:
    """Examine, and print what was found; returns 1 where there is a problem."""
    heading, findings = await examine(settings)
    shown = json.dumps(as_document(findings)) + "\n" if as_json else as_text(heading, findings, colours=_colours())
    sys.stdout.write(shown)
    return int(has_problem(findings))


def _colours() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


async def _invite(settings: Settings, *, as_json: bool) -> None:
    """Print an invite code: made by the running server, or alone where none runs."""
    try:
        code = (await control.ask(data_folder.control_path(settings.data), "invite"))["code"]
    except control.NotRunning:
        code = await _invite_alone(settings)
    sys.stdout.write((json.dumps({"code": code}) if as_json else code) + "\n")


async def _invite_alone(settings: Settings) -> str:
    with data_folder.opened(settings.data, existing=settings.existing) as secrets:
        database = await open_database(settings, public_key_of(secrets.signing_seed))
        blobs = await DirectoryBlobs.open_in(data_folder.blobs_path(settings.data))
        try:
            clock = ServerClock(wall_ms, monotonic_ms, await database.highest_time_ms())
            services = build_services(settings, secrets, database, blobs, clock)
            return await services.accounts.new_invite(settings.invite_lifetime_s)
        finally:
            await blobs.close()
            await database.close()


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:  # ssl.SSLError among them; neither says which file
        raise OSError(f"{settings.tls_cert} and {settings.tls_key}: {error.strerror or error}") from None
    return context


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


if __name__ == "__main__":
    main()
