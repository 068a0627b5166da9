"""Attacks on shared albums at the server itself: by who has a grant, and by what belongs to them."""

import asyncio
import os

import pytest

from safelight.sync_protocol.album_log import AlbumFrame
from safelight.sync_protocol.ledger_entries import BoxRef, LedgerKind, SetRoleBody
from safelight.sync_protocol.log import Head, split_frames
from safelight.sync_protocol.messages.blobs import HoldBlobs
from safelight.sync_protocol.messages.spaces import GrantedAlbums, NewBox
from safelight.sync_protocol.records import AssetBody, RemoveFromAlbumBody, RenameAlbumBody
from safelight.sync_protocol.roles import RIGHTS, Role, Tier
from tests.http.conftest import Owner, Server
from tests.http.test_removal import LARGE, MOST_AFTER_BYTES, TAKEN_AHEAD_BYTES
from tests.support.api import Api
from tests.support.grants import end_body, give_body, open_body, showing_body
from tests.support.invitations import become_member, removal
from tests.support.protocol import Blob, Pairing, Person, Signer, Writer, now_ms, sha256
from tests.support.raw_http import raw

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS


class Gallery:
    """An owner's album of one picture, beside another picture, and someone who is a member by *role*."""

    def __init__(self, owner: Owner, person: Person, api: Api, signer: Signer) -> None:
        self.owner, self.person, self.api, self.signer = owner, person, api, signer
        self.original, self.preview = Blob(os.urandom(900)), Blob(os.urandom(800))
        self.hidden = Blob(os.urandom(700))
        self.album = os.urandom(16)
        self.asset: AssetBody | None = None

    async def commit(self, kind: str, body: object, **changes: object) -> None:
        """Commit an entry of the owner's."""
        writer = self.owner.writer
        await self.owner.api.commit(writer, writer.entry(kind, body, **changes))  # type: ignore[arg-type]  # entries' bodies

    async def share(self) -> None:
        """Add both pictures, share the album, and show the one."""
        self.asset = await self.owner.api.add_asset(self.owner.writer, self.original, self.preview)
        await self.owner.api.add_photo(self.owner.writer, self.hidden)
        await self.commit("grant.open", open_body(self.owner.writer, album=self.album))
        await self.commit("album.show", showing_body(self.owner.writer, self.asset, album=self.album))

    async def give(self, tier: Tier, expires_ms: int = 0) -> None:
        """Grant the album."""
        body = give_body(self.owner.writer, self.person, tier, album=self.album, expires_ms=expires_ms)
        await self.commit("grant.give", body)

    async def end(self) -> None:
        """End the grant."""
        await self.commit("grant.end", end_body(self.owner.writer, self.person, album=self.album))

    async def promote(self, role: Role) -> None:
        """Let the other read the space itself, and all of it."""
        box = os.urandom(1200)
        ref = BoxRef(self.person.account_id, "full", sha256(box))
        entry = self.owner.writer.entry(
            LedgerKind.SET_ROLE, SetRoleBody(self.person.account_id, role, sorted(RIGHTS[role]), ref, None)
        )
        await self.owner.api.commit(self.owner.writer, entry, [NewBox(self.person.account_id.hex(), box)])

    async def asks(self, blob: Blob, api: Api | None = None) -> str:
        """What the server answers who asks for a blob by its name."""
        answer = await (api or self.api).get(f"{self.owner.space}/blobs/{blob.name.hex()}")
        return "" if answer.status == 200 else answer.code

    async def asks_for_log(self) -> str:
        """What the server answers who asks for the album's log."""
        answer = await self.api.get(f"{self.owner.space}/albums/{self.album.hex()}/log?after=0")
        return "" if answer.status == 200 else answer.code


async def gallery(server: Server, owner: Owner, role: Role = Role.GRANTEE) -> Gallery:
    """Make a gallery, and somebody else a member."""
    person, api = await server.account()
    signer = await become_member(owner.api, owner.writer, person, api, role)
    made = Gallery(owner, person, api, signer)
    await made.share()
    return made


async def test_a_camera_of_somebody_who_was_granted_an_album(server: Server, owner: Owner) -> None:
    """*A stolen camera reads by its owner's grant*: it reads nothing, whatever they may, also once they read it all."""
    album = await gallery(server, owner, Role.CONTRIBUTOR)
    await album.give(Tier.FULL)
    assert await album.asks(album.original) == ""
    camera, _ = await album.api.pair_camera(owner.writer, Pairing(), album.signer)
    for blob in (album.original, album.preview, album.hidden):
        assert await album.asks(blob, camera) == "forbidden"
    await album.promote(Role.EDITOR)
    assert await album.asks(album.hidden) == ""
    for blob in (album.original, album.preview, album.hidden):
        assert await album.asks(blob, camera) == "forbidden"


