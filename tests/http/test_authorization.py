"""Who may do what: every route of the table × every caller × own, other's and unknown objects; nothing is left out.

A row says what each caller gets. Who is not named in it gets `session-required`, so a row also says what must succeed;
a route without a row fails.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from safelight.server.routes.all import ROUTES
from safelight.server.routes.openapi import openapi_path
from safelight.server.routes.table import Auth
from safelight.sync_protocol.messages.accounts import (
    StartUnlock,
)
from safelight.sync_protocol.messages.sessions import AskChallenge
from safelight.sync_protocol.messages.spaces import AskFingerprints
from safelight.sync_protocol.refusals import TABLE, Code
from tests.http.conftest import Server
from tests.support.api import Answer
from tests.support.asking import (
    Send,
    account_append,
    account_ledger,
    album_log,
    at_upload,
    bell,
    bind,
    blob,
    box,
    commits,
    create_account,
    create_space,
    end_session,
    finish_unlock,
    hold,
    in_space,
    invitation_ledger,
    join,
    link_blob,
    open_link,
    open_session,
    pairing_ledger,
    plain,
    put_keyring,
    upload,
    upload_head,
)
from tests.support.everyone import Caller, World, make_world

OK = "ok"
NOBODY = "session-required"

Expected = Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """How a route is asked, and for each object what each caller gets: `ok`, or a refusal's code."""

    send: Send
    objects: Mapping[str, Expected]
    others: str = NOBODY


def each(names: str, code: str) -> dict[str, str]:
    """The same for several callers."""
    return dict.fromkeys(names.split(), code)


ACCOUNTS = "owner stranger viewer previewer contributor grantee"
SESSIONS = f"{ACCOUNTS} camera uploader"
MINE = "owner viewer previewer contributor grantee camera"


def readers(**own: str) -> dict[str, Expected]:
    """A route of a space: what those who stand in it get for their own; nobody sees another's or an unknown one."""
    return {
        "own": {**each("stranger uploader", "space-unknown"), **own},
        "other": {**each(f"{MINE} uploader", "space-unknown"), "stranger": OK},
        "unknown": each(SESSIONS, "space-unknown"),
    }


def everyone(code: str) -> Row:
    """Used with `replace`: a route that asks nobody who they are."""
    return Row(_never, {"": {}}, code)


async def _never(_: World, __: Caller, ___: str) -> Answer:
    raise AssertionError("a row says how its route is asked")


_BLOBS = {
    "original": {**each("owner viewer", OK), **each("previewer grantee", "not-found")},
    "preview": each("owner viewer previewer grantee", OK),
    "page": {**each("owner viewer", OK), **each("previewer grantee", "not-found")},
    "of a link alone": {**each("owner viewer", OK), **each("previewer grantee", "not-found")},
    "not yet named": {**each("owner viewer", OK), **each("previewer grantee", "not-found")},
    "stranger's": each("owner viewer previewer grantee", "not-found"),
    "unknown": each("owner viewer previewer grantee", "not-found"),
}
BLOBS: Mapping[str, Expected] = {
    **{
        of: {**each("stranger uploader", "space-unknown"), **each("contributor camera", "forbidden"), **expected}
        for of, expected in _BLOBS.items()
    },
    "other": {**each(f"{MINE} uploader", "space-unknown"), "stranger": OK},
    "unknown space": each(SESSIONS, "space-unknown"),
}
LINK_BLOBS: Mapping[str, Expected] = {
    "page": {"guest": OK},
    "preview": {"guest": OK},
    "original": {"guest": "not-found"},
    "stranger's": {"guest": "not-found"},
    "made for another": {"guest": "not-found"},
    "unknown blob": {"guest": "not-found"},
    "other link": {},
    "unknown link": {},
}
ALBUMS: Mapping[str, Expected] = {
    "own": {
        **each("owner viewer previewer grantee", OK),
        "contributor": "not-found",
        "camera": "forbidden",
        **each("stranger uploader", "space-unknown"),
    },
    "not granted": {
        **each("owner viewer previewer", OK),
        **each("contributor grantee", "not-found"),
        "camera": "forbidden",
        **each("stranger uploader", "space-unknown"),
    },
    "unknown": {
        **each("owner viewer previewer contributor grantee", "not-found"),
        "camera": "forbidden",
        **each("stranger uploader", "space-unknown"),
    },
    "other": {**each(f"{MINE} uploader", "space-unknown"), "stranger": "not-found"},
}
UPLOADS: Mapping[str, Expected] = {
    "own": {**each(SESSIONS, "not-found"), "owner": OK},
    "camera's": {**each(SESSIONS, "not-found"), "camera": OK},
    "unknown": each(SESSIONS, "not-found"),
}
LEDGERS: Mapping[str, Expected] = {
    "own": {**each(f"{MINE} ticket", OK), **each("stranger uploader", "not-found")},
    "other": {**each(f"{MINE} ticket uploader", "not-found"), "stranger": OK},
    "unknown": each(f"{SESSIONS} ticket", "not-found"),
}
APPENDING: Mapping[str, Expected] = {
    "own": {**each(SESSIONS, "not-found"), **each("owner ticket", OK)},
    "other": {**each(f"{SESSIONS} ticket", "not-found"), "stranger": OK},
    "unknown": each(f"{SESSIONS} ticket", "not-found"),
}
OF_AN_ACCOUNT: Mapping[str, Expected] = {"": {**each(f"{ACCOUNTS} ticket", OK), **each("camera uploader", "forbidden")}}
FULL_READERS = readers(**each("owner viewer", OK), **each("previewer contributor grantee camera", "forbidden"))
ALL_IN_IT = readers(**each(MINE, OK))

