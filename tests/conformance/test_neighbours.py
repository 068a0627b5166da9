"""Two processes at one PostgreSQL: whatever they do at once, it is as if one had done it after the other.

And locks are left out on purpose, one at a time, which the tests above must notice. Without that of a space's row
nothing goes wrong, for the key of the entries finds out; it only saves doing things anew.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from safelight.server.domain.leases import HeldElsewhere, Leases
from safelight.server.domain.ports.commits import Commit, Committed, Rejected
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import AccountChange, AccountRow, UnlockerRow
from safelight.server.stores import accounts, blobs, commit_facts
from safelight.server.stores.postgres_connection import PostgresTransaction
from safelight.server.stores.statements import Statement, statement
from safelight.sync_protocol.log import next_chain
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import DAY_MS, NOW_MS, Library, a_device, add_account, some_hash, some_id
from tests.conformance.postgres import databases_of
from tests.conformance.test_mutants import CAUGHT
from tests.support.postgres import PostgresServer

ROUNDS = 12
LATER_MS = NOW_MS + 1


@pytest.fixture
async def two(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[tuple[Database, Database]]:
    """One database, opened as two processes open it."""
    with databases_of(postgres) as open_database:
        opened = await open_database(tmp_path), await open_database(tmp_path)
        yield opened
        for database in opened:
            await database.close()


async def at_once(two: Sequence[Database], commits: Sequence[Commit]) -> list[Committed | Rejected]:
    """Commit one entry at each database at the same time."""
    outcomes = await asyncio.gather(*(each.commit([commit]) for each, commit in zip(two, commits, strict=True)))
    return [outcome for [outcome] in outcomes]


def codes(outcomes: Sequence[object]) -> list[Code]:
    """The refusals among *outcomes*."""
    return [outcome.code for outcome in outcomes if isinstance(outcome, Rejected | Refused)]


async def test_a_space_begins_once(two: tuple[Database, Database]) -> None:
    """Of two geneses of one space one stands; the same one sent to both stands, with one answer."""
    account_id, device_id = await add_account(two[0])
    for _ in range(ROUNDS):
        space = Library(two[0], account_id, device_id, some_hash())
        outcomes = await at_once(two, [space.genesis(), space.genesis()])
        assert codes(outcomes) == [Code.ENTRY_STALE]
        again = Library(two[0], account_id, device_id, some_hash())
        genesis = again.genesis()
        first, second = await at_once(two, [genesis, genesis])
        assert isinstance(first, Committed)
        assert isinstance(second, Committed)
        assert replace(first, repeated=False) == replace(second, repeated=False)
        assert first.repeated != second.repeated


async def test_ids_are_given_once(two: tuple[Database, Database]) -> None:
    """A camera's id and a link's id, taken in two spaces at once, belong to one of them."""
    for _ in range(ROUNDS):
        here, there = [await Library.make(two[0]) for _ in range(2)]
        camera_id = some_id()
        binds = [
            replace(space.a_ledger_entry(), cameras=[a_device(camera_id, space.account_id, space.space_id)])
            for space in (here, there)
        ]
        outcomes = await at_once(two, binds)
        assert codes(outcomes) == [Code.CAMERA_ALREADY_BOUND]
        taken = await two[0].device(camera_id)
        assert taken is not None
        for space, outcome in zip((here, there), outcomes, strict=True):
            assert isinstance(outcome, Committed) == (taken.space_id == space.space_id)
        here, there = [await Library.make(two[0]) for _ in range(2)]
        links = [await here.a_link(), await there.a_link()]
        link_id = some_id()
        links = [replace(commit, link=replace(commit.link, link_id=link_id)) for commit in links if commit.link]
        assert codes(await at_once(two, links)) == [Code.LEDGER_RULE]


async def test_accounts_have_one_next_entry(two: tuple[Database, Database]) -> None:
    """Names, device ids and places in an account's ledger are given once; an invite is good for one."""
    for _ in range(ROUNDS):
        (first, _), (second, _) = [await add_account(two[0]) for _ in range(2)]
        device = some_id()
        changes = [
            AccountChange(account_id, 1, [(2, some_hash(), b"two")], NOW_MS, [a_device(device, account_id)])
            for account_id in (first, second)
        ]
        results = await asyncio.gather(
            *(each.change_account(change) for each, change in zip(two, changes, strict=True)), return_exceptions=True
        )
        assert codes(results) == [Code.ACCOUNT_LEDGER_CONFLICT]
        third, _ = await add_account(two[0])
        older, newer = [UnlockerRow("password", some_hash(), b"wrapped", some_id(), 65536, 3) for _ in range(2)]
        await asyncio.gather(
            two[0].change_account(AccountChange(third, 1, [(2, some_hash(), b"2")], NOW_MS, unlockers=[newer])),
            two[1].change_account(AccountChange(third, 1, (), NOW_MS, unlockers=[older])),
            return_exceptions=True,
        )
        assert (
            await two[0].unlocker(third, "password") == newer
        )  # what was said of an older ledger is not the last word
        invite, name = some_hash(), some_id().hex()
        await two[0].add_invite(invite, NOW_MS + DAY_MS)
        accounts = [AccountRow(some_id(), name, NOW_MS, 1, some_hash()) for _ in range(2)]
        created = await asyncio.gather(
            *(
                each.create_account(account, invite, AccountChange(account.account_id, 0, (), NOW_MS), NOW_MS)
                for each, account in zip(two, accounts, strict=True)
            ),
            return_exceptions=True,
        )
        assert len(codes(created)) == 1, created


