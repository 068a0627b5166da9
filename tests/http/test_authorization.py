"""Who may do what: every route of the table × every caller × own, other's and unknown objects; nothing is left out.

A row says what each caller gets. Who is not named in it gets `session-required`, so a row also says what must succeed;
a route without a row fails.
"""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from safelight.server.app import DATABASE
from safelight.server.routes.all import ROUTES
from safelight.server.routes.openapi import openapi_path
from safelight.server.routes.services import SERVICES
from safelight.server.routes.table import Auth
from safelight.server.stores.commit_facts import SQL
from safelight.server.stores.transaction import Transaction
from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger import Member, RevokeCameraBody
from safelight.sync_protocol.messages.accounts import (
    AppendAccountEntries,
    FinishUnlock,
    Keyring,
    PutKeyring,
    StartUnlock,
    Unlocked,
)
from safelight.sync_protocol.messages.links import OpenLink
from safelight.sync_protocol.messages.sessions import AskChallenge, Challenge, OpenSession
from safelight.sync_protocol.messages.spaces import AskFingerprints, CommitEntry
from safelight.sync_protocol.refusals import TABLE, Code
from safelight.sync_protocol.roles import Role
from tests.http.conftest import Owner, Server
from tests.support.api import Answer, Api
from tests.support.protocol import Blob, Link, Pairing, Person, Signer, Writer
from tests.support.raw_http import raw

OK = "ok"
NOBODY = "session-required"
MEMBERS = ("viewer", "previewer", "contributor")


@dataclass
class Caller:
    """Someone who asks: with which token and cookie, and as whom it signs."""

    api: Api
    person: Person | None = None
    signer: Signer | None = None
    cookie: str = ""

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request; what is no bytes goes as JSON."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            sent["Cookie"] = self.cookie
        if body is not None and not isinstance(body, bytes):
            sent.setdefault("Content-Type", "application/json")
            body = msgspec.json.encode(body)
        return await self.api.send(method, path, body, sent)


@dataclass
class World:
    """A server with everyone on it, and what they have."""

    server: Server
    owner: Owner
    stranger: Owner
    callers: dict[str, Caller]
    original: Blob = field(default_factory=lambda: Blob(os.urandom(900)))
    preview: Blob = field(default_factory=lambda: Blob(os.urandom(800)))
    loose: Blob = field(default_factory=lambda: Blob(os.urandom(700)))
    strangers_blob: Blob = field(default_factory=lambda: Blob(os.urandom(600)))
    link: Link = field(default_factory=lambda: Link(Blob(os.urandom(500))))
    other_link: Link = field(default_factory=lambda: Link(Blob(os.urandom(500))))
    pairing: Pairing = field(default_factory=Pairing)

    def space(self, of: str) -> str:
        """The path of the owner's space, of the stranger's, or of one that is not there."""
        known = {"own": self.owner.space, "other": self.stranger.space}
        return known.get(of) or f"/v1/spaces/{os.urandom(32).hex()}"

    def writer(self, of: str, caller: Caller) -> Writer:
        """What *caller* knows of a space when it signs for it."""
        writer = self.stranger.writer if of == "other" else self.owner.writer
        return Writer(caller.person or writer.owner, caller.signer or writer.signer, writer.ledger, writer.log)


