"""A lying server, alone or with a member, against the trash: nothing comes back or goes away that nobody signed."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.clients.engine.link_pictures import Picture, Redrawn, Watermark
from safelight.clients.engine.organising import album_of_space, remove_from_album
from safelight.clients.engine.proposals import decide_deletion, list_proposals, propose_deletion
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import list_spaces
from safelight.clients.engine.trash import restore_assets, trash_assets, trashed_assets
from safelight.sync_protocol.log import Frame, build_entry, parse_entry
from safelight.sync_protocol.records import (
    DecideDeletionBody,
    ProposeDeletionBody,
    PublishLinkBody,
    RecordKind,
    TrashAssetsBody,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.wire import Signed, unpack
from tests.hostile.proxy import Proxy, with_envelope
from tests.hostile.test_member_attacks import come_in
from tests.support.people import Someone, add_file, new_someone, new_space
from tests.support.refusing import refuses
from tests.support.server_process import ServerProcess


async def _fill(victim: Someone, tmp_path: Path) -> tuple[bytes, list[bytes]]:
    """A space with two pictures: its id, and theirs."""
    space_id = await new_space(victim, "Home")
    async with victim.space("Home") as space:
        for number in range(2):
            photo = tmp_path / f"{number}.jpg"
            photo.write_bytes(f"photograph {number}".encode())
            await add_file(space, photo, preview=b"preview")
        await space.sync()
        return space_id, [place.asset_id for place in space.index.assets()]


async def _listed(space: SpaceView) -> list[bytes]:
    return [found.asset_id async for found in AssetReader(space).each() if isinstance(found, OpenedAsset)]


async def _refusal(victim: Someone, space_id: bytes) -> Code:
    async with victim.session() as session:
        return (await list_spaces(session)).refused[space_id].code


def _without(kind: RecordKind) -> Callable[[list[Frame]], list[Frame]]:
    def rewrite(frames: list[Frame]) -> list[Frame]:
        return [frame for frame in frames if parse_entry(frame.envelope).header.kind != kind]

    return rewrite


@pytest.mark.parametrize(
    "dropped",
    [RecordKind.TRASH_ASSETS, RecordKind.RESTORE_ASSETS, RecordKind.PROPOSE_DELETION, RecordKind.DECIDE_DELETION],
)
async def test_a_record_of_the_trash_that_is_dropped(
    victim: Someone, proxy: Proxy, tmp_path: Path, dropped: RecordKind
) -> None:
    """*What was deleted comes back, or what was restored stays away*: who saw it knows, and others by later records."""
    space_id, ids = await _fill(victim, tmp_path)
    async with victim.space("Home") as space:
        await trash_assets(space, ids)
        await restore_assets(space, ids[:1])
        await propose_deletion(space, ids[:1])
        await decide_deletion(space, (await list_proposals(space))[0], confirmed=False)
        await add_file(space, tmp_path / "0.jpg")
    proxy.rewrite_log(space_id, _without(dropped))
    assert await _refusal(victim, space_id) is Code.HISTORY_ROLLED_BACK
    folder = victim.path / "spaces" / space_id.hex()
    (folder / "index.sqlite").unlink()
    (folder / "memory.json").unlink()
    assert await _refusal(victim, space_id) is Code.HISTORY_FORKED


@pytest.mark.parametrize("kind", [RecordKind.TRASH_ASSETS, RecordKind.PROPOSE_DELETION, RecordKind.DECIDE_DELETION])
async def test_a_record_that_a_viewer_signs(
    server: ServerProcess, victim: Someone, proxy: Proxy, tmp_path: Path, kind: RecordKind
) -> None:
    """*A member without the right, and a server that lets it pass*: set aside by everyone, and nothing is gone."""
    space_id, ids = await _fill(victim, tmp_path)
    insider = await new_someone(server, tmp_path / "insider", f"insider-{kind.value}")
    await come_in(victim, insider, "Max", Role.VIEWER)
    async with victim.space("Home") as space:
        await propose_deletion(space, ids[:1])
    async with insider.space("Home") as space:
        bodies: dict[RecordKind, Signed] = {
            RecordKind.TRASH_ASSETS: TrashAssetsBody(ids),
            RecordKind.PROPOSE_DELETION: ProposeDeletionBody(space.state.epoch.number, ids, b"sealed"),
            RecordKind.DECIDE_DELETION: DecideDeletionBody(ids, confirmed=True),
        }
        envelope = _signed(space, kind, bodies[kind])
    proxy.rewrite_log(space_id, lambda frames: [*frames, with_envelope(frames[-1], envelope)])
    async with victim.space("Home") as space:
        assert [problem.code for problem in space.problems] == [Code.RIGHT_MISSING]
        assert await _listed(space) == ids
        assert await trashed_assets(space) == []
        assert [[place.asset_id for place in one.places] for one in await list_proposals(space)] == [ids[:1]]


def _signed(space: SpaceView, kind: RecordKind, body: Signed) -> bytes:
    """What this device would sign next, whatever its rights."""
    device, me = space.session.device, space.session.account_id
    last = space.reader.log.position(me, device.device_id)
    assert last is not None
    header = msgspec.structs.replace(
        parse_entry(space.index.envelope_at(1) or b"").header,
        kind=kind.value,
        space_id=space.space_id,
        author_id=me,
        device_id=device.device_id,
        counter=last.counter + 1,
        previous_id=last.entry_id,
        ledger=space.state.head,
        log=space.reader.log.head,
    )
    return build_entry(header, body, device.signing_seed)


async def test_a_note_that_belongs_elsewhere(server: ServerProcess, victim: Someone, tmp_path: Path) -> None:
    """*The words of one member under the proposal of another*: they open for their own alone, and hide no other one."""
    _, ids = await _fill(victim, tmp_path)
    insider = await new_someone(server, tmp_path / "insider", f"{tmp_path.name[-30:]}-note")
    await come_in(victim, insider, "Max", Role.EDITOR)
    async with victim.space("Home") as space:
        await propose_deletion(space, ids[:1], "blurred")
        [number] = space.index.proposals()
        stolen = unpack(parse_entry(space.index.envelope_at(number) or b"").body, ProposeDeletionBody)
    async with insider.space("Home") as space:
        body = ProposeDeletionBody(stolen.epoch, ids[1:], stolen.note)
        await space.commit(RecordKind.PROPOSE_DELETION, body)
    async with victim.space("Home") as space:
        assert [one.note for one in await list_proposals(space)] == ["blurred", None]


async def test_an_old_record_of_the_trash_that_is_repeated(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """*A restored picture trashed anew by its old record*: an entry counts once, at its place among its device's."""
    space_id, ids = await _fill(victim, tmp_path)
    async with victim.space("Home") as space:
        await trash_assets(space, ids)
        await restore_assets(space, ids)

    def again(frames: list[Frame]) -> list[Frame]:
        [old] = [frame for frame in frames if parse_entry(frame.envelope).header.kind == RecordKind.TRASH_ASSETS]
        return [*frames, old]

    proxy.rewrite_log(space_id, again)
    async with victim.space("Home") as space:
        assert [problem.code for problem in space.problems] == [Code.COUNTER_CONFLICT]
        assert await _listed(space) == ids


