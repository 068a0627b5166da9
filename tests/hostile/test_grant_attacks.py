"""A lying server, alone or with a member, against those who share albums and those to whom they are granted."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine.albums import create_album, find_album, list_albums
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.devices import tell_spaces
from safelight.clients.engine.generations import Place, make_generation
from safelight.clients.engine.granted import granted_albums
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.sharing import list_grants
from safelight.clients.engine.showing import show_item
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.album_log import AlbumFrame, next_album_head
from safelight.sync_protocol.grant_entries import OpenGenerationBody
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import NO_HEAD, frames_to_bytes, split_frames
from safelight.sync_protocol.messages.spaces import AlbumHead, GrantedAlbums
from safelight.sync_protocol.records import RecordKind, RenditionName, ShowInAlbumBody, ShownItem
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role, Tier
from tests.hostile.proxy import Exchange, Proxy
from tests.journeys.test_grants import Studio, refused_with
from tests.support.people import Someone, new_someone, new_space
from tests.support.server_process import ServerProcess

Frames = Callable[[list[AlbumFrame]], list[AlbumFrame]]


async def _come_in(studio: Studio, other: Someone, name: str, role: Role) -> bytes:
    """Invite, join and admit; returns the account's id."""
    async with studio.anna.space("Studio") as space:
        code = await invite_member(space, name, role)
    async with other.session() as session:
        await join_space(session, code.uri)
    async with studio.anna.space("Studio") as space:
        [admitted] = await admit_joined(space)
        assert admitted.refused is None
        return admitted.account_id


@pytest.fixture
async def studio(server: ServerProcess, victim: Someone, tmp_path: Path) -> Studio:
    """A studio whose owner sees the truth, with two albums of two pictures each, granted to the victim of the lies."""
    anna = await new_someone(server, tmp_path / "anna", f"anna-{os.urandom(4).hex()}")
    space_id = await new_space(anna, "Studio", "work")
    made = Studio(anna, victim, b"", space_id, tmp_path)
    async with anna.space("Studio") as space:
        await create_album(space, "Wedding")
        await create_album(space, "Private")
    made.fred_id = await _come_in(made, victim, "Fred", Role.GRANTEE)
    for album in ("Wedding", "Private"):
        await made.add(f"{album}-1.jpg", album=album)
        await made.grant(Tier.FULL, album=album)
        await made.add(f"{album}-2.jpg", album=album)
    return made


async def _album_id(studio: Studio, album: str = "Wedding") -> bytes:
    async with studio.anna.space("Studio") as space:
        return (await find_album(space, album)).album_id


def _chained(space_id: bytes, album_id: bytes, frames: list[AlbumFrame]) -> list[AlbumFrame]:
    """Number and chain frames from the beginning, as a server can."""
    made, head = [], NO_HEAD
    for frame in frames:
        head = next_album_head(space_id, album_id, head, frame.slot, frame.entry_id)
        made.append(msgspec.structs.replace(frame, number=head.number, chain=head.hash))
    return made


def _show_log(proxy: Proxy, studio: Studio, album_id: bytes, rewrite: Frames, *, chains: bool = True) -> None:
    """Show an album's log that *rewrite* made of the real one, chained anew unless told otherwise."""
    base = f"/v1/spaces/{studio.space_id.hex()}/albums"

    async def frames(exchange: Exchange) -> list[AlbumFrame]:
        data = await proxy.ask(f"{base}/{album_id.hex()}/log?after=0", exchange.request_headers)
        made = rewrite(list(split_frames(data, AlbumFrame)))
        return _chained(studio.space_id, album_id, made) if chains else made

    async def show_log(exchange: Exchange) -> Exchange:
        after = int(exchange.query.get("after", "0"))
        shown = [frame for frame in await frames(exchange) if frame.number > after]
        return replace(exchange, status=200, body=frames_to_bytes(shown))

    async def show_heads(exchange: Exchange) -> Exchange:
        made = await frames(exchange)
        head = AlbumHead(album_id.hex(), made[-1].number if made else 0, made[-1].chain if made else b"")
        others = [row for row in exchange.as_(GrantedAlbums).albums if row.album_id != album_id.hex()]
        return exchange.with_json(GrantedAlbums([head, *others]))

    proxy.lie("GET", f"{base}/{album_id.hex()}/log", show_log)
    proxy.lie("GET", f"{base}$", show_heads)


