"""Approvals at the server itself: links that go round them, running sessions, and a team whose rights are parted."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from safelight.server import data_folder
from safelight.sync_protocol.album_log import next_album_head
from safelight.sync_protocol.approvals import AlbumRulesBody, ApprovalItem, ApproveAssetsBody, content_of, files_of
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import NO_HEAD, Head
from safelight.sync_protocol.records import (
    AddAlbumAssetsBody,
    AddToAlbumBody,
    AlbumItem,
    AssetBody,
    OpenAlbumRollBody,
    RecordKind,
    RevokeLinkBody,
)
from safelight.sync_protocol.roles import Right, Role
from safelight.sync_protocol.wire import Signed
from tests.http.conftest import Owner, Server, StartServer
from tests.support.api import Api
from tests.support.grants import open_body, showing_body
from tests.support.invitations import become_member
from tests.support.links import cookie_of, fetch, open_link
from tests.support.postgres import PostgresServer
from tests.support.protocol import Blob, Link, Signer, make_asset
from tests.support.raw_http import raw


@dataclass
class Proofs:
    """An agency's album, and who does what with it."""

    owner: Owner
    album: bytes = field(default_factory=lambda: os.urandom(16))
    shared: bool = False
    log: Head = NO_HEAD

    async def commit(self, kind: RecordKind | LedgerKind, body: Signed) -> None:
        """Commit a record of the owner's."""
        await self.owner.api.commit(self.owner.writer, self.owner.writer.entry(kind, body))

    async def code(self, kind: RecordKind, body: Signed, member: "Member | None" = None) -> str:
        """Try a record of the owner's, or of a member's; returns why it was refused."""
        writer, api = self.owner.writer, member.api if member else self.owner.api
        return (await api.try_commit(writer, writer.entry(kind, body, member.signer if member else None))).code

    async def refused(self, link: Link) -> str:
        """Try to publish a link; returns why it was refused."""
        return await self.code(RecordKind.PUBLISH_LINK, link.body(self.owner.writer))

    async def picture(self, preview: Blob | None = None) -> tuple[AssetBody, Blob, Blob]:
        """Add a picture to the album: what its record says, original and preview."""
        original, preview = Blob(os.urandom(900)), preview or Blob(os.urandom(800))
        asset = await self.owner.api.add_asset(self.owner.writer, original, preview)
        if self.shared:
            await self._show(asset)
        else:
            await self.commit(
                RecordKind.ADD_TO_ALBUM, AddToAlbumBody(self.album, 1, [AlbumItem(asset.asset_id, b"", b"")])
            )
        return asset, original, preview

    async def _show(self, asset: AssetBody) -> None:
        writer = self.owner.writer
        body = showing_body(writer, asset, album=self.album, log=self.log)
        entry = writer.entry(RecordKind.SHOW_IN_ALBUM, body)
        receipt = await self.owner.api.commit(writer, entry)
        self.log = next_album_head(writer.space_id, self.album, self.log, receipt.number, entry.id)

    async def require(self, *, approval: bool = True) -> None:
        """Switch approval on, or off."""
        await self.commit(RecordKind.SET_ALBUM_RULES, AlbumRulesBody(self.album, approval))

    def approval(self, asset: AssetBody) -> ApproveAssetsBody:
        """What approves an asset as its record has it."""
        content = content_of(asset.asset_id, files_of(asset.renditions))
        return ApproveAssetsBody(self.album, True, [ApprovalItem(asset.asset_id, content)])

    async def approve(self, asset: AssetBody) -> None:
        """Approve an asset."""
        await self.commit(RecordKind.APPROVE_ASSETS, self.approval(asset))

    async def withdraw(self, asset: AssetBody) -> None:
        """Withdraw its approval."""
        await self.commit(
            RecordKind.APPROVE_ASSETS, ApproveAssetsBody(self.album, False, [ApprovalItem(asset.asset_id, b"")])
        )

    async def link(self, *view: Blob, **changes: object) -> Link:
        """Make a link to the album, whose page is there."""
        link = Link(Blob(os.urandom(500)), view=list(view), album_id=self.album, **changes)  # type: ignore[arg-type]  # values by name
        await self.owner.api.upload(self.owner.writer.space_id, link.page)
        return link

    async def member(self, server: Server, role: Role, *rights: Right) -> "Member":
        """Let somebody in who has these rights."""
        person, api = await server.account()
        signer = await become_member(self.owner.api, self.owner.writer, person, api, role, rights=rights)
        return Member(api, signer)