async def test_what_a_grant_does_not_give(server: Server, owner: Owner) -> None:
    """*More than the album by its blob's name*: neither the original of a view grant, nor what another album shows."""
    album = await gallery(server, owner)
    assert [await album.asks(blob) for blob in (album.preview, album.original)] == ["forbidden", "forbidden"]
    assert await album.asks_for_log() == "not-found"
    await album.give(Tier.VIEW)
    assert [await album.asks(blob) for blob in (album.preview, album.original)] == ["", "not-found"]
    other = Gallery(owner, album.person, album.api, album.signer)
    await other.share()
    assert [await album.asks(blob) for blob in (other.preview, other.original)] == ["not-found", "not-found"]
    assert await other.asks_for_log() == "not-found"
    await other.give(Tier.FULL)
    assert [await album.asks(blob) for blob in (other.original, album.original)] == ["", "not-found"]
    await other.end()
    assert [await album.asks(blob) for blob in (other.preview, album.preview)] == ["not-found", ""]


async def test_a_pictures_of_two_albums(server: Server, owner: Owner) -> None:
    """A picture that two albums show is read by the better of the grants, and by the other once that has ended."""
    album = await gallery(server, owner)
    other = Gallery(owner, album.person, album.api, album.signer)
    await album.give(Tier.VIEW)
    await other.commit("grant.open", open_body(owner.writer, album=other.album))
    await other.commit("album.show", showing_body(owner.writer, album.asset, album=other.album))
    await other.give(Tier.FULL)
    assert [await album.asks(blob) for blob in (album.preview, album.original)] == ["", ""]
    await other.end()
    assert [await album.asks(blob) for blob in (album.preview, album.original)] == ["", "not-found"]


async def test_nothing_is_held_elsewhere_by_a_grant(server: Server, owner: Owner) -> None:
    """*Taking an album's blobs into a space of one's own*, where no end of the grant reaches them."""
    for role in (Role.GRANTEE, Role.CONTRIBUTOR, Role.PREVIEWER):
        album = await gallery(server, owner, role)
        await album.give(Tier.FULL)
        assert await album.asks(album.original) == ""
        mine = Writer(album.person, Signer(album.person.account_id, album.signer.device_id, album.signer.seed))
        await album.api.create_space(mine)
        path = f"/v1/spaces/{mine.space_id.hex()}/blobs"
        answer = await album.api.post(path, HoldBlobs(owner.writer.space_id.hex(), [album.original.name]))
        assert answer.code == ("not-found" if role is Role.PREVIEWER else "forbidden")


async def test_a_grant_that_expires_while_it_is_read(server: Server, owner: Owner) -> None:
    """By the server's clock, at once, for the log and for blobs."""
    album = await gallery(server, owner)
    await album.give(Tier.FULL, expires_ms=now_ms() + HOUR_MS)
    assert [await album.asks(album.original), await album.asks_for_log()] == ["", ""]
    server.clock.offset_ms = HOUR_MS
    api = album.api
    assert [await album.asks(album.original), await album.asks_for_log()] == ["not-found", "not-found"]
    assert (await api.get(f"{owner.space}/albums")).as_(GrantedAlbums).albums == []


@pytest.mark.parametrize("ends", ["grant", "time", "removal"])
async def test_a_download_ends_with_its_grant(server: Server, owner: Owner, ends: str) -> None:
    """At most 8 MiB of an original arrive after a grant ended, or expired, or the picture was taken out."""
    album = await gallery(server, owner)
    large = await owner.api.add_asset(owner.writer, LARGE)
    log = await owner.api.get(f"{owner.space}/albums/{album.album.hex()}/log?after=0")
    [frame] = split_frames(log.body, AlbumFrame)
    body = showing_body(owner.writer, large, album=album.album, log=Head(frame.number, frame.chain))
    await album.commit("album.show", body)
    await album.give(Tier.FULL, expires_ms=now_ms() + HOUR_MS)
    async with raw(album.api.url, album.api.token, taken_ahead_bytes=TAKEN_AHEAD_BYTES) as connection:
        await connection.request("GET", f"{owner.space}/blobs/{LARGE.name.hex()}", {"Connection": "close"})
        assert b" 200 " in await connection.reader.readuntil(b"\r\n\r\n")
        await connection.reader.readexactly(1024)
        await asyncio.sleep(0.5)
        if ends == "grant":
            await album.end()
        elif ends == "removal":
            log = await owner.api.get(f"{owner.space}/albums/{album.album.hex()}/log?after=1")
            [frame] = split_frames(log.body, AlbumFrame)
            out = RemoveFromAlbumBody(album.album, Head(frame.number, frame.chain), [large.asset_id])
            await album.commit("album.remove", out)
        else:
            server.clock.offset_ms = HOUR_MS
        assert 0 < await connection.rest_size_bytes() <= MOST_AFTER_BYTES
    assert await album.asks(LARGE) == ("forbidden" if ends == "grant" else "not-found")


