"""Whatever is sent to any route, in bodies, headers, queries and paths: a refusal from the table, never a mistake."""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from safelight.server import app as application
from safelight.server.routes.all import ROUTES
from safelight.server.routes.call import Call
from safelight.server.routes.openapi import openapi_path
from safelight.server.routes.table import Route
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.refusals import TABLE, Code, Refused
from tests.faults.api_fuzz import ROLES, Found, Fuzz, listening
from tests.http.conftest import Owner, Server, StartServer
from tests.support.everyone import World, _ticket, make_world
from tests.support.identities import Person
from tests.support.postgres import PostgresServer
from tests.support.raw_http import raw
from tests.support.seaweed import CREDENTIALS, Seaweed

CODES = {code.value: row.status for code, row in TABLE.items()}
NAMES = [f"{route.method} {openapi_path(route.path)}" for route in ROUTES]
HEADERS = [
    "Authorization",
    "Cookie",
    "Range",
    "If-Range",
    "If-None-Match",
    "Upload-Complete",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Draft-Interop-Version",
    "Repr-Digest",
    "Content-Type",
    "Content-Encoding",
    "X-Forwarded-For",
    "Safelight-Pairing",
    "Accept-Encoding",
    "Sec-WebSocket-Key",
    "Origin",
]
TRICKY = st.sampled_from(
    [
        "",
        "?1",
        "?0",
        "0",
        "-1",
        "1" * 15,
        "9" * 30,
        "bytes=0-",
        "bytes=-0",
        "bytes=" + "9" * 18 + "-",
        "sha-256=::",
        "sha-256=:AAAA:",
        'a="b',
        "safelight-link=eyJ9.x.y",
        "safelight-link=.eJyL.AAAA",
        '"\\',
        "Bearer é",
        "application/json; charset=x",
        "::1%lo, 1.2.3.4:5, [::]",
        "deflate, gzip",
    ]
)
VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
HEADER_SETS = st.dictionaries(st.sampled_from(HEADERS), st.one_of(TRICKY, VISIBLE), max_size=4)
QUERIES = st.sampled_from(["", "?after=1", "?after=%00", "?x=&x=", "?limit=-1", "?space=" + "0" * 64])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(["A" * 43 + "=", "A" * 88, "0" * 32, "f" * 64, "password", "recovery", "AAAA"]),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))


def path_of(route: Route, owner: Owner, known: bool) -> str:
    """A path of the route, to something that is there as far as that is easy, or to nothing."""
    values = {
        "space": owner.writer.space_id.hex() if known else "0" * 64,
        "account": owner.person.account_id.hex() if known else "0" * 32,
        "link": "0" * 32,
        "camera": "0" * 32,
        "invitation": "0" * 32,
        "album": "0" * 32,
        "upload": "0" * 32,
        "name": "0" * 64,
        "epoch": "1" if known else "9" * 16,
    }
    return openapi_path(route.path).format(**values)


