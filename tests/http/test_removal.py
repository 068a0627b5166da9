"""What is under way when a member is removed, or given less, ends at once, and nothing of it is acknowledged."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
from aiohttp import web

from safelight.server.app import DATABASE
from safelight.server.domain import downloads
from safelight.server.domain.uploads import FLUSH_SIZE_BYTES, Uploads
from safelight.server.routes import sending
from safelight.server.stores.blobs_directory import DirectoryReader
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.messages.spaces import NewBox
from safelight.sync_protocol.roles import Role
from tests.http.conftest import Owner, Server
from tests.http.test_upload_completion import DATA, finish_after, nothing_stored
from tests.support.invitations import become_member, lowering, removal, role_change
from tests.support.protocol import Blob, Pairing, Person, Signer, Writer
from tests.support.raw_http import raw
from tests.support.uploads import appending, create, length, patch

MIB = 1024 * 1024
LARGE = Blob(os.urandom(MIB) * 48)
# All that may leave after an end. What the reader's own system takes ahead is kept so small that it counts as well.
MOST_AFTER_BYTES = 8 * MIB
TAKEN_AHEAD_BYTES = 128 * 1024
_SNDBUFFORCE = 32  # Linux's number, which the module does not name; root alone may use it


def may_grow_buffers() -> bool:
    """Whether this process may let a connection's buffers grow beyond what the system allows."""
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, _SNDBUFFORCE, 32 * MIB)
        return True
    return False


Takes = Callable[[Writer, Person], tuple[Entry, list[NewBox]]]


def lowered_to_previewer(writer: Writer, person: Person) -> tuple[Entry, list[NewBox]]:
    """Take the originals away."""
    return lowering(writer, person, Role.PREVIEWER)


def lowered_to_viewer(writer: Writer, person: Person) -> tuple[Entry, list[NewBox]]:
    """Take the right to add away."""
    return role_change(writer, person, Role.VIEWER)


@dataclass
class Other:
    """Another member of the owner's space, as who it uploads."""

    person: Person
    signer: Signer
    uploader: Owner


async def join(server: Server, owner: Owner, role: Role) -> Other:
    """Make someone a member."""
    person, api = await server.account()
    signer = await become_member(owner.api, owner.writer, person, api, role)
    return Other(person, signer, replace(owner, person=person, api=api))


async def read_after(owner: Owner, other: Other, takes: Takes, pause_at_bytes: int) -> int:
    """How much of a large original a reader that pauses gets after the answer to what takes it away."""
    await owner.api.add_photo(owner.writer, LARGE)
    api = other.uploader.api
    async with raw(api.url, api.token, taken_ahead_bytes=TAKEN_AHEAD_BYTES) as connection:
        await connection.request("GET", f"{owner.space}/blobs/{LARGE.name.hex()}", {"Connection": "close"})
        assert b" 200 " in await connection.reader.readuntil(b"\r\n\r\n")
        await connection.reader.readexactly(pause_at_bytes)
        await asyncio.sleep(0.5)  # all that the system holds ready to go is there by now
        await owner.api.commit(owner.writer, *takes(owner.writer, other.person))
        return await connection.rest_size_bytes()


@pytest.mark.parametrize("in_chunks", [False, True])
@pytest.mark.parametrize("pause_at_bytes", [0, 20 * MIB])
@pytest.mark.parametrize("takes", [removal, lowered_to_previewer])
async def test_a_download_ends(
    server: Server,
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    takes: Takes,
    pause_at_bytes: int,
    *,
    in_chunks: bool,
) -> None:
    """At most 8 MiB of an original arrive after the answer to a removal, or to a lowering to previews."""
    if in_chunks:  # as from a bucket, or through TLS
        monkeypatch.setattr(DirectoryReader, "fileno", lambda _: None)
    other = await join(server, owner, Role.VIEWER)
    after_bytes = await read_after(owner, other, takes, pause_at_bytes)
    assert 0 < after_bytes <= MOST_AFTER_BYTES
    again = await other.uploader.api.get(f"{owner.space}/blobs/{LARGE.name.hex()}")
    assert again.code == ("space-unknown" if takes is removal else "not-found")


