"""Everyone who could ask something of a server: members of every role, cameras, guests, strangers, and the revoked."""

import os
from dataclasses import dataclass, field

import msgspec

from safelight.sync_protocol.ledger_entries import LedgerKind, RevokeCameraBody
from safelight.sync_protocol.messages.accounts import (
    AppendAccountEntries,
    FinishUnlock,
    Unlocked,
)
from safelight.sync_protocol.messages.links import OpenLink
from safelight.sync_protocol.records import AssetBody
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.upload_entries import CloseUploadLinkBody
from tests.http.conftest import Owner, Server
from tests.support.api import Answer, Api
from tests.support.grants import give_body, open_body, showing_body
from tests.support.invitations import Invitation, become_member, take_join
from tests.support.protocol import Blob, Link, Pairing, Person, Signer, Writer
from tests.support.uploaders import UploadLink, bound, opened, terms

MEMBERS = ("viewer", "previewer", "contributor", "grantee")


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
    asset: AssetBody | None = None
    watermarked: Blob = field(default_factory=lambda: Blob(os.urandom(400)))
    pairing: Pairing = field(default_factory=Pairing)
    invitation: Invitation = field(default_factory=lambda: Invitation(Role.VIEWER))
    album: bytes = field(default_factory=lambda: os.urandom(16))
    other_album: bytes = field(default_factory=lambda: os.urandom(16))
    upload_link: UploadLink = field(default_factory=lambda: UploadLink(terms(max_guests=1000)))
    used: Invitation = field(default_factory=lambda: Invitation(Role.VIEWER))

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
    world.asset = await owner.api.add_asset(owner.writer, world.original, world.preview)
    await owner.api.upload(owner.writer.space_id, world.loose)
    await stranger.api.add_photo(stranger.writer, world.strangers_blob)
    for link in (world.link, world.other_link):
        link.view.append(world.preview)
        await owner.api.publish(owner.writer, link)
    await owner.api.upload(owner.writer.space_id, world.watermarked)
    await owner.api.publish(owner.writer, Link(Blob(os.urandom(500)), made=[world.watermarked]))
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
    for invitation in (world.invitation, world.used):
        await owner.api.commit(owner.writer, invitation.invite(owner.writer))
    joiner, joiner_api = await server.account()
    signer = joiner.signer
    await take_join(joiner_api, owner.writer, world.used.join(owner.writer, joiner, signer), signer)
    for role in MEMBERS:
        callers[role] = await _member(server, owner, Role(role))
    await _share(world)
    await opened(owner.api, owner.writer, world.upload_link)
    callers["uploader"] = await _uploader(owner, world.upload_link)
    closed = await opened(owner.api, owner.writer)
    callers["late uploader"] = await _uploader(owner, closed)
    close = CloseUploadLinkBody(closed.link_id)
    await owner.api.commit(owner.writer, owner.writer.entry(LedgerKind.CLOSE_UPLOAD_LINK, close))
    return world


async def _uploader(owner: Owner, link: UploadLink) -> Caller:
    api, signer = await bound(owner.api, owner.writer, link)
    return Caller(api, signer=signer)


async def _share(world: World) -> None:
    """Share two albums that show the owner's picture: one with the grantee, who organises it, one with nobody."""
    owner, grantee = world.owner, world.callers["grantee"].person
    assert grantee is not None
    for album in (world.album, world.other_album):
        await owner.api.commit(owner.writer, owner.writer.entry("grant.open", open_body(owner.writer, album=album)))
        shown = owner.writer.entry("album.show", showing_body(owner.writer, world.asset, album=album))
        await owner.api.commit(owner.writer, shown)
    given = owner.writer.entry("grant.give", give_body(owner.writer, grantee, album=world.album, can_organise=True))
    await owner.api.commit(owner.writer, given)


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
    person, api = await server.account()
    return Caller(api, person, await become_member(owner.api, owner.writer, person, api, role))