@dataclass(frozen=True)
class Member:
    """Somebody of the team."""

    api: Api
    signer: Signer


@pytest.fixture
async def proofs(server: Server) -> Proofs:
    """An agency's album."""
    return Proofs(await server.owner())


@pytest.mark.parametrize("shared", [False, True])
async def test_a_link_past_the_approver(proofs: Proofs, shared: bool) -> None:
    """Of what is not approved neither preview nor original is taken into a link, under whichever album's name."""
    proofs.shared = shared
    if shared:
        await proofs.commit(LedgerKind.OPEN_GENERATION, open_body(proofs.owner.writer, album=proofs.album))
    (good, good_original, good_preview), (_, bad_original, bad_preview) = await proofs.picture(), await proofs.picture()
    await proofs.require()
    writer = proofs.owner.writer
    for link in (
        await proofs.link(good_preview),
        Link(Blob(b""), view=[good_preview]),
        Link(Blob(b""), view=[bad_preview], album_id=bytes(16)),
    ):
        await proofs.owner.api.upload(writer.space_id, link.page)
        assert await proofs.refused(link) == "not-approved"
    await proofs.approve(good)
    full = await proofs.link(good_preview, full=[good_original], tier="full", originals=True)
    await proofs.owner.api.publish(writer, full)
    for link in (
        await proofs.link(good_preview, bad_preview),
        await proofs.link(good_preview, full=[bad_original], tier="full", originals=True),
    ):
        assert await proofs.refused(link) == "not-approved"


async def test_another_picture_under_an_approval(proofs: Proofs) -> None:
    """What was approved is what was seen: other files under the same id, or of another asset, are refused."""
    (one, _, _), (two, _, _) = await proofs.picture(), await proofs.picture()
    await proofs.require()
    wrong = content_of(one.asset_id, files_of(two.renditions))
    for content in (wrong, content_of(two.asset_id, files_of(two.renditions)), os.urandom(32)):
        body = ApproveAssetsBody(proofs.album, True, [ApprovalItem(one.asset_id, content)])
        assert await proofs.code(RecordKind.APPROVE_ASSETS, body) == "asset-conflict"
    elsewhere = Proofs(proofs.owner)
    assert await elsewhere.code(RecordKind.APPROVE_ASSETS, elsewhere.approval(one)) == "not-found"


async def test_sessions_that_are_open_already(server: Server, proofs: Proofs) -> None:
    """The rule and a withdrawal hold for links that are out: their guests get no more of what is not approved."""
    (good, _, good_preview), (bad, _, bad_preview) = await proofs.picture(), await proofs.picture()
    link = await proofs.link(good_preview, bad_preview)
    await proofs.owner.api.publish(proofs.owner.writer, link)
    cookie = cookie_of(await open_link(server.api, link))

    async def given() -> list[int]:
        return [(await fetch(server.api, link, blob, cookie)).status for blob in (good_preview, bad_preview)]

    assert await given() == [200, 200]
    await proofs.approve(good)
    await proofs.require()
    assert await given() == [200, 404]
    etag = f'"{bad_preview.name.hex()}"'
    assert (await fetch(server.api, link, bad_preview, cookie, **{"If-None-Match": etag})).status == 404
    assert (await fetch(server.api, link, link.page, cookie)).status == 200
    await proofs.withdraw(good)
    assert await given() == [404, 404]
    await proofs.approve(bad)
    assert await given() == [404, 200]
    await proofs.require(approval=False)
    assert await given() == [200, 200]


@pytest.mark.parametrize("end", ["withdrawn", "required"])
async def test_in_the_middle_of_a_download(server: Server, proofs: Proofs, end: str) -> None:
    """A withdrawal, or a rule that comes later, stops what is under way at the next chunk, as a revocation does."""
    size = 48 * 1024 * 1024
    asset, _, big = await proofs.picture(Blob(os.urandom(1024 * 1024) * 48))
    if end == "withdrawn":
        await proofs.approve(asset)
        await proofs.require()
    link = await proofs.link(big)
    await proofs.owner.api.publish(proofs.owner.writer, link)
    cookie = cookie_of(await open_link(server.api, link))
    async with raw(server.api.url) as connection:
        await connection.request("GET", f"/v1/links/{link.link_id.hex()}/blobs/{big.name.hex()}", {"Cookie": cookie})
        await connection.reader.readuntil(b"\r\n\r\n")
        received = len(await connection.reader.readexactly(1024 * 1024))
        await (proofs.withdraw(asset) if end == "withdrawn" else proofs.require())
        received += await connection.rest_size_bytes()
    assert received < size // 2