@pytest.mark.parametrize(("count", "out"), [(1, False), (2, False), (1, True), (2, True)])
async def test_a_picture_trashed_while_it_is_drawn(victim: Someone, tmp_path: Path, count: int, *, out: bool) -> None:
    """Drawing takes minutes: what is in the trash after them is in no watermarked link, which nobody could withhold.

    Nor is what was taken *out* of the album meanwhile.
    """
    await _fill(victim, tmp_path)
    async with victim.space("Home") as space:
        await create_album(space, "All")
        album = await find_album(space, "All")
        assets = [found async for found in AssetReader(space).each() if isinstance(found, OpenedAsset)]
        await add_to_album(space, album, assets)

        async def redraw(_: bytes) -> Redrawn:
            gone = [asset.asset_id for asset in assets[:count]]
            if not out:
                await trash_assets(space, gone)
            elif space.index.is_in_album(album.album_id, gone[0]):
                await remove_from_album(album_of_space(space, album), gone)
            drawn = Picture(b"drawn", "image/webp", 4, 4)
            return Redrawn(drawn, drawn)

        wish = LinkWish(watermark=Watermark("Proof", lambda: redraw))
        if count == len(assets):
            with refuses(Code.NOT_FOUND if out else Code.IN_TRASH):
                await create_link(space, album, wish)
            assert space.index.links() == []
            return
        made = await create_link(space, album, wish)
        assert (made.asset_count, made.left_out_count) == (1, 0)
        [(_, number, _)] = space.index.links()
        body = unpack(parse_entry(space.index.envelope_at(number) or b"").body, PublishLinkBody)
        assert len(body.made_blobs) == 2
