"""Clients that take more than their share: entries that mean nothing, uploads without end, bodies that swell."""

import asyncio
import json
import os
import socket
from contextlib import suppress

import pytest

from safelight.server.domain.links import OPENINGS_AT_ONCE
from safelight.server.routes.all import ROUTES
from safelight.server.routes.openapi import openapi_path
from safelight.server.routes.table import Auth, Route
from safelight.sync_protocol import account_ledger, signatures
from safelight.sync_protocol.account_ledger import AddDeviceBody
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import RevokeCameraBody, RotateEpochBody
from safelight.sync_protocol.messages.accounts import AppendAccountEntries, FinishUnlock, Unlocked
from safelight.sync_protocol.messages.links import OpenLink
from safelight.sync_protocol.messages.spaces import SpaceRow
from safelight.sync_protocol.records import OpenRollBody, RecordKind
from safelight.sync_protocol.wire import Signed, pack
from tests.http.conftest import Owner, Server, StartServer
from tests.support.protocol import Blob, Link, Pairing, make_asset, now_ms
from tests.support.raw_http import raw

MIB = 1024 * 1024


class Noise(Signed, frozen=True):
    """A body that means nothing."""

    noise: bytes


async def used(owner: Owner) -> int:
    """How many bytes the space counts as used."""
    return (await owner.api.get(owner.space)).as_(SpaceRow).used_bytes


@pytest.mark.parametrize("kind", ["pick.choose", "camera.noise", "policy.something-new"])
async def test_entries_of_unknown_kinds(owner: Owner, kind: str) -> None:
    """What the server does not know it does not keep, critical or not, whoever signed it."""
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing())
    for api, who in ((owner.api, owner.signer), (camera, signer)):
        for critical in (True, False):
            entry = owner.writer.entry(kind, Noise(os.urandom(500_000)), who, critical=critical)
            answer = await api.try_commit(owner.writer, entry)
            assert (answer.status, answer.code) == (422, "entry-unknown-critical")


@pytest.mark.parametrize("kind", ["roll.open", "camera.certify", "camera.bind"])
async def test_entries_of_later_versions(owner: Owner, kind: str) -> None:
    """A known kind in a later version is as unknown."""
    entry = owner.writer.entry(kind, Noise(b""), version=2, critical=False)
    assert (await owner.api.try_commit(owner.writer, entry)).code == "entry-unknown-critical"


async def test_account_entries_of_unknown_kinds(server: Server) -> None:
    """An account's ledger takes no noise either."""
    person, api = await server.account()
    header = account_ledger.AccountHeader(
        1, False, "pick.choose", person.account_id, person.state.head.number + 1, person.state.head.hash, now_ms()
    )
    body = AddDeviceBody(os.urandom(16), os.urandom(32))
    content = b"\x92" + pack(header) + pack(body)
    signature = signatures.sign(person.identity_seed, context(Label.SIGN_ACCOUNT_ENTRY, content))
    envelope = pack(_Envelope(content, signature))
    account_ledger.apply_account_entry(person.state, envelope)  # readers pass over it
    path = f"/v1/accounts/{person.account_id.hex()}/ledger"
    assert (await api.post(path, AppendAccountEntries([envelope]))).code == "entry-unknown-critical"


class _Envelope(Signed, frozen=True):
    content: bytes
    signature: bytes


async def test_entries_count(owner: Owner) -> None:
    """What entries and boxes take is used space like any other."""
    before = await used(owner)
    assert before > 0
    entry = owner.writer.open_roll()
    await owner.api.commit(owner.writer, entry)
    assert await used(owner) == before + len(entry.envelope)
    epoch, boxes = owner.writer.next_epoch()
    rotation = owner.writer.entry("epoch.rotate", RotateEpochBody(epoch))
    await owner.api.commit(owner.writer, rotation, boxes)
    size_bytes = len(entry.envelope) + len(rotation.envelope) + sum(len(box.box) for box in boxes)
    assert await used(owner) == before + size_bytes


