"""Bad input to every route: a refusal from the table, never a mistake, and nothing half-written."""

import asyncio
import json
import os
import random
from typing import Any

import msgspec
import pytest

from safelight.server.routes.all import ROUTES
from safelight.server.routes.openapi import openapi_path
from safelight.server.routes.table import Route
from safelight.sync_protocol.limits import MAX_ENTRY_SIZE_BYTES, MAX_FINGERPRINTS_PER_QUESTION, MAX_REQUEST_SIZE_BYTES
from safelight.sync_protocol.messages.accounts import PutKeyring, StartUnlock
from safelight.sync_protocol.messages.spaces import AskFingerprints, CommitEntry
from safelight.sync_protocol.refusals import TABLE, Code
from tests.http.conftest import Owner, Server
from tests.support.protocol import Blob, make_asset
from tests.support.raw_http import raw

WITH_BODY = [route for route in ROUTES if route.request is not None]
NAMES = [f"{route.method} {openapi_path(route.path)}" for route in WITH_BODY]
CODES = {code.value for code in Code}


def path_of(route: Route, owner: Owner) -> str:
    """A path of *route* that leads somewhere."""
    values = {
        "space": owner.writer.space_id.hex(),
        "account": owner.person.account_id.hex(),
        "link": os.urandom(16).hex(),
        "camera": os.urandom(16).hex(),
        "invitation": os.urandom(16).hex(),
        "album": os.urandom(16).hex(),
        "upload": os.urandom(16).hex(),
        "name": os.urandom(32).hex(),
        "epoch": "1",
    }
    return openapi_path(route.path).format(**values)


def documents() -> list[bytes]:
    """Bodies that no route takes."""
    deep = b"[" * 100_000
    return [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"text"',
        b"{",
        b"{}",
        b'{"surprise": 1}',
        b'{"entry": 1.5}',
        b'{"version": 9007199254740993, "sealed": ""}',
        b'{"version": NaN, "sealed": ""}',
        b'{"version": 1e400}',
        b'{"name": "\\ud800", "kind": "password"}',
        b"\xff\xfe",
        b"\x00",
        deep,
        b'{"a":' * 5000,
        json.dumps({"entry": "not base64!"}).encode(),
        json.dumps({"entry": None}).encode(),
        json.dumps({"entry": {"entry": []}}).encode(),
    ]


@pytest.mark.parametrize("route", WITH_BODY, ids=NAMES)
async def test_bodies_that_are_none(owner: Owner, route: Route) -> None:
    """Whatever stands in the body, the answer is bad-request, with its problem document."""
    for body in documents():
        answer = await owner.api.post(path_of(route, owner), body, method=route.method)
        assert (answer.status, answer.code) == (400, "bad-request"), body[:50]


@pytest.mark.parametrize("route", WITH_BODY, ids=NAMES)
async def test_bodies_of_another_type(owner: Owner, route: Route) -> None:
    """JSON is sent as JSON, not compressed: a page of another site cannot send it without asking."""
    path = path_of(route, owner)
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = await owner.api.send(route.method, path, b"{}", {"Content-Type": media})
        assert (answer.status, answer.code) == (415, "unsupported-media")
    answer = await owner.api.post(path, b"\x1f\x8b\x08", method=route.method, **{"Content-Encoding": "gzip"})
    assert answer.code == "unsupported-media"


