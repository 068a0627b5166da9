"""Upload links: guests who add and see nothing, through changes of keys, at once, up to the end."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.clients.camera.outcomes import Outcome
from safelight.clients.camera.sent import SentFiles
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.clock import now_ms
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.members import remove_member
from safelight.clients.engine.pairing_codes import list_cameras, revoke_camera
from safelight.clients.engine.pointing import catch_up
from safelight.clients.engine.rolls import open_roll
from safelight.clients.engine.upload_links import (
    close_upload_link,
    list_upload_links,
    open_upload_link,
    renew_upload_links,
)
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.messages.spaces import CommitEntry, SpaceRow
from safelight.sync_protocol.records import OpenAlbumRollBody, RecordKind, RenditionName, opened_by
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier
from safelight.sync_protocol.upload_entries import UploadTerms
from tests.journeys.test_grants import Studio, refused_with
from tests.journeys.test_grants import studio as studio  # noqa: PLC0414 - a fixture
from tests.support.guests import HOUR_MS, Guest, upload_link
from tests.support.people import Someone


async def _originals(someone: Someone, space: str = "Studio") -> dict[str, bytes]:
    """The space's files, by name."""
    async with someone.space(space) as view:
        assert view.problems == []
        reader = AssetReader(view)
        opened = [found async for found in reader.each() if isinstance(found, OpenedAsset)]
        return {one.full.name: await reader.fetch_bytes(one, RenditionName.ORIGINAL) for one in opened if one.full}


async def _renew(someone: Someone, space: str = "Studio") -> int:
    """Do what every command of a maker does first."""
    async with someone.space(space) as view:
        return await renew_upload_links(view)


async def test_guests_add_and_see_nothing(studio: Studio, tmp_path: Path) -> None:
    """What they add is there byte for byte, under no fingerprint; their key reads nothing of the space."""
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio"))
    folder = guest.pictures(3)
    assert (await guest.push(folder)).counts[Outcome.UPLOADED] == 3
    assert await _originals(studio.anna) == {path.name: path.read_bytes() for path in folder.iterdir()}
    async with guest.session() as (session, _):
        assert session.opened.title == "The wedding"
        space = f"/v1/spaces/{session.profile.space_id.hex()}"
        with refused_with(Code.SPACE_UNKNOWN):
            await session.connection.request("GET", space, None, SpaceRow)
        for path in ("/ledger", "/chain", "/log", "/albums", "/links"):
            with refused_with(Code.SPACE_UNKNOWN):
                await session.connection.fetch_bytes(space + path)
    async with studio.anna.space("Studio") as view:
        assert await list_cameras(view) == []
        [listed] = await list_upload_links(view)
        assert (listed.state, listed.title, listed.files, listed.link.guests) == ("live", "The wedding", 3, 1)


async def test_the_same_guest_comes_again(studio: Studio, tmp_path: Path) -> None:
    """Nothing is sent twice, and nobody is bound twice."""
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio"))
    folder = guest.pictures(2)
    await guest.push(folder)
    (folder / "new.jpg").write_bytes(os.urandom(1000))
    tally = await guest.push(folder)
    assert (tally.counts[Outcome.UPLOADED], tally.counts[Outcome.KNOWN]) == (1, 2)
    async with studio.anna.space("Studio") as view:
        [listed] = await list_upload_links(view)
        assert (listed.link.guests, listed.files) == (1, 3)


async def test_many_guests_at_once(studio: Studio, tmp_path: Path) -> None:
    """Each has a key of its own, so that none signs over another."""
    url = await upload_link(studio.anna, "Studio")
    guests = [Guest(tmp_path / f"guest-{number}", url) for number in range(6)]
    await asyncio.gather(*(guest.adds(8) for guest in guests))
    assert len(await _originals(studio.anna)) == 48
    async with studio.anna.space("Studio") as view:
        [listed] = await list_upload_links(view)
        assert listed.link.guests == 6


