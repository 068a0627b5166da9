"""Networks that cut and servers that die: nothing is lost, nothing is there twice, and attempts end."""

import hashlib
import random
import secrets
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine import uploads
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.export import export_space
from safelight.clients.engine.retries import Retries
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.messages.common import Problem
from safelight.sync_protocol.records import RecordKind, RevokeLinkBody
from safelight.sync_protocol.refusals import TABLE, Code, Refused
from tests.hostile.proxy import Exchange, lying_server
from tests.support.cutting_proxy import cutting_proxy
from tests.support.people import add_file, new_someone, new_space
from tests.support.server_process import ServerProcess, server_process

QUICK = Retries(attempts=5, first_pause_s=0.01, max_pause_s=0.05)


async def _names(space: SpaceView) -> list[str]:
    found = [asset async for asset in AssetReader(space).each()]
    return [asset.full.name for asset in found if isinstance(asset, OpenedAsset) and asset.full]


@pytest.mark.parametrize("seed", range(4))
async def test_an_upload_cut_at_any_byte_resumes(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whole or in pieces, from memory or a file: cuts cost what was not yet durable, and the bytes are right."""
    chance = random.Random(seed)
    monkeypatch.setattr(uploads, "PIECE_SIZE_BYTES", 1024 * 1024 if seed % 2 else 32 * 1024 * 1024)
    data = secrets.token_bytes(3_000_000 + seed)
    file = tmp_path / "blob"
    file.write_bytes(data)
    anna = await new_someone(server, tmp_path / "anna", f"cut.{seed}")
    space_id = await new_space(anna, "Home")
    cuts = [chance.randrange(300, 1_200_000) for _ in range(6)]
    async with anna.session() as session, cutting_proxy(server.url, cuts) as network:
        device, key = session.device, session.connection.server_key
        async with Connection(network.url, server_key=key, device=device, retries=QUICK) as connection:
            heard: list[int] = []
            await upload_blob(
                connection,
                space_id,
                file if seed % 2 else data,
                digest=hashlib.sha256(data).digest(),
                size_bytes=len(data),
                on_progress=heard.append,
            )
            assert network.done >= 3
            assert heard[-1] == len(data)
            # Repeating a finished upload does no harm.
            digest = hashlib.sha256(data).digest()
            await upload_blob(connection, space_id, data, digest=digest, size_bytes=len(data))


async def test_a_stopped_process_resumes_an_upload(server: ServerProcess, tmp_path: Path) -> None:
    """With the upload's path kept, another process goes on from what was durable."""
    data = secrets.token_bytes(2_000_000)
    digest = hashlib.sha256(data).digest()
    anna = await new_someone(server, tmp_path / "anna", "stopped")
    space_id = await new_space(anna, "Home")
    kept: list[str] = []
    async with anna.session() as session, cutting_proxy(server.url, [1_500_000, 900_000, *[100] * 9]) as network:
        async with Connection(
            network.url, server_key=session.connection.server_key, device=session.device, retries=Retries(attempts=2)
        ) as connection:
            with pytest.raises(Refused) as refused:
                await upload_blob(
                    connection, space_id, data, digest=digest, size_bytes=len(data), on_created=kept.append
                )
            assert refused.value.code is Code.SERVER_UNREACHABLE
        heard: list[int] = []
        await upload_blob(
            session.connection,
            space_id,
            data,
            digest=digest,
            size_bytes=len(data),
            resume=kept[-1],
            on_progress=heard.append,
        )
        assert heard[0] > 0
        # A path that is forgotten begins anew.
        await upload_blob(
            session.connection,
            space_id,
            data,
            digest=digest,
            size_bytes=len(data),
            resume="/v1/blobs/uploads/" + "0" * 32,
        )


async def test_a_proxy_that_takes_small_bodies_only(tmp_path: Path) -> None:
    """413 halves the pieces until they fit."""
    data = secrets.token_bytes(3_000_000)
    options = ("--upload-append-size-bytes", str(512 * 1024))
    with server_process(tmp_path / "data", *options) as server:
        anna = await new_someone(server, tmp_path / "anna", "small")
        space_id = await new_space(anna, "Home")
        async with anna.session() as session:
            session.connection.retries = Retries(attempts=10, first_pause_s=0.01, max_pause_s=0.02)
            digest = hashlib.sha256(data).digest()
            await upload_blob(session.connection, space_id, data, digest=digest, size_bytes=len(data))


async def test_a_commit_whose_answer_is_lost_is_done_once(server: ServerProcess, tmp_path: Path) -> None:
    """The same bytes go again, at once, at the next call, or in the next process; the photograph is there once."""
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"p")
    async with lying_server(server.url) as proxy:
        anna = await new_someone(server, tmp_path / "anna", "lost", url=proxy.url)
        await new_space(anna, "Home")
        lost: list[Exchange] = []

        def lose(exchange: Exchange) -> Exchange:
            lost.append(exchange)
            return exchange if len(lost) % 2 == 0 else exchange.cut()

        async with anna.space("Home") as space:
            proxy.lie("POST", ".*/commits$", lose)
            space.session.connection.retries = QUICK
            await add_file(space, photo)
            await space.sync()
            assert await _names(space) == ["p.jpg"]
            assert len(lost) == 4
            proxy.be_honest()
            proxy.lie("POST", ".*/commits$", lambda e: e.cut())
            space.session.connection.retries = Retries(attempts=1)
            with pytest.raises(Refused) as refused:
                await space.rotate_epoch()
            assert refused.value.code is Code.SERVER_UNREACHABLE
        proxy.be_honest()
        async with anna.space("Home") as space:  # as a new process: what was sent is found committed
            receipt = await space.committer.settle()
            assert receipt is not None
            await add_file(space, photo)
            await space.sync()
            assert space.state.epoch.number == 2
            assert space.problems == []
            assert len(await _names(space)) == 2