async def test_a_download_that_is_not_asked_about(
    server: Server, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant that asks for the right once gives all of it out, so the test would see it."""
    monkeypatch.setattr(downloads, "may_read", lambda *_: True)
    other = await join(server, owner, Role.VIEWER)
    assert await read_after(owner, other, removal, MIB) == len(LARGE.data) - MIB


@pytest.mark.skipif(not may_grow_buffers(), reason="needs the right to change a connection's buffers")
@pytest.mark.parametrize("held_back", [True, False])
async def test_a_system_with_large_buffers(
    server: Server, owner: Owner, monkeypatch: pytest.MonkeyPatch, *, held_back: bool
) -> None:
    """Where an operator lets buffers grow to 32 MiB the same holds; the mutant that lets the system fill them fails."""
    hold_back = sending._hold_little_back

    def grown(request: web.Request) -> None:
        assert request.transport is not None
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, _SNDBUFFORCE, 32 * MIB)
        if held_back:
            hold_back(request)

    monkeypatch.setattr(sending, "_hold_little_back", grown)
    other = await join(server, owner, Role.VIEWER)
    after_bytes = await read_after(owner, other, removal, MIB)
    assert (after_bytes <= MOST_AFTER_BYTES) is held_back


@pytest.mark.parametrize(("takes", "status"), [(removal, 404), (lowered_to_viewer, 403)])
async def test_an_upload_is_refused_at_the_next_look(server: Server, owner: Owner, takes: Takes, status: int) -> None:
    """Of what an editor sends after the removal nothing is made durable or acknowledged, now or when they ask."""
    other = await join(server, owner, Role.EDITOR)
    sender, size_bytes = other.uploader, 3 * FLUSH_SIZE_BYTES
    path = (await create(sender, Upload_Length=str(size_bytes))).headers["Location"]
    async with appending(sender, path, length(size_bytes), bytes(MIB)) as connection:
        await asyncio.sleep(0.2)
        await owner.api.commit(owner.writer, *takes(owner.writer, other.person))
        await connection.send(bytes(FLUSH_SIZE_BYTES))
        answer = await asyncio.wait_for(connection.response(), 10)  # no interim one, which would tell an offset
        assert (answer.status, answer.headers.get("upload-offset")) == (status, None)
    assert await offset_kept(server, path) == 0
    for method in ("HEAD", "GET"):
        asked = await sender.api.send(method, path)
        assert (asked.status, asked.headers.get("Upload-Offset")) == (status, None)
    assert (await patch(sender, path, 0, b"more", "?0")).status == status
    assert (await create(sender)).status == status
    assert (await sender.api.send("DELETE", path)).status == 204


async def test_an_upload_that_broke_off(server: Server, owner: Owner) -> None:
    """What arrived before the connection broke is kept, but who was removed meanwhile is not told, nor goes on."""
    other = await join(server, owner, Role.EDITOR)
    path = (await create(other.uploader, Upload_Length=str(2 * MIB))).headers["Location"]
    async with appending(other.uploader, path, length(2 * MIB), bytes(MIB)) as connection:
        await asyncio.sleep(0.2)
        await owner.api.commit(owner.writer, *removal(owner.writer, other.person))
        connection.cut()
    for _ in range(100):
        if await offset_kept(server, path):
            break
        await asyncio.sleep(0.05)
    assert (await other.uploader.api.send("HEAD", path)).status == 404
    assert (await patch(other.uploader, path, MIB, bytes(MIB))).status == 404


async def offset_kept(server: Server, path: str) -> int:
    """How far the database says that an upload has come."""
    upload = await server.app[DATABASE].upload(bytes.fromhex(path.rpartition("/")[2]))
    return upload.offset_bytes if upload else 0


@pytest.mark.parametrize("takes", [removal, lowered_to_viewer])
@pytest.mark.parametrize("by_camera", [False, True])
async def test_an_upload_is_refused_at_its_end(server: Server, owner: Owner, takes: Takes, *, by_camera: bool) -> None:
    """Neither a removed editor nor their camera, nor those of one who may not add any more, completes a blob."""
    other = await join(server, owner, Role.EDITOR)
    api = other.uploader.api
    if by_camera:
        api, _ = await api.pair_camera(owner.writer, Pairing(), other.signer)

    async def take() -> None:
        await owner.api.commit(owner.writer, *takes(owner.writer, other.person))

    status, body = await finish_after(api, owner.writer.space_id.hex(), take)
    assert status in {401, 403, 404}, body
    assert nothing_stored(server)
    assert await server.app[DATABASE].blob_in_space(owner.writer.space_id, Blob(DATA).name) is None


async def test_an_upload_that_is_not_asked_about(server: Server, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant that asks at the beginning alone stores a removed editor's blob, so the tests would see it."""

    async def never_asks(*_: object) -> None:
        pass

    other = await join(server, owner, Role.EDITOR)

    async def take() -> None:
        monkeypatch.setattr(Uploads, "_check_again", never_asks)
        monkeypatch.setattr(Uploads, "_check_who", never_asks)
        await owner.api.commit(owner.writer, *removal(owner.writer, other.person))

    assert (await finish_after(other.uploader.api, owner.writer.space_id.hex(), take))[0] == 200
    assert not nothing_stored(server)
