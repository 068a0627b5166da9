"""The log: entries, chain, positions and heads, and what each finds."""

from dataclasses import replace

import msgspec
import pytest

from safelight.sync_protocol import log
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.limits import MAX_ENTRY_SIZE_BYTES
from safelight.sync_protocol.log import Frame, Head
from safelight.sync_protocol.records import OpenRollBody, RecordKind, RevokeLinkBody
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.ledgers import Person, Space, id_of, seed_of


@pytest.fixture
def space() -> Space:
    """A space with a camera and three rolls."""
    space = Space(Person("anna")).create()
    camera = space.camera()
    for number in range(3):
        body = OpenRollBody(id_of(f"roll {number}"), 1, b"full", b"view")
        space.take(space.entry(RecordKind.OPEN_ROLL, body, camera), camera)
    return space


def test_a_reader_follows_the_whole_log(space: Space) -> None:
    """Chain, positions and heads agree from the first entry to the last."""
    state = log.LogState()
    chains: dict[int, bytes] = {0: b""}
    ledgers: dict[int, bytes] = {0: b""}
    for frame in log.frames_from_bytes(log.frames_to_bytes(space.frames)):
        entry = log.parse_entry(frame.envelope)
        state = log.step(state, frame)
        log.check_position(state, entry)
        log.check_heads(entry, frame.number, chains.get, ledgers.get)
        state = log.place(state, entry)
        chains[frame.number] = frame.chain
        if entry.header.kind.startswith(("space.", "camera.")):
            ledgers[frame.number] = entry.id
    assert state == space.log
    assert state.head == Head(6, space.frames[-1].chain)


def test_an_entry_is_parsed_as_it_came(space: Space) -> None:
    """Its id is the hash of its bytes, and its parts are what was signed."""
    envelope = space.frames[-1].envelope
    entry = log.parse_entry(envelope)
    assert entry.envelope == envelope
    assert entry.id == space.frames[-1].entry_id
    assert entry.header.kind == RecordKind.OPEN_ROLL
    log.verify_entry(entry, space.state.cameras[entry.header.author_id].device_key or b"")
    with pytest.raises(Refused) as caught:
        log.verify_entry(entry, space.owner.identity.signing)
    assert caught.value.code is Code.SIGNATURE_INVALID


def nothing_known(_slot: int) -> None:
    """A reader that kept no hash."""


def step_refusal(space: Space, frame: Frame, after: int) -> str:
    """Step onto *frame* after that many entries; it must be refused as a broken chain."""
    state = log.LogState()
    for good in space.frames[:after]:
        state = log.step(state, good)
    with pytest.raises(Refused) as caught:
        log.step(state, frame)
    assert caught.value.code is Code.CHAIN_BROKEN
    return caught.value.detail


def test_a_dropped_repeated_or_reordered_frame_breaks_the_chain(space: Space) -> None:
    """The next slot is the only one that follows."""
    assert "slot 5 follows slot 3" in step_refusal(space, space.frames[4], 3)
    assert "slot 3 follows slot 3" in step_refusal(space, space.frames[2], 3)


def test_a_changed_frame_breaks_the_chain(space: Space) -> None:
    """Another entry in the slot, another id, another chain: each is found."""
    frame, other = space.frames[4], space.frames[5]
    assert "not the one" in step_refusal(space, msgspec.structs.replace(frame, envelope=other.envelope), 4)
    swapped = msgspec.structs.replace(frame, envelope=other.envelope, entry_id=other.entry_id)
    assert "does not follow" in step_refusal(space, swapped, 4)
    assert "does not follow" in step_refusal(space, msgspec.structs.replace(frame, chain=other.chain), 4)


def test_a_purged_entry_keeps_the_chain_whole(space: Space) -> None:
    """Number, id and signature stay, so what follows still verifies."""
    state = log.LogState()
    for frame in space.frames:
        purged = frame.number == 4
        shown = msgspec.structs.replace(frame, envelope=b"", signature=b"kept") if purged else frame
        state = log.step(state, shown, may_be_purged=purged)
    assert state.chain == space.log.chain


