"""Two servers at one PostgreSQL and one bucket, as who outgrew one process has them: what one says, the other knows."""

import asyncio
import base64
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from safelight.server import data_folder
from safelight.server.app import BLOBS, DATABASE, EXPIRY
from safelight.server.data_folder import DataFolderRefused
from safelight.server.database import open_database
from safelight.server.domain.leases import Leases
from safelight.server.jobs.clearing import Clearing
from safelight.server.settings import SettingInvalid, Settings
from safelight.server.stores import postgres_connection
from safelight.server.stores.engine_postgres import PostgresDatabase
from safelight.server.stores.postgres_errors import DatabaseRefused
from safelight.server.stores.s3_bucket import Bucket, BucketRefused
from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import RevokeCameraBody
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.messages.sessions import AskChallenge, Challenge, OpenSession
from safelight.sync_protocol.messages.spaces import GrantedAlbums
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role, Tier
from tests.http.conftest import Owner, Server, StartServer
from tests.http.test_bell import OUT, ended, listen, ring
from tests.http.test_grants import Gallery
from tests.http.test_removal import LARGE, MOST_AFTER_BYTES, TAKEN_AHEAD_BYTES
from tests.http.test_upload_turns import DATA as RACED
from tests.http.test_upload_turns import racer
from tests.support.api import Answer, Api
from tests.support.invitations import become_member, removal
from tests.support.postgres import PostgresServer
from tests.support.protocol import Blob, Pairing, make_asset, sha256
from tests.support.raw_http import raw
from tests.support.seaweed import CREDENTIALS, Seaweed
from tests.support.uploads import CUT_OFF, appending, create, held, length, offset_of, patch

MIB = 1024 * 1024
DATA = os.urandom(2 * MIB)


@pytest.fixture
def address(postgres: PostgresServer) -> Iterator[str]:
    """A database of the test's own."""
    name = postgres.make_database()
    yield postgres.address(name)
    postgres.drop_database(name)


@dataclass
class Two:
    """Two servers, and someone with a space, who reaches it through either."""

    servers: tuple[Server, Server]
    owner: Owner

    def owner_at(self, number: int) -> Owner:
        """The owner, at the first or the second server."""
        return replace(self.owner, api=self.by(number))

    def by(self, number: int, api: Api | None = None) -> Api:
        """The same session at the first or the second server."""
        there = self.servers[number].api
        return there.with_token((api or self.owner.api).token)