async def test_a_camera_cannot_fill_the_log(owner: Owner) -> None:
    """A camera that signs roll after roll comes to the end of its quota, and is still revoked."""
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing(quota_bytes=20_000))
    for _ in range(20):
        body = OpenRollBody(os.urandom(16), owner.writer.state.epoch.number, os.urandom(2048), os.urandom(2048))
        entry = owner.writer.entry(RecordKind.OPEN_ROLL, body, signer)
        answer = await camera.try_commit(owner.writer, entry)
        if answer.status != 200:
            break
        signer.counter, signer.last_id = entry.header.counter, entry.id
    assert (signer.counter < 8, answer.code) == (True, "quota-exceeded")
    epoch, boxes = owner.writer.next_epoch()
    revocation = owner.writer.entry("camera.revoke", RevokeCameraBody(signer.device_id, epoch))
    await owner.api.commit(owner.writer, revocation, boxes)


async def test_a_full_space_still_takes_away(start_server: StartServer) -> None:
    """Where the quota is used up, links are withdrawn, cameras revoked and epochs rotated all the same."""
    server = await start_server(space_quota_bytes=60_000)
    owner = await server.owner()
    preview = Blob(os.urandom(100))
    await owner.api.add_photo(owner.writer, Blob(os.urandom(100)), preview)
    link = Link(Blob(os.urandom(100)), view=[preview])
    await owner.api.publish(owner.writer, link)
    await owner.api.pair_camera(owner.writer, Pairing())
    for _ in range(60):
        entry = owner.writer.open_roll()
        answer = await owner.api.try_commit(owner.writer, entry)
        if answer.status != 200:
            break
        owner.signer.counter, owner.signer.last_id = entry.header.counter, entry.id
    assert answer.code == "quota-exceeded"
    await owner.api.commit(owner.writer, link.revoke(owner.writer))
    epoch, boxes = owner.writer.next_epoch()
    await owner.api.commit(owner.writer, owner.writer.entry("epoch.rotate", RotateEpochBody(epoch)), boxes)


async def test_uploads_that_state_no_length(start_server: StartServer) -> None:
    """Who leaves the length open comes to the end of what a device may have uncommitted all the same."""
    server = await start_server(upload_max_uncommitted_bytes=20 * MIB)
    owner = await server.owner()
    path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
    created = await owner.api.send("POST", path, headers={"Upload-Complete": "?0"})
    headers = {"Content-Type": "application/partial-upload", "Upload-Complete": "?0", "Upload-Offset": "0"}
    piece = os.urandom(12 * MIB)
    assert (await owner.api.send("PATCH", created.headers["Location"], piece, headers)).status == 204
    headers["Upload-Offset"] = str(len(piece))
    answer = await owner.api.send("PATCH", created.headers["Location"], piece * 4, headers)
    assert answer.code == "quota-exceeded"
    state = await owner.api.send("HEAD", created.headers["Location"])
    headers["Upload-Offset"] = state.headers["Upload-Offset"]
    assert int(headers["Upload-Offset"]) <= 20 * MIB
    assert (await owner.api.send("PATCH", created.headers["Location"], piece, headers)).code == "quota-exceeded"
    assert (await owner.api.send("DELETE", created.headers["Location"])).status == 204
    assert (await owner.api.try_upload(owner.writer.space_id, b"there is room again")).status == 200


async def test_uploads_of_a_byte_each(start_server: StartServer) -> None:
    """Blobs of a few bytes, or none, come to an end like large ones; committing them makes room, for ever."""
    server = await start_server(upload_max_uncommitted_blobs=20)
    owner = await server.owner()
    space_id = owner.writer.space_id
    answers = [await owner.api.try_upload(space_id, number.to_bytes(2)) for number in range(22)]
    assert [answer.status for answer in answers] == [200] * 20 + [507] * 2
    assert answers[-1].code == "quota-exceeded"
    assert (await owner.api.try_upload(space_id, b"")).code == "quota-exceeded"
    await owner.api.commit(owner.writer, owner.writer.open_roll())
    for number in range(20):
        asset = make_asset(Blob(number.to_bytes(2)))
        await owner.api.commit(owner.writer, owner.writer.add_assets(asset))
        assert (await owner.api.try_upload(space_id, (100 + number).to_bytes(2))).status == 200
    # One that is held already makes no row but the upload's own.
    assert (await owner.api.try_upload(space_id, (100).to_bytes(2))).code == "quota-exceeded"


