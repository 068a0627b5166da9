"""Requests that begin before a right ends, and end after it: sent slowly, or just then, they bring nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from safelight.server.app import DATABASE
from safelight.sync_protocol.ledger_entries import AdvanceAccountBody
from safelight.sync_protocol.messages.accounts import AppendAccountEntries, FinishUnlock
from safelight.sync_protocol.messages.sessions import Devices
from safelight.sync_protocol.messages.spaces import AskFingerprints, CommitEntry
from safelight.sync_protocol.roles import Role
from tests.http.conftest import Owner, Server
from tests.http.test_removal import MIB, Takes, join, lowered_to_viewer, offset_kept
from tests.http.test_upload_completion import DATA
from tests.support.api import Api
from tests.support.invitations import removal
from tests.support.protocol import Blob, Pairing, sha256
from tests.support.raw_http import raw
from tests.support.uploads import appending, create, length

Happens = Callable[[], Awaitable[object]]


async def slowly(api: Api, path: str, message: Callable[[], Any], meanwhile: Happens) -> tuple[int, bytes]:
    """Begin a request, let something happen once the server knows who asks, and only then say what is asked for."""
    size_bytes = 16 * 1024
    async with raw(api.url, api.token) as connection:
        await connection.request("POST", path, {"Content-Type": "application/json", **length(size_bytes)}, b" ")
        await asyncio.sleep(0.2)
        await meanwhile()
        await connection.send(msgspec.json.encode(message()).ljust(size_bytes - 1))
        answer = await asyncio.wait_for(connection.final(), 10)
    return answer.status, answer.body


def just_before(monkeypatch: pytest.MonkeyPatch, noun: object, method: str, happens: Happens) -> None:
    """Let something happen once, when everything was checked, and right before the database is asked."""
    asks = getattr(noun, method)

    async def later(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(noun, method, asks)
        await happens()
        return await asks(*given, **named)

    monkeypatch.setattr(noun, method, later)


class Laptop:
    """Another device of the owner, in the space, too; the owner revokes it, and the space does not hear of that."""

    def __init__(self, owner: Owner) -> None:
        self.owner, self.person = owner, owner.person
        self.ledger = f"/v1/accounts/{owner.person.account_id.hex()}/ledger"
        self.added, self.signer = owner.person.add_device()
        self.api = owner.api

    async def sign_in(self) -> None:
        """Add it to the account and to the space."""
        api, writer = self.owner.api, self.owner.writer
        assert (await api.post(self.ledger, AppendAccountEntries([self.added]))).status == 200
        body = AdvanceAccountBody(self.person.account_id, [self.added], None)
        await api.commit(writer, writer.entry("account.advance", body))
        self.api = await api.with_token("").sign_in(self.signer)

    async def revoke(self) -> None:
        """Revoke it in the account."""
        entry = self.person.revoke_device(self.signer.device_id)
        assert (await self.owner.api.post(self.ledger, AppendAccountEntries([entry]))).status == 200


@pytest.fixture
async def laptop(owner: Owner) -> Laptop:
    """A laptop that is signed in."""
    laptop = Laptop(owner)
    await laptop.sign_in()
    return laptop


async def test_a_revoked_device_commits_nothing(owner: Owner, laptop: Laptop) -> None:
    """*A revoked device goes on in a space that has not heard of it*, by a request that it had begun before."""
    entry = owner.writer.open_roll(laptop.signer)
    path = f"{owner.space}/commits"
    assert (await slowly(laptop.api, path, lambda: CommitEntry(entry.envelope, []), laptop.revoke))[0] == 401


async def test_a_revoked_device_learns_nothing(owner: Owner, laptop: Laptop) -> None:
    """Nor is it told anything by a question that it had begun to ask."""
    path = f"{owner.space}/fingerprints"
    assert (await slowly(laptop.api, path, lambda: AskFingerprints([bytes(32)]), laptop.revoke))[0] == 401


async def test_a_revoked_device_brings_no_other(owner: Owner, laptop: Laptop) -> None:
    """*A revoked device lets another one in*: it has the identity, and a member tells it where the ledger stands."""

    def another() -> AppendAccountEntries:
        return AppendAccountEntries([laptop.person.add_device()[0]])

    assert (await slowly(laptop.api, laptop.ledger, another, laptop.revoke))[0] == 401
    assert len((await owner.api.get("/v1/devices")).as_(Devices).devices) == 2


async def test_a_revoked_device_brings_no_other_just_then(
    server: Server, owner: Owner, laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session counts in the transaction that appends, not when the request came."""
    revocation, another = laptop.person.revoke_device(laptop.signer.device_id), laptop.person.add_device()[0]

    async def revoke() -> None:
        assert (await owner.api.post(laptop.ledger, AppendAccountEntries([revocation]))).status == 200

    just_before(monkeypatch, server.app[DATABASE], "account", revoke)
    assert (await laptop.api.post(laptop.ledger, AppendAccountEntries([another]))).code == "session-required"


