"""Clocks that are wrong by 400 days, and right again: nothing goes early, comes back, or lasts for ever."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from safelight.server import control, data_folder
from safelight.sync_protocol.ledger_entries import LedgerKind, RotateEpochBody
from safelight.sync_protocol.log import frames_from_bytes
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.messages.sessions import AskChallenge, Challenge
from safelight.sync_protocol.messages.spaces import CommitEntry
from tests.faults.machine import served
from tests.faults.moved_clock import FALLING_CLOCK, HASTY_CLOCK, STANDING_CLOCK, MovedClock
from tests.http.conftest import Owner
from tests.support.api import Api, repr_digest
from tests.support.commands import Cli, new_account
from tests.support.links import open_link
from tests.support.protocol import Blob, Link, Pairing, Person, Writer, make_asset, now_ms
from tests.support.samples import encoded, picture
from tests.support.server_process import server_process
from tests.support.uploads import appending, create, held, length, offset_of, patch

DAY_MS = 24 * 60 * 60 * 1000
_OPTIONS = ("--jobs-interval-s", "1", "--listing-interval-s", "1")
_TURNS_S = 2.5  # two turns of the jobs, and a little


@dataclass
class Wrong:
    """Someone with a space at a server whose clock is wrong, or will be."""

    owner: Owner
    clock: MovedClock
    data: Path

    async def turn(self) -> None:
        """Wait until the server has cleared away by the time that it has now, and sign in."""
        await asyncio.sleep(_TURNS_S)
        await self.sign_in()

    async def sign_in(self) -> None:
        """Sign in again: what was a day's session may be over."""
        self.owner.api = await self.owner.api.with_token("").sign_in(self.owner.signer)

    async def live(self, days: int) -> None:
        """Let days pass; between any two the server has looked at its clock."""
        for _ in range(days):
            self.clock.pass_by(0.95)
            await asyncio.sleep(1.2)
        await self.turn()

    async def times(self) -> list[int]:
        """The feed's times."""
        answer = await self.owner.api.get(f"{self.owner.space}/log?after=0")
        assert answer.status == 200, answer.body
        return [frame.time_ms for frame in frames_from_bytes(answer.body)]


@asynccontextmanager
async def wrong(tmp_path: Path, mutant: str = "", clock: MovedClock | None = None) -> AsyncIterator[Wrong]:
    """Run the server, with an account and a space of theirs."""
    clock = clock or MovedClock(tmp_path / "clock")
    async with (
        served(tmp_path / "data", *_OPTIONS, mutant=clock.code + mutant) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        key = (await Api(server.url, http, b"").get("/v1/server")).as_(ServerInfo).server_key
        api, person = Api(server.url, http, key), Person()
        code = (await control.ask(data_folder.control_path(server.data), "invite"))["code"]
        assert (await api.post("/v1/accounts", person.create_request(code))).status == 200
        api = await api.sign_in(person.signer)
        owner = Owner(person, api, Writer(person, person.signer))
        await api.create_space(owner.writer)
        yield Wrong(owner, clock, server.data)


async def _photo(owner: Owner, blob: Blob) -> None:
    """Commit a blob that was uploaded."""
    await owner.api.commit(owner.writer, owner.writer.open_roll())
    await owner.api.commit(owner.writer, owner.writer.add_assets(make_asset(blob)))


async def _forward_and_back(tmp_path: Path, mutant: str = "") -> None:
    """Uploads, a link, a pairing and an epoch across a jump of 400 days and its correction."""
    async with wrong(tmp_path, mutant) as here:
        owner, clock = here.owner, here.clock
        kept, stray, late, running = (Blob(os.urandom(20_000)) for _ in range(4))
        await owner.api.upload(owner.writer.space_id, kept, stray)
        link = Link(Blob(os.urandom(500)), expires_ms=now_ms() + 30 * DAY_MS)
        await owner.api.publish(owner.writer, link)
        pairing = Pairing()
        await owner.api.commit(owner.writer, pairing.certify(owner.writer))
        assert (await open_link(owner.api, link)).status == 200
        path = (await create(owner, Repr_Digest=repr_digest(running.data))).headers["Location"]
        assert (await patch(owner, path, 0, running.data[:5000], "?0")).status == 204
        async with appending(owner, path, length(15_000), running.data[5000:10_000], 5000) as upload:
            await asyncio.sleep(0.3)
            clock.jump(400)
            await asyncio.sleep(_TURNS_S)
            await upload.send(running.data[10_000:])
            # Its session ended in the middle: refused in words, and nothing of it was acknowledged.
            answer = await upload.final()
            assert answer.status in {200, 401}, answer
        await here.sign_in()
        assert (await held(owner, running.data)) is (answer.status == 200)
        assert (await open_link(owner.api, link)).code == "link-expired"
        binding = CommitEntry(pairing.bind(owner.writer, pairing.signer).envelope)
        refused = await owner.api.with_token("").post(f"{owner.space}/bind", binding)
        assert refused.code == "pairing-expired"
        epoch, boxes = owner.writer.next_epoch()
        await owner.api.commit(owner.writer, owner.writer.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(epoch)), boxes)
        in_the_future = owner.api
        ahead = await here.times()
        clock.jump(-400)
        await here.turn()
        # Nothing went early, the link is not back, and the feed's time went on from where it was.
        assert await held(owner, kept.data)
        assert await held(owner, stray.data)
        assert (await open_link(owner.api, link)).code == "link-expired"
        await owner.api.upload(owner.writer.space_id, late)
        await _photo(owner, late)
        await _photo(owner, kept)
        times = await here.times()
        assert times == sorted(times)
        assert times[: len(ahead)] == ahead
        # Days later, by a clock that was right all the time: its sessions are over, blobs are within their grace.
        await here.live(3)
        assert (await in_the_future.get("/v1/spaces")).status == 401
        assert await held(owner, stray.data)
        await here.live(6)
        assert not await held(owner, stray.data)  # and it does go
        assert await held(owner, kept.data)
        assert await held(owner, late.data)
        assert (await open_link(owner.api, link)).code == "link-expired"


