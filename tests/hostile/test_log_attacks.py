"""A lying server against a space's log: what it drops, changes, moves, repeats, cuts or adds is noticed and named."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine.assets import AssetReader, FailedAsset, KeptRecord, OpenedAsset
from safelight.clients.engine.pairing_codes import pair_camera
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import list_spaces
from safelight.sync_protocol.ledger_entries import CertifyCameraBody
from safelight.sync_protocol.log import Frame, Header, build_entry, frames_from_bytes, frames_to_bytes, parse_entry
from safelight.sync_protocol.messages.spaces import Committed, DevicePositionRow, EpochBox, SpaceRow
from safelight.sync_protocol.receipts import Receipt, sign_receipt
from safelight.sync_protocol.records import AddAssetsBody, RecordKind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.signatures import Signer
from safelight.sync_protocol.wire import unpack
from tests.hostile.proxy import Exchange, Proxy, with_envelope
from tests.support.people import Someone, add_file, new_space


async def _fill(victim: Someone, tmp_path: Path, count: int = 3) -> bytes:
    """A space with some photographs, as its maker has seen it."""
    space_id = await new_space(victim, "Home")
    async with victim.space("Home") as space:
        for number in range(count):
            photo = tmp_path / f"{number}.jpg"
            photo.write_bytes(f"photograph {number}".encode())
            await add_file(space, photo, preview=b"preview")
        await space.sync()
    return space_id


def _forget(victim: Someone, space_id: bytes, *, pins: bool = False) -> None:
    """Lose the local index, and on wish the pins: a device that sees the space for the first time."""
    folder = victim.path / "spaces" / space_id.hex()
    (folder / "index.sqlite").unlink()
    if pins:
        (folder / "memory.json").unlink()


async def _refusal(victim: Someone, space_id: bytes) -> Code:
    """What opening the space is refused for."""
    async with victim.session() as session:
        listing = await list_spaces(session)
    assert listing.spaces == []
    return listing.refused[space_id].code


async def _names(space: SpaceView) -> list[str]:
    found = [asset async for asset in AssetReader(space).each()]
    return [asset.full.name for asset in found if isinstance(asset, OpenedAsset) and asset.full]


def _problems(space: SpaceView) -> list[tuple[Code, bool]]:
    return [(problem.code, problem.set_aside) for problem in space.problems]


def _kind(frame: Frame) -> str:
    return parse_entry(frame.envelope).header.kind


async def test_a_record_dropped_from_the_middle(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Who saw the log knows that it was another; to who did not, later records say so: they name what was there."""
    space_id = await _fill(victim, tmp_path)
    proxy.rewrite_log(space_id, lambda frames: [*frames[:2], *frames[3:]])
    assert await _refusal(victim, space_id) is Code.HISTORY_ROLLED_BACK
    _forget(victim, space_id, pins=True)
    assert await _refusal(victim, space_id) is Code.HISTORY_FORKED