async def test_a_new_epoch_suspends_the_link(studio: Studio, tmp_path: Path) -> None:
    """Until a maker's computer runs; then the guest goes on, under keys that who was removed does not have."""
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio"))
    await guest.adds()
    async with studio.anna.space("Studio") as view:
        old = await view.epoch_secrets()
        await remove_member(view, studio.fred_id)
    with refused_with(Code.UPLOAD_LINK_PAUSED):
        await guest.adds()
    async with studio.anna.space("Studio") as view:
        [listed] = await list_upload_links(view)
        assert listed.state == "paused"
    assert await _renew(studio.anna) == 1
    assert await _renew(studio.anna) == 0
    await guest.adds()
    assert len(await _originals(studio.anna)) == 2
    async with studio.anna.space("Studio") as view:
        rolls = [
            parse_entry(envelope)
            for number in range(1, view.reader.log.number + 1)
            if (envelope := view.index.envelope_at(number))
            and parse_entry(envelope).header.kind == RecordKind.OPEN_ROLL
        ]
        newest = rolls[-1]
        body = opened_by(newest.header.kind, newest.body)
        assert body.epoch == 2
        with pytest.raises(Refused):
            open_roll(body, view.space_id, newest.header.device_id, view_secret=old.view, epoch_secret=old.full)


async def test_an_epoch_that_ends_while_a_guest_adds(studio: Studio, tmp_path: Path) -> None:
    """The push stops with the reason, what arrived stays, and the same push completes it later."""
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio"))
    folder = guest.pictures(2)
    async with guest.session() as (_, pusher):
        await pusher.push(guest.pictures(1))
        async with studio.anna.space("Studio") as view:
            await remove_member(view, studio.fred_id)
        with refused_with(Code.UPLOAD_LINK_PAUSED):
            await pusher.push(folder)
    await _renew(studio.anna)
    assert (await guest.push(folder)).counts[Outcome.UPLOADED] == 2
    assert len(await _originals(studio.anna)) == 3


async def test_an_album_is_filled(studio: Studio, tmp_path: Path) -> None:
    """A grantee sees what guests add at once; after a grant ended it is in the space alone until a laptop runs."""
    await studio.grant(Tier.FULL)
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio", album="Wedding"))
    await guest.adds()
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 1
    async with studio.anna.space("Studio") as view:
        kinds = [
            type(opened_by(entry.header.kind, entry.body))
            for number in range(1, view.reader.log.number + 1)
            if (envelope := view.index.envelope_at(number))
            and (entry := parse_entry(envelope)).header.kind == RecordKind.OPEN_ALBUM_ROLL
        ]
        assert kinds == [OpenAlbumRollBody]
    await studio.end()
    await guest.adds()  # not under the generation that the head names, which is over
    await studio.grant(Tier.FULL)
    async with studio.anna.space("Studio") as view:
        await renew_upload_links(view)
        assert await catch_up(view) == 1
        assert view.problems == []
    await guest.adds()
    assert len(await studio.seen(RenditionName.ORIGINAL)) == 3


async def test_up_to_so_many_files(studio: Studio, tmp_path: Path) -> None:
    """All guests together; what fits is taken, and the rest is refused with the reason."""
    url = await upload_link(studio.anna, "Studio", max_files=3)
    await Guest(tmp_path / "one", url).adds(2)
    other = Guest(tmp_path / "two", url)
    with refused_with(Code.UPLOAD_LINK_FULL):
        await other.push(other.pictures(3))
    assert len(await _originals(studio.anna)) <= 3
    with refused_with(Code.UPLOAD_LINK_FULL):
        for _ in range(3):
            await other.adds()
    assert len(await _originals(studio.anna)) == 3


async def test_up_to_so_many_bytes(studio: Studio, tmp_path: Path) -> None:
    """A file that does not fit is refused before it is sent."""
    url = await upload_link(studio.anna, "Studio", quota_bytes=100_000)
    guest = Guest(tmp_path / "guest", url)
    await guest.adds()
    with refused_with(Code.UPLOAD_LINK_FULL):
        await guest.push(guest.pictures(1, 200_000))
    await guest.adds()
    assert len(await _originals(studio.anna)) == 2


async def test_up_to_so_many_guests(studio: Studio, tmp_path: Path) -> None:
    """Whoever comes later is told so."""
    url = await upload_link(studio.anna, "Studio", max_guests=1)
    await Guest(tmp_path / "one", url).adds()
    with refused_with(Code.UPLOAD_LINK_FULL):
        await Guest(tmp_path / "two", url).adds()


async def test_it_expires(studio: Studio, tmp_path: Path) -> None:
    """By the server's clock, whatever the guest's says."""
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio", expires_ms=now_ms() + 3000))
    async with guest.session() as (session, pusher):
        await pusher.push(guest.pictures())
        session.committer._clock = pusher._rolls._clock = lambda: now_ms() - HOUR_MS
        await asyncio.sleep(3.1)
        with refused_with(Code.UPLOAD_LINK_OVER):
            await pusher.push(guest.pictures())
    with refused_with(Code.UPLOAD_LINK_OVER):
        await Guest(tmp_path / "late", guest.url).adds()
    async with studio.anna.space("Studio") as view:
        [listed] = await list_upload_links(view)
        assert listed.state == "expired"
        assert await renew_upload_links(view) == 0