async def make_world(server: Server) -> World:
    """Make a space with a member of every role, a camera, links, and things that were revoked; and a stranger's."""
    owner, stranger = await server.owner(), await server.owner()
    world = World(server, owner, stranger, {})
    await owner.api.add_photo(owner.writer, world.original, world.preview)
    await owner.api.upload(owner.writer.space_id, world.loose)
    await stranger.api.add_photo(stranger.writer, world.strangers_blob)
    for link in (world.link, world.other_link):
        link.view.append(world.preview)
        await owner.api.publish(owner.writer, link)
    callers = world.callers
    callers["nobody"] = Caller(server.api)
    callers["forger"] = Caller(server.api.with_token("x" * 43))
    callers["owner"] = Caller(owner.api, owner.person, owner.signer)
    callers["stranger"] = Caller(stranger.api, stranger.person, stranger.signer)
    callers["ticket"] = Caller(server.api.with_token(await _ticket(server, owner.person)), owner.person)
    callers["guest"] = Caller(server.api, cookie=await _opened(server, world.link))
    callers["camera"] = Caller(*await _camera(owner))
    callers["revoked camera"] = await _revoked_camera(owner)
    callers["revoked device"] = await _revoked_device(owner)
    await owner.api.commit(owner.writer, world.pairing.certify(owner.writer))
    for role in MEMBERS:
        callers[role] = await _member(server, owner, Role(role))
    return world


async def _ticket(server: Server, person: Person) -> str:
    request = FinishUnlock(person.name, "password", person.auth_keys["password"])
    return (await server.api.post("/v1/unlock/finish", request)).as_(Unlocked).ticket


async def _opened(server: Server, link: Link) -> str:
    answer = await server.api.post(f"/v1/links/{link.link_id.hex()}/open", OpenLink(link.token))
    return answer.headers["Set-Cookie"].partition(";")[0]


async def _camera(owner: Owner) -> tuple[Api, None, Signer]:
    api, signer = await owner.api.pair_camera(owner.writer, Pairing())
    return api, None, signer


async def _revoked_camera(owner: Owner) -> Caller:
    api, signer = await owner.api.pair_camera(owner.writer, Pairing())
    epoch, boxes = owner.writer.next_epoch()
    entry = owner.writer.entry("camera.revoke", RevokeCameraBody(signer.device_id, epoch))
    await owner.api.commit(owner.writer, entry, boxes)
    return Caller(api, signer=signer)


async def _revoked_device(owner: Owner) -> Caller:
    entry, signer = owner.person.add_device()
    path = f"/v1/accounts/{owner.person.account_id.hex()}/ledger"
    await owner.api.post(path, AppendAccountEntries([entry]))
    api = await owner.api.sign_in(signer)
    await owner.api.post(path, AppendAccountEntries([owner.person.revoke_device(signer.device_id)]))
    return Caller(api, owner.person, signer)


async def _member(server: Server, owner: Owner, role: Role) -> Caller:
    """Put an account into the space, in the ledger at hand and the table of members, as an invitation would."""
    person, api = await server.account()
    ledgers = server.app[SERVICES].spaces._ledgers  # noqa: SLF001 - the protocol's entries about members are yet to come
    space_id = owner.writer.space_id
    state = await ledgers.state(space_id)
    members = {**state.members, person.account_id: Member(role, person.state)}
    ledgers._states[space_id] = replace(state, members=members)  # noqa: SLF001 - see above

    async def work(tx: Transaction) -> None:
        await tx.rows(SQL["add_member"], space_id=space_id, account_id=person.account_id, role=role.value)

    await server.app[DATABASE]._write(work)  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    return Caller(api, person, person.signer)


Send = Callable[[World, Caller, str], Awaitable[Answer]]
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


ACCOUNTS = "owner stranger viewer previewer contributor"
SESSIONS = f"{ACCOUNTS} camera"
MINE = "owner viewer previewer contributor camera"


def readers(**own: str) -> dict[str, Expected]:
    """A route of a space: what those who stand in it get for their own; nobody sees another's or an unknown one."""
    return {
        "own": {"stranger": "space-unknown", **own},
        "other": {**each(MINE, "space-unknown"), "stranger": OK},
        "unknown": each(SESSIONS, "space-unknown"),
    }


def everyone(code: str) -> Row:
    """Used with `replace`: a route that asks nobody who they are."""
    return Row(_never, {"": {}}, code)


async def _never(_: World, __: Caller, ___: str) -> Answer:
    raise AssertionError("a row says how its route is asked")