async def test_a_reordered_log(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Records that changed places contradict the places that their signers knew."""
    space_id = await _fill(victim, tmp_path)
    proxy.rewrite_log(space_id, lambda f: [*f[:3], f[5], f[6], f[3], f[4]])
    assert await _refusal(victim, space_id) is Code.HISTORY_FORKED
    _forget(victim, space_id, pins=True)
    assert await _refusal(victim, space_id) is Code.HISTORY_FORKED


async def test_a_changed_record(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """One bit of a record changed: later records name what stood there; the last one is set aside and reported."""
    space_id = await _fill(victim, tmp_path)

    def change(at: int) -> Callable[[list[Frame]], list[Frame]]:
        def rewrite(frames: list[Frame]) -> list[Frame]:
            envelope = bytearray(frames[at].envelope)
            envelope[len(envelope) // 2] ^= 1
            changed = list(frames)
            changed[at] = with_envelope(frames[at], bytes(envelope))
            return changed

        return rewrite

    proxy.rewrite_log(space_id, change(4))
    _forget(victim, space_id)
    assert await _refusal(victim, space_id) is Code.HISTORY_FORKED
    _forget(victim, space_id, pins=True)
    assert await _refusal(victim, space_id) is Code.HISTORY_FORKED
    proxy.be_honest()
    _forget(victim, space_id, pins=True)
    proxy.rewrite_log(space_id, change(-1))
    async with victim.space("Home") as space:
        assert [aside for _, aside in _problems(space)] == [True]
        assert await _names(space) == ["0.jpg", "1.jpg"]


async def test_a_chain_that_does_not_add_up(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Frames that were left out without mending the chain break it at once."""
    space_id = await _fill(victim, tmp_path)
    _forget(victim, space_id, pins=True)

    def skip(exchange: Exchange) -> Exchange:
        frames = [frame for frame in frames_from_bytes(exchange.body) if frame.number != 3]
        return replace(exchange, body=frames_to_bytes(frames))

    proxy.lie("GET", f"/v1/spaces/{space_id.hex()}/log", skip)
    assert await _refusal(victim, space_id) is Code.CHAIN_BROKEN


async def test_a_rollback(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """A server that shows less than it did says so, whether or not the local index is still there."""
    space_id = await _fill(victim, tmp_path)
    proxy.rewrite_log(space_id, lambda frames: frames[:-1])
    assert await _refusal(victim, space_id) is Code.HISTORY_ROLLED_BACK
    _forget(victim, space_id)
    assert await _refusal(victim, space_id) is Code.HISTORY_ROLLED_BACK


async def test_a_fork(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Another history of the same length is not the one that was seen."""
    space_id = await _fill(victim, tmp_path)
    proxy.rewrite_log(space_id, lambda frames: [*frames[:-1], _noise(frames[-1])])
    assert await _refusal(victim, space_id) is Code.HISTORY_FORKED
    _forget(victim, space_id)
    assert await _refusal(victim, space_id) is Code.HISTORY_FORKED


async def test_one_poisonous_record_blocks_nothing(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Garbage, and a stranger's record, are set aside, counted and reported; the photographs are all there."""
    space_id = await _fill(victim, tmp_path)
    _forget(victim, space_id, pins=True)

    def poison(frames: list[Frame]) -> list[Frame]:
        stranger = _signed_by_stranger(frames[-1], space_id)
        return [*frames, _noise(frames[-1]), stranger]

    proxy.rewrite_log(space_id, poison)
    async with victim.space("Home") as space:
        assert _problems(space) == [(Code.ENTRY_MALFORMED, True), (Code.SIGNER_UNKNOWN, True)]
        assert await _names(space) == ["0.jpg", "1.jpg", "2.jpg"]


async def test_a_ghost_in_the_ledger(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Added member, device or camera: a ledger entry that nobody entitled signed stops the space."""
    space_id = await _fill(victim, tmp_path)
    async with victim.space("Home") as space:
        await pair_camera(space, "Camera")
    _forget(victim, space_id)

    def forge(frames: list[Frame]) -> list[Frame]:
        entry = parse_entry(frames[-1].envelope)
        envelope = build_entry(entry.header, unpack(entry.body, CertifyCameraBody), b"stranger" * 4)
        return [*frames[:-1], with_envelope(frames[-1], envelope)]

    proxy.rewrite_log(space_id, forge)
    assert await _refusal(victim, space_id) in (Code.SIGNATURE_INVALID, Code.HISTORY_FORKED)
    _forget(victim, space_id, pins=True)
    assert await _refusal(victim, space_id) is Code.SIGNATURE_INVALID


async def test_an_admin_entry_shown_again(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Replayed ledger entry: neither its device nor the ledger stands where it says."""
    space_id = await _fill(victim, tmp_path)
    async with victim.space("Home") as space:
        await pair_camera(space, "Camera")
    _forget(victim, space_id, pins=True)
    proxy.rewrite_log(space_id, lambda frames: [*frames, frames[-1]])
    assert await _refusal(victim, space_id) in (Code.COUNTER_CONFLICT, Code.ENTRY_STALE)


async def test_a_ledger_entry_that_is_left_out(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Ledger cut short: a head that another device of the account pinned in the keyring must be there."""
    space_id = await _fill(victim, tmp_path)
    async with victim.space("Home") as space:
        await pair_camera(space, "Camera")
        await space.sync()
    _forget(victim, space_id, pins=True)
    proxy.rewrite_log(space_id, lambda frames: [*frames[:-1], _noise(frames[-1])])
    proxy.lie("GET", f"/v1/spaces/{space_id.hex()}$", lambda e: e.changed(e.as_(SpaceRow), ledger_number=8))
    assert await _refusal(victim, space_id) is Code.HISTORY_ROLLED_BACK


async def test_an_exchanged_epoch_box(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Different secrets to different members: the box must be the one that the ledger names."""
    space_id = await _fill(victim, tmp_path)
    _forget(victim, space_id)
    proxy.lie("GET", ".*/boxes/1", lambda e: e.changed(e.as_(EpochBox), box=secrets.token_bytes(1200)))
    assert await _refusal(victim, space_id) is Code.EPOCH_MISMATCH


async def test_an_exchanged_inbox(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Inbox key replaced in the genesis: it is then the genesis of another space, and signed by nobody."""
    space_id = await _fill(victim, tmp_path)
    _forget(victim, space_id, pins=True)

    def change(frames: list[Frame]) -> list[Frame]:
        envelope = bytearray(frames[0].envelope)
        envelope[len(envelope) * 3 // 4] ^= 1
        return [with_envelope(frames[0], bytes(envelope)), *frames[1:]]

    proxy.rewrite_log(space_id, change)
    assert await _refusal(victim, space_id) in (
        Code.SIGNATURE_INVALID,
        Code.ENTRY_WRONG_SPACE,
        Code.ENTRY_MALFORMED,
        Code.LEDGER_RULE,
    )


async def test_another_space_in_place_of_mine(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """A whole and well-signed log of another space is not this one's: the id is the hash of the genesis."""
    space_id = await _fill(victim, tmp_path, count=1)
    other = await new_space(victim, "Other")
    _forget(victim, space_id, pins=True)

    async def swap(exchange: Exchange) -> Exchange:
        path = exchange.path.replace(space_id.hex(), other.hex())
        query = f"?after={exchange.query['after']}" if exchange.query else ""
        return replace(exchange, body=await proxy.ask(path + query, exchange.request_headers))

    proxy.lie("GET", f"/v1/spaces/{space_id.hex()}(/log)?$", swap)
    async with victim.session() as session:
        listing = await list_spaces(session)
    assert listing.refused[space_id].code in (Code.ENTRY_WRONG_SPACE, Code.HISTORY_ROLLED_BACK)


async def test_a_receipt_that_is_no_promise(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Signed by another key, for another entry, or leaving out a blob: nothing counts as stored; honest again, once."""
    await _fill(victim, tmp_path, count=0)
    seed = secrets.token_bytes(32)
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"p")

    def sign_anew(exchange: Exchange) -> Exchange:
        committed = exchange.as_(Committed)
        receipt, signature = sign_receipt(unpack(committed.receipt, Receipt), Signer(seed))
        return exchange.with_json(Committed(receipt, signature))

    async with victim.space("Home") as space:
        proxy.lie("POST", ".*/commits$", sign_anew)
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                await add_file(space, photo)
            assert refused.value.code is Code.RECEIPT_INVALID
        proxy.be_honest()
        await add_file(space, photo)
        await space.sync()
        assert await _names(space) == ["p.jpg"]


async def test_a_server_that_forgot_my_entries(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Fewer entries of this device than it has receipts for, or another last one: said before anything is signed."""
    await _fill(victim, tmp_path, count=1)
    lies: list[tuple[dict[str, object], Code]] = [
        ({"counter": 1}, Code.HISTORY_ROLLED_BACK),
        ({"entry_id": b"x" * 32}, Code.HISTORY_FORKED),
    ]
    for changes, code in lies:
        proxy.be_honest()

        def forget(exchange: Exchange, changes: dict[str, object] = changes) -> Exchange:
            return exchange.changed(exchange.as_(DevicePositionRow), **changes)

        proxy.lie("GET", ".*/position$", forget)
        async with victim.space("Home") as space:
            with pytest.raises(Refused) as refused:
                await space.rotate_epoch()
            assert refused.value.code is code


async def test_metadata_and_wraps_moved_between_assets(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Not even an entitled signer gives one asset another's keys or metadata: they open at their place only."""
    space_id = await _fill(victim, tmp_path, count=2)
    async with victim.space("Home") as space:
        places = list(space.index.assets())
        bodies = [_assets(space, place.number) for place in places]
        first, second = bodies[0].assets[0], bodies[1].assets[0]
        reader = AssetReader(space)
        for field in ("wrap_full", "wrap_view", "view", "full"):
            mixed = msgspec.structs.replace(first, **{field: getattr(second, field)})
            reader._record = KeptRecord(places[0].number, 0, AddAssetsBody(bodies[0].roll_id, [mixed]))
            with pytest.raises(Refused) as refused:
                await reader.open(places[0])
            assert refused.value.code is Code.OPEN_FAILED
        swapped = msgspec.structs.replace(first, view=first.full, full=first.view)
        reader._record = KeptRecord(places[0].number, 0, AddAssetsBody(bodies[0].roll_id, [swapped]))
        assert [type(found) for found in [f async for f in reader.each(places)]] == [FailedAsset, OpenedAsset]
    assert space_id


def _assets(space: SpaceView, number: int) -> AddAssetsBody:
    envelope = space.index.envelope_at(number)
    assert envelope is not None
    return unpack(parse_entry(envelope).body, AddAssetsBody)


def _noise(frame: Frame) -> Frame:
    return with_envelope(frame, b"noise" * 60)


def _signed_by_stranger(frame: Frame, space_id: bytes) -> Frame:
    known = parse_entry(frame.envelope).header
    header = Header(
        version=known.version,
        critical=True,
        kind=RecordKind.ADD_ASSETS.value,
        space_id=space_id,
        author_id=b"s" * 16,
        device_id=b"s" * 16,
        counter=1,
        previous_id=b"",
        ledger=known.ledger,
        log=known.log,
        signed_ms=known.signed_ms,
    )
    body = unpack(parse_entry(frame.envelope).body, AddAssetsBody)
    return with_envelope(frame, build_entry(header, body, b"stranger" * 4))
