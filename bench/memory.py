"""How much memory one large file takes, up and down, on both sides.

`python -m bench.memory [--size-gb 5]` pushes a file, gets it back, compares the bytes, and prints the resident memory
of the processes along the way. Exits 1 if the server peaks above 150 MB or a client above 250 MB.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.support import Installation, installation, with_camera

SERVER_LIMIT_MB = 150
CLIENT_LIMIT_MB = 250
_PIECE = 8 * 1024 * 1024
_SAMPLE_S = 0.1


@dataclass
class Samples:
    """Resident memory of a process over time, in MB."""

    values: list[float] = field(default_factory=list)

    def take(self, pid: int) -> None:
        """Add the process's resident memory; nothing if it has ended."""
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError, IndexError):
            return
        self.values.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    def row(self, name: str, limit_mb: int) -> str:
        """Return a line of the table: four points along the way, the peak, the limit."""
        count = len(self.values)
        points = [self.values[min(count - 1, count * quarter // 4)] for quarter in (1, 2, 3)]
        along = "  ".join(f"{value:6.0f}" for value in (*points, self.values[-1]))
        return f"{name:24}{along}{max(self.values):10.0f}{limit_mb:10}"


def write_file(path: Path, size_bytes: int) -> str:
    """Write *size_bytes* of noise, each piece different; return its SHA-256."""
    noise, digest, written = os.urandom(_PIECE), hashlib.sha256(), 0
    with path.open("wb") as file:
        while written < size_bytes:
            piece = written.to_bytes(8, "big") + noise[: min(_PIECE, size_bytes - written) - 8]
            file.write(piece)
            digest.update(piece)
            written += len(piece)
    return digest.hexdigest()


def watch(made: Installation, profile: str, command: list[str]) -> tuple[Samples, Samples, float]:
    """Run *command*; return the memory of the server and of the client, and the seconds it took."""
    server, client, started = Samples(), Samples(), time.perf_counter()
    with subprocess.Popen(command, env=made.environment(profile), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            server.take(made.server.pid)
            client.take(process.pid)
            time.sleep(_SAMPLE_S)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return server, client, time.perf_counter() - started


def measure(size_bytes: int) -> bool:
    """Push and get one file; print the table; return whether all stayed below their limits."""
    with installation() as made:
        with_camera(made)
        source, target = made.folder / "source", made.folder / "target.bin"
        source.mkdir()
        digest = write_file(source / "large.bin", size_bytes)
        up = watch(made, "camera", made.command("camera", "push", source, "--no-renditions"))
        asset = made.run("owner", "asset", "list", "--space", "Family")[0]
        down = watch(made, "owner", made.command("asset", "get", asset["id"], "--space", "Family", "--out", target))
        with target.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == digest
    print(f"one file of {size_bytes / 1e9:.1f} GB; resident MB at 25, 50, 75 and 100 % of the way")
    print(f"{'':24}{'25 %':>6}  {'50 %':>6}  {'75 %':>6}  {'100 %':>6}{'peak':>10}{'limit':>10}")
    for way, (server, client, seconds) in (("up", up), ("down", down)):
        print(server.row(f"server, {way}", SERVER_LIMIT_MB))
        print(client.row(f"client, {way}", CLIENT_LIMIT_MB))
        print(f"{way}: {size_bytes / seconds / 1e6:.0f} MB/s")
    print(f"the same bytes came back: {same}")
    peaks = (max(up[0].values + down[0].values), max(up[1].values + down[1].values))
    return same and peaks[0] < SERVER_LIMIT_MB and peaks[1] < CLIENT_LIMIT_MB


def main() -> int:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-gb", type=float, default=5)
    return 0 if measure(int(parser.parse_args().size_gb * 1e9)) else 1


if __name__ == "__main__":
    sys.exit(main())