async def _codes(studio: Studio) -> tuple[list[str], set[Code]]:
    """The titles that the victim reads, and what it was told of besides."""
    async with studio.fred.session() as session:
        granted = await granted_albums(session)
        problems = {problem.code for view, _ in granted.albums for problem in view.problems}
        refused = {refusal.code for refusal in (*granted.refused.values(), *granted.closed.values())}
        return sorted(album.title for _, album in granted.albums), refused | problems


# The server alone


async def test_who_reads_the_space_is_forbidden_to(server: ServerProcess, proxy: Proxy, victim: Someone) -> None:
    """*A stolen laptop reads on*: a space whose log its owner may not read is no space that has heard of the loss."""
    space_id = await new_space(victim, "Home")

    def forbid(exchange: Exchange) -> Exchange:
        problem = {"type": "about:blank", "title": "no", "status": 403, "code": "forbidden", "detail": ""}
        headers = {**exchange.headers, "Content-Type": "application/problem+json"}
        return replace(exchange.with_json(problem), status=403, headers=headers)

    proxy.lie("GET", f"/v1/spaces/{space_id.hex()}/log", forbid)
    async with victim.session() as session:
        [outcome] = await tell_spaces(session)
        assert outcome.refused is not None
        assert outcome.refused.code is Code.FORBIDDEN
    proxy.be_honest()
    async with victim.session() as session:
        assert [outcome.refused for outcome in await tell_spaces(session)] == [None]


# The server, or nobody but a member: entries that an honest server takes as well


async def _sign_keys(studio: Studio, by: Someone, album: str, **changes: object) -> None:
    """Begin an album's next keys as an editor who changes what is in them."""
    async with by.space("Studio") as space:
        found = await find_album(space, album)
        shared = space.state.albums[found.album_id]
        generation, _ = make_generation(
            Place(space.space_id, found.album_id),
            found.generation + 1,
            album,
            await space.epoch_secrets(),
            shared.grants,
            space.state.members,
            found.keys,
        )
        changed = msgspec.structs.replace(generation, **changes)
        await space.committer.commit(LedgerKind.OPEN_GENERATION, OpenGenerationBody(found.album_id, changed))


async def _editor(server: ServerProcess, studio: Studio) -> Someone:
    eva = await new_someone(server, studio.folder / "eva", f"eva-{os.urandom(4).hex()}")
    await _come_in(studio, eva, "Eva", Role.EDITOR)
    return eva


@pytest.mark.parametrize("field", ["key_full", "key_view", "full_inbox", "title"])
async def test_keys_that_open_for_no_member(server: ServerProcess, studio: Studio, field: str) -> None:
    """*An editor whose keys of one album are none stops all albums*: it alone does not open, and it is told of."""
    eva = await _editor(server, studio)
    junk = os.urandom(1216 if field == "full_inbox" else 64)
    await _sign_keys(studio, eva, "Wedding", **{field: junk})
    async with studio.anna.space("Studio") as space:
        closed: dict[bytes, Refused] = {}
        assert [album.title for album in await list_albums(space, closed)] == ["Private"]
        assert [refusal.code for refusal in closed.values()] == [Code.OPEN_FAILED]
        with refused_with(Code.OPEN_FAILED):
            await find_album(space, "Wedding")
        await create_album(space, "Another")
        assert [one.title for one in await list_grants(space)] == ["", "Private"]
    await studio.add("third.jpg", album="Private")
    assert "Private" in (await _codes(studio))[0]
    assert len(await studio.seen(RenditionName.ORIGINAL, "Private")) == 3


async def _show_as(space: SpaceView, album: str, change: Callable[[ShownItem], ShownItem]) -> None:
    """Show an asset of the space once more, as somebody who changes what is shown."""
    found = await find_album(space, album)
    assets = [one async for one in AssetReader(space).each() if isinstance(one, OpenedAsset)]
    item = change(show_item(Place(space.space_id, found.album_id), found.keys, assets[-1]))
    body = ShowInAlbumBody(found.album_id, found.generation, space.index.album_head(found.album_id), [item])
    await space.commit(RecordKind.SHOW_IN_ALBUM, body)


def _twin(body: ShowInAlbumBody) -> list[ShownItem]:
    [item] = body.items
    return [msgspec.structs.replace(item, asset=msgspec.structs.replace(item.asset, wrap_full=os.urandom(64)))]


# At once


# Two spaces