# Of those who may not, each for its own reason.
HOLDERS = {
    **each("viewer previewer grantee", "right-missing"),
    **each("contributor camera", "forbidden"),
    "stranger": "space-unknown",
    "uploader": "forbidden",
}

ORGANISERS = {
    "owner": OK,
    **each("viewer previewer contributor grantee camera uploader", "right-missing"),
    "stranger": "space-unknown",
}

ROWS: dict[str, Row] = {
    "GET /health": replace(everyone(OK), send=plain("GET", "/health")),
    "GET /ready": replace(everyone(OK), send=plain("GET", "/ready")),
    "GET /v1/server": replace(everyone(OK), send=plain("GET", "/v1/server")),
    "GET /v1/openapi.json": replace(everyone(OK), send=plain("GET", "/v1/openapi.json")),
    "POST /v1/accounts": Row(create_account, {"own": {}}, OK),
    "POST /v1/unlock/start": replace(
        everyone(OK), send=plain("POST", "/v1/unlock/start", StartUnlock("anyone", "password"))
    ),
    "POST /v1/unlock/finish": Row(finish_unlock, {"own": {}}, OK),
    "GET /v1/accounts/{account}/ledger": Row(account_ledger, LEDGERS),
    "POST /v1/accounts/{account}/ledger": Row(account_append, APPENDING),
    "GET /v1/keyring": Row(plain("GET", "/v1/keyring"), OF_AN_ACCOUNT),
    "PUT /v1/keyring": Row(put_keyring, OF_AN_ACCOUNT),
    "POST /v1/sessions/challenge": replace(
        everyone(OK), send=plain("POST", "/v1/sessions/challenge", AskChallenge("0" * 32))
    ),
    "POST /v1/sessions": Row(open_session, {"own": {}}, OK),
    "DELETE /v1/sessions/current": Row(end_session, {"": each(f"{SESSIONS} ticket", OK)}),
    "GET /v1/devices": Row(
        plain("GET", "/v1/devices"), {"": {**each(ACCOUNTS, OK), **each("camera uploader", "forbidden")}}
    ),
    "GET /v1/spaces": Row(plain("GET", "/v1/spaces"), {"": each(SESSIONS, OK)}),
    "POST /v1/spaces": Row(create_space, {"": {**each(ACCOUNTS, OK), **each("camera uploader", "forbidden")}}),
    "GET /v1/spaces/{space}": Row(in_space("GET"), ALL_IN_IT),
    "GET /v1/spaces/{space}/log": Row(
        in_space("GET", "/log"),
        readers(**each("owner viewer previewer", OK), **each("contributor grantee camera", "forbidden")),
    ),
    "GET /v1/spaces/{space}/chain": Row(in_space("GET", "/chain"), ALL_IN_IT),
    "GET /v1/spaces/{space}/ledger": Row(in_space("GET", "/ledger"), ALL_IN_IT),
    "GET /v1/spaces/{space}/pairing/{camera}": Row(pairing_ledger, {"own": {}}, OK),
    "GET /v1/spaces/{space}/invitations/{invitation}": Row(invitation_ledger, {"own": {}}, OK),
    "GET /v1/spaces/{space}/position": Row(in_space("GET", "/position"), readers(**each(f"{MINE} uploader", OK))),
    "POST /v1/spaces/{space}/commits": Row(
        commits,
        {
            **readers(
                **each("owner contributor camera uploader", OK), **each("viewer previewer grantee", "right-missing")
            ),
            "title of a granted album": {**ORGANISERS, "grantee": OK},
            "title of another album": ORGANISERS,
            "picture of a granted album": {**ORGANISERS, "grantee": "not-found"},  # the owner took it out before
            "picture of another album": ORGANISERS,
            "another's": {
                **each("viewer previewer contributor grantee camera uploader", "forbidden"),
                "stranger": "space-unknown",
            },
        },
    ),
    "POST /v1/spaces/{space}/bind": Row(bind, {"own": {}, "guest": {}}, OK),
    "POST /v1/spaces/{space}/join": Row(
        join,
        {
            "own": {
                **each("owner viewer previewer contributor grantee", "member-exists"),
                "stranger": OK,
                **each("camera uploader", "forbidden"),
            },
            "used": {**each(ACCOUNTS, "invitation-used"), **each("camera uploader", "forbidden")},
            "roll": each(SESSIONS, "forbidden"),
            "unknown": {**each(ACCOUNTS, "space-unknown"), **each("camera uploader", "forbidden")},
        },
    ),
    "GET /v1/spaces/{space}/boxes/{epoch}": Row(
        box,
        readers(**each("owner viewer previewer", OK), **each("contributor grantee camera", "forbidden")),
    ),
    "POST /v1/spaces/{space}/fingerprints": Row(
        in_space("POST", "/fingerprints", AskFingerprints([os.urandom(32)])),
        readers(**each("owner viewer camera", OK), **each("previewer contributor grantee", "forbidden")),
    ),
    "GET /v1/spaces/{space}/albums": Row(
        in_space("GET", "/albums"),
        readers(**each("owner viewer previewer contributor grantee", OK), camera="forbidden"),
    ),
    "GET /v1/spaces/{space}/albums/{album}/log": Row(album_log, ALBUMS),
    "GET /v1/spaces/{space}/bell": Row(bell, ALL_IN_IT),
    "GET /v1/spaces/{space}/blobs/{name}": Row(blob("GET"), BLOBS),
    "HEAD /v1/spaces/{space}/blobs/{name}": Row(blob("HEAD"), BLOBS),
    "POST /v1/spaces/{space}/blobs": Row(
        hold,
        {
            "own": {**HOLDERS, "owner": OK},
            "original": {**HOLDERS, "owner": OK},
            "loose": {**HOLDERS, "owner": "not-found"},
            "away": {**HOLDERS, "owner": "space-unknown", "contributor": "space-unknown"},
            "other": {**each(ACCOUNTS, "space-unknown"), **each("camera uploader", "forbidden")},
            "unknown": {**each(ACCOUNTS, "space-unknown"), **each("camera uploader", "forbidden")},
        },
    ),
    "OPTIONS /v1/blobs": replace(everyone(OK), send=plain("OPTIONS", "/v1/blobs")),
    "POST /v1/blobs": Row(
        upload,
        readers(**each("owner contributor camera uploader", OK), **each("viewer previewer grantee", "right-missing")),
    ),
    "PATCH /v1/blobs/uploads/{upload}": Row(
        at_upload("PATCH", b"x", Content_Type="application/partial-upload", Upload_Offset="0", Upload_Complete="?0"),
        UPLOADS,
    ),
    "HEAD /v1/blobs/uploads/{upload}": Row(at_upload("HEAD"), UPLOADS),
    "GET /v1/blobs/uploads/{upload}": Row(at_upload("GET"), UPLOADS),
    "DELETE /v1/blobs/uploads/{upload}": Row(at_upload("DELETE"), UPLOADS),
    "POST /v1/links/{link}/open": Row(open_link, {"own": {}}, OK),
    "GET /v1/links/{link}/blobs/{name}": Row(link_blob("GET"), LINK_BLOBS, "link-session-required"),
    "HEAD /v1/links/{link}/blobs/{name}": Row(link_blob("HEAD"), LINK_BLOBS, "link-session-required"),
    "GET /v1/upload-links/{link}": Row(upload_head, {"own": {}}, OK),
    "GET /v1/spaces/{space}/links": Row(in_space("GET", "/links"), FULL_READERS),
}
# What asks for no session, and yet refuses: the same for everyone, whatever session they have.
OPEN: dict[str, dict[str, str]] = {
    "POST /v1/accounts": {"guess": "invite-invalid"},
    "POST /v1/unlock/finish": {"other": "unlock-failed", "unknown": "unlock-failed"},
    "POST /v1/sessions": {"other": "signature-invalid", "revoked": "device-revoked"},
    "GET /v1/spaces/{space}/pairing/{camera}": {
        "other": "signature-invalid",
        "no camera": "space-unknown",
        "unknown": "space-unknown",
    },
    "GET /v1/spaces/{space}/invitations/{invitation}": {
        "other": "signature-invalid",
        "no invitation": "space-unknown",
        "unknown": "space-unknown",
    },
    "POST /v1/spaces/{space}/bind": {"roll": "forbidden", "false": "signature-invalid", "unknown": "space-unknown"},
    "POST /v1/links/{link}/open": {"other": "link-not-opened", "unknown": "link-not-opened"},
    "GET /v1/upload-links/{link}": {"other": "link-not-opened", "unknown": "link-not-opened"},
}


