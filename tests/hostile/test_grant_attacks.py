"""A lying server, alone or with a member, against those who share albums and those to whom they are granted."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine import album_feed
from safelight.clients.engine.adding import AssetAdder, RollKeeper
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album, list_albums
from safelight.clients.engine.assets import AssetReader, FailedAsset, OpenedAsset
from safelight.clients.engine.devices import tell_spaces
from safelight.clients.engine.files import seal_bytes
from safelight.clients.engine.generations import Place, make_generation
from safelight.clients.engine.granted import find_granted, granted_albums
from safelight.clients.engine.inboxes import sealing_to
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.sharing import end_grant, give_grant, list_grants
from safelight.clients.engine.showing import show_item
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import list_spaces
from safelight.sync_protocol.album_log import AlbumFrame, next_album_head
from safelight.sync_protocol.grant_entries import GrantBox, OpenGenerationBody
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import NO_HEAD, Head, build_entry, frames_to_bytes, parse_entry, split_frames
from safelight.sync_protocol.messages.spaces import AlbumHead, GrantedAlbums, Spaces
from safelight.sync_protocol.records import (
    FullPart,
    RecordKind,
    RenditionInfo,
    RenditionName,
    ShowInAlbumBody,
    ShownItem,
    ViewPart,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role, Tier
from safelight.sync_protocol.wire import unpack
from tests.hostile.proxy import Exchange, Proxy
from tests.journeys.test_grants import Studio, refused_with
from tests.support.identities import sha256
from tests.support.people import Someone, new_someone, new_space, send
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


@pytest.mark.parametrize("which", ["dropped", "reordered", "repeated", "another album's", "changed"])
async def test_an_albums_log_that_was_made_up(studio: Studio, proxy: Proxy, which: str) -> None:
    """A picture dropped from the middle, moved, or put in from elsewhere: nothing of that space is believed."""
    album_id, other_id = [await _album_id(studio, album) for album in ("Wedding", "Private")]
    await studio.add("third.jpg")
    assert await _codes(studio) == (["Private", "Wedding"], set())
    path = studio.fred.path / "spaces" / studio.space_id.hex() / "memory.json"
    path.unlink()  # a new device, which has no pins of albums
    for kept in path.parent.glob("album-*.frames"):
        kept.unlink()
    others: list[AlbumFrame] = []

    def rewrite(frames: list[AlbumFrame]) -> list[AlbumFrame]:
        assert len(frames) == 3
        first, second, third = frames
        match which:
            case "dropped":
                return [first, third]
            case "reordered":
                return [first, third, second]
            case "repeated":
                return [first, second, second, third]
            case "another album's":
                return [first, *others, second, third]
            case _:
                return [first, msgspec.structs.replace(second, envelope=first.envelope), third]

    async with studio.fred.session() as session:
        data = await session.connection.fetch_album_frames(
            f"/v1/spaces/{studio.space_id.hex()}/albums/{other_id.hex()}/log?after=0"
        )
        others += data[:1]
    _show_log(proxy, studio, album_id, rewrite)
    assert await _codes(studio) == ([], {Code.CHAIN_BROKEN})


@pytest.mark.parametrize("in_cache", [True, False])
async def test_an_album_rolled_back_or_forked(studio: Studio, proxy: Proxy, *, in_cache: bool) -> None:
    """Shorter than it was seen, or another picture where one was seen: also where the profile's copy is gone."""
    album_id = await _album_id(studio)
    assert await _codes(studio) == (["Private", "Wedding"], set())
    if not in_cache:
        for kept in (studio.fred.path / "spaces" / studio.space_id.hex()).glob("album-*.frames"):
            kept.unlink()
    _show_log(proxy, studio, album_id, lambda frames: frames[:-1])
    assert await _codes(studio) == ([], {Code.HISTORY_ROLLED_BACK})
    proxy.be_honest()
    _show_log(
        proxy, studio, album_id, lambda frames: [frames[0], msgspec.structs.replace(frames[0], slot=frames[1].slot)]
    )
    assert await _codes(studio) == ([], {Code.HISTORY_FORKED})
    proxy.be_honest()
    assert await _codes(studio) == (["Private", "Wedding"], set())


async def test_a_lie_that_is_kept(studio: Studio, proxy: Proxy) -> None:
    """*One answer of a lying server stops an album for good*: what was not verified is not kept."""
    album_id = await _album_id(studio)
    await studio.add("third.jpg")
    _show_log(proxy, studio, album_id, lambda frames: [frames[0], frames[2]])
    assert await _codes(studio) == ([], {Code.CHAIN_BROKEN})
    proxy.be_honest()
    assert await _codes(studio) == (["Private", "Wedding"], set())
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 3