async def test_no_wrong_order(two: tuple[Database, Database]) -> None:
    """Both commit to two spaces, with clocks an hour apart: no gap, no fork, no time that falls, every chain whole."""
    spaces = [await Library.make(two[0]) for _ in range(2)]
    acknowledged: list[int] = []

    async def device_of(number: int) -> None:
        device_id, database = some_id(), two[number % 2]
        last = {space.space_id: (0, b"") for space in spaces}
        for step in range(12):
            space = spaces[(step + number) % 2]
            counter, previous_id = last[space.space_id]
            record = replace(space.a_record(device_id), counter=counter + 1, previous_id=previous_id)
            record = replace(record, now_ms=NOW_MS + step * 1000 + (number % 2) * 3_600_000)
            before = max(acknowledged, default=0)
            [outcome] = await database.commit([record])
            assert isinstance(outcome, Committed), outcome
            assert outcome.time_ms >= before
            acknowledged.append(outcome.time_ms)
            last[space.space_id] = (record.counter, record.entry_id)

    await asyncio.gather(*map(device_of, range(12)))
    for space in spaces:
        rows = await two[1].entries(space.space_id, 0, 1000, 10**9)
        assert [row.number for row in rows] == list(range(1, 1 + 12 * 6 + 1))
        assert [row.time_ms for row in rows] == sorted(row.time_ms for row in rows)
        chain = b""
        for row in rows:
            chain = next_chain(chain, row.number, row.entry_id)
            assert row.chain == chain


async def test_limits_hold_for_all_processes(two: tuple[Database, Database]) -> None:
    """A device has so many uploads open, whichever process it asks."""
    library = await Library.make(two[0])
    results = await asyncio.gather(
        *(two[number % 2].add_upload(library.an_upload(), 5, 10**9, 10**6) for number in range(20)),
        return_exceptions=True,
    )
    assert codes(results) == [Code.QUOTA_EXCEEDED] * 15


async def test_a_commit_and_another_ones_collector(two: tuple[Database, Database]) -> None:
    """No record names a blob that another process forgot, and no upload ends with one that is about to go."""
    library = await Library.make(two[0])
    for _ in range(ROUNDS):
        name = await library.hold()
        commit = await library.an_asset(name)
        [outcome], gone = await asyncio.gather(library.commit(commit), two[1].forget_blob(name, LATER_MS))
        held = await two[0].blob_in_space(library.space_id, name)
        assert gone == (held is None) == isinstance(outcome, Rejected)
    for _ in range(ROUNDS):
        await library.hold_named(name := some_hash())
        other = await Library.make(two[0])
        await two[0].add_upload(upload := other.an_upload(), 10, 10**12, 10**6)
        finished, forgotten = await asyncio.gather(
            two[0].finish_upload(upload.upload_id, name, 3_000_000, NOW_MS + 2 * DAY_MS),
            two[1].forget_blob(name, LATER_MS),
            return_exceptions=True,
        )
        assert forgotten == isinstance(finished, Refused)
        assert forgotten == (name in await two[0].forgotten_blobs(1000))
        assert forgotten == (await two[1].blob_in_space(other.space_id, name) is None)


