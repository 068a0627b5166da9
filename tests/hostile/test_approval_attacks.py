"""A lying server, and people of a team, against approvals: what it lets through, replays or drops is noticed."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine import link_making
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.album_links import drawn_links
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.approvals import (
    approvals_of,
    approve,
    set_requires_approval,
    wanted_places,
    withdraw_approval,
)
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.link_listing import find_link
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.clients.engine.link_pictures import Picture, Redrawn, Watermark
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.trash import restore_assets, trash_assets
from safelight.sync_protocol import ids
from safelight.sync_protocol.log import Frame, parse_entry
from safelight.sync_protocol.records import PublishLinkBody, RecordKind, RenditionName
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.wire import unpack
from tests.hostile.proxy import Proxy, with_envelope
from tests.support.people import Someone, add_file, new_space
from tests.support.refusing import refuses


async def _proofs(victim: Someone, tmp_path: Path) -> bytes:
    """A space with an album of two pictures, of which nothing may be shown yet."""
    space_id = await new_space(victim, "Agency", "work")
    async with victim.space("Agency") as space:
        for number in range(2):
            photo = tmp_path / f"{number}.jpg"
            photo.write_bytes(f"photograph {number}".encode())
            await add_file(space, photo, preview=b"preview %d" % number)
        await space.sync()
        await create_album(space, "Proofs")
        await add_to_album(space, await find_album(space, "Proofs"), await _assets(space))
        await set_requires_approval(space, await find_album(space, "Proofs"), on=True)
    return space_id


async def _assets(space: SpaceView) -> list[OpenedAsset]:
    return [found async for found in AssetReader(space).each() if isinstance(found, OpenedAsset)]


def _then(*more: bytes) -> Callable[[list[Frame]], list[Frame]]:
    """The log as it is, and entries after it."""
    return lambda frames: [*frames, *(with_envelope(frames[-1], envelope) for envelope in more)]


async def test_a_link_let_past_the_approver(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Signed by who may make links, refused by an honest server, taken by this one: all are told, and can revoke it."""
    space_id = await _proofs(victim, tmp_path)
    async with victim.space("Agency") as space:
        album, (shown, hidden) = await find_album(space, "Proofs"), await _assets(space)
        await approve(space, album, [shown])
        made = await create_link(space, album, LinkWish())
        assert made.left_out_count == 1
        [(_, number, _)] = space.index.links()
        honest = unpack(parse_entry(space.index.envelope_at(number) or b"").body, PublishLinkBody)
        link_id = ids.new_id()
        body = msgspec.structs.replace(
            honest, link_id=link_id, view_blobs=[*honest.view_blobs, hidden.ref(RenditionName.PREVIEW).blob]
        )
        past = space.committer._sign(RecordKind.PUBLISH_LINK, body)
    proxy.rewrite_log(space_id, _then(past))
    async with victim.space("Agency") as space:
        assert [(problem.code, problem.set_aside) for problem in space.problems] == [(Code.NOT_APPROVED, False)]
        assert find_link(space, link_id.hex()) == link_id


async def test_a_picture_withdrawn_while_it_is_drawn(victim: Someone, tmp_path: Path) -> None:
    """Drawing takes minutes: what is not approved any more after them is in no watermarked link."""
    await _proofs(victim, tmp_path)
    async with victim.space("Agency") as space:
        album, places = await find_album(space, "Proofs"), list(space.index.assets())
        await approve(space, album, await _assets(space))

        async def redraw(_: bytes) -> Redrawn:
            await withdraw_approval(space, album, places[:1])
            drawn = Picture(b"drawn", "image/webp", 4, 4)
            return Redrawn(drawn, drawn)

        made = await create_link(space, album, LinkWish(watermark=Watermark("Proof", lambda: redraw)))
        assert (made.asset_count, made.left_out_count) == (1, 1)
        [(_, number, _)] = space.index.links()
        body = unpack(parse_entry(space.index.envelope_at(number) or b"").body, PublishLinkBody)
        assert len(body.made_blobs) == 2
        assert drawn_links(space, album) == [made.link_id]


async def test_an_approval_shown_again(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """*The approval replayed after its withdrawal*: a device's entries count once, so it stays withdrawn."""
    space_id = await _proofs(victim, tmp_path)
    async with victim.space("Agency") as space:
        album, assets = await find_album(space, "Proofs"), await _assets(space)
        await approve(space, album, assets[:1])
        number = space.reader.log.number
        approval = space.index.envelope_at(number) or b""
        await withdraw_approval(space, album, space.index.album_assets(album.album_id)[:1])
        assert approvals_of(space, album) == {}
    proxy.rewrite_log(space_id, _then(approval))
    async with victim.space("Agency") as space:
        assert [problem.set_aside for problem in space.problems] == [True]
        assert approvals_of(space, await find_album(space, "Proofs")) == {}
        with refuses(Code.NOT_APPROVED):
            await create_link(space, await find_album(space, "Proofs"), LinkWish())


async def test_a_withdrawal_that_is_dropped(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """*What was withdrawn shown as approved*, or the rule as if it had never been: who saw it finds another history."""
    space_id = await _proofs(victim, tmp_path)
    async with victim.space("Agency") as space:
        album, assets = await find_album(space, "Proofs"), await _assets(space)
        await approve(space, album, assets[:1])
        await withdraw_approval(space, album, space.index.album_assets(album.album_id)[:1])
    proxy.rewrite_log(space_id, lambda frames: frames[:-1])
    with refuses(Code.HISTORY_ROLLED_BACK):
        async with victim.space("Agency"):
            pass


async def test_an_approved_picture_trashed_while_its_link_is_made(
    victim: Someone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is approved, if withheld: nobody is told that an honest server let a link past the approver."""
    await _proofs(victim, tmp_path)
    upload_pages = link_making._upload_pages
    async with victim.space("Agency") as space:
        album, assets = await find_album(space, "Proofs"), await _assets(space)
        await approve(space, album, assets)

        async def meanwhile(*args: object) -> object:
            await trash_assets(space, [assets[0].asset_id])
            return await upload_pages(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(link_making, "_upload_pages", meanwhile)
        await create_link(space, album, LinkWish())
        await space.sync()
        assert list(space.problems) == []


async def test_a_withdrawal_of_all_that_is_approved(victim: Someone, tmp_path: Path) -> None:
    """*A picture whose approval is kept by the trash*, and that guests see once it is restored."""
    await _proofs(victim, tmp_path)
    async with victim.space("Agency") as space:
        album, assets = await find_album(space, "Proofs"), await _assets(space)
        await approve(space, album, assets)
        await trash_assets(space, [assets[0].asset_id])
        assert len(await withdraw_approval(space, album, wanted_places(space, album, []))) == 2
        await restore_assets(space, [assets[0].asset_id])
        assert approvals_of(space, album) == {}