@pytest.mark.parametrize("damage", [b"", b"\x00\x00\x00\x05abcde", b"\x00\x00"])
async def test_a_damaged_copy(studio: Studio, damage: bytes) -> None:
    """A profile's copy of an album's log that is damaged, or another album's, is fetched anew."""
    assert await _codes(studio) == (["Private", "Wedding"], set())
    folder = studio.fred.path / "spaces" / studio.space_id.hex()
    one, other = sorted(folder.glob("album-*.frames"))
    one.write_bytes(damage or other.read_bytes())
    assert await _codes(studio) == (["Private", "Wedding"], set())


async def test_a_copy_ends_with_its_grant(studio: Studio) -> None:
    """What was kept of an album is removed when its grant has ended, and of no other; given again, all is there."""
    assert await _codes(studio) == (["Private", "Wedding"], set())
    folder = studio.fred.path / "spaces" / studio.space_id.hex()
    album_id = await _album_id(studio)
    assert len(list(folder.glob("album-*.frames"))) == 2
    await studio.end()
    assert await _codes(studio) == (["Private"], set())
    assert not (folder / f"album-{album_id.hex()}.frames").exists()
    assert len(list(folder.glob("album-*.frames"))) == 1
    await studio.add("third.jpg")
    await studio.grant(Tier.FULL)
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 3


async def test_an_album_that_is_hidden(studio: Studio, proxy: Proxy) -> None:
    """It is told of, and hides no other album."""
    album_id = await _album_id(studio)

    def hide(exchange: Exchange) -> Exchange:
        rows = exchange.as_(GrantedAlbums).albums
        return exchange.with_json(GrantedAlbums([row for row in rows if row.album_id != album_id.hex()]))

    proxy.lie("GET", f"/v1/spaces/{studio.space_id.hex()}/albums$", hide)
    assert await _codes(studio) == (["Private"], {Code.CHAIN_BROKEN})
    async with studio.fred.session() as session:
        await find_granted(session, "Private")
        with refused_with(Code.CHAIN_BROKEN):
            await find_granted(session, "Wedding")


async def test_albums_that_nobody_granted(studio: Studio, proxy: Proxy) -> None:
    """A log of an album that the ledger does not grant shows nothing, and leaves nothing in the profile."""
    other = os.urandom(16)
    base = f"/v1/spaces/{studio.space_id.hex()}/albums"
    envelope = b"garbage"

    def frames() -> list[AlbumFrame]:
        return _chained(studio.space_id, other, [AlbumFrame(1, 4, 1, bytes(32), sha256(envelope), envelope)])

    def show(exchange: Exchange) -> Exchange:
        [frame] = frames()
        rows = exchange.as_(GrantedAlbums).albums
        return exchange.with_json(GrantedAlbums([*rows, AlbumHead(other.hex(), 1, frame.chain)]))

    proxy.lie("GET", f"{base}/{other.hex()}/log", lambda e: replace(e, status=200, body=frames_to_bytes(frames())))
    proxy.lie("GET", f"{base}$", show)
    titles, codes = await _codes(studio)
    assert (titles, codes) == (["Private", "Wedding"], {Code.ENTRY_MALFORMED})
    folder = studio.fred.path / "spaces" / studio.space_id.hex()
    assert not (folder / f"album-{other.hex()}.frames").exists()