def key_of(method: str, path: str) -> str:
    """A route's name in the table."""
    return f"{method} {openapi_path(path)}"


def test_every_route_has_a_row(server_routes: set[str]) -> None:
    """A new route without a row fails, also one that is served beside the table."""
    assert {key_of(route.method, route.path) for route in ROUTES} == set(ROWS) == server_routes
    for route in ROUTES:
        asks_nobody = route.auth is Auth.NONE
        assert (ROWS[key_of(route.method, route.path)].others == OK) is asks_nobody
    assert set(OPEN) <= {name for name, row in ROWS.items() if row.others == OK}


@pytest.fixture
def server_routes(server: Server) -> set[str]:
    """Everything that the router serves, but for the pages, which know nobody."""
    found = set()
    for route in server.app.router.routes():
        assert route.resource is not None
        if not route.resource.canonical.startswith("/s/"):
            found.add(f"{route.method} {route.resource.canonical}")
    return found


def check(answer: Answer, expected: str, case: str) -> None:
    """Check an answer: its status, its code where it has a body, and the headers that every answer has."""
    assert answer.headers["Server"] == "Safelight", case
    assert answer.headers["X-Content-Type-Options"] == "nosniff", case
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin", case
    assert answer.headers["Referrer-Policy"] == "no-referrer", case
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';"), case
    assert answer.headers["Cache-Control"] in {"no-store", "private, no-cache"}, case
    if expected == OK:
        assert 200 <= answer.status < 300, (case, answer.status, answer.body)
    else:
        assert answer.status == TABLE[Code(expected)].status, (case, answer.status, answer.body)
        if answer.body:
            assert answer.code == expected, (case, answer.body)