def plain(method: str, path: str, body: object = None) -> Send:
    """A request that is the same for everyone."""

    async def send(_: World, caller: Caller, __: str) -> Answer:
        return await caller.send(method, path, body)

    return send


def in_space(method: str, rest: str = "", body: object = None) -> Send:
    """A request about a space."""

    async def send(world: World, caller: Caller, of: str) -> Answer:
        return await caller.send(method, world.space(of) + rest, body)

    return send


async def create_account(world: World, caller: Caller, of: str) -> Answer:
    """Create an account, with an invite or a guess."""
    invite = await world.server.invite() if of == "own" else "guess"
    return await caller.send("POST", "/v1/accounts", Person().create_request(invite))


async def finish_unlock(world: World, caller: Caller, of: str) -> Answer:
    """Unlock an account; each caller has a name of their own, so that nobody uses up another's attempts."""
    person, _ = await world.server.account()
    key = person.auth_keys["password"] if of == "own" else os.urandom(32)
    name = f"nobody-{os.urandom(4).hex()}" if of == "unknown" else person.name
    return await caller.send("POST", "/v1/unlock/finish", FinishUnlock(name, "password", key))


def _account(world: World, of: str) -> bytes:
    known = {"own": world.owner.person, "other": world.stranger.person}
    return known[of].account_id if of in known else os.urandom(16)


async def account_ledger(world: World, caller: Caller, of: str) -> Answer:
    """Read an account's ledger."""
    return await caller.send("GET", f"/v1/accounts/{_account(world, of).hex()}/ledger")


async def account_append(world: World, caller: Caller, of: str) -> Answer:
    """Append a device to an account's ledger: an entry that would stand."""
    person = world.stranger.person if of == "other" else world.owner.person
    state, count = person._state, len(person.entries)  # noqa: SLF001 - put back if it is refused
    entry, _ = person.add_device()
    path = f"/v1/accounts/{_account(world, of).hex()}/ledger"
    answer = await caller.send("POST", path, AppendAccountEntries([entry]))
    if answer.status != 200:
        person._state = state  # noqa: SLF001 - see above
        del person.entries[count:]
    return answer


async def put_keyring(_: World, caller: Caller, __: str) -> Answer:
    """Keep the next keyring."""
    kept = await caller.send("GET", "/v1/keyring")
    version = kept.as_(Keyring).version if kept.status == 200 else 0
    return await caller.send("PUT", "/v1/keyring", PutKeyring(version + 1, b"sealed"))


async def open_session(world: World, caller: Caller, of: str) -> Answer:
    """Open a session with a device's key: of one that stands, of another than the one named, or of a revoked one."""
    owner, lost = world.owner.signer, world.callers["revoked device"].signer
    assert lost is not None
    named, key = {"own": (owner, owner), "other": (owner, world.stranger.signer), "revoked": (lost, lost)}[of]
    asked = await world.server.api.post("/v1/sessions/challenge", AskChallenge(named.device_id.hex()))
    challenge = asked.as_(Challenge).challenge
    message = context(Label.SIGN_SESSION, world.server.api.server_key, named.device_id, challenge)
    request = OpenSession(named.device_id.hex(), challenge, signatures.sign(key.seed, message))
    return await caller.send("POST", "/v1/sessions", request)


async def end_session(world: World, caller: Caller, _: str) -> Answer:
    """End a session; the caller gets another afterwards."""
    answer = await caller.send("DELETE", "/v1/sessions/current")
    if answer.status == 204:
        assert (await caller.send("GET", "/v1/spaces")).code == "session-required"
    return answer


async def create_space(_: World, caller: Caller, __: str) -> Answer:
    """Make a space of one's own; a camera tries with a person's keys."""
    person = caller.person or Person()
    _, request = Writer(person, person.signer).genesis()
    return await caller.send("POST", "/v1/spaces", request)


