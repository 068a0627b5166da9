"""Every answer that promises something leaves only after what it promises is on the disk, in the right order.

The real server runs under strace from an empty folder on. For each answer a model of the disk says what a power loss
would take at that moment: of what the requests wrote, nothing. And for each kind of promise its steps stand in order.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.faults import mutants, strace
from tests.faults.client import Client, server_key_of
from tests.faults.machine import needs_tracing, served
from tests.faults.promises import Promises
from tests.support.api import Api
from tests.support.protocol import Blob, Link, Pairing, Writer, make_asset
from tests.support.raw_http import raw

pytestmark = pytest.mark.timeout(180)

TRACE = f"trace={strace.WRITES},{strace.SYNCS},{strace.NAMES},{strace.SOCKETS}"

_WAL = (("pwrite64", r"safelight\.db-wal"), ("fdatasync|fsync", r"safelight\.db-wal"))
_FIRST_PART = (("fdatasync|fsync", r"/uploads/\w+>"), ("fsync", r"/uploads>"), *_WAL)
_NEXT_PART = (("fdatasync|fsync", r"/uploads/\w+>"), *_WAL)
_PUBLISHED = (
    ("fsync", r"/uploads/\w+>"),
    ("rename", r"/uploads/\w+.*/blobs/\w\w/\w+"),
    ("fsync", r"/blobs/\w\w>"),
    *_WAL,
)
# What a request is, its status, and what must be done for its answer, in this order.
STEPS: dict[tuple[str, int], tuple[tuple[str, str], ...]] = {
    ("invite", 200): _WAL,
    ("POST /v1/accounts", 200): _WAL,
    ("POST /v1/sessions", 200): _WAL,
    ("POST /v1/spaces", 200): _WAL,
    ("POST /v1/spaces/…/commits", 200): _WAL,
    ("POST /v1/spaces/…/bind", 200): _WAL,
    ("POST /v1/blobs", 200): _PUBLISHED,
    ("POST /v1/blobs", 201): _FIRST_PART,
    ("PATCH /v1/blobs/uploads/…", 204): _NEXT_PART,
    ("PATCH /v1/blobs/uploads/…", 200): _PUBLISHED,
    ("DELETE /v1/blobs/uploads/…", 204): _WAL,
    ("POST /v1/links/…/open", 200): _WAL,
}


@dataclass
class Seen:
    """The kinds of exchange that were seen, and what was wrong with them."""

    kinds: set[tuple[str, int]]
    wrong: list[str]
    interim: int


async def work(url: str, data: Path) -> None:
    """Ask for every kind of promise once or more, one after the other over one connection."""
    chance = random.Random(7)
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=connector) as http:
        client = Client(Api(url, http, await server_key_of(url, http)), Promises())
        person = await client.join(data)
        writer = Writer(person, person.signer)
        await client.create_space(writer)
        signer, space_id = writer.signer, writer.space_id
        await client.commit(writer, writer.open_roll())
        for size_bytes, pieces in ((100, 1), (100_000, 3), (3_000_000, 1), (2_500_000, 2)):
            blob = Blob(chance.randbytes(size_bytes))
            await client.upload(signer, space_id, blob.data, pieces)
            await client.commit(writer, writer.add_assets(make_asset(blob)))
        path = await client.upload(signer, space_id, chance.randbytes(50_000), 3, whole=False)
        assert (await client.api.send("DELETE", path)).status == 204
        await client.api.pair_camera(writer, Pairing())
        link = Link(Blob(b"a link's page"))
        await client.api.publish(writer, link)
        await client.open(signer, space_id, link, 2)
    await upload_with_offsets(url, client.api.token, space_id, chance.randbytes(20_000_000))


async def upload_with_offsets(url: str, token: str, space_id: bytes, data: bytes) -> None:
    """Upload to a server that says on the way how much is durable (104)."""
    async with raw(url, token) as connection:
        headers = {"Upload-Draft-Interop-Version": "8", "Upload-Complete": "?1", "Content-Length": str(len(data))}
        await connection.request("POST", f"/v1/blobs?space={space_id.hex()}", headers, data)
        assert (await connection.final()).status == 200


@asynccontextmanager
async def traced(folder: Path, mutant: str) -> AsyncIterator[tuple[str, Path]]:
    """A server that makes its data folder under strace."""
    command = (*strace.COMMAND, "-e", TRACE, "-o", str(folder / "trace"))
    async with served(folder / "data", mutant=mutant, strace=command) as server:
        yield server.url, server.data


async def look(folder: Path, mutant: str = "") -> Seen:
    """Let a server work, then read its trace."""
    async with traced(folder, mutant) as (url, data):
        await work(url, data)
    seen = Seen(set(), [], 0)
    for exchange in strace.exchanges(strace.calls(folder / "trace"), data, URL(url).port or 0):
        kind = (_pattern(exchange.request), exchange.status)
        seen.kinds.add(kind)
        seen.wrong += [f"{kind}: {what} would be lost" for what in exchange.unsafe]
        seen.wrong += [f"{kind}: {offset} was stated before it was durable" for offset in exchange.interim]
        if missing := strace.missing_step(exchange, STEPS.get(kind, ())):
            seen.wrong.append(missing)
    return seen


def _pattern(request: str) -> str:
    words = [word if len(word) < 32 else "…" for word in request.partition("?")[0].split("/")]
    return "/".join(words)


async def test_what_is_promised_is_on_the_disk_first(tmp_path: Path) -> None:
    """Whole from an empty folder to an opened link: file, name, folder, row, and only then the answer."""
    needs_tracing()
    seen = await look(tmp_path)
    assert seen.wrong == []
    assert set(STEPS) <= seen.kinds, sorted(set(STEPS) - seen.kinds)


@pytest.mark.parametrize(
    ("mutant", "sentence"),
    [
        (mutants.NO_FOLDER_SYNC, "the name /blobs/"),
        (mutants.NO_FILE_SYNC, "bytes of /blobs/"),
        (mutants.NO_DATABASE_SYNC, "bytes of /safelight.db-wal"),
        (mutants.ROW_BEFORE_BLOB, "no rename"),
    ],
    ids=["folders", "files", "database", "order"],
)
async def test_a_server_that_does_not_sync_is_found(tmp_path: Path, mutant: str, sentence: str) -> None:
    """The harness can fail: without one of the syncs, or in another order, it says what would be lost."""
    needs_tracing()
    seen = await look(tmp_path, mutant)
    assert any(sentence in wrong for wrong in seen.wrong), seen.wrong[:5]