class Heard:
    """Takes what a database tells."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}
        self.asked_for: set[bytes] = set()
        self.missed = 0
        self.something = asyncio.Event()

    def log_grew(self, space_id: bytes, number: int) -> None:
        """Remember it."""
        self.numbers[space_id] = number
        self.something.set()

    def missed_something(self) -> None:
        """Count it."""
        self.missed += 1
        self.something.set()

    def wanted(self, name: bytes) -> None:
        """Remember it."""
        self.asked_for.add(name)
        self.something.set()

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait for it to be so."""
        async with asyncio.timeout(20):
            while not what():
                await self.something.wait()
                self.something.clear()


async def test_what_one_commits_the_other_hears(two: tuple[Database, Database], postgres: PostgresServer) -> None:
    """Each process hears how far the logs came, also after its listening connection was lost, and that it was."""
    heard = Heard()
    two[1].tell(heard)
    await heard.until(lambda: heard.missed == 1)
    library = await Library.make(two[0])
    await heard.until(lambda: heard.numbers.get(library.space_id) == 1)
    [[ended]] = await asyncio.to_thread(
        postgres.run, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    )
    assert ended
    await heard.until(lambda: heard.missed == 2)
    records = [first := library.a_record(), library.a_record(after=first)]
    await library.commit(*records)
    await heard.until(lambda: heard.numbers.get(library.space_id) == 3)
    [rejected] = await library.commit(replace(library.a_record(), ledger_number=7))
    assert isinstance(rejected, Rejected)
    assert heard.numbers == {library.space_id: 3}


async def test_the_ledger_is_never_older_than_what_another_acknowledged(two: tuple[Database, Database]) -> None:
    """What one process acknowledged, another knows at the next question."""
    library = await Library.make(two[0])
    assert await two[1].newest_ledger_number(some_hash()) is None
    for _ in range(ROUNDS):
        await library.do(library.a_record())
        number = (await library.do(library.a_ledger_entry())).number
        assert await two[1].newest_ledger_number(library.space_id) == number


async def test_a_claim_is_granted_once(two: tuple[Database, Database]) -> None:
    """Of values claimed at once one is kept, and all who claimed are told the same."""
    for number in range(ROUNDS):
        key = f"claim {number}"
        kept = await asyncio.gather(*(two[step % 2].claim_meta(key, bytes([step])) for step in range(6)))
        assert set(kept) == {await two[0].get_meta(key)}


async def test_a_lease_is_one_processes(two: tuple[Database, Database]) -> None:
    """What one process has another gets when it is let go or over, and meanwhile the one hears that it is wanted."""
    heard, asking = Heard(), Heard()
    two[0].tell(heard)
    two[1].tell(asking)
    await heard.until(lambda: heard.missed == 1)
    await asking.until(lambda: asking.missed == 1)
    name = some_id()
    assert await two[0].take_lease(name, 60_000) == 0
    assert await two[0].take_lease(name, 60_000) == 0
    assert 50_000 < await two[1].take_lease(name, 60_000) <= 60_000
    await heard.until(lambda: name in heard.asked_for)
    assert not asking.asked_for  # who asks is not told to let go
    await two[1].release_lease(name)
    assert await two[1].take_lease(name, 60_000) > 0
    await two[0].release_lease(name)
    assert await two[1].take_lease(name, 50) == 0
    await asyncio.sleep(0.06)
    assert await two[0].take_lease(name, 60_000) == 0
    taken = await asyncio.gather(*(each.take_lease(other, 60_000) for other in [some_id()] for each in two))
    assert sorted(left_ms > 0 for left_ms in taken) == [False, True]


