"""The whole examination, in the order in which things stand on one another; where the server runs, it is asked, too."""

import asyncio
from pathlib import Path
from typing import Any

from safelight.server import control, data_folder
from safelight.server.doctor import certificates, disks, folder, machine, reach, rows
from safelight.server.doctor.findings import Finding, note, ok
from safelight.server.settings import Settings, host_of


async def examine(settings: Settings) -> tuple[str, list[Finding]]:
    """Return a heading and all findings. Nothing is changed."""
    running = await _running(settings.data)
    state = f"process {running['pid']} serves it" if running else "no server runs"
    heading = f"Safelight's data folder {settings.data.absolute()}: {state}."
    found = folder.marker(settings.data)
    if any(finding.level == "problem" for finding in found):
        return heading, [*found, *machine.versions("")]
    if not running and data_folder.in_use(settings.data):
        found.append(note("lock", "Another Safelight command uses the folder just now.", "Ask again when it is done."))
    of_rows = await _rows(settings)
    found += folder.key(settings.data) + folder.permissions(settings.data)
    found += _disks(settings)
    found += of_rows.findings
    found += machine.clock(machine.now_ms(), of_rows.highest_ms, folder.newest_file_ms(settings.data))
    found += await asyncio.to_thread(machine.network_time)
    found += machine.versions(str(running.get("version", "")))
    if running:
        found += machine.open_files(Path(f"/proc/{running['pid']}/limits"))
        found += _parts(running["parts"])
    found += await _reach(settings, running)
    return heading, found


async def _running(data: Path) -> dict[str, Any]:
    """What the running server says of itself; empty where none runs."""
    try:
        told = await control.ask(data_folder.control_path(data), "about")
    except (control.NotRunning, OSError, TimeoutError, ValueError):
        return {}
    return told if "pid" in told else {}  # an older one does not know the question


async def _rows(settings: Settings) -> rows.Rows:
    if settings.database:
        return await rows.of_postgres(settings)
    if data_folder.moved_path(settings.data).exists():
        sentence = "The rows are in PostgreSQL, whose address this command was not told."
        return rows.Rows([note("database", sentence, "Set SAFELIGHT_DATABASE as the server has it, and ask again.")])
    return await asyncio.to_thread(rows.of_sqlite, data_folder.database_path(settings.data))


def _disks(settings: Settings) -> list[Finding]:
    mounts = disks.MOUNTS.read_text(encoding="utf-8", errors="replace") if disks.MOUNTS.exists() else ""
    found = disks.kind(disks.mount_of(settings.data.resolve(), mounts))
    found += disks.room(settings.data, settings.ready_free_bytes)
    return [*found, *([] if settings.blobs else disks.one_file_system(data_folder.blobs_path(settings.data)))]


def _parts(parts: dict[str, str]) -> list[Finding]:
    """What /ready says."""
    wrong = {part: code for part, code in parts.items() if code != "ok"}
    if not wrong:
        return [ok("ready", "The running server says that it is ready.")]
    told = ", ".join(f"{part}: {code}" for part, code in wrong.items())
    remedy = "docs/operations.md says what each code means and what to do."
    return [Finding("ready", "problem", f"The running server says that it is not ready ({told}).", remedy)]


async def _reach(settings: Settings, running: dict[str, Any]) -> list[Finding]:
    """The way to the server: as the running one was told, or as this command was."""
    public_url = str(running.get("public_url", settings.public_url))
    found = reach.address(public_url)
    cert, key = running.get("tls_cert", settings.tls_cert), running.get("tls_key", settings.tls_key)
    if cert and key:
        host = host_of(public_url)
        found += await asyncio.to_thread(certificates.in_file, Path(cert), Path(key), host)
    if not running:
        sentence = "The way through the public address was not tried, because no server runs."
        return [*found, note("way", sentence, "Start the server and ask again.")]
    path = data_folder.control_path(settings.data)
    return [*found, *await reach.through(public_url, path, interim=bool(running["interim"]))]
