"""Find a program that tests or benchmarks need, or install it from the system's packages where that is allowed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# By Debian package: the names under which systems carry the program, and the variable that names another.
PROGRAMS = {
    "chromium": (("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"), "SAFELIGHT_CHROMIUM"),
    "rclone": (("rclone",), "SAFELIGHT_RCLONE"),
    "nginx": (("nginx", "/usr/sbin/nginx"), "SAFELIGHT_NGINX"),
    "strace": (("strace",), "SAFELIGHT_STRACE"),
    "e2fsprogs": (("mke2fs", "/usr/sbin/mke2fs", "/sbin/mke2fs"), "SAFELIGHT_MKE2FS"),
    # Debian keeps each version in a folder of its own, which no PATH names.
    "postgresql": (("/usr/lib/postgresql/*/bin/postgres", "postgres"), "SAFELIGHT_POSTGRES"),
}


def find(name: str) -> str | None:
    """Return the path of program *name*, or None: what its variable names, else what the PATH has."""
    names, variable = PROGRAMS[name]
    chosen = os.environ.get(variable)
    if chosen:
        return shutil.which(chosen)
    return next((path for path in map(shutil.which, _expanded(names)) if path), None)


def _expanded(names: tuple[str, ...]) -> list[str]:
    """Every name, and in place of one with a star the files that it means, the highest version first."""
    expanded: list[str] = []
    for name in names:
        found = [str(path) for path in Path("/").glob(name[1:])] if "*" in name else [name]
        expanded += sorted(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path)], reverse=True)
    return expanded


def as_root() -> list[str] | None:
    """Return what stands before a command to run it as root without asking anyone, or None."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], check=False, capture_output=True).returncode == 0:
        return [sudo, "-n"]
    return None


def install(name: str) -> bool:
    """Install *name* by apt-get as root; return whether that was possible and worked."""
    prefix = as_root()
    if prefix is None or shutil.which("apt-get") is None:
        return False
    print(f"Installing {name} from the system's packages …", flush=True)
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    apt = [*prefix, *environment, "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    subprocess.run([*apt, "update"], check=False, stdout=subprocess.DEVNULL)
    done = subprocess.run(
        [*apt, "install", "--yes", "--no-install-recommends", name], check=False, stdout=subprocess.DEVNULL
    )
    return done.returncode == 0


def main() -> int:
    """Print where the program is; 1, with a sentence to act on, where it is not to be had."""
    name = sys.argv[1]
    if find(name) is None and not install(name):
        variable = PROGRAMS[name][1]
        print(
            f"This needs {name}, which could not be found or installed: install it, or name its path in {variable}.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
