"""The log as a member reads it: our vectors' whole spaces, through the engine's own reader and index."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safelight.clients.engine.index import Index
from safelight.clients.engine.log_reader import MAX_GARBAGE, LogReader
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol import ids
from safelight.sync_protocol.log import NO_HEAD, Frame, Head, Header, build_entry, frames_from_bytes, next_chain
from safelight.sync_protocol.records import RevokeLinkBody
from safelight.sync_protocol.refusals import Code, Refused

VECTORS = Path(ids.__file__).parent / "vectors"
CASES: list[dict[str, Any]] = json.loads((VECTORS / "spaces.json").read_text())["cases"]


def _space_id(case: dict[str, Any]) -> bytes:
    frames = frames_from_bytes(bytes.fromhex(case["inputs"]["frames"]))
    return ids.space_id(next(iter(frames)).envelope)


def _read(case: dict[str, Any], index: Index, memory: SpaceMemory) -> LogReader:
    reader = LogReader(_space_id(case), index, memory)
    for frame in frames_from_bytes(bytes.fromhex(case["inputs"]["frames"])):
        if frame.number > reader.log.number:
            with index.transaction():
                reader.take(frame)
    return reader


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_spaces_of_the_vectors(case: dict[str, Any], tmp_path: Path) -> None:
    """Every whole log ends as the vectors say: in this state, or refused for this reason."""
    index, memory = Index(tmp_path / "index.sqlite"), SpaceMemory()
    try:
        if case["expect"] != "success":
            # To a client, an unknown critical entry says: update.
            expected = {"entry-unknown-critical": ("entry-unknown-critical", "update-required")}
            with pytest.raises(Refused) as refused:
                _read(case, index, memory)
            assert refused.value.code.value in expected.get(case["expect"], (case["expect"],))
            return
        wanted = case["output"]
        reader = _read(case, index, memory)
        for again in (reader, LogReader(_space_id(case), index, memory)):  # as read, and as kept
            assert again.state is not None
            assert again.state.head == Head(wanted["head_number"], bytes.fromhex(wanted["head_hash"]))
            assert again.log.chain.hex() == wanted["chain"]
            assert again.state.epoch.number == wanted["epoch_number"]
            assert again.log == reader.log
        aside = [problem.code.value for problem in index.problems() if problem.set_aside]
        assert aside == wanted["set_aside_codes_text"]
    finally:
        index.close()


def test_pins_hold_against_every_other_history(tmp_path: Path) -> None:
    """A log that was pinned at its end is read again; pinned elsewhere, it is a fork at that very slot."""
    case = CASES[0]
    frames = list(frames_from_bytes(bytes.fromhex(case["inputs"]["frames"])))
    for frame in frames:
        memory = SpaceMemory()
        memory.pin_log(Head(frame.number, frame.chain))
        index = Index(None)
        _read(case, index, memory)
        index.close()
        memory.log = Head(frame.number, b"x" * 32)
        index = Index(None)
        with pytest.raises(Refused) as refused:
            _read(case, index, memory)
        assert refused.value.code is Code.HISTORY_FORKED
        assert index.head()[0] == frame.number - 1
        index.close()


def test_a_forged_record_moves_nobodys_position(tmp_path: Path) -> None:
    """A record that a stranger signed in a member's name is set aside, and the member's next record still follows."""
    case = next(case for case in CASES if case["name"] == "whole")
    index, memory = Index(None), SpaceMemory()
    reader = _read(case, index, memory)
    before = dict(reader.log.devices)
    stranger = next(case for case in CASES if case["name"] == "set aside: by a stranger")
    other = Index(None)
    after = dict(_read(stranger, other, SpaceMemory()).log.devices)
    assert after == before
    index.close()
    other.close()


def _more(case: dict[str, Any], envelope: bytes, count: int) -> Iterator[Frame]:
    """Frames that follow a whole log, each with the same bytes in it."""
    *_, last = frames_from_bytes(bytes.fromhex(case["inputs"]["frames"]))
    number, chain, entry_id = last.number, last.chain, hashlib.sha256(envelope).digest()
    for _ in range(count):
        number, chain = number + 1, next_chain(chain, number + 1, entry_id)
        yield Frame(number, last.time_ms, chain, entry_id, envelope)


def _garbage(case: dict[str, Any], of: str) -> bytes:
    """Bytes that nobody in the space signed, however well formed."""
    space_id, last = _space_id(case), Head(1, b"x" * 32)
    version, kind = (2, "asset.add") if of == "a later version" else (1, "asset.add")
    critical = of != "a stranger's record"
    kind = "pick.choose" if of == "an unknown kind" else kind
    header = Header(version, critical, kind, space_id, b"s" * 16, b"s" * 16, 1, b"", last, last, 1)
    body = RevokeLinkBody(b"l" * 16)
    return {"noise": b"noise", "too long": bytes(2**20 + 1)}.get(of) or build_entry(header, body, b"stranger" * 4)


@pytest.mark.parametrize("of", ["noise", "too long", "a stranger's record", "an unknown kind", "a later version"])
def test_garbage_fills_no_disk_and_stops_nothing_soon(tmp_path: Path, of: str) -> None:
    """*A disk filled with garbage*: slots count, bytes are not kept, and there is an end to it."""
    case = next(case for case in CASES if case["name"] == "whole")
    path = tmp_path / "index.sqlite"
    index, memory = Index(path), SpaceMemory()
    reader = _read(case, index, memory)
    before = path.stat().st_size
    frames = _more(case, _garbage(case, of), MAX_GARBAGE + 1)
    with index.transaction():
        for frame in itertools.islice(frames, MAX_GARBAGE):
            reader.take(frame)
    assert len(index.problems()) == MAX_GARBAGE
    assert path.stat().st_size < before + 400 * MAX_GARBAGE
    again = LogReader(_space_id(case), index, memory)  # and counted on after a restart
    assert again.log.number == reader.log.number
    one_more = next(frames)
    for counting in (reader, again):
        with pytest.raises(Refused) as refused:
            counting.take(one_more)
        assert refused.value.code is Code.CHAIN_BROKEN
        assert "nobody in the space signed" in refused.value.detail
    index.close()


def test_a_genesis_of_a_later_version_is_not_this_spaces(tmp_path: Path) -> None:
    """Garbage in the place of the genesis is another space's, not a reason to update."""
    case = next(case for case in CASES if case["name"] == "whole")
    header = Header(2, True, "space.create", b"", b"s" * 16, b"s" * 16, 1, b"", NO_HEAD, NO_HEAD, 1)
    envelope = build_entry(header, RevokeLinkBody(b"l" * 16), b"stranger" * 4)
    entry_id = hashlib.sha256(envelope).digest()
    index = Index(None)
    reader = LogReader(_space_id(case), index, SpaceMemory())
    with pytest.raises(Refused) as refused:
        reader.take(Frame(1, 1, next_chain(b"", 1, entry_id), entry_id, envelope))
    assert refused.value.code is Code.ENTRY_WRONG_SPACE
    index.close()