async def test_a_ticket_of_a_password_that_is_changed_just_then(
    server: Server, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*A thief's ticket outlives the password that gave it*: it is given for what stands then, or not at all."""
    person, database = owner.person, server.app[DATABASE]
    thief = FinishUnlock(person.name, "password", person.auth_keys["password"])
    read = database.unlocker

    async def read_and_change(account_id: bytes, kind: str) -> Any:
        row = await read(account_id, kind)
        monkeypatch.setattr(database, "unlocker", read)
        person.auth_keys["password"] = bytes(32)
        entry = person.take(person.set_unlocker("password", person.wrapped["password"]))
        change = AppendAccountEntries([entry], [person.unlocker("password")])
        assert (await owner.api.post(f"/v1/accounts/{person.account_id.hex()}/ledger", change)).status == 200
        return row

    monkeypatch.setattr(database, "unlocker", read_and_change)
    assert (await server.api.post("/v1/unlock/finish", thief)).code == "unlock-failed"


@pytest.mark.parametrize(("takes", "status"), [(removal, 404), (lowered_to_viewer, 403)])
async def test_an_append_that_ends_with_less_than_a_look(
    server: Server, owner: Owner, takes: Takes, status: int
) -> None:
    """Also the few bytes of an append that completes nothing are not acknowledged after the removal."""
    other = await join(server, owner, Role.EDITOR)
    path = (await create(other.uploader, Upload_Length=str(2 * MIB))).headers["Location"]
    headers = {"Upload-Complete": "?0", **length(MIB)}
    async with appending(other.uploader, path, headers, bytes(MIB - 1)) as connection:
        await asyncio.sleep(0.2)
        await owner.api.commit(owner.writer, *takes(owner.writer, other.person))
        await connection.send(b"!")
        answer = await asyncio.wait_for(connection.final(), 10)
    assert (answer.status, answer.headers.get("upload-offset")) == (status, None)
    assert await offset_kept(server, path) == 0


@pytest.mark.parametrize(("takes", "status"), [(removal, 404), (lowered_to_viewer, 403)])
async def test_an_upload_that_is_published_just_then(
    server: Server, owner: Owner, takes: Takes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishing takes its time: who is removed meanwhile is not told that the blob is stored, and it is not held."""
    other = await join(server, owner, Role.EDITOR)

    async def take() -> None:
        await owner.api.commit(owner.writer, *takes(owner.writer, other.person))

    just_before(monkeypatch, server.app[DATABASE], "begin_publishing", take)
    answer = await other.uploader.api.try_upload(owner.writer.space_id, DATA)
    assert answer.status == status
    assert await server.app[DATABASE].blob_in_space(owner.writer.space_id, sha256(DATA)) is None


@pytest.mark.parametrize(
    ("asks", "path"),
    [("entries", "log?after=0"), ("ledger_entries", "ledger?after=0"), ("entry_ids", "chain?after=0")],
)
async def test_a_page_that_is_read_just_then(
    server: Server, owner: Owner, asks: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """*A page with what came after the removal*: who may read it is asked after it was read, too."""
    other = await join(server, owner, Role.VIEWER)

    async def take() -> None:
        await owner.api.commit(owner.writer, *removal(owner.writer, other.person))
        await owner.api.add_photo(owner.writer, Blob(b"taken when they were out"))

    just_before(monkeypatch, server.app[DATABASE], asks, take)
    assert (await other.uploader.api.get(f"{owner.space}/{path}")).code == "space-unknown"


async def test_a_camera_that_stands_no_more(server: Server, owner: Owner) -> None:
    """Nor do the cameras of one who may not add any more read the ledgers of the members' accounts."""
    other = await join(server, owner, Role.EDITOR)
    camera, _ = await other.uploader.api.pair_camera(owner.writer, Pairing(), other.signer)
    path = f"/v1/accounts/{owner.person.account_id.hex()}/ledger"
    assert (await camera.get(path)).status == 200
    await owner.api.commit(owner.writer, *lowered_to_viewer(owner.writer, other.person))
    assert (await camera.get(path)).status == 404