@pytest.fixture
async def two(
    start_server: StartServer, address: str, seaweed: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Two:
    """Two servers with one key, one database and one bucket."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    bucket = seaweed.address()
    settings = {
        "database": address,
        "blobs": f"s3://{bucket.bucket}/{bucket.prefix}",
        "s3_endpoint": seaweed.endpoint,
    }
    first = await start_server(tmp_path / "one", **settings)
    (tmp_path / "two").mkdir()
    for name in (data_folder.MARKER, "server.key"):
        shutil.copy(tmp_path / "one" / name, tmp_path / "two" / name)
    servers = (first, await start_server(tmp_path / "two", **settings))
    return Two(servers, await servers[0].owner())


async def test_one_feed(two: Two) -> None:
    """Entries that come through either stand in one log without a gap, and both ring for all of them."""
    writer = two.owner.writer
    async with listen(two.by(0), two.owner) as here, listen(two.by(1), two.owner) as there:
        assert [await ring(here), await ring(there)] == [1, 1]
        for number in range(2, 12):
            receipt = await two.by(number % 2).commit(writer, writer.open_roll())
            assert receipt.number == number
            assert [await ring(here), await ring(there)] == [number, number]
    feeds = [(await two.by(each).get(f"{two.owner.space}/entries?after=0")).body for each in (0, 1)]
    assert feeds[0] == feeds[1]


async def test_a_photo_through_both(two: Two) -> None:
    """What is uploaded to one is committed through the other and read from both."""
    blob = Blob(b"sealed" * 1000)
    await two.by(0).upload(two.owner.writer.space_id, blob)
    writer = two.owner.writer
    await two.by(1).commit(writer, writer.open_roll())
    await two.by(1).commit(writer, writer.add_assets(make_asset(blob)))
    for each in (0, 1):
        answer = await two.by(each).get(f"{two.owner.space}/blobs/{blob.name.hex()}")
        assert (answer.status, answer.body) == (200, blob.data)


async def test_an_ended_grant_at_the_other(two: Two) -> None:
    """*A grant that ended through one, and asks another*: neither log nor blob, from the next request on."""
    owner = two.owner
    person, api = await two.servers[0].account()
    signer = await become_member(owner.api, owner.writer, person, api, Role.GRANTEE)
    album = Gallery(owner, person, two.by(1, api), signer)
    await album.share()
    await album.give(Tier.FULL)
    assert [await album.asks(album.original), await album.asks_for_log()] == ["", ""]
    await album.end()
    assert [await album.asks(album.original), await album.asks_for_log()] == ["forbidden", "not-found"]
    assert (await album.api.get(f"{owner.space}/albums")).as_(GrantedAlbums).albums == []


async def test_an_upload_through_both(two: Two) -> None:
    """Each request of an upload may meet another server, and each states the offset that the last one left."""
    data = secrets.token_bytes(3_000_000)
    path = (await create(two.owner, data[:1000])).headers["Location"]
    for number, (start, end) in enumerate([(1000, 500_000), (500_000, 500_001), (500_001, 2_500_000)]):
        two.owner.api = two.by(1 - number % 2)
        assert await offset_of(two.owner, path) == start
        answer = await patch(two.owner, path, start, data[start:end], "?0")
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(end))
    two.owner.api = two.by(1)
    assert (await patch(two.owner, path, 2_500_000, data[2_500_000:])).status == 200
    for each in (0, 1):
        two.owner.api = two.by(each)
        assert await held(two.owner, data)


async def test_both_are_sent_the_same_append(two: Two) -> None:
    """Of two servers that are sent the same append at once one takes it, or some of it, and cuts the other off."""
    data = secrets.token_bytes(200_000)
    path = (await create(two.owner, data[:1000])).headers["Location"]
    owners = [two.owner_at(0), two.owner_at(1)]
    offset = 1000
    while offset < 51_000:
        rest = data[offset : offset + 10_000]
        answers = await asyncio.gather(
            *(patch(owner, path, offset, rest, "?0") for owner in owners), return_exceptions=True
        )
        for answer in answers:
            assert isinstance(answer, Answer | aiohttp.ClientError)
            assert not isinstance(answer, Answer) or answer.status in {204, 409}
        first, second = [await offset_of(owner, path) for owner in owners]
        assert first is not None
        assert first == second
        assert offset < first <= offset + len(rest)
        offset = first
    assert (await patch(owners[1], path, offset, data[offset:])).status == 200
    assert await held(owners[0], data)


async def test_a_server_that_ends_before_it_can_say_so(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that one server made durable, and then could not note, are counted by the other."""
    data = secrets.token_bytes(100_000)
    path = (await create(two.owner)).headers["Location"]

    async def ended(*_: object) -> None:
        raise Refused(Code.STORAGE_UNAVAILABLE)

    with monkeypatch.context() as ending:
        ending.setattr(two.servers[0].app[DATABASE], "set_upload_offset", ended)
        assert (await patch(two.owner, path, 0, data[:60_000], "?0")).status == 503
    two.owner.api = two.by(1)
    assert await offset_of(two.owner, path) == 60_000
    answer = await patch(two.owner, path, 0, data)
    assert (answer.status, answer.headers["Upload-Offset"]) == (409, "60000")
    assert (await patch(two.owner, path, 60_000, data[60_000:])).status == 200
    assert await held(two.owner, data)


async def test_who_is_out_is_out_everywhere(two: Two) -> None:
    """What the ledger says through one server holds at the other at the next request, whatever that had at hand.

    *A camera that was revoked through one server, and reads on with its pairing key at the other.*
    """
    writer, pairing = two.owner.writer, Pairing()
    path = f"{two.owner.space}/pairing/{pairing.camera_id.hex()}"
    nobody = two.by(1).with_token("")
    signature = {"Safelight-Pairing": base64.b64encode(pairing.read_signature(writer.space_id)).decode()}
    assert (await nobody.get(path, **signature)).code == "space-unknown"
    await two.by(0).commit(writer, pairing.certify(writer))
    assert (await nobody.get(path, **signature)).status == 200
    epoch, boxes = writer.next_epoch()
    await two.by(0).commit(writer, writer.entry("camera.revoke", RevokeCameraBody(pairing.camera_id, epoch)), boxes)
    assert (await nobody.get(path, **signature)).code == "pairing-expired"


async def test_a_bell_at_the_other(two: Two) -> None:
    """Who is removed through one server hears nothing more at the other, not even of the entry that removed them."""
    person, api = await two.servers[0].account()
    await become_member(two.by(0), two.owner.writer, person, api, Role.VIEWER)
    async with listen(two.by(1), two.owner) as stays, listen(two.by(1, api), two.owner) as removed:
        assert await ring(stays) == await ring(removed)
        receipt = await two.by(0).commit(two.owner.writer, *removal(two.owner.writer, person))
        assert await ring(stays) == receipt.number
        assert await ended(removed) == OUT


async def test_what_is_under_way_at_the_other(two: Two) -> None:
    """A removal through one server ends a download and an upload at the other as it would its own."""
    writer = two.owner.writer
    person, api = await two.servers[0].account()
    await become_member(two.by(0), writer, person, api, Role.EDITOR)
    await two.by(0).add_photo(writer, LARGE)
    editor = replace(two.owner, person=person, api=two.by(1, api))
    path = (await create(editor, Upload_Length=str(2 * MIB))).headers["Location"]
    async with (
        raw(editor.api.url, editor.api.token, taken_ahead_bytes=TAKEN_AHEAD_BYTES) as download,
        appending(editor, path, length(2 * MIB), bytes(2 * MIB - 1)) as upload,
    ):
        await download.request("GET", f"{editor.space}/blobs/{LARGE.name.hex()}", {"Connection": "close"})
        assert b" 200 " in await download.reader.readuntil(b"\r\n\r\n")
        await download.reader.readexactly(MIB)
        await asyncio.sleep(0.5)
        await two.by(0).commit(writer, *removal(writer, person))
        await upload.send(b"!")
        assert (await asyncio.wait_for(upload.final(), 10)).status == 404
        assert 0 < await download.rest_size_bytes() <= MOST_AFTER_BYTES
    assert (await editor.api.get(editor.space)).status == 404


async def test_a_device_that_is_revoked_at_one(two: Two) -> None:
    """A session that one server opened is known to the other, and ends there, too."""
    owner = two.owner
    entry, laptop = owner.person.add_device()
    ledger = f"/v1/accounts/{owner.person.account_id.hex()}/ledger"
    await two.by(0).post(ledger, AppendAccountEntries([entry]))
    there = two.by(1, await two.by(0).with_token("").sign_in(laptop))
    assert (await there.get(owner.space)).status == 200
    await two.by(0).post(ledger, AppendAccountEntries([owner.person.revoke_device(laptop.device_id)]))
    assert (await there.get(owner.space)).status == 401


async def test_a_challenge_is_good_at_one(two: Two) -> None:
    """*What a device signed for one server, sent to the other as well*: it opens one session, where it comes first."""
    signer = two.owner.signer
    for first, second in ((0, 1), (1, 0)):
        asked = await two.by(first).post("/v1/sessions/challenge", AskChallenge(signer.device_id.hex()))
        challenge = asked.as_(Challenge).challenge
        message = context(Label.SIGN_SESSION, two.servers[0].api.server_key, signer.device_id, challenge)
        request = OpenSession(signer.device_id.hex(), challenge, signatures.sign(signer.seed, message))
        assert (await two.by(first).post("/v1/sessions", request)).status == 200
        for each in (second, first):
            assert (await two.by(each).post("/v1/sessions", request)).code == "session-expired"


async def test_an_upload_goes_on_at_the_other(two: Two) -> None:
    """A client that comes again at the other server is served at once; the connection that it gave up is closed."""
    here, there = two.owner_at(0), two.owner_at(1)
    upload = (await create(here)).headers["Location"]
    async with appending(here, upload, length(len(DATA)), DATA[:MIB]) as older:
        await asyncio.sleep(0.1)
        offset = await asyncio.wait_for(offset_of(there, upload), 10)
        assert offset is not None
        assert 0 < offset <= MIB
        with pytest.raises(CUT_OFF):
            await asyncio.wait_for(older.response(), 10)
    assert (await patch(there, upload, offset, DATA[offset:])).status == 200
    assert (await here.api.get(f"{here.space}/blobs/{sha256(DATA).hex()}")).body == DATA


async def test_appenders_at_both_race(two: Two) -> None:
    """Appenders at both servers, without regard for each other, bring the upload to its end, every byte once."""
    path = (await create(two.owner, Upload_Length=str(len(RACED)))).headers["Location"]
    async with asyncio.timeout(100):
        await asyncio.gather(*(racer(two.owner_at(number % 2), path, number) for number in range(4)))
    assert (await two.by(1).get(f"{two.owner.space}/blobs/{sha256(RACED).hex()}")).body == RACED


async def test_the_upload_of_a_process_that_died(two: Two, address: str) -> None:
    """The upload of a process that died goes on elsewhere when its lease is over; until then whoever asks waits."""
    upload = (await create(two.owner, DATA[:MIB], Upload_Complete="?0")).headers["Location"]
    dead = await PostgresDatabase.open(address)
    assert await dead.take_lease(bytes.fromhex(upload.rpartition("/")[2]), 1500) == 0
    await dead.close()
    asked_s = time.monotonic()
    assert await offset_of(two.owner_at(1), upload) == MIB
    assert 1 < time.monotonic() - asked_s < 10
    assert (await patch(two.owner_at(1), upload, MIB, DATA[MIB:])).status == 200


async def test_one_clears_away(two: Two, address: str) -> None:
    """While one process clears away no other does; what it forgot it deletes only for as long as it surely may."""
    blob = Blob(b"nobody's")
    await two.by(0).upload(two.owner.writer.space_id, blob)
    for server in two.servers:
        server.clock.offset_ms = 12 * 60 * 60 * 1000
    expiry = [replace(server.app[EXPIRY], grace_s=1) for server in two.servers]
    other = await PostgresDatabase.open(address)
    assert await other.take_lease(b"clearing away", 60_000) == 0
    await expiry[0].run_once()
    assert await other.blob_in_space(two.owner.writer.space_id, blob.name) is not None
    await other.release_lease(b"clearing away")
    stores = two.servers[0].app[DATABASE], two.servers[0].app[BLOBS]
    await replace(expiry[0], clearing=Clearing(*stores, Leases(stores[0], 10))).run_once()
    assert await other.forgotten_blobs(10) == [blob.name]
    await expiry[1].run_once()
    assert await other.forgotten_blobs(10) == []
    await other.close()


async def test_another_servers_key_is_refused(two: Two, start_server: StartServer, tmp_path: Path) -> None:
    """A process with a key of its own would sign receipts that nobody believes: it does not start."""
    settings = two.servers[0].settings
    with pytest.raises(DatabaseRefused, match=r"server\.key"):
        await start_server(tmp_path / "three", database=settings.database, blobs=settings.blobs)


async def test_a_folder_serves_one(start_server: StartServer, address: str, tmp_path: Path) -> None:
    """On PostgreSQL with blobs in a folder all works; a second process, which would find none there, is refused."""
    server = await start_server(tmp_path / "one", database=address)
    owner = await server.owner()
    blob = Blob(b"sealed")
    await owner.api.upload(owner.writer.space_id, blob)
    assert not data_folder.database_path(tmp_path / "one").exists()
    (tmp_path / "two").mkdir()
    for name in (data_folder.MARKER, "server.key"):
        shutil.copy(tmp_path / "one" / name, tmp_path / "two" / name)
    with pytest.raises(DataFolderRefused, match="bucket"):
        await start_server(tmp_path / "two", database=address)
    await server.runner.cleanup()
    with pytest.raises(DatabaseRefused, match="SAFELIGHT_DATABASE"):
        await open_database(Settings(data=tmp_path / "one"), server.api.server_key)
    again = await start_server(tmp_path / "one", database=address)
    assert await again.app[DATABASE].blob_in_space(owner.writer.space_id, blob.name) is not None


async def test_a_bucket_that_cannot_keep_them_apart(
    start_server: StartServer, address: str, seaweed: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket without conditional writes serves one process alone, and is refused where there may be several."""

    async def lacking(*_: object) -> list[str]:
        return ["this store has no conditional writes"]

    monkeypatch.setattr(Bucket, "_conditions", lacking)
    bucket = seaweed.address()
    blobs = {"blobs": f"s3://{bucket.bucket}/{bucket.prefix}", "s3_endpoint": seaweed.endpoint}
    await start_server(tmp_path / "one", **blobs)
    with pytest.raises(BucketRefused, match="no conditional writes"):
        await start_server(tmp_path / "two", database=address, **blobs)


async def test_rows_in_the_folder_are_not_forgotten(start_server: StartServer, address: str, tmp_path: Path) -> None:
    """A server whose rows are in its folder does not begin anew in PostgreSQL."""
    server = await start_server(tmp_path / "data")
    await server.runner.cleanup()
    with pytest.raises(DatabaseRefused, match="without --database"):
        await start_server(tmp_path / "data", database=address)


async def test_a_database_that_is_not_there(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be reached, or is not ours to use, is said in one sentence that has no password."""
    monkeypatch.setattr(postgres_connection, "START_PATIENCE_S", 0.1)
    secret = address.replace("safelight@", "safelight:secret@")
    for wrong in (
        secret.replace("?host=/", "?host=/nowhere/"),
        secret.replace("/test_", "/none_"),
        "postgresql://me:secret@[host/db",
        f"{secret}&sslmode=secure",
    ):
        with pytest.raises(DatabaseRefused, match="cannot use the database") as refused:
            await open_database(Settings(data=tmp_path, database=wrong), bytes(32))
        assert "secret" not in f"{refused.value} {caplog.text}"


def test_addresses_that_are_none(tmp_path: Path) -> None:
    """Another scheme is misuse; what is printed of settings has no password."""
    with pytest.raises(SettingInvalid) as invalid:
        Settings(data=tmp_path, database="mysql://me:secret@host/db")
    assert "secret" not in str(invalid.value)
    assert "secret" not in repr(Settings(data=tmp_path, database="postgresql://me:secret@host/db"))