async def test_organising_after_a_grant_expired(server: Server, owner: Owner) -> None:
    """*By a date put back*, within the day that clocks may differ: the server's own clock counts as well."""
    album = await gallery(server, owner)
    assert album.asset is not None
    body = give_body(owner.writer, album.person, album=album.album, expires_ms=now_ms() + HOUR_MS, can_organise=True)
    await album.commit("grant.give", body)
    log = await owner.api.get(f"{owner.space}/albums/{album.album.hex()}/log?after=0")
    [frame] = split_frames(log.body, AlbumFrame)
    log_end = Head(frame.number, frame.chain)
    title = RenameAlbumBody(album.album, 2, log_end, b"sealed")
    before = owner.writer.entry("album.rename", title, album.signer)
    await album.api.commit(owner.writer, before, signer=album.signer)
    server.clock.offset_ms = HOUR_MS
    log = await owner.api.get(f"{owner.space}/albums/{album.album.hex()}/log?after=1")
    [frame] = split_frames(log.body, AlbumFrame)
    out = RemoveFromAlbumBody(album.album, Head(frame.number, frame.chain), [album.asset.asset_id])
    late = owner.writer.entry("album.remove", out, album.signer)
    assert (await album.api.try_commit(owner.writer, late)).code == "right-missing"


@pytest.mark.parametrize("days", [400, -400])
async def test_a_clock_that_was_wrong_once(server: Server, owner: Owner, days: int) -> None:
    """*A grant that nobody can end*: the server's clock was wrong for a moment, and its time never falls.

    Who signs by a clock that is right may share, add and end all the same; a time that is nobody's is refused.
    """
    album = await gallery(server, owner)
    server.clock.offset_ms = days * DAY_MS
    owner.api = await owner.api.sign_in(owner.signer)
    await owner.api.add_photo(owner.writer, Blob(os.urandom(500)))
    server.clock.offset_ms = 0
    owner.api = await owner.api.sign_in(owner.signer)
    other = Gallery(owner, album.person, album.api, album.signer)
    await other.share()
    await other.give(Tier.FULL)
    await other.end()
    for wrong in (-2, 2, 2 * days):
        body = open_body(owner.writer, album=other.album)
        entry = owner.writer.entry("grant.open", body, signed_ms=now_ms() + wrong * DAY_MS)
        assert (await owner.api.try_commit(owner.writer, entry)).code == "ledger-rule"


async def test_who_is_removed_with_a_grant(server: Server, owner: Owner) -> None:
    """Nothing more of the album, nor of the space, and a second grant is for members alone."""
    album = await gallery(server, owner)
    await album.give(Tier.FULL)
    await owner.api.commit(owner.writer, *removal(owner.writer, album.person))
    assert {await album.asks(album.original), await album.asks_for_log()} == {"space-unknown"}


@pytest.mark.parametrize("field", ["key_full", "key_view", "full_history", "view_history", "title"])
async def test_keys_that_are_larger_than_keys(server: Server, owner: Owner, field: str) -> None:
    """*A server's memory filled with keys of albums* by who organises: they are as large as keys are, or refused."""
    album = await gallery(server, owner)
    await album.give(Tier.VIEW)
    for size_bytes, fits in ((1025, False), (1024, True)):
        for kind, make in (("grant.open", open_body), ("grant.end", lambda w, **c: end_body(w, album.person, **c))):
            entry = owner.writer.entry(kind, make(owner.writer, album=album.album, **{field: bytes(size_bytes)}))
            if fits:
                await owner.api.commit(owner.writer, entry)
            else:
                assert (await owner.api.try_commit(owner.writer, entry)).code == "ledger-rule"
