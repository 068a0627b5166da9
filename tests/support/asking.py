"""How each route is asked, in a request that would succeed if it were allowed."""

import base64
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec

from safelight.sync_protocol import signatures
from safelight.sync_protocol.album_log import AlbumFrame
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import Head, split_frames
from safelight.sync_protocol.messages.accounts import (
    AppendAccountEntries,
    FinishUnlock,
    Keyring,
    PutKeyring,
)
from safelight.sync_protocol.messages.blobs import HoldBlobs
from safelight.sync_protocol.messages.links import OpenLink
from safelight.sync_protocol.messages.sessions import AskChallenge, Challenge, OpenSession
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed, DevicePositionRow
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.records import RemoveFromAlbumBody, RenameAlbumBody
from safelight.sync_protocol.roles import Role
from tests.support.api import Answer
from tests.support.everyone import Caller, World
from tests.support.invitations import Invitation
from tests.support.protocol import Pairing, Person, Signer, Writer
from tests.support.raw_http import raw
from tests.support.uploaders import UploadLink

Send = Callable[[World, Caller, str], Awaitable[Answer]]


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
    state, count = person._state, len(person.entries)
    entry, _ = person.add_device()
    path = f"/v1/accounts/{_account(world, of).hex()}/ledger"
    answer = await caller.send("POST", path, AppendAccountEntries([entry]))
    if answer.status != 200:
        person._state = state
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
    request = Writer(person, person.signer).genesis()[1]
    return await caller.send("POST", "/v1/spaces", request)


async def commit(world: World, caller: Caller, of: str) -> Answer:
    """Commit what this caller signed itself: a new roll."""
    writer = world.writer(of, caller)
    position = await caller.send("GET", f"{world.space(of)}/position") if of != "unknown" else None
    if position is not None and position.status == 200:
        last = position.as_(DevicePositionRow)
        writer.signer.counter, writer.signer.last_id = last.counter, last.entry_id
    return await caller.send("POST", f"{world.space(of)}/commits", CommitEntry(writer.open_roll().envelope))


async def commit_of_another(world: World, caller: Caller, of: str) -> Answer:
    """Commit what the owner signed."""
    owner = Signer(world.owner.signer.author_id, world.owner.signer.device_id, world.owner.signer.seed)
    owner.counter, owner.last_id = world.owner.signer.counter, world.owner.signer.last_id
    writer = Writer(world.owner.person, owner, world.owner.writer.ledger, world.owner.writer.log)
    return await caller.send("POST", f"{world.space(of)}/commits", CommitEntry(writer.open_roll().envelope))


async def organise(world: World, caller: Caller, of: str) -> Answer:
    """Commit what renames an album, or takes its picture out: one that was granted to the grantee, or another."""
    what, _, album = of.partition(" of ")
    album_id = world.album if album == "a granted album" else world.other_album
    shown = await world.owner.api.get(f"{world.owner.space}/albums/{album_id.hex()}/log?after=0")
    last = list(split_frames(shown.body, AlbumFrame))[-1]
    writer, log = world.writer("own", caller), Head(last.number, last.chain)
    position = await caller.send("GET", f"{world.owner.space}/position")
    if position.status == 200:
        known = position.as_(DevicePositionRow)
        writer.signer.counter, writer.signer.last_id = known.counter, known.entry_id
    assert world.asset is not None
    entry = (
        writer.entry("album.rename", RenameAlbumBody(album_id, 2, log, b"sealed"))
        if what == "title"
        else writer.entry("album.remove", RemoveFromAlbumBody(album_id, log, [world.asset.asset_id]))
    )
    return await caller.send("POST", f"{world.owner.space}/commits", CommitEntry(entry.envelope))


async def commits(world: World, caller: Caller, of: str) -> Answer:
    """Either of the two, or what organises an album."""
    if " of " in of:
        return await organise(world, caller, of)
    return await (commit_of_another(world, caller, "own") if of == "another's" else commit(world, caller, of))


async def bind(world: World, caller: Caller, of: str) -> Answer:
    """Bind a camera: by its pairing key, by another key, in no space, or send something else than a binding."""
    owner, pairing = world.owner, Pairing()
    if of == "guest":
        return await bind_guest(world, caller)
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
        receipt = msgspec.msgpack.decode(answer.as_(Committed).receipt, type=Receipt)
        owner.writer.took(entry, receipt.number, receipt.chain, pairing.signer)
    return answer


