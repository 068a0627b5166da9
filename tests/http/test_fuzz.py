"""Whatever is sent to any route, in bodies, headers, queries and paths: a refusal from the table, never a mistake."""

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from safelight.server.routes.all import ROUTES
from safelight.server.routes.openapi import openapi_path
from safelight.server.routes.table import Route
from safelight.sync_protocol.refusals import TABLE
from tests.http.conftest import Owner
from tests.support.raw_http import raw

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