async def test_an_albums_log_without_end(studio: Studio, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage, page after page, fills neither memory nor disk: it is broken off."""
    album_id = await _album_id(studio)
    base = f"/v1/spaces/{studio.space_id.hex()}/albums"
    made: list[AlbumFrame] = []

    def endless(exchange: Exchange) -> Exchange:
        after = int(exchange.query.get("after", "0"))
        head = made[after - 1] if after else None
        number, chain, slot = (head.number, head.chain, head.slot) if head else (0, b"", 0)
        page = []
        for _ in range(100):
            envelope = os.urandom(1000)
            entry_id = sha256(envelope)
            slot += 1
            reached = next_album_head(studio.space_id, album_id, Head(number, chain), slot, entry_id)
            number, chain = reached.number, reached.hash
            page.append(AlbumFrame(number, slot, 1, chain, entry_id, envelope))
        made.extend(page)
        return replace(exchange, status=200, body=frames_to_bytes(page))

    def far(exchange: Exchange) -> Exchange:
        return exchange.with_json(GrantedAlbums([AlbumHead(album_id.hex(), 2**53 - 1, bytes(32))]))

    proxy.lie("GET", f"{base}/{album_id.hex()}/log", endless)
    proxy.lie("GET", f"{base}$", far)
    monkeypatch.setattr(album_feed, "MAX_ALBUM_LOG_SIZE_BYTES", 1024 * 1024)
    assert await _codes(studio) == ([], {Code.CHAIN_BROKEN})
    assert len(made) <= 1000


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


@pytest.mark.parametrize("role", ["owner", "viewer", "contributor"])
async def test_a_role_that_is_a_lie(studio: Studio, proxy: Proxy, role: str) -> None:
    """What the server says of the role is only how to ask: to the grantee it is none, to the owner a refusal."""

    def lie(exchange: Exchange) -> Exchange:
        rows = [msgspec.structs.replace(row, role=Role(role)) for row in exchange.as_(Spaces).spaces]
        return exchange.with_json(Spaces(rows))

    proxy.lie("GET", "/v1/spaces$", lie)
    async with studio.fred.session() as session:
        listing = await list_spaces(session)
        assert listing.spaces == []
        if role == "contributor":
            assert [view.role for view in listing.granted] == [Role.GRANTEE]
        else:
            assert [refusal.code for refusal in listing.refused.values()] == [Code.FORBIDDEN]


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


async def test_keys_that_open_for_no_grantee(server: ServerProcess, studio: Studio) -> None:
    """*An editor that shuts grantees out*: of one album, which they are told, until its grant is given again."""
    eva = await _editor(server, studio)
    noise = GrantBox(studio.fred_id, "full", os.urandom(1168))
    await _sign_keys(studio, eva, "Wedding", boxes=[noise])
    assert await _codes(studio) == (["Private"], {Code.EPOCH_MISMATCH})
    await studio.grant(Tier.FULL)
    assert await _codes(studio) == (["Private", "Wedding"], set())
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 2


async def test_keys_that_hand_down_none(server: ServerProcess, studio: Studio) -> None:
    """*An editor that hides what was shown from grantees* does not hide what is shown since."""
    eva = await _editor(server, studio)
    await _sign_keys(studio, eva, "Wedding", full_history=os.urandom(64))
    third = await studio.add("third.jpg")
    async with studio.fred.session() as session:
        _, reader, album = await find_granted(session, "Wedding")
        assert album.asset_count == 3
        opened = [found async for found in reader.each()]
        refusals = [found.refusal.code for found in opened if isinstance(found, FailedAsset)]
        assert refusals == [Code.EPOCH_MISMATCH, Code.EPOCH_MISMATCH]
        [shown] = [found for found in opened if isinstance(found, OpenedAsset)]
        assert await reader.fetch_bytes(shown, RenditionName.ORIGINAL) == third


async def _show_as(space: SpaceView, album: str, change: Callable[[ShownItem], ShownItem]) -> None:
    """Show an asset of the space once more, as somebody who changes what is shown."""
    found = await find_album(space, album)
    assets = [one async for one in AssetReader(space).each() if isinstance(one, OpenedAsset)]
    item = change(show_item(Place(space.space_id, found.album_id), found.keys, assets[-1]))
    body = ShowInAlbumBody(found.album_id, found.generation, space.index.album_head(found.album_id), [item])
    await space.commit(RecordKind.SHOW_IN_ALBUM, body)


async def test_a_picture_shown_as_garbage(server: ServerProcess, studio: Studio) -> None:
    """*Shown first with keys that are none*, so that it could never be shown: the first that opens counts."""
    eva = await _editor(server, studio)
    last = await studio.add("third.jpg", album="")

    def junk(item: ShownItem) -> ShownItem:
        return msgspec.structs.replace(item, asset=msgspec.structs.replace(item.asset, wrap_full=os.urandom(64)))

    async with eva.space("Studio") as space:
        await _show_as(space, "Wedding", junk)
        assert space.problems == []
    async with studio.fred.session() as session:
        _, reader, _ = await find_granted(session, "Wedding")
        opened = [found async for found in reader.each()]
        assert [isinstance(found, OpenedAsset) for found in opened] == [True, True, False]
    async with studio.anna.space("Studio") as space:
        await _show_as(space, "Wedding", lambda item: item)
    assert last in await studio.seen(RenditionName.ORIGINAL)


async def test_other_pictures_for_grantees_than_for_members(server: ServerProcess, studio: Studio) -> None:
    """Members are told of it, and neither their logs nor the album's stop or part for it."""
    eva = await _editor(server, studio)
    await studio.add("third.jpg", album="")

    def other(item: ShownItem) -> ShownItem:
        first = item.asset.renditions[0]
        changed = msgspec.structs.replace(first, rendition_id=os.urandom(16))
        renditions = [changed, *item.asset.renditions[1:]]
        return msgspec.structs.replace(item, asset=msgspec.structs.replace(item.asset, renditions=renditions))

    async with eva.space("Studio") as space:
        await _show_as(space, "Wedding", other)
    async with studio.anna.space("Studio") as space:
        assert [problem.code for problem in space.problems] == [Code.ASSET_CONFLICT]
        assert (await find_album(space, "Wedding")).asset_count == 2
    fourth = await studio.add("fourth.jpg")
    assert await _codes(studio) == (["Private", "Wedding"], set())
    async with studio.fred.session() as session:
        _, reader, _ = await find_granted(session, "Wedding")
        opened = [found async for found in reader.each() if isinstance(found, OpenedAsset)]
        assert await reader.fetch_bytes(opened[-1], RenditionName.ORIGINAL) == fourth


async def test_two_grantees_shown_two_logs(server: ServerProcess, proxy: Proxy, studio: Studio, tmp_path: Path) -> None:
    """An editor signs two entries for one place, and the server shows each to one: the next honest picture tells."""
    eva = await _editor(server, studio)
    gus = await new_someone(server, tmp_path / "gus", f"gus-{os.urandom(4).hex()}")
    gus_id = await _come_in(studio, gus, "Gus", Role.GRANTEE)
    async with studio.anna.space("Studio") as space:
        await give_grant(space, await find_album(space, "Wedding"), gus_id, Tier.FULL)
    await studio.add("third.jpg", album="")
    async with eva.space("Studio") as space:
        await _show_as(space, "Wedding", lambda item: item)
        album = await find_album(space, "Wedding")
        envelope = space.index.envelope_at(space.reader.log.number)
        assert envelope is not None
        entry = parse_entry(envelope)
        body = unpack(entry.body, ShowInAlbumBody)
        another = msgspec.structs.replace(body, items=_twin(body))
        forged = build_entry(entry.header, another, space.session.device.signing_seed)

    def fork(frames: list[AlbumFrame]) -> list[AlbumFrame]:
        changed = msgspec.structs.replace(frames[2], envelope=forged, entry_id=sha256(forged))
        return [*frames[:2], changed, *frames[3:]]

    _show_log(proxy, studio, album.album_id, fork)
    assert await _codes(studio) == (["Private", "Wedding"], set())
    await studio.add("fourth.jpg")
    assert await _codes(studio) == ([], {Code.CHAIN_BROKEN})
    other = Studio(studio.anna, gus, gus_id, studio.space_id, tmp_path)
    assert await _codes(other) == (["Wedding"], set())


def _twin(body: ShowInAlbumBody) -> list[ShownItem]:
    [item] = body.items
    return [msgspec.structs.replace(item, asset=msgspec.structs.replace(item.asset, wrap_full=os.urandom(64)))]


# At once


async def test_all_at_once(server: ServerProcess, studio: Studio, tmp_path: Path) -> None:
    """Grants given, ended and widened while others add: nobody's command fails, and nobody misses anything."""
    people = [await new_someone(server, tmp_path / f"e{n}", f"e{n}-{os.urandom(4).hex()}") for n in range(3)]
    for number, one in enumerate(people):
        await _come_in(studio, one, f"E{number}", Role.MANAGER)
    gus = await new_someone(server, tmp_path / "gus", f"gus-{os.urandom(4).hex()}")
    gus_id = await _come_in(studio, gus, "Gus", Role.GRANTEE)
    for number in range(6):
        await studio.add(f"more-{number}.jpg", album="")

    async def add(who: Someone, first: int) -> None:
        async with who.space("Studio") as space:
            assets = [one async for one in AssetReader(space).each() if isinstance(one, OpenedAsset)]
            for asset in (assets[first], assets[first + 1]):
                await add_to_album(space, await find_album(space, "Wedding"), [asset])

    async def give_and_end(who: Someone) -> None:
        async with who.space("Studio") as space:
            album = await find_album(space, "Wedding")
            for tier in (Tier.VIEW, Tier.FULL):
                await give_grant(space, album, gus_id, tier)
            await end_grant(space, album, gus_id)
            await give_grant(space, album, gus_id, Tier.FULL)

    await asyncio.gather(add(people[0], 4), add(people[1], 6), give_and_end(people[2]), add(studio.anna, 8))
    other = Studio(studio.anna, gus, gus_id, studio.space_id, tmp_path)
    for reading in (studio, other):
        assert len(await reading.seen(RenditionName.ORIGINAL)) == 8
    async with studio.anna.space("Studio") as space:
        assert space.problems == []


async def test_keys_made_while_another_grant_is_given(server: ServerProcess, studio: Studio, tmp_path: Path) -> None:
    """*Ending a grant fails as often as others give one*: keys that were made for too few are made anew."""
    gus = await new_someone(server, tmp_path / "gus", f"gus-{os.urandom(4).hex()}")
    gus_id = await _come_in(studio, gus, "Gus", Role.GRANTEE)
    max_ = await new_someone(server, tmp_path / "max", f"max-{os.urandom(4).hex()}")
    await _come_in(studio, max_, "Max", Role.MANAGER)
    async with studio.anna.space("Studio") as mine, max_.space("Studio") as his:
        album = await find_album(mine, "Wedding")
        await give_grant(his, await find_album(his, "Wedding"), gus_id, Tier.VIEW)
        await end_grant(mine, album, studio.fred_id)
        await his.sync()
        await give_grant(mine, await find_album(mine, "Wedding"), gus_id, Tier.FULL)
        await end_grant(his, await find_album(his, "Wedding"), gus_id)
        await mine.sync()
        assert mine.state.albums[album.album_id].grants == {}
    assert await _codes(studio) == (["Private"], set())


# Two spaces


async def test_two_spaces_with_albums_of_one_name(server: ServerProcess, studio: Studio, tmp_path: Path) -> None:
    """Which one is meant its id says, also where somebody calls an album like another's id."""
    other = await new_someone(server, tmp_path / "other", f"other-{os.urandom(4).hex()}")
    other_id = await new_space(other, "Elsewhere", "work")
    album_id = await _album_id(studio)
    name = album_id.hex()[:12]
    async with other.space("Elsewhere") as space:
        for title in ("Wedding", name):
            await create_album(space, title)
        code = await invite_member(space, "Fred", Role.GRANTEE)
    async with studio.fred.session() as session:
        await join_space(session, code.uri)
    async with other.space("Elsewhere") as space:
        await admit_joined(space)
        for title in ("Wedding", name):
            await give_grant(space, await find_album(space, title), studio.fred_id, Tier.VIEW)
    async with studio.fred.session() as session:
        with refused_with(Code.BAD_REQUEST):
            await find_granted(session, "Wedding")
        for wanted in (name, album_id.hex()):
            view, _, album = await find_granted(session, wanted)
            assert (view.space_id, album.album_id) == (studio.space_id, album_id)
        assert {view.space_id for view, _ in (await granted_albums(session)).albums} == {studio.space_id, other_id}


# A stolen camera


async def test_a_picture_that_no_album_can_show(studio: Studio) -> None:
    """*An asset whose preview was named as an original before*: it stops neither the others, nor a grant, nor a laptop.

    Whoever adds can make one, a camera too, and every laptop's next command would show it in the camera's album.
    """
    await studio.add("third.jpg", album="")
    async with studio.anna.space("Studio") as space:
        places = list(space.index.assets())
        last = await AssetReader(space).open(places[-1])
        original = last.ref(RenditionName.ORIGINAL)
        for number in range(2):
            roll = await RollKeeper(
                space.committer, space.session.device.device_id, sealing_to(lambda: space.state)
            ).roll()
            asset = roll.new_asset()
            sealed = seal_bytes(asset, RenditionName.ORIGINAL, b"poison %d" % number)
            await send(space, sealed)
            preview = msgspec.structs.replace(
                original, name=RenditionName.PREVIEW, rendition_id=os.urandom(16), header=sealed.ref.header
            )
            info = {"preview": RenditionInfo(1, "image/jpeg", 4, 3)}
            view = ViewPart(kind="photo", renditions=info)
            full = FullPart("poison.jpg", sealed.sha256, sealed.length_bytes, "image/jpeg", 0)
            await AssetAdder(space.committer).add(roll.ref, asset.finish([sealed.ref, preview], view, full))
    await studio.add("fourth.jpg", album="")
    async with studio.anna.space("Studio") as space:
        assets = [one async for one in AssetReader(space).each() if isinstance(one, OpenedAsset)]
        assert len(assets) == 8
        with refused_with(Code.POLICY_FORBIDS):
            await add_to_album(space, await find_album(space, "Wedding"), assets)
        assert (await find_album(space, "Wedding")).asset_count == 6
        await create_album(space, "All")
        await add_to_album(space, await find_album(space, "All"), assets)
        await give_grant(space, await find_album(space, "All"), studio.fred_id, Tier.FULL)
    for album in ("Wedding", "All"):
        assert len(await studio.seen(RenditionName.ORIGINAL, album)) == 6