async def test_who_lost_an_upload_says_nothing_more_of_it(two: tuple[Database, Database]) -> None:
    """A process that froze, and whose upload another took over, changes nothing of it when it wakes."""
    library = await Library.make(two[0])
    await two[0].add_upload(upload := library.an_upload(), 10, 10**12, 10**6)
    upload_id = upload.upload_id
    assert await two[0].take_lease(upload_id, 1) == 0
    await two[0].set_upload_offset(upload_id, 100, None)
    await asyncio.sleep(0.01)
    assert await two[1].take_lease(upload_id, 60_000) == 0
    await two[1].release_lease(upload_id)
    await two[1].delete_expired(int(time.time() * 1000))  # what ended just now still says who was last
    for change in (
        two[0].set_upload_offset(upload_id, 200, None),
        two[0].begin_publishing(upload_id, some_hash()),
        two[0].finish_upload(upload_id, some_hash(), 200, NOW_MS),
        two[0].fail_upload(upload_id),
    ):
        with pytest.raises(Refused) as refusal:
            await change
        assert refusal.value.code is Code.UPLOAD_BUSY
    assert await two[1].upload(upload_id) == replace(upload, offset_bytes=100)
    await two[1].set_upload_offset(upload_id, 150, None)
    assert await two[0].take_lease(upload_id, 60_000) == 0
    await two[0].finish_upload(upload_id, some_hash(), 200, NOW_MS)


async def test_leases_are_renewed_and_end_with_their_process(two: tuple[Database, Database]) -> None:
    """Who needs something for longer keeps it; who is dead does not."""
    here, there = [Leases(database, 0.3) for database in two]
    name = some_id()
    async with here.held(name, wait_s=0) as lease:
        await asyncio.sleep(0.6)
        assert lease.has_left(0.05)
        with pytest.raises(HeldElsewhere):
            async with there.held(name, wait_s=0.4):
                pass
    async with there.held(name, wait_s=0):
        pass
    await two[0].take_lease(name, 300)  # and then nobody renews it
    async with there.held(name, wait_s=2) as lease:
        assert lease.has_left(0.05)


async def test_a_lease_that_another_had_in_between(two: tuple[Database, Database]) -> None:
    """*A process that froze deletes what was uploaded again since*: what another took meanwhile is not renewed.

    A renewal that takes the lease anew, as the first did, hides that another had it and let go of it.
    """
    name = some_id()
    assert await two[0].take_lease(name, 1) == 0
    await asyncio.sleep(0.01)
    assert await two[0].renew_lease(name, 1)  # over, but nobody else's since
    await asyncio.sleep(0.01)
    assert await two[1].take_lease(name, 60_000) == 0
    assert not await two[0].renew_lease(name, 60_000)
    await two[1].release_lease(name)
    assert not await two[0].renew_lease(name, 60_000)
    assert await two[1].renew_lease(name, 60_000)
    async with Leases(two[0], 1.5).held(other := some_id(), wait_s=0) as lease:
        assert await two[1].take_lease(other, 60_000) > 0
        await _freeze(two[0], other)
        assert await two[1].take_lease(other, 60_000) == 0
        await two[1].release_lease(other)
        await asyncio.sleep(0.8)
        assert not lease.has_left(0)


async def _freeze(database: Database, name: bytes) -> None:
    """Let a lease of this process run out, as if it had slept since it took it."""
    await database.renew_lease(name, 0)


MUTANTS: list[tuple[dict[str, Statement], str, Callable[..., Awaitable[None]]]] = [
    (accounts.SQL, "lock", test_accounts_have_one_next_entry),
    (commit_facts.SQL, "blobs", test_a_commit_and_another_ones_collector),
    (blobs.SQL, "lock_held", test_a_commit_and_another_ones_collector),
    ({}, "uploads of", test_limits_hold_for_all_processes),
    ({}, "blob ", test_a_commit_and_another_ones_collector),
]


@pytest.mark.parametrize(("statements", "lock", "trial"), MUTANTS, ids=[lock for _, lock, _ in MUTANTS])
async def test_a_forgotten_lock_is_caught(
    two: tuple[Database, Database],
    monkeypatch: pytest.MonkeyPatch,
    statements: dict[str, Statement],
    lock: str,
    trial: Callable[..., Awaitable[None]],
) -> None:
    """Without the lock, the test that is about it fails, if not always then soon."""
    if statements:
        whole = statements[lock]
        assert whole.text.endswith(" FOR UPDATE")
        monkeypatch.setitem(statements, lock, statement(whole.name, whole.text.removesuffix(" FOR UPDATE")))
    else:
        take_turns = PostgresTransaction.take_turns

        async def forgetful(tx: PostgresTransaction, name: bytes) -> None:
            if not name.startswith(lock.encode()):
                await take_turns(tx, name)

        monkeypatch.setattr(PostgresTransaction, "take_turns", forgetful)

    async def try_often() -> None:
        for _ in range(1000):
            await trial(two)

    with pytest.raises(CAUGHT):
        await try_often()