async def commit(world: World, caller: Caller, of: str) -> Answer:
    """Commit what this caller signed itself: a new roll."""
    writer = world.writer(of, caller)
    position = await caller.send("GET", f"{world.space(of)}/position") if of != "unknown" else None
    if position is not None and position.status == 200:
        row = msgspec.json.decode(position.body)
        writer.signer.counter, writer.signer.last_id = row["counter"], base64.b64decode(row["entry_id"])
    return await caller.send("POST", f"{world.space(of)}/commits", CommitEntry(writer.open_roll().envelope))


async def commit_of_another(world: World, caller: Caller, of: str) -> Answer:
    """Commit what the owner signed."""
    owner = Signer(world.owner.signer.author_id, world.owner.signer.device_id, world.owner.signer.seed)
    owner.counter, owner.last_id = world.owner.signer.counter, world.owner.signer.last_id
    writer = Writer(world.owner.person, owner, world.owner.writer.ledger, world.owner.writer.log)
    return await caller.send("POST", f"{world.space(of)}/commits", CommitEntry(writer.open_roll().envelope))


async def commits(world: World, caller: Caller, of: str) -> Answer:
    """Either of the two."""
    return await (commit_of_another(world, caller, "own") if of == "another's" else commit(world, caller, of))


async def bind(world: World, caller: Caller, of: str) -> Answer:
    """Bind a camera: by its pairing key, by another key, in no space, or send something else than a binding."""
    owner, pairing = world.owner, Pairing()
    if of == "roll":
        return await caller.send("POST", f"{owner.space}/bind", CommitEntry(owner.writer.open_roll().envelope))
    if of == "own":
        await owner.api.commit(owner.writer, pairing.certify(owner.writer))
    else:
        pairing = replace(world.pairing, pairing_seed=os.urandom(32))
    entry = pairing.bind(owner.writer, pairing.signer)
    answer = await caller.send(
        "POST", f"{world.space('unknown' if of == 'unknown' else 'own')}/bind", CommitEntry(entry.envelope)
    )
    if answer.status == 200:
        receipt = msgspec.msgpack.decode(base64.b64decode(msgspec.json.decode(answer.body)["receipt"]))
        owner.writer.took(entry, receipt[3], receipt[4], pairing.signer)
    return answer


async def pairing_ledger(world: World, caller: Caller, of: str) -> Answer:
    """Read the ledger with a pairing key: the right one, another, of no camera, of no space."""
    space_id, camera_id = world.owner.writer.space_id, world.pairing.camera_id
    if of == "no camera":
        camera_id = os.urandom(16)
    if of == "unknown":
        space_id = os.urandom(32)
    seed = os.urandom(32) if of == "other" else world.pairing.pairing_seed
    signature = signatures.sign(seed, context(Label.SIGN_PAIRING_READ, space_id, camera_id))
    path = f"/v1/spaces/{space_id.hex()}/pairing/{camera_id.hex()}"
    return await caller.send("GET", path, Safelight_Pairing=base64.b64encode(signature).decode())


async def bell(world: World, caller: Caller, of: str) -> Answer:
    """Ask for the WebSocket; `ok` is that it opens."""
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Cookie": caller.cookie,
    }
    async with raw(caller.api.url, caller.api.token) as connection:
        await connection.request("GET", f"{world.space(of)}/bell", headers)
        response = await connection.response()
    named = {name.title(): value for name, value in response.headers.items()}
    return Answer(200 if response.status == 101 else response.status, named, response.body)


def blob(method: str) -> Send:
    """Fetch a blob of the owner's space; `stranger's` is one that only the other space holds."""

    async def send(world: World, caller: Caller, of: str) -> Answer:
        blobs = {
            "original": world.original,
            "preview": world.preview,
            "page": world.link.page,
            "not yet named": world.loose,
            "stranger's": world.strangers_blob,
        }
        if of == "other":
            return await caller.send(method, f"{world.stranger.space}/blobs/{world.strangers_blob.name.hex()}")
        name = blobs[of].name if of in blobs else os.urandom(32)
        space = world.space("unknown" if of == "unknown space" else "own")
        return await caller.send(method, f"{space}/blobs/{name.hex()}")

    return send


