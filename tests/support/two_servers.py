"""Two server processes with one key, one database and one bucket, and how to end one and start it again."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from safelight.server import data_folder
from tests.support.server_process import ServerProcess, server_process


@dataclass
class Servers:
    """Two server processes, and how to end one without warning and start it again."""

    options: tuple[str, ...]
    folders: tuple[Path, Path]
    running: list[ServerProcess] = field(default_factory=list)

    def start(self, number: int, held: ExitStack, listen: str = "127.0.0.1:0") -> ServerProcess:
        """Start one."""
        return held.enter_context(server_process(self.folders[number], *self.options, listen=listen))

    def kill_and_start(self, number: int, held: ExitStack) -> None:
        """End one at once, and start it again where it was."""
        fallen = self.running[number]
        fallen.kill()
        self.running[number] = self.start(number, held, fallen.url.removeprefix("http://"))

    def mistakes(self) -> list[str]:
        """Where a server's log has a mistake of its own."""
        logs = [folder.with_name(f"{folder.name}.log").read_text() for folder in self.folders]
        return [line for log in logs for line in log.splitlines() if "made a mistake" in line]


@contextmanager
def two_servers(
    folder: Path, options: Sequence[str], held: ExitStack, listen: Sequence[str] = ("127.0.0.1:0",) * 2
) -> Iterator[Servers]:
    """Two processes with these *options*, each with a data folder in *folder*."""
    servers = Servers(tuple(options), (folder / "one", folder / "two"))
    servers.running.append(servers.start(0, held, listen[0]))
    servers.folders[1].mkdir()
    for name in (data_folder.MARKER, "server.key"):
        shutil.copy(servers.folders[0] / name, servers.folders[1] / name)
    servers.running.append(servers.start(1, held, listen[1]))
    yield servers