async def test_one_blob_again_and_again(start_server: StartServer) -> None:
    """A blob that a record names counts for nothing, and uploading it without end leaves no row for each time."""
    server = await start_server(upload_max_open=8)
    owner = await server.owner()
    await owner.api.add_photo(owner.writer, Blob(b"x"))
    paths = [await _complete(owner) for _ in range(40)]
    found = [(await owner.api.send("HEAD", path)).status for path in paths]
    assert found[-8:] == [204] * 8
    assert found.count(204) <= 9


async def _complete(owner: Owner) -> str:
    """Upload a byte, and return the upload's path."""
    path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
    location = (await owner.api.send("POST", path, headers={"Upload-Complete": "?0"})).headers["Location"]
    headers = {"Content-Type": "application/partial-upload", "Upload-Complete": "?1", "Upload-Offset": "0"}
    assert (await owner.api.send("PATCH", location, b"x", headers)).status == 200
    return location


async def test_uploads_without_length_and_the_spaces_quota(start_server: StartServer) -> None:
    """Nor does it help against the space's quota."""
    server = await start_server(space_quota_bytes=20 * MIB)
    owner = await server.owner()
    path = f"/v1/blobs?space={owner.writer.space_id.hex()}"
    async with raw(server.api.url, owner.api.token) as connection:
        headers = {"Upload-Complete": "?1", "Transfer-Encoding": "chunked"}
        await connection.request("POST", path, headers)
        piece = os.urandom(MIB)
        with suppress(ConnectionError):
            for _ in range(60):
                await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await connection.send(b"0\r\n\r\n")
        assert (await connection.final()).status == 507


@pytest.mark.parametrize("route", [route for route in ROUTES if route.request], ids=lambda route: route.path)
async def test_bodies_that_swell(server: Server, route: Route) -> None:
    """Nobody without a session makes the server read megabytes of JSON, which take a hundred times that in memory."""
    if route.auth is not Auth.NONE:
        return
    values = {"space": "0" * 64, "link": "0" * 32}
    path = openapi_path(route.path).format(**values)
    bomb = b'{"name":[' + b"[]," * 1_000_000 + b"[]]}"
    answer = await server.api.post(path, bomb, method=route.method)
    assert (answer.status, answer.code) == (413, "too-large")


async def test_sessions_have_a_limit(server: Server) -> None:
    """A device that opens session after session keeps the newest, and the table stays small."""
    person, first = await server.account()
    other = await server.api.sign_in(person.signer)
    for _ in range(40):
        newest = await server.api.sign_in(person.signer)
    assert (await newest.get("/v1/spaces")).status == 200
    assert (await first.get("/v1/spaces")).code == "session-required"
    assert (await other.get("/v1/spaces")).code == "session-required"


async def test_tickets_have_a_limit(server: Server) -> None:
    """So do tickets."""
    person, _ = await server.account()
    request = FinishUnlock(person.name, "password", person.auth_keys["password"])
    tickets = [(await server.api.post("/v1/unlock/finish", request)).as_(Unlocked).ticket for _ in range(40)]
    assert (await server.api.with_token(tickets[-1]).get("/v1/keyring")).status == 200
    assert (await server.api.with_token(tickets[0]).get("/v1/keyring")).code == "session-required"
    assert (await server.api.sign_in(person.signer)).token


