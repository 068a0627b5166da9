"""Entries that a server is sent while another process commits in their space wait for it together."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
import structlog

from safelight.server.domain import commits
from safelight.server.routes.services import SERVICES
from safelight.server.stores import commit_checks
from safelight.server.stores.commit_checks import Case
from tests.http.conftest import Server, StartServer
from tests.support.postgres import PostgresServer
from tests.support.protocol import Pairing
from tests.support.waiting import held_up, until_one_waits

CAMERAS = 4


async def until_they_wait(server: Server, count: int) -> None:
    """Return once so many entries wait for the group that is being committed."""
    while len(server.app[SERVICES].commits._waiting) < count:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0.01)


async def test_entries_wait_for_another_process_together(
    start_server: StartServer, postgres: PostgresServer, tmp_path: Path
) -> None:
    """All that come for a space while another process holds it stand in one transaction; each gets its own receipt.

    *Two processes of one server in one space, whose groups were half as large as one's, and cost half as much again.*
    """
    name = postgres.make_database()
    server = await start_server(tmp_path / "data", database=postgres.address(name))
    owner, other = await server.owner(), await server.owner()
    cameras = [await owner.api.pair_camera(owner.writer, Pairing()) for _ in range(CAMERAS)]
    last = 1 + 2 * CAMERAS  # the genesis, and of each camera two
    async with held_up(postgres.address(name), owner.writer.space_id):
        sent = []
        for count, (api, signer) in enumerate(cameras):
            entry = owner.writer.open_roll(signer)
            sent.append(asyncio.create_task(api.commit(owner.writer, entry, signer=signer)))
            await (until_they_wait(server, count) if count else until_one_waits(postgres.address(name)))
        sent.append(asyncio.create_task(other.api.commit(other.writer, other.writer.open_roll())))
        await until_they_wait(server, CAMERAS)
    receipts = await asyncio.gather(*sent)
    assert [receipt.number for receipt in receipts] == [*range(last + 1, last + 1 + CAMERAS), 2]
    together = postgres.run(
        f"SELECT count(*) FROM entries WHERE number = 2 AND space_id = '\\x{other.writer.space_id.hex()}'"
        f" OR number > {last} GROUP BY xmin",
        name,
    )
    assert [count for (count,) in together] == [CAMERAS + 1]  # in whichever space: nobody held the other one


async def test_no_more_join_than_a_group_may_hold(
    start_server: StartServer, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group takes in the first that came until it is full, and locks no space of those that it has no room for."""
    monkeypatch.setattr(commits, "_MAX_BATCH", CAMERAS - 1)
    name = postgres.make_database()
    server = await start_server(tmp_path / "data", database=postgres.address(name))
    owner, other = await server.owner(), await server.owner()
    cameras = [await owner.api.pair_camera(owner.writer, Pairing()) for _ in range(CAMERAS)]
    joined_from = []
    next_group = server.app[SERVICES].commits.next_group

    def noted(
        space_ids: Collection[bytes] | None = None, before: Sequence[commits._Waiting] = ()
    ) -> list[commits._Waiting]:
        joined_from.append(space_ids and set(space_ids))
        return next_group(space_ids, before)

    monkeypatch.setattr(server.app[SERVICES].commits, "next_group", noted)
    async with held_up(postgres.address(name), owner.writer.space_id):
        sent = []
        for count, (api, signer) in enumerate(cameras):
            if count == CAMERAS - 1:  # the first that finds no room
                sent.append(asyncio.create_task(other.api.commit(other.writer, other.writer.open_roll())))
                await until_they_wait(server, count)
            entry = owner.writer.open_roll(signer)
            sent.append(asyncio.create_task(api.commit(owner.writer, entry, signer=signer)))
            await (until_they_wait(server, count) if count else until_one_waits(postgres.address(name)))
        await until_they_wait(server, CAMERAS)
    receipts = await asyncio.gather(*sent)
    assert [receipt.number for receipt in receipts] == [10, 11, 12, 2, 13]
    assert joined_from[:3] == [None, {owner.writer.space_id}, None]
    groups = postgres.run("SELECT count(*) FROM entries GROUP BY xmin::text ORDER BY max(xmin::text::bigint)", name)
    assert [count for (count,) in groups[-2:]] == [CAMERAS - 1, 2]


async def test_a_fault_is_one_entrys(
    start_server: StartServer, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server chokes on an entry of a group, only whoever sent that is told so; all others get their receipts.

    *One entry at fault, again and again: each time all that had been sent with it were answered 500 though they stood.*
    """
    name = postgres.make_database()
    server = await start_server(tmp_path / "data", database=postgres.address(name))
    owner = await server.owner()
    cameras = [await owner.api.pair_camera(owner.writer, Pairing()) for _ in range(CAMERAS)]
    at_fault = cameras[1][1].device_id

    def choke(case: Case) -> None:
        if case.commit.device_id == at_fault:
            raise ZeroDivisionError

    monkeypatch.setattr(commit_checks, "CHECKS", (*commit_checks.CHECKS, choke))
    sent = []
    with structlog.testing.capture_logs() as logged:
        async with held_up(postgres.address(name), owner.writer.space_id):
            for count, (api, signer) in enumerate(cameras):
                entry = owner.writer.open_roll(signer)
                sent.append(asyncio.create_task(api.commit(owner.writer, entry, signer=signer)))
                await (until_they_wait(server, count) if count else until_one_waits(postgres.address(name)))
        first, fault, *others = await asyncio.gather(*sent, return_exceptions=True)
    assert [getattr(receipt, "number", receipt) for receipt in (first, *others)] == [10, 11, 12]
    assert isinstance(fault, AssertionError)  # how this client shows an answer that is none
    assert [type(entry["exc_info"]) for entry in logged if entry["log_level"] == "error"] == [ZeroDivisionError]