async def test_a_clock_that_jumps_ahead_and_is_corrected(tmp_path: Path) -> None:
    """400 days ahead and back, with uploads under way: no early purge, no link revived, no session for ever."""
    await _forward_and_back(tmp_path)


@pytest.mark.battery
@pytest.mark.parametrize("mutant", [STANDING_CLOCK, HASTY_CLOCK, FALLING_CLOCK], ids=["standing", "hasty", "falling"])
async def test_a_wrong_rule_for_the_time_is_caught(tmp_path: Path, mutant: str) -> None:
    """A clock that stands still, one that purges by whatever it shows, and one that falls."""
    with pytest.raises(AssertionError):
        await _forward_and_back(tmp_path, mutant)


async def _back_across_a_start(tmp_path: Path, mutant: str = "") -> None:
    """A link and an upload whose time was over, before a start 400 days ago."""
    async with wrong(tmp_path, mutant) as here:
        owner, clock = here.owner, here.clock
        link = Link(Blob(os.urandom(500)), expires_ms=now_ms() + 2 * DAY_MS)
        await owner.api.publish(owner.writer, link)
        path = (await create(owner, b"some")).headers["Location"]
        old = owner.api
        await here.live(9)
        assert (await open_link(owner.api, link)).code == "link-expired"
        assert await offset_of(owner, path) is None
        times = await here.times()
    clock.jump(-400)
    async with (
        served(here.data, *_OPTIONS, mutant=clock.code + mutant) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        api = Api(server.url, http, owner.api.server_key)
        assert (await open_link(api, link)).code == "link-expired"
        assert (await api.with_token(old.token).get("/v1/spaces")).status == 401
        here.owner = owner = replace(owner, api=api)
        await here.turn()
        assert await offset_of(owner, path) is None
        blob = Blob(os.urandom(3000))
        await owner.api.upload(owner.writer.space_id, blob)
        await _photo(owner, blob)
        after = await here.times()
        assert after == sorted(after)
        assert after[len(times)] >= times[-1]
        asked = await api.post("/v1/sessions/challenge", AskChallenge(owner.signer.device_id.hex()))
        assert asked.as_(Challenge).challenge
        clock.jump(400)
        await here.turn()
        assert await held(owner, blob.data)


async def test_a_server_started_with_a_clock_that_is_behind(tmp_path: Path) -> None:
    """Started 400 days ago: what was over stays over, and photographs go in."""
    await _back_across_a_start(tmp_path)


NO_TIME_KEPT = """
from safelight.server.stores.server_rows import ServerRows
async def note_time(self, now_ms):
    pass
ServerRows.note_time = note_time
"""


@pytest.mark.battery
@pytest.mark.parametrize("mutant", [NO_TIME_KEPT, FALLING_CLOCK], ids=["not kept", "falling"])
async def test_a_server_that_forgets_the_time_is_caught(tmp_path: Path, mutant: str) -> None:
    """Without the time that it keeps, a server would revive a link."""
    with pytest.raises(AssertionError):
        await _back_across_a_start(tmp_path, mutant)


_SHIFTED = """
import time
_s, _n = time.time, time.time_ns
time.time, time.time_ns = (lambda: _s() + {0}), (lambda: _n() + {0} * 10**9)
"""


def _at(cli: Cli, folder: Path, days: int) -> Cli:
    """The same profile on a machine whose clock is wrong by so many days."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SHIFTED.format(days * 86400))
    return replace(cli, variables={**cli.variables, "PYTHONPATH": str(folder)})


def test_cameras_with_a_wrong_clock(tmp_path: Path) -> None:
    """A camera 400 days behind or ahead adds its photographs once; one ahead pairs when its clock is right."""
    roll = tmp_path / "roll"
    roll.mkdir()
    with server_process(tmp_path / "data") as server:
        owner = new_account(server, tmp_path / "owner", "ada")
        owner.ok("space", "create", "Home", "--kind", "family")
        pictures = iter(range(100))
        for days in (-400, 400):
            camera = Cli(tmp_path / f"phone{days}")
            uri = owner.json("camera", "pair", "--space", "Home", "--name", f"Phone {days}")["uri"]
            wrong_one = _at(camera, tmp_path / f"clock{days}", days)
            if days > 0:
                assert "expired" in wrong_one.refused("camera", "add", uri)
                camera.ok("camera", "add", uri)
            else:
                wrong_one.ok("camera", "add", uri)
            for phone in (wrong_one, camera, wrong_one):
                (roll / f"{next(pictures)}.jpg").write_bytes(encoded(picture(next(pictures)), "JPEG"))
                phone.ok("camera", "push", str(roll))
        owner.ok("export", "--space", "Home", str(tmp_path / "out"))
    sent = sorted(path.read_bytes() for path in roll.iterdir())
    assert sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg")) == sent
