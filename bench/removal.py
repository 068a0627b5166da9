"""What removing a member costs in a space of 100,000 assets, beside a space of 100: nothing is sealed again on the way.

`python -m bench.removal [--assets 100000] [--small 100] [--members 7]` has as many members join two spaces of one
account, fills both with records that open, and removes one member after the other, in turn from the one space and from
the other: each time the owner's client opens the space as its profile has it, looks for what is new, begins the epoch
and commits. Prints medians of the clock and of processor time, of the client and of the server; exits 1 where the
large space costs more than 1.3 times the small one by any of them.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.signed_records import fill
from bench.support import PASSWORD, Installation, installation, with_account, with_space
from safelight.clients.engine.account_session import AccountSession, open_account
from safelight.clients.engine.members import remove_member
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_space

CEILING = 1.3
LARGE, SMALL = "Large", "Small"
_COLUMNS = ("the clock", "client's processor time", "server's processor time")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one removal took: of the clock, of a processor in the client, and in the server; in milliseconds."""

    wall_ms: float
    client_ms: float
    server_ms: float


def processor_s(pid: int) -> float:
    """How long all threads of a process have run, to the nanosecond (`/proc/…/stat` counts hundredths)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def prepare(made: Installation, assets: dict[str, int], members: int) -> list[bytes]:
    """Make both spaces with their members, and fill them; returns the members' account ids."""
    with_account(made, "owner")
    for space in assets:
        with_space(made, space, f"camera of {space}")
    joined = [with_account(made, f"member-{number}") for number in range(members)]
    for number in range(members):
        for space in assets:
            name = f"member-{number}"
            made.run(name, "member", "join", made.run("owner", "member", "invite", name, "--space", space)["uri"])
    for space, count in assets.items():
        made.run("owner", "album", "list", "--space", space)  # lets in who joined last
        fill(made.folder, f"camera of {space}", count, 50)
    return joined


async def remove_in_turns(made: Installation, members: Sequence[bytes]) -> dict[str, list[Cost]]:
    """Remove all members from both spaces, each time from the one and then from the other."""
    costs: dict[str, list[Cost]] = {LARGE: [], SMALL: []}
    with ProfileFolder(made.folder / "owner") as folder:
        async with open_account(folder, PASSWORD) as session:
            ids = {space: (await find_space(session, space)).space_id for space in costs}  # and takes what was filled
            for member in members:
                for space, taken in costs.items():
                    taken.append(await removal(made, session, ids[space], member))
    return costs


async def removal(made: Installation, session: AccountSession, space_id: bytes, member: bytes) -> Cost:
    """Remove one member, from opening the space on."""
    known = next(known for known in session.content.spaces if known.space_id == space_id)
    server_s, client_s, started_s = processor_s(made.server.pid), processor_s(os.getpid()), time.perf_counter()
    with SpaceView(session, known) as view:
        state = await view.sync()
        if member not in state.members:
            raise RuntimeError("who is to be removed was never let in")
        await remove_member(view, member)
    wall_s = time.perf_counter() - started_s
    client_s, server_s = processor_s(os.getpid()) - client_s, processor_s(made.server.pid) - server_s
    return Cost(wall_s * 1e3, client_s * 1e3, server_s * 1e3)


def report(costs: dict[str, list[Cost]], assets: dict[str, int]) -> bool:
    """Print the table; return whether every ratio is below the ceiling."""
    print(f"medians of {len(costs[LARGE])} removals, ceiling {CEILING}\n")
    print(f"| removing a member | of {assets[LARGE]:,} assets | of {assets[SMALL]:,} | ratio |")
    print("|---|---|---|---|")
    holds = True
    for what, kind in zip(_COLUMNS, ("wall_ms", "client_ms", "server_ms"), strict=True):
        large, small = (statistics.median(getattr(cost, kind) for cost in costs[space]) for space in (LARGE, SMALL))
        print(f"| {what} | {large:.1f} ms | {small:.1f} ms | {large / small:.2f} |")
        holds = holds and large / small <= CEILING
    return holds


def main() -> int:
    """Read the options and measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=int, default=100_000)
    parser.add_argument("--small", type=int, default=100)
    parser.add_argument("--members", type=int, default=7)
    options = parser.parse_args()
    assets = {LARGE: options.assets, SMALL: options.small}
    with installation() as made:
        members = prepare(made, assets, options.members)
        costs = asyncio.run(remove_in_turns(made, members))
    return 0 if report(costs, assets) else 1


if __name__ == "__main__":
    sys.exit(main())