async def test_it_is_closed_while_a_guest_adds(studio: Studio, tmp_path: Path) -> None:
    """Its session is over at once, and the link opens for nobody."""
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio"))
    async with guest.session() as (session, pusher):
        await pusher.push(guest.pictures())
        async with studio.anna.space("Studio") as view:
            await close_upload_link(view, session.profile.link_id)
        with pytest.raises(Refused) as refused:
            await pusher.push(guest.pictures())
        assert refused.value.code in {Code.UPLOAD_LINK_OVER, Code.DEVICE_REVOKED}
    with refused_with(Code.UPLOAD_LINK_OVER):
        await guest.adds()
    assert len(await _originals(studio.anna)) == 1
    async with studio.anna.space("Studio") as view:
        with refused_with(Code.LEDGER_RULE):
            await close_upload_link(view, session.profile.link_id)


async def test_one_guest_is_shut_out(studio: Studio, tmp_path: Path) -> None:
    """Like a camera, and the others go on once the link's keys are renewed."""
    url = await upload_link(studio.anna, "Studio")
    one, two = Guest(tmp_path / "one", url), Guest(tmp_path / "two", url)
    await one.adds()
    await two.adds()
    async with one.session() as (session, _):
        guest_id = session.profile.guest_id
    async with studio.anna.space("Studio") as view:
        await revoke_camera(view, guest_id)
        await renew_upload_links(view)
    with refused_with(Code.DEVICE_REVOKED):
        await one.adds()
    await two.adds()


async def test_a_binding_whose_answer_was_lost(studio: Studio, tmp_path: Path) -> None:
    """The guest finds that it is bound, and is not bound anew."""
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio"))
    async with guest.session() as (session, _):
        folder, profile = session._folder, session.profile
    folder.save(msgspec.structs.replace(profile, is_bound=False))
    (folder.space_folder(profile.space_id) / "memory.json").unlink()
    await guest.adds()
    async with studio.anna.space("Studio") as view:
        [listed] = await list_upload_links(view)
        assert listed.link.guests == 1


class _Killed(Exception):
    """The process is gone."""


@pytest.mark.parametrize("at", ["unseen", "unnoted"])
@pytest.mark.parametrize("size_bytes", [20_000, 9 * 1024 * 1024])
async def test_killed_before_it_noted_what_it_sent(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, size_bytes: int
) -> None:
    """*The same picture twice, since nobody wrote down that it arrived*: what was pending says that it did."""
    guest = Guest(tmp_path / "guest", await upload_link(studio.anna, "Studio"))
    await guest.adds()
    folder, before = guest.pictures(1, size_bytes), len(await _originals(studio.anna))

    def does_not_note(*_: object) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        if at == "unseen":
            patch.setattr(Connection, "request", _answers_lost(Connection.request))
        else:
            patch.setattr(SentFiles, "_append", does_not_note)
        with pytest.raises(_Killed):
            await guest.push(folder)
    assert len(await _originals(studio.anna)) == before + 1
    again = await guest.push(folder)
    assert (again.counts[Outcome.KNOWN], again.counts[Outcome.UPLOADED]) == (1, 0)
    assert len(await _originals(studio.anna)) == before + 1


def _answers_lost(request: Callable[..., Any]) -> Callable[..., Any]:
    """Make requests, and end before the answer to a record with assets is seen."""

    async def lost(connection: Connection, method: str, path: str, body: object, *others: Any, **named: Any) -> Any:
        answer = await request(connection, method, path, body, *others, **named)
        if isinstance(body, CommitEntry) and parse_entry(body.entry).header.kind == RecordKind.ADD_ASSETS:
            raise _Killed
        return answer

    return lost


async def test_who_may_not_make_one(studio: Studio) -> None:
    """Where the space allows no links, or the album is nobody's to fill."""
    terms = UploadTerms(now_ms() + HOUR_MS, 1, 1000, 1)
    async with studio.anna.space("Studio") as view:
        album = await find_album(view, "Wedding")
        await open_upload_link(view, terms, album=album)
        assert album.album_id in view.state.albums  # shared with nobody yet
    long = UploadTerms(now_ms() + 400 * 24 * HOUR_MS, 1, 1000, 1)
    async with studio.anna.space("Studio") as view:
        with refused_with(Code.LEDGER_RULE):
            await open_upload_link(view, long)