async def test_openings_without_end(server: Server, owner: Owner) -> None:
    """A guest who opens a link again and again without its cookie must wait in the end: each opening is kept."""
    preview = Blob(os.urandom(100))
    await owner.api.add_photo(owner.writer, Blob(os.urandom(100)), preview)
    link = Link(Blob(os.urandom(100)), view=[preview])
    await owner.api.publish(owner.writer, link)
    path, request = f"/v1/links/{link.link_id.hex()}/open", OpenLink(link.token)
    opened = await server.api.post(path, request)
    codes = [(await server.api.post(path, request)).status for _ in range(OPENINGS_AT_ONCE + 20)]
    assert (codes[0], codes[-1]) == (200, 429)
    cookie = opened.headers["Set-Cookie"].partition(";")[0]
    assert (await server.api.post(path, request, Cookie=cookie)).status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer canary\x00\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization Bearer canary\r\n\r\n",
        b"GET /health?canary \x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[canary/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/sessions HTTP/1.1\r\nHost: canary\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"POST /v1/sessions HTTP/1.1\r\nHost: canary\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x4canary\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
)
async def test_what_is_not_quite_http(server: Server, request_bytes: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What is no request gets one refusal like any other: nothing of it is repeated or logged, and the line closes."""
    async with raw(server.api.url) as connection:
        await connection.send(request_bytes)
        answer = await asyncio.wait_for(connection.reader.read(), 5)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.") == 1
    assert json.loads(body)["code"] == "bad-request"
    assert b"canary" not in answer
    for name in (b"X-Content-Type-Options: nosniff", b"Content-Security-Policy:", b"Cache-Control: no-store"):
        assert name in head
    assert b"aiohttp" not in head
    assert "canary" not in caplog.text


async def test_readers_that_stand_still(start_server: StartServer) -> None:
    """Who asks for pages and takes none of them is cut off after a while, not only from blobs."""
    server = await start_server(stall_timeout_s=1)
    host, port = server.api.url.removeprefix("http://").split(":")
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        stalled.connect((host, int(port)))
        stalled.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        await asyncio.sleep(0.5)
        assert len(server.runner.server.connections) == 1  # type: ignore[union-attr]  # it runs
        for _ in range(100):
            await asyncio.sleep(0.2)
            if not server.runner.server.connections:  # type: ignore[union-attr]  # it runs
                return
    pytest.fail("it is still there")


async def test_who_goes_away_is_no_mistake(owner: Owner, caplog: pytest.LogCaptureFixture) -> None:
    """A download that its reader gives up leaves nothing in the log."""
    big = Blob(os.urandom(MIB) * 16)
    await owner.api.upload(owner.writer.space_id, big)
    for _ in range(3):
        async with raw(owner.api.url, owner.api.token) as connection:
            await connection.request("GET", f"{owner.space}/blobs/{big.name.hex()}", {})
            await connection.reader.readuntil(b"\r\n\r\n")
            connection.cut()
        await asyncio.sleep(0.2)
    assert not [record for record in caplog.records if record.name.startswith("aiohttp")]


async def test_a_stranger_locks_nobody_out(start_server: StartServer) -> None:
    """Guessing at a name from elsewhere does not keep its owner out at home, nor give the guesser more guesses."""
    server = await start_server(unlock_burst=3, unlock_refill_s=3600)
    person, _ = await server.account()
    right = FinishUnlock(person.name, "password", person.auth_keys["password"])
    wrong = FinishUnlock(person.name, "password", os.urandom(32))
    home, elsewhere = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "198.51.100.9"}
    assert (await server.api.post("/v1/unlock/finish", right, **home)).status == 200
    codes = [(await server.api.post("/v1/unlock/finish", wrong, **elsewhere)).code for _ in range(4)]
    assert codes == ["unlock-failed"] * 3 + ["rate-limited"]
    for last in range(10):
        other = {"X-Forwarded-For": f"192.0.2.{last}"}
        assert (await server.api.post("/v1/unlock/finish", wrong, **other)).code == "rate-limited"
    assert (await server.api.post("/v1/unlock/finish", right, **home)).status == 200
    codes = [(await server.api.post("/v1/unlock/finish", wrong, **home)).code for _ in range(4)]
    assert codes == ["unlock-failed"] * 3 + ["rate-limited"]