def test_a_devices_entries_follow_one_another(space: Space) -> None:
    """A counter that skips or repeats, or another previous entry, shows a dropped record."""
    camera = space.camera_signer()
    position = space.log.devices[camera.author_id + camera.device_id]
    camera.counter, camera.last_id = position.counter, position.entry_id
    body = RevokeLinkBody(id_of("link"))
    good = space.entry(RecordKind.REVOKE_LINK, body, camera)
    log.check_position(space.log, good)
    for changes in ({"counter": 9}, {"counter": position.counter}, {"previous_id": seed_of("other")}):
        entry = space.entry(RecordKind.REVOKE_LINK, body, camera, **changes)
        with pytest.raises(Refused) as caught:
            log.check_position(space.log, entry)
        assert caught.value.code is Code.COUNTER_CONFLICT
    fresh = replace(space.log, devices={})
    with pytest.raises(Refused):
        log.check_position(fresh, good)


def test_heads_that_contradict_mine_are_a_fork(space: Space) -> None:
    """Two members shown two histories find out by each other's entries."""
    body = RevokeLinkBody(id_of("link"))
    known = {4: space.frames[3].chain}
    number = space.log.number + 1
    honest = space.entry(RecordKind.REVOKE_LINK, body, log=Head(4, space.frames[3].chain))
    log.check_heads(honest, number, known.get, nothing_known)
    lies = [
        space.entry(RecordKind.REVOKE_LINK, body, log=Head(4, seed_of("another history"))),
        space.entry(RecordKind.REVOKE_LINK, body, log=Head(number, seed_of("the future"))),
        space.entry(RecordKind.REVOKE_LINK, body, ledger=Head(number, seed_of("the future"))),
    ]
    for entry in lies:
        with pytest.raises(Refused) as caught:
            log.check_heads(entry, number, known.get, nothing_known)
        assert caught.value.code is Code.HISTORY_FORKED


def test_feeds_that_are_cut_are_found(space: Space) -> None:
    """A page cut in a length or in a frame is refused, not shortened."""
    data = log.frames_to_bytes(space.frames)
    for cut in (1, 5, len(data) - 1):
        with pytest.raises(Refused) as caught:
            list(log.frames_from_bytes(data[:cut]))
        assert caught.value.code is Code.ENTRY_MALFORMED
    assert list(log.frames_from_bytes(b"")) == []


def test_entries_have_a_size(space: Space) -> None:
    """An oversized entry is refused before it is parsed."""
    with pytest.raises(Refused) as caught:
        log.parse_entry(bytes(MAX_ENTRY_SIZE_BYTES + 1))
    assert caught.value.code is Code.TOO_LARGE


def test_a_later_version_is_parsed(space: Space) -> None:
    """What an entry of a version that this one does not know means is for the ledger to say, once its signer stands."""
    body = RevokeLinkBody(id_of("link"))
    for critical in (True, False):
        entry = space.entry(RecordKind.REVOKE_LINK, body, version=2, critical=critical)
        assert entry.header.version == 2


def test_nothing_can_be_added_to_what_is_signed(space: Space) -> None:
    """An array with one more element, in envelope, content or header, is malformed: no room for two readings."""
    outer = msgspec.msgpack.decode(space.frames[-1].envelope)
    with pytest.raises(Refused) as caught:
        log.parse_entry(msgspec.msgpack.encode([*outer, 1]))
    assert caught.value.code is Code.ENTRY_MALFORMED
    content = msgspec.msgpack.decode(outer[0])
    content[0].append(1)
    with pytest.raises(Refused):
        log.parse_entry(msgspec.msgpack.encode([msgspec.msgpack.encode(content), outer[1]]))


def test_the_first_entry_of_a_device_has_no_previous_one() -> None:
    """Counter 1 and an empty hash begin a device's sequence."""
    space = Space(Person("anna"))
    entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body())
    log.check_position(log.LogState(), entry)
