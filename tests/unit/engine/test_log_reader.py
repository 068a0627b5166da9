"""The log as a member reads it: our vectors' whole spaces, through the engine's own reader and index."""

import json
from pathlib import Path
from typing import Any

import pytest

from safelight.clients.engine.index import Index
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol import ids
from safelight.sync_protocol.log import Head, frames_from_bytes
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
    assert set(after) == set(before)
    index.close()
    other.close()