async def upload(world: World, caller: Caller, of: str) -> Answer:
    """Upload something small into a space."""
    space_id = world.space(of).rpartition("/")[2]
    return await caller.send("POST", f"/v1/blobs?space={space_id}", os.urandom(10), Upload_Complete="?1")


def at_upload(method: str, body: bytes | None = None, **headers: str) -> Send:
    """Do something to an unfinished upload of the owner's device, of the camera, or to none."""

    async def send(world: World, caller: Caller, of: str) -> Answer:
        maker = world.callers["camera" if of == "camera's" else "owner"]
        made = await maker.send("POST", f"/v1/blobs?space={world.owner.writer.space_id.hex()}", Upload_Complete="?0")
        path = made.headers["Location"] if of != "unknown" else f"/v1/blobs/uploads/{os.urandom(16).hex()}"
        answer = await caller.send(method, path, body, **headers)
        if answer.status >= 400:
            # Whatever was refused left the upload as it was.
            state = await maker.send("HEAD", made.headers["Location"])
            assert (state.status, state.headers["Upload-Offset"]) == (204, "0")
        await maker.send("DELETE", made.headers["Location"])
        return answer

    return send


async def open_link(world: World, caller: Caller, of: str) -> Answer:
    """Open a link with its token, with another, or one that is not there."""
    link = replace(world.link, link_id=os.urandom(16)) if of == "unknown" else world.link
    token = os.urandom(32) if of == "other" else link.token
    return await caller.send("POST", f"/v1/links/{link.link_id.hex()}/open", OpenLink(token))


def link_blob(method: str) -> Send:
    """Fetch through a link."""

    async def send(world: World, caller: Caller, of: str) -> Answer:
        blobs = {"page": world.link.page, "original": world.original, "stranger's": world.strangers_blob}
        name = blobs.get(of, world.preview).name if of != "unknown blob" else os.urandom(32)
        links = {"other link": world.other_link.link_id, "unknown link": os.urandom(16)}
        link_id = links.get(of, world.link.link_id)
        return await caller.send(method, f"/v1/links/{link_id.hex()}/blobs/{name.hex()}")

    return send


_BLOBS = {
    "original": {**each("owner viewer", OK), "previewer": "not-found", **each("contributor camera", "forbidden")},
    "preview": {**each("owner viewer previewer", OK), **each("contributor camera", "forbidden")},
    "page": {**each("owner viewer", OK), "previewer": "not-found", **each("contributor camera", "forbidden")},
    "not yet named": {**each("owner viewer", OK), "previewer": "not-found", **each("contributor camera", "forbidden")},
    "stranger's": {**each("owner viewer previewer", "not-found"), **each("contributor camera", "forbidden")},
    "unknown": {**each("owner viewer previewer", "not-found"), **each("contributor camera", "forbidden")},
}
BLOBS: Mapping[str, Expected] = {
    **{of: {"stranger": "space-unknown", **expected} for of, expected in _BLOBS.items()},
    "other": {**each(MINE, "space-unknown"), "stranger": OK},
    "unknown space": each(SESSIONS, "space-unknown"),
}
LINK_BLOBS: Mapping[str, Expected] = {
    "page": {"guest": OK},
    "preview": {"guest": OK},
    "original": {"guest": "not-found"},
    "stranger's": {"guest": "not-found"},
    "unknown blob": {"guest": "not-found"},
    "other link": {},
    "unknown link": {},
}
UPLOADS: Mapping[str, Expected] = {
    "own": {**each(SESSIONS, "not-found"), "owner": OK},
    "camera's": {**each(SESSIONS, "not-found"), "camera": OK},
    "unknown": each(SESSIONS, "not-found"),
}
LEDGERS: Mapping[str, Expected] = {
    "own": {**each(f"{MINE} ticket", OK), "stranger": "not-found"},
    "other": {**each(f"{MINE} ticket", "not-found"), "stranger": OK},
    "unknown": each(f"{SESSIONS} ticket", "not-found"),
}
APPENDING: Mapping[str, Expected] = {
    "own": {**each(SESSIONS, "not-found"), **each("owner ticket", OK)},
    "other": {**each(f"{SESSIONS} ticket", "not-found"), "stranger": OK},
    "unknown": each(f"{SESSIONS} ticket", "not-found"),
}
OF_AN_ACCOUNT: Mapping[str, Expected] = {"": {**each(f"{ACCOUNTS} ticket", OK), "camera": "forbidden"}}
FULL_READERS = readers(**each("owner viewer", OK), **each("previewer contributor camera", "forbidden"))
ALL_IN_IT = readers(**each(MINE, OK))