def bodies(route: Route) -> st.SearchStrategy[bytes]:
    """Bodies that come near to what the route takes, and bytes."""
    if route.request is None:
        return st.binary(max_size=60)
    fields = [field.encode_name for field in msgspec.structs.fields(route.request)]
    documents = st.fixed_dictionaries({}, optional=dict.fromkeys(fields, VALUES))
    return st.one_of(documents.map(lambda document: json.dumps(document).encode()), st.binary(max_size=60))


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
async def test_anything_at_any_route(owner: Owner, route: Route) -> None:
    """No 5xx, and every refusal is one of the table with its own status."""
    cases: list[tuple[bool, dict[str, str], str, bytes]] = []

    @settings(
        max_examples=40,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.booleans(), HEADER_SETS, QUERIES, bodies(route))
    def collect(known: bool, headers: dict[str, str], query: str, body: bytes) -> None:
        cases.append((known, headers, query, body))

    collect()
    for known, extra, query, body in cases:
        headers: dict[str, Any] = {"Host": "x", "Authorization": f"Bearer {owner.api.token}"}
        headers |= {"Content-Type": "application/json", **extra, "Content-Length": len(body), "Connection": "close"}
        lines = [f"{route.method} {path_of(route, owner, known)}{query} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        async with raw(owner.api.url) as connection:
            connection.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            answer = await connection.reader.read()
            while answer.startswith(b"HTTP/1.1 104"):
                answer = answer.partition(b"\r\n\r\n")[2]
        head, _, content = answer.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.[01] (\d{3}) ", head)
        assert found is not None, (lines, answer)
        status = int(found[1])
        assert status < 500 or b"storage" in content, (lines, body, content)
        if b"application/problem+json" in head and content:
            assert CODES[json.loads(content)["code"]] == status, (lines, content)
        if "DELETE" in lines[0] and status == 204:
            owner.api = await owner.api.sign_in(owner.signer)


SHORT, LONG = 3, 60
OTHER_400 = next(code for code, row in TABLE.items() if row.status == 400 and code is not Code.BAD_REQUEST)


async def fuzz(start_server: StartServer, monkeypatch: pytest.MonkeyPatch, role: str, examples: int, **to: Any) -> Fuzz:
    """Ask a server everything that its document allows, and what it does not, as *role*; the number is the seed."""
    with listening(monkeypatch) as sent:
        world = await make_world(await start_server(connections_per_address=4096, **to))
    document = json.loads((await world.server.api.get("/v1/openapi.json")).body)
    loop, run = asyncio.get_running_loop(), Fuzz(world, world.callers[role], sent, document)

    def sign_in() -> str:
        return asyncio.run_coroutine_threadsafe(_token(world, role), loop).result(30)

    await asyncio.to_thread(run.run, examples, 1, sign_in)
    return run


async def _token(world: World, role: str) -> str:
    """A new token for who has ended its session."""
    caller = world.callers[role]
    if role == "ticket":
        return await _ticket(world.server, world.owner.person)
    return (await caller.api.with_token("").sign_in(caller.signer)).token if caller.signer else ""


@pytest.mark.parametrize("role", ROLES)
async def test_the_document_is_true(start_server: StartServer, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """Whoever asks whatever: no 5xx, and no status, code or shape that the document does not name for the route."""
    run = await fuzz(start_server, monkeypatch, role, SHORT)
    assert sum(run.counts.values()) >= len(ROUTES)


@pytest.mark.battery
@pytest.mark.parametrize("engine", ["sqlite and folder", "postgresql and s3"])
@pytest.mark.parametrize("role", ROLES)
async def test_the_document_is_true_of_both_engines(
    start_server: StartServer,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    role: str,
    engine: str,
) -> None:
    """The same, far more of it, and over PostgreSQL and a bucket, too."""
    if engine == "sqlite and folder":
        run = await fuzz(start_server, monkeypatch, role, LONG)
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        seaweed: Seaweed = request.getfixturevalue("seaweed")
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        bucket, database = seaweed.address(), postgres.make_database()
        blobs = f"s3://{bucket.bucket}/{bucket.prefix}"
        to = {"database": postgres.address(database), "blobs": blobs, "s3_endpoint": seaweed.endpoint}
        run = await fuzz(start_server, monkeypatch, role, LONG, **to)
    with capsys.disabled():
        sys.stdout.write(f"\n{role}, {engine}: {sum(run.counts.values())} requests, {sorted(run.counts.items())}\n")


async def test_entries_that_stand_twice(server: Server) -> None:
    """Found by the fuzz: an account made with an entry twice was refused by a code that its route did not name."""
    request = Person().create_request(await server.invite())
    answer = await server.api.post(
        "/v1/accounts", msgspec.structs.replace(request, entries=[*request.entries, *request.entries])
    )
    document = json.loads((await server.api.get("/v1/openapi.json")).body)
    named = document["paths"]["/v1/accounts"]["post"]["responses"][str(answer.status)]["description"]
    assert answer.code == "account-ledger-conflict"
    assert answer.code in named


async def _mistake(call: Call) -> ServerInfo:
    if call.request.headers.get("Authorization"):
        return ServerInfo("", 1, "", b"", 0, 0)
    raise Refused(Code.STORAGE_UNAVAILABLE)


async def _code(_: Call) -> ServerInfo:
    raise Refused(Code.NOT_FOUND)


async def _code_of_another_route(_: Call) -> ServerInfo:
    raise Refused(OTHER_400)


async def _shape(_: Call) -> BlobStored:
    return BlobStored("name", 1)


@pytest.mark.parametrize("handler", [_mistake, _code, _code_of_another_route, _shape])
async def test_what_the_document_does_not_know_is_found(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, handler: Callable[[Call], Awaitable[Any]]
) -> None:
    """A route that fails on some input, refuses by a code of others, or answers in another shape, does not pass."""
    monkeypatch.setattr(
        application,
        "ROUTES",
        [replace(route, handler=handler) if route.path == "/v1/server" else route for route in ROUTES],
    )
    with pytest.raises(Found, match="/v1/server"):
        await fuzz(start_server, monkeypatch, "nobody", 2)