async def bind_guest(world: World, caller: Caller) -> Answer:
    """Bind a guest of an upload link."""
    owner, link = world.owner, world.upload_link
    guest_id = os.urandom(16)
    signer = Signer(guest_id, guest_id, os.urandom(32))
    entry = owner.writer.entry(LedgerKind.BIND_GUEST, link.binding(owner.writer, signer), signer)
    answer = await caller.send("POST", f"{owner.space}/bind", CommitEntry(entry.envelope))
    receipt = msgspec.msgpack.decode(answer.as_(Committed).receipt, type=Receipt)
    owner.writer.took(entry, receipt.number, receipt.chain, signer)
    return answer


async def upload_head(world: World, caller: Caller, of: str) -> Answer:
    """Ask where guests of an upload link seal to: with its secret, with another's, of no link."""
    link = UploadLink() if of == "unknown" else world.upload_link
    signature = UploadLink().read_signature if of == "other" else link.read_signature
    return await caller.send(
        "GET", f"/v1/upload-links/{link.link_id.hex()}", Safelight_Guest=base64.b64encode(signature).decode()
    )


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


async def invitation_ledger(world: World, caller: Caller, of: str) -> Answer:
    """Read the ledger with an invitation's key: the right one, another, of no invitation, of no space."""
    space_id = os.urandom(32) if of == "unknown" else world.owner.writer.space_id
    invitation = world.invitation
    if of == "no invitation":
        invitation = replace(invitation, invitation_id=os.urandom(16))
    if of == "other":
        invitation = replace(invitation, seed=os.urandom(32))
    path = f"/v1/spaces/{space_id.hex()}/invitations/{invitation.invitation_id.hex()}"
    return await caller.send("GET", path, **invitation.reading(space_id))


async def join(world: World, caller: Caller, of: str) -> Answer:
    """Join by a new invitation, by one that was used, into no space, or send something else than a join."""
    owner, invitation = world.owner, Invitation(Role.VIEWER)
    person = caller.person or owner.person
    path = f"{world.space('unknown' if of == 'unknown' else 'own')}/join"
    if of == "roll":
        return await caller.send("POST", path, CommitEntry(owner.writer.open_roll().envelope))
    if of == "used":
        invitation = world.used
    else:
        await owner.api.commit(owner.writer, invitation.invite(owner.writer))
    entry = invitation.join(owner.writer, person, signer := person.signer)
    answer = await caller.send("POST", path, CommitEntry(entry.envelope))
    if answer.status == 200:
        receipt = msgspec.msgpack.decode(answer.as_(Committed).receipt, type=Receipt)
        owner.writer.took(entry, receipt.number, receipt.chain, signer)
    return answer


async def box(world: World, caller: Caller, of: str) -> Answer:
    """Ask for one's box of the epoch in force."""
    epoch = world.writer(of, caller).state.epoch.number
    return await caller.send("GET", f"{world.space(of)}/boxes/{epoch}")


async def album_log(world: World, caller: Caller, of: str) -> Answer:
    """Read the log of a shared album: of one that is granted to the grantee, of another, of none."""
    albums = {"own": world.album, "not granted": world.other_album}
    space = world.space("other" if of == "other" else "own")
    return await caller.send("GET", f"{space}/albums/{albums.get(of, os.urandom(16)).hex()}/log?after=0")


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


async def hold(world: World, caller: Caller, of: str) -> Answer:
    """Let a space hold what the owner's space holds: its preview, its original, or what no record names there."""
    source, target = world.owner.writer.space_id, "own" if of in {"original", "loose", "away"} else of
    names = {"original": world.original.name, "loose": world.loose.name}
    if of == "away":
        source = world.stranger.writer.space_id
    request = HoldBlobs(source.hex(), [names.get(of, world.preview.name)])
    return await caller.send("POST", f"{world.space(target)}/blobs", request)


def blob(method: str) -> Send:
    """Fetch a blob of the owner's space; `stranger's` is one that only the other space holds."""

    async def send(world: World, caller: Caller, of: str) -> Answer:
        blobs = {
            "original": world.original,
            "preview": world.preview,
            "page": world.link.page,
            "of a link alone": world.watermarked,
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
        blobs["made for another"] = world.watermarked
        name = blobs.get(of, world.preview).name if of != "unknown blob" else os.urandom(32)
        links = {"other link": world.other_link.link_id, "unknown link": os.urandom(16)}
        link_id = links.get(of, world.link.link_id)
        return await caller.send(method, f"/v1/links/{link_id.hex()}/blobs/{name.hex()}")

    return send