ROWS: dict[str, Row] = {
    "GET /health": replace(everyone(OK), send=plain("GET", "/health")),
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
    "GET /v1/devices": Row(plain("GET", "/v1/devices"), {"": {**each(ACCOUNTS, OK), "camera": "forbidden"}}),
    "GET /v1/spaces": Row(plain("GET", "/v1/spaces"), {"": each(SESSIONS, OK)}),
    "POST /v1/spaces": Row(create_space, {"": {**each(ACCOUNTS, OK), "camera": "forbidden"}}),
    "GET /v1/spaces/{space}": Row(in_space("GET"), ALL_IN_IT),
    "GET /v1/spaces/{space}/log": Row(
        in_space("GET", "/log"),
        readers(**each("owner viewer previewer", OK), **each("contributor camera", "forbidden")),
    ),
    "GET /v1/spaces/{space}/ledger": Row(in_space("GET", "/ledger"), ALL_IN_IT),
    "GET /v1/spaces/{space}/pairing/{camera}": Row(pairing_ledger, {"own": {}}, OK),
    "GET /v1/spaces/{space}/position": Row(in_space("GET", "/position"), ALL_IN_IT),
    "POST /v1/spaces/{space}/commits": Row(
        commits,
        {
            **readers(**each("owner contributor camera", OK), **each("viewer previewer", "right-missing")),
            "another's": {**each("viewer previewer contributor camera", "forbidden"), "stranger": "space-unknown"},
        },
    ),
    "POST /v1/spaces/{space}/bind": Row(bind, {"own": {}}, OK),
    "GET /v1/spaces/{space}/boxes/{epoch}": Row(
        in_space("GET", "/boxes/1"),
        readers(owner=OK, **each("viewer previewer", "not-found"), **each("contributor camera", "forbidden")),
    ),
    "POST /v1/spaces/{space}/fingerprints": Row(
        in_space("POST", "/fingerprints", AskFingerprints([os.urandom(32)])),
        readers(**each("owner viewer camera", OK), **each("previewer contributor", "forbidden")),
    ),
    "GET /v1/spaces/{space}/bell": Row(bell, ALL_IN_IT),
    "GET /v1/spaces/{space}/blobs/{name}": Row(blob("GET"), BLOBS),
    "HEAD /v1/spaces/{space}/blobs/{name}": Row(blob("HEAD"), BLOBS),
    "OPTIONS /v1/blobs": replace(everyone(OK), send=plain("OPTIONS", "/v1/blobs")),
    "POST /v1/blobs": Row(
        upload, readers(**each("owner contributor camera", OK), **each("viewer previewer", "right-missing"))
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
    "POST /v1/spaces/{space}/bind": {"roll": "forbidden", "false": "signature-invalid", "unknown": "space-unknown"},
    "POST /v1/links/{link}/open": {"other": "link-not-opened", "unknown": "link-not-opened"},
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
    """Check an answer: its status, its code where it has a body, and what every answer has."""
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
    objects = {**row.objects, **dict.fromkeys(OPEN.get(name, {}), {})}
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