UNSETTLED = [
    Code.RATE_LIMITED,
    Code.SERVER_FAULT,
    Code.TIMED_OUT,
    Code.STORAGE_READ_ONLY,
    Code.STORAGE_FULL,
    Code.SESSION_REQUIRED,
]


@pytest.mark.parametrize("code", UNSETTLED)
async def test_an_answer_that_settles_nothing_keeps_the_entry(
    server: ServerProcess, tmp_path: Path, code: Code
) -> None:
    """Committed, the answer lost, and then 429 or 5xx: what became of the entry is still open, and asked next time."""
    told: list[Exchange] = []
    problem = msgspec.json.encode(Problem("about:blank", "", TABLE[code].status, code.value))
    headers = {"Content-Type": "application/problem+json"}

    def lose_then_refuse(exchange: Exchange) -> Exchange:
        told.append(exchange)
        refused = replace(exchange, status=TABLE[code].status, headers=headers, body=problem)
        return exchange.cut() if len(told) == 1 else refused

    async with lying_server(server.url) as proxy:
        anna = await new_someone(server, tmp_path / "anna", f"open.{code.value}", url=proxy.url)
        await new_space(anna, "Home")
        async with anna.space("Home") as space:
            space.session.connection.retries = QUICK
            proxy.lie("POST", ".*/commits$", lose_then_refuse)
            with pytest.raises(Refused) as refused:
                await space.rotate_epoch()
            assert refused.value.code is code
            with pytest.raises(Refused):  # nor does the next call forget it
                await space.rotate_epoch()
        proxy.be_honest()
        async with anna.space("Home") as space:
            finished = await space.committer.settle()
            assert finished is not None
            assert finished.header.kind == "epoch.rotate"
            assert await space.committer.settle() is None
            await space.sync()
            assert space.state.epoch.number == 2


async def test_an_answer_that_settles_it_frees_the_place(server: ServerProcess, tmp_path: Path) -> None:
    """Refused for what it is, an entry is not written: nothing is kept of it, and the next one takes its place."""
    anna = await new_someone(server, tmp_path / "anna", "settled")
    await new_space(anna, "Home")
    async with anna.space("Home") as space:
        with pytest.raises(Refused) as refused:
            await space.commit(RecordKind.REVOKE_LINK, RevokeLinkBody(b"l" * 16))
        assert refused.value.code is Code.NOT_FOUND
        assert await space.committer.settle() is None
        await space.rotate_epoch()
        assert space.problems == []


async def test_a_server_killed_and_started_again(tmp_path: Path) -> None:
    """What had a receipt is there after `kill -9`; the same profile goes on with the same address."""
    photo = tmp_path / "p.jpg"
    photo.write_bytes(secrets.token_bytes(100_000))
    with server_process(tmp_path / "data") as server:
        anna = await new_someone(server, tmp_path / "anna", "anna")
        await new_space(anna, "Home")
        async with anna.space("Home") as space:
            await add_file(space, photo)
            server.kill()
            space.session.connection.retries = Retries(attempts=2, first_pause_s=0.01)
            started = time.monotonic()
            with pytest.raises(Refused) as refused:
                await space.sync()
            assert refused.value.code is Code.SERVER_UNREACHABLE
            assert time.monotonic() - started < 5
        listen = server.url.removeprefix("http://")
    with server_process(tmp_path / "data", listen=listen):
        async with anna.space("Home") as space:
            await add_file(space, photo)
            await space.sync()
            report = await export_space(space, tmp_path / "out")
            assert report.written == 2
    assert (tmp_path / "out" / "p (2).jpg").read_bytes() == photo.read_bytes()
