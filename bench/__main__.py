"""Run every benchmark and print its table; exit 1 if one of them misses its floor.

`python -m bench [NAME…]` runs all, or those named. Each is a script of its own with its own options.
"""

import subprocess
import sys
from pathlib import Path

NAMES = (
    "sealing",
    "commits",
    "http_commits",
    "memory",
    "downloads",
    "uploads",
    "checking",
    "push",
    "processes",
    "large_space",
    "ledgers",
    "listing",
    "removal",
)


def main() -> int:
    """Run them one after another, so that none disturbs another."""
    names = sys.argv[1:] or NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    missed = []
    for name in names:
        print(f"\n## {name}\n", flush=True)
        if subprocess.run(
            [sys.executable, "-m", f"bench.{name}"], cwd=Path(__file__).parent.parent, check=False
        ).returncode:
            missed.append(name)
    print(
        f"\n{len(names) - len(missed)} of {len(names)} reach their floors"
        + (f"; not: {', '.join(missed)}" if missed else "")
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
