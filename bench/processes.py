"""What a second process costs on PostgreSQL: CPU seconds of the servers per commit over HTTP, beside one process.

`python -m bench.processes [--waiting 64] [--rounds 20] [--repeats 11]` has as many cameras commit at once, in one space
and spread over four, turn by turn through one process and through both; exits 1 where two take more than 1.15 times the
CPU of one. CPU is counted, not speed: the database and the load run on the same cores. Everything is signed and encoded
beforehand. Then readers follow every space through both processes while all commit; exits 1 at any wrong order.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from bench.clients import Kept, bearer
from bench.http_commits import commit_requests, pair_many
from bench.nginx import cpu_seconds
from bench.order import Answered, Follower, Slot, WrongOrder, check_alike, check_answers, check_fresh
from bench.support import PASSWORD, Installation, installation, second_process, with_camera
from safelight.clients.engine.account_session import open_account
from safelight.clients.engine.cameras import open_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.sync_protocol.limits import MAX_ASSETS_PER_ROLL, MAX_FEED_ENTRIES
from safelight.sync_protocol.log import frames_from_bytes
from safelight.sync_protocol.messages.spaces import Committed
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.wire import unpack
from tests.support.postgres import postgres_server
from tests.support.seaweed import seaweed_process

CEILING = 1.15
_SPACES = 4


@dataclass
class Line:
    """One camera: its commits, ready to send in order, and their answers."""

    space_id: bytes
    requests: list[bytes]
    answers: list[tuple[float, float, bytes]] = field(default_factory=list)

    async def commit(self, connection: Kept, count: int) -> None:
        """Send the next commits, each when the one before it is answered."""
        for _ in range(count):
            sent_s = time.perf_counter()
            body = await connection.ask(self.requests[len(self.answers)])
            self.answers.append((sent_s, time.perf_counter(), body))

    def answered(self) -> list[Answered]:
        """What the receipts say."""
        read = []
        for sent_s, answered_s, body in self.answers:
            receipt = unpack(msgspec.json.decode(body, type=Committed).receipt, Receipt)
            read.append(Answered(sent_s, answered_s, Slot(receipt.number, receipt.entry_id, receipt.chain)))
        return read


@dataclass
class Costs:
    """CPU seconds a commit, by turn."""

    one: list[float] = field(default_factory=list)
    two: list[float] = field(default_factory=list)

    def ratio(self) -> float:
        """How many times the CPU of one process two take: of two turns beside each other, as the machine may change."""
        return statistics.median(two / one for one, two in zip(self.one, self.two, strict=True))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two processes of a server, and a session that reads its spaces."""

    processes: tuple[Installation, Installation]
    token: str

    def cpu_s(self) -> list[float]:
        """What each has taken so far."""
        return [cpu_seconds(made.server.pid) for made in self.processes]

    async def commit(self, lines: Sequence[Line], ways: Sequence[int], rounds: int) -> list[float]:
        """Commit over all *lines* at once, each through its process; return the CPU seconds of each process."""
        # Anew each time: a server closes a connection that asks nothing for half a minute.
        connections = [await Kept.open(self.processes[process].url) for process in ways]
        before_s = self.cpu_s()
        await asyncio.gather(*(line.commit(each, rounds) for line, each in zip(lines, connections, strict=True)))
        used_s = [now_s - was_s for now_s, was_s in zip(self.cpu_s(), before_s, strict=True)]
        for connection in connections:
            connection.writer.close()
        return used_s

    async def read(self, follower: Follower, connection: Kept, space_id: bytes) -> None:
        """Read the next page."""
        host = urlsplit(self.processes[0].url).netloc
        path = f"/v1/spaces/{space_id.hex()}/log?after={follower.cursor}"
        asked_s = time.perf_counter()
        body = await connection.ask(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {self.token}\r\n\r\n".encode()
        )
        follower.take(asked_s, frames_from_bytes(body), MAX_FEED_ENTRIES)

    async def follow_to_the_end(self, follower: Follower, process: int, space_id: bytes) -> None:
        """Read until nothing more is shown, over a connection of its own."""
        connection = await Kept.open(self.processes[process].url)
        before = -1
        while follower.cursor != before:
            before = follower.cursor
            await self.read(follower, connection, space_id)
        connection.writer.close()


async def take_turns(pair: Pair, lines: Sequence[Line], rounds: int, repeats: int) -> Costs:
    """Commit through one process, which changes, and through both; count the CPU of those that were asked."""
    costs = Costs()
    commits = rounds * len(lines)
    for repeat in range(repeats):
        alone = repeat % 2
        used_s = await pair.commit(lines, [alone] * len(lines), rounds)
        costs.one.append(used_s[alone] / commits)
        used_s = await pair.commit(lines, [(index + repeat) % 2 for index in range(len(lines))], rounds)
        costs.two.append(sum(used_s) / commits)
    return costs