async def test_a_team_that_parts_its_rights(server: Server, proofs: Proofs) -> None:
    """Uploader, approver, sharer and revoker, past their clients: each does their part, and none another's."""
    asset, _, preview = await proofs.picture()
    await proofs.require()
    uploader = await proofs.member(server, Role.EDITOR, Right.ADD, Right.ORGANISE)
    approver = await proofs.member(server, Role.PREVIEWER, Right.APPROVE)
    sharer = await proofs.member(server, Role.EDITOR, Right.LINK)
    revoker = await proofs.member(server, Role.VIEWER, Right.REVOKE_LINK)
    team = (uploader, approver, sharer, revoker)
    link, writer = await proofs.link(preview), proofs.owner.writer
    other_album = AddToAlbumBody(os.urandom(16), 1, [AlbumItem(asset.asset_id, b"", b"")])
    may: dict[RecordKind, tuple[Signed, tuple[Member, ...]]] = {
        RecordKind.ADD_TO_ALBUM: (other_album, (uploader,)),
        RecordKind.APPROVE_ASSETS: (proofs.approval(asset), (approver,)),
        RecordKind.PUBLISH_LINK: (link.body(writer), (sharer,)),
        RecordKind.REVOKE_LINK: (RevokeLinkBody(link.link_id), (revoker,)),
        RecordKind.SET_ALBUM_RULES: (AlbumRulesBody(proofs.album, requires_approval=False), (approver,)),
    }
    for kind, (body, mine) in may.items():
        for member in team:
            if member not in mine:
                assert await proofs.code(kind, body, member) == "right-missing", kind
        for member in mine:
            await member.api.commit(writer, writer.entry(kind, body, member.signer), None, member.signer)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_albums_of_before(start_server: StartServer, request: pytest.FixtureRequest, engine: str) -> None:
    """What stood in albums before there were approvals is known to stand there: the upgrade reads it from the log."""
    postgres: PostgresServer | None = request.getfixturevalue("postgres") if engine == "postgresql" else None
    name = postgres.make_database() if postgres else ""
    address = postgres.address(name) if postgres else ""
    server = await start_server(**({"database": address} if address else {}))
    plain = Proofs(await server.owner())
    shared, before = Proofs(plain.owner, shared=True), [await plain.picture() for _ in range(2)]
    await shared.commit(LedgerKind.OPEN_GENERATION, open_body(shared.owner.writer, album=shared.album))
    before.append(await shared.picture())
    before.append(await _by_a_roll_of(shared))
    await server.runner.cleanup()

    def run(sql: str) -> list[tuple[Any, ...]]:
        if postgres:
            return [tuple(row) for row in postgres.run(sql, name)]
        with closing(sqlite3.connect(data_folder.database_path(server.settings.data))) as database, database:
            return database.execute(sql).fetchall()

    known = run("SELECT * FROM album_files ORDER BY 1, 2, 3, 4")
    assert len(known) == 2 * len(before)
    for undo in (
        "DROP TABLE album_files",
        "DROP TABLE album_rules",
        "DROP TABLE upload_links",
        "UPDATE alembic_version SET version_num = '0003'",
    ):
        run(undo)
    upgrade = [sys.executable, "-m", "safelight.server", "upgrade", "--data", str(server.settings.data)]
    upgrade += ["--database", address, "--yes-i-have-a-backup"] if address else []
    done = await asyncio.to_thread(subprocess.run, upgrade, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert run("SELECT * FROM album_files ORDER BY 1, 2, 3, 4") == known
    if postgres:
        postgres.drop_database(name)


async def _by_a_roll_of(proofs: Proofs) -> tuple[AssetBody, Blob, Blob]:
    """Add a picture as a camera does that fills a shared album."""
    writer, roll, blobs = proofs.owner.writer, os.urandom(16), (Blob(os.urandom(900)), Blob(os.urandom(800)))
    await proofs.owner.api.upload(writer.space_id, *blobs)
    sealed, asset = os.urandom(1168), make_asset(*blobs)
    opened = OpenAlbumRollBody(roll, writer.state.epoch.number, sealed, sealed, proofs.album, 2, sealed, sealed)
    await proofs.commit(RecordKind.OPEN_ALBUM_ROLL, opened)
    await proofs.commit(RecordKind.ADD_ALBUM_ASSETS, AddAlbumAssetsBody(roll, proofs.album, 2, [asset]))
    return (asset, *blobs)
