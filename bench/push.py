"""How fast a camera's roll goes up, beside rclone: sealed, uploaded and durably committed.

`python -m bench.push [--files 1000] [--size-mb 3] [--runs 3]` sends the same files, turn by turn, by `safelight camera
push --no-renditions` to a local server and by `rclone copy` through a crypt remote to `rclone serve webdav`, on one
disk. Prints the medians; exits 1 if the push is not at least twice as fast.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.support import free_port, installation, wait_for_http, with_camera
from tools.ensure_program import find

FLOOR = 2.0


def write_files(folder: Path, count: int, size_bytes: int) -> None:
    """Write files of noise, no two alike, as a phone names them."""
    folder.mkdir()
    for number in range(count):
        (folder / f"IMG_{number:04}.JPG").write_bytes(os.urandom(size_bytes))


def push(photos: Path, count: int) -> float:
    """Push everything to a new server with a new account; return the seconds."""
    with installation() as made:
        with_camera(made)
        started = time.perf_counter()
        done = made.run("camera", "camera", "push", photos, "--no-renditions")
        seconds = time.perf_counter() - started
    if done["uploaded"] != count:
        raise RuntimeError(f"{done['uploaded']} of {count} files were uploaded")
    return seconds


def copy(rclone: str, photos: Path, count: int) -> float:
    """Copy everything through rclone's crypt to a new WebDAV folder; return the seconds."""
    with tempfile.TemporaryDirectory(prefix="safelight-bench-rclone-") as name, served(rclone, Path(name)) as config:
        command = [rclone, "--config", str(config), "copy", str(photos), "sealed:"]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - started
        stored = sum(1 for path in (Path(name) / "store").rglob("*") if path.is_file())
    if stored != count:
        raise RuntimeError(f"rclone stored {stored} of {count} files")
    return seconds


@contextmanager
def served(rclone: str, folder: Path) -> Iterator[Path]:
    """Serve a new folder over WebDAV; yield a configuration with a crypt remote over it."""
    store, config, address = folder / "store", folder / "rclone.conf", f"127.0.0.1:{free_port()}"
    store.mkdir()
    passwords = [
        subprocess.run([rclone, "obscure", word], capture_output=True, text=True, check=True).stdout.strip()
        for word in ("one password", "another one")
    ]
    config.write_text(
        f"[dav]\ntype = webdav\nurl = http://{address}\nvendor = other\n"
        f"[sealed]\ntype = crypt\nremote = dav:roll\npassword = {passwords[0]}\npassword2 = {passwords[1]}\n"
    )
    command = [rclone, "--config", str(config), "serve", "webdav", str(store), "--addr", address]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for_http(server, f"http://{address}/")
            yield config
        finally:
            server.terminate()


def measure(rclone: str, count: int, size_bytes: int, runs: int) -> bool:
    """Measure both, turn by turn; print the table; return whether the push is fast enough."""
    folder = Path(tempfile.mkdtemp(prefix="safelight-bench-roll-"))
    try:
        photos = folder / "roll"
        write_files(photos, count, size_bytes)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(runs):
            ours.append(push(photos, count))
            theirs.append(copy(rclone, photos, count))
    finally:
        shutil.rmtree(folder)
    total_mb = count * size_bytes / 1e6
    print(f"{count} files of {size_bytes / 1e6:.1f} MB, {runs} runs each, medians")
    print(f"{'':40}{'seconds':>10}{'files/s':>10}{'MB/s':>8}")
    for name, times in (("safelight camera push --no-renditions", ours), ("rclone copy, crypt over webdav", theirs)):
        median = statistics.median(times)
        print(f"{name:40}{median:10.1f}{count / median:10.0f}{total_mb / median:8.0f}")
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"ratio {ratio:.2f}, floor {FLOOR:.1f}")
    return ratio >= FLOOR


def main() -> int:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--size-mb", type=float, default=3)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    rclone = find("rclone")
    if rclone is None:
        print("This compares with rclone, which is not installed: apt install rclone", file=sys.stderr)
        return 2
    return 0 if measure(rclone, asked.files, int(asked.size_mb * 1e6), asked.runs) else 1


if __name__ == "__main__":
    sys.exit(main())