@pytest.mark.parametrize("route", WITH_BODY, ids=NAMES)
async def test_bodies_that_are_too_large(owner: Owner, route: Route) -> None:
    """A body beyond the limit is refused by its length, or when it turns out to be so long."""
    body = b" " * (2 * MAX_REQUEST_SIZE_BYTES + 1)
    path = path_of(route, owner)
    answer = await owner.api.post(path, body, method=route.method)
    assert (answer.status, answer.code) == (413, "too-large")
    async with raw(owner.api.url, owner.api.token) as connection:
        headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        await connection.request(route.method, path, headers)
        sending = asyncio.create_task(connection.send(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"))
        assert (await connection.final()).status == 413
        sending.cancel()


@pytest.mark.parametrize("route", WITH_BODY, ids=NAMES)
async def test_types_that_are_wrong(owner: Owner, route: Route) -> None:
    """Each field, given each type of value that it does not have, unknown fields, and repeated ones."""
    assert route.request is not None
    fields = [field.encode_name for field in msgspec.structs.fields(route.request)]
    values: list[Any] = [None, True, -1, 2**53, "\0", "x" * 10_000, [], [[]], {}, {"": ""}, ["x"] * 10_000]
    chance = random.Random(1)
    for name in fields:
        for value in values:
            document = {other: chance.choice(values) for other in fields}
            body = json.dumps({**document, name: value}).encode()
            answer = await owner.api.post(path_of(route, owner), body, method=route.method)
            assert answer.status < 500
            assert answer.status == 200 or answer.code in CODES  # an empty list is a list
        twice = b'{"%b": "", "%b": ""}' % (name.encode(), name.encode())
        answer = await owner.api.post(path_of(route, owner), twice, method=route.method)
        assert (answer.code, "twice" in answer.problem["detail"]) == ("bad-request", True)


@pytest.mark.parametrize("route", ROUTES, ids=[f"{route.method} {openapi_path(route.path)}" for route in ROUTES])
async def test_who_is_nobody(server: Server, owner: Owner, route: Route) -> None:
    """Every route that needs a session says so to who has none."""
    answer = await server.api.send(route.method, path_of(route, owner), headers={"Content-Type": "application/json"})
    if "session" in route.auth.value:
        assert answer.status == 401
    assert answer.status < 500


async def test_queries_that_are_unknown(owner: Owner) -> None:
    """A misspelt query is refused, not passed over."""
    for route in ROUTES:
        if route.method == "GET" and "SESSION" in route.auth.name:
            answer = await owner.api.get(path_of(route, owner) + "?afterr=1")
            assert answer.status in {400, 403, 404}, route.path


async def test_paths_that_are_none(owner: Owner) -> None:
    """What is no address is not found, and a method that an address does not take is said so."""
    for path in (
        "/",
        "/v1",
        "/v1/spaces/zz",
        f"{owner.space.upper()}",
        f"{owner.space}/",
        "/%00",
        "/%ff",
    ):
        assert (await owner.api.get(path)).code == "not-found", path
    answer = await owner.api.send("PUT", "/v1/spaces")
    assert (answer.status, answer.code) == (405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "POST"}


async def test_oversized_everything(owner: Owner) -> None:
    """Entries, keyrings, questions and names beyond their limits are refused."""
    entry = CommitEntry(os.urandom(MAX_ENTRY_SIZE_BYTES + 1))
    assert (await owner.api.post(f"{owner.space}/commits", entry)).code in {"bad-request", "too-large"}
    exact = CommitEntry(os.urandom(MAX_ENTRY_SIZE_BYTES))
    assert (await owner.api.post(f"{owner.space}/commits", exact)).code == "entry-malformed"
    questions = AskFingerprints([os.urandom(32)] * (MAX_FINGERPRINTS_PER_QUESTION + 1))
    assert (await owner.api.post(f"{owner.space}/fingerprints", questions)).code == "bad-request"
    keyring = PutKeyring(1, os.urandom(4 * 1024 * 1024 + 1))
    assert (await owner.api.post("/v1/keyring", keyring, method="PUT")).code == "bad-request"
    assert (await owner.api.post("/v1/unlock/start", StartUnlock("x" * 10_000, "password"))).code == "bad-request"
    blob = Blob(b"x")
    await owner.api.upload(owner.writer.space_id, blob)
    await owner.api.commit(owner.writer, owner.writer.open_roll())
    assets = [make_asset(blob) for _ in range(201)]
    assert (await owner.api.try_commit(owner.writer, owner.writer.add_assets(*assets))).code == "entry-malformed"


async def test_the_largest_keyring(owner: Owner) -> None:
    """A keyring of the largest size fits through."""
    keyring = PutKeyring(1, os.urandom(4 * 1024 * 1024))
    assert (await owner.api.post("/v1/keyring", keyring, method="PUT")).status == 200


async def test_entries_with_a_bit_flipped(owner: Owner) -> None:
    """Wherever an entry is damaged, it is refused with a code, and the space is as it was."""
    blob = Blob(os.urandom(100))
    await owner.api.upload(owner.writer.space_id, blob)
    await owner.api.commit(owner.writer, owner.writer.open_roll())
    before = (await owner.api.get(owner.space)).body
    whole = owner.writer.add_assets(make_asset(blob)).envelope
    chance = random.Random(2)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        answer = await owner.api.post(f"{owner.space}/commits", CommitEntry(bytes(damaged)))
        assert 400 <= answer.status < 500
        assert answer.code in CODES
    for cut in range(0, len(whole), 37):
        answer = await owner.api.post(f"{owner.space}/commits", CommitEntry(whole[:cut]))
        assert answer.code == "entry-malformed"
    assert (await owner.api.get(owner.space)).body == before


async def test_headers_that_are_too_large(server: Server) -> None:
    """A header without end is refused by the server's own limits."""
    async with raw(server.api.url) as connection:
        connection.writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000)
        status = (await asyncio.wait_for(connection.reader.readline(), 5)).split()[1]
        assert int(status) == 400


@pytest.mark.parametrize(
    "request_line", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 50]
)
async def test_what_is_not_http(server: Server, request_line: bytes) -> None:
    """Noise is answered with 400 or nothing, and harms nobody."""
    async with raw(server.api.url) as connection:
        connection.writer.write(request_line)
        connection.writer.write_eof()
        answer = await asyncio.wait_for(connection.reader.read(), 5)
        assert not answer or answer.startswith(b"HTTP/1.")
    assert (await server.api.get("/health")).status == 200


def test_every_refusal_has_a_sentence() -> None:
    """Whatever code a refusal has, the table says status and sentence."""
    assert set(TABLE) == set(Code)
    assert all(400 <= row.status < 600 and row.sentence.endswith(".") for row in TABLE.values())