@pytest.mark.parametrize("name", ROWS)
async def test_the_matrix(server: Server, name: str) -> None:
    """Every caller gets exactly what the row says, for its own, for another's and for what is not there."""
    world, row = await make_world(server), ROWS[name]
    objects = {**row.objects, **{key: {} for key in OPEN.get(name, {})}}
    for of, expected in objects.items():
        others = OPEN.get(name, {}).get(of, row.others)
        assert set(expected) <= set(world.callers)
        for who, caller in world.callers.items():
            if of == "another's" and who == "owner":
                continue
            check(await row.send(world, caller, of), expected.get(who, others), f"{who}, {of or 'no object'}")


async def test_refusals_are_alike(server: Server) -> None:
    """What is another's and what is not there are told apart by nobody."""
    world = await make_world(server)
    camera, owner = world.callers["camera"], world.callers["owner"]
    for caller, path, unknown in (
        (owner, world.stranger.space, world.space("unknown")),
        (camera, world.stranger.space, world.space("unknown")),
        (owner, f"{world.stranger.space}/log", f"{world.space('unknown')}/log"),
        (
            owner,
            f"{world.owner.space}/blobs/{world.strangers_blob.name.hex()}",
            f"{world.owner.space}/blobs/{'0' * 64}",
        ),
        (owner, f"/v1/accounts/{world.stranger.person.account_id.hex()}/ledger", f"/v1/accounts/{'0' * 32}/ledger"),
    ):
        one, other = await asyncio.gather(caller.send("GET", path), caller.send("GET", unknown))
        assert (one.status, one.body) == (other.status, other.body)
        assert [*one.headers] == [*other.headers]