async def follow(pair: Pair, lines: Sequence[Line], rounds: int) -> int:
    """Follow all spaces of *lines* through both processes while they commit; return how many pages showed something.

    Afterwards each log is read once more from its beginning, and all that was ever answered is looked for in it. Raises
    WrongOrder.
    """
    over = asyncio.Event()
    space_ids = sorted({line.space_id for line in lines})
    followers = {
        (space_id, process): Follower(f"process {process + 1}") for space_id in space_ids for process in (0, 1)
    }
    for (space_id, process), follower in followers.items():
        await pair.follow_to_the_end(follower, process, space_id)
    pages = 0

    async def keep_reading(follower: Follower, process: int, space_id: bytes) -> None:
        nonlocal pages
        connection = await Kept.open(pair.processes[process].url)
        while not over.is_set():
            before = follower.cursor
            await pair.read(follower, connection, space_id)
            pages += follower.cursor > before
        connection.writer.close()

    async def commit() -> None:
        try:
            await pair.commit(lines, [index % 2 for index in range(len(lines))], rounds)
        finally:
            over.set()

    reading = (keep_reading(each, process, space_id) for (space_id, process), each in followers.items())
    await asyncio.gather(commit(), *reading)
    for space_id in space_ids:
        answers = [answered for line in lines if line.space_id == space_id for answered in line.answered()]
        live = [followers[space_id, process] for process in (0, 1)]
        again = [Follower(f"process {process + 1}, asked again,") for process in (0, 1)]
        for process in (0, 1):
            await pair.follow_to_the_end(live[process], process, space_id)
            await pair.follow_to_the_end(again[process], process, space_id)
            check_answers(live[process], answers)
            check_fresh(live[process], answers)
        check_alike([*live, *again])
    return pages


async def measure(pair: Pair, ways: dict[str, list[Line]], options: argparse.Namespace) -> bool:
    """Print the table; return whether every ceiling holds and no order was wrong."""
    holds = True
    print(f"{options.waiting} cameras at once, CPU of the servers a commit, medians of {options.repeats} turns")
    print(f"{'':<16}{'one process':>14}{'two':>12}{'ratio':>8}  (ceiling {CEILING})", flush=True)
    for name, lines in ways.items():
        costs = await take_turns(pair, lines, options.rounds, options.repeats)
        medians = f"{statistics.median(costs.one) * 1e6:>11.0f} us{statistics.median(costs.two) * 1e6:>9.0f} us"
        print(f"{name:<16}{medians}{costs.ratio():>8.2f}", flush=True)
        holds = holds and costs.ratio() <= CEILING
    for name, lines in ways.items():
        try:
            pages = await follow(pair, lines, options.rounds)
        except WrongOrder as error:
            print(f"WRONG ORDER in {name}: {error}", flush=True)
            return False
        commits = sum(len(line.answers) for line in lines)
        print(f"{name}: {commits} commits in order, the last {options.rounds * len(lines)} followed over {pages} pages")
    return holds


async def prepare(made: Installation, names: Sequence[str], cameras: int, commits: int) -> list[Line]:
    """Pair cameras, spread over the spaces with these names, and sign their commits."""
    lines = []
    for name in names:
        for folder in await pair_many(made, cameras // len(names), name):
            with folder:
                async with open_camera(folder) as camera:
                    lines.append(Line(camera.profile.space_id, await commit_requests(camera, commits)))
    return lines


async def owner_token(made: Installation) -> str:
    """Open a session of the owner's."""
    with ProfileFolder(made.folder / "owner") as folder:
        async with open_account(folder, PASSWORD) as account:
            return await bearer(account.connection, account.device)


async def run(processes: tuple[Installation, Installation], options: argparse.Namespace) -> bool:
    """Prepare and measure."""
    several = [f"Space {number}" for number in range(_SPACES)]
    for name in several:
        processes[0].run("owner", "space", "create", name, "--kind", "family")
    commits = options.rounds * (2 * options.repeats + 1)
    ways = {
        "one space": await prepare(processes[0], ["Family"], options.waiting, commits),
        f"{_SPACES} spaces": await prepare(processes[0], several, options.waiting, commits),
    }
    return await measure(Pair(processes, await owner_token(processes[0])), ways, options)


def main() -> int:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=11)
    options = parser.parse_args()
    if options.rounds * (2 * options.repeats + 1) > MAX_ASSETS_PER_ROLL:
        parser.error(f"a camera's roll holds {MAX_ASSETS_PER_ROLL} assets: fewer rounds or repeats")
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        postgres.run("CREATE DATABASE processes")
        bucket = stack.enter_context(seaweed_process()).address()
        blobs = ("--blobs", f"s3://{bucket.bucket}/{bucket.prefix}", "--s3-endpoint", bucket.endpoint)
        server = ("--database", postgres.address("processes"), *blobs, "--connections-per-address", "1000")
        first = stack.enter_context(installation(*server))
        second = stack.enter_context(second_process(first, *server))
        with_camera(first)
        return 0 if asyncio.run(run((first, second), options)) else 1


if __name__ == "__main__":
    sys.exit(main())
