"""The benches' check of order: each kind of wrong order, and the right one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from bench.order import Answered, Follower, Slot, WrongOrder, check_alike, check_answers, check_fresh
from safelight.sync_protocol.log import Frame, next_chain

MANY = 1000


def _frames(ids: Sequence[bytes]) -> list[Frame]:
    frames: list[Frame] = []
    for number, entry_id in enumerate(ids, start=1):
        chain = next_chain(frames[-1].chain if frames else b"", number, entry_id)
        frames.append(Frame(number, 1, chain, entry_id, b"sealed"))
    return frames


FRAMES = _frames([bytes([number]) * 32 for number in range(1, 6)])


def _followed(frames: Sequence[Frame], at_s: float = 0.0) -> Follower:
    follower = Follower("process 1")
    follower.take(at_s, frames, MANY)
    return follower


def _answered(number: int, sent_s: float, answered_s: float) -> Answered:
    frame = FRAMES[number - 1]
    return Answered(sent_s, answered_s, Slot(frame.number, frame.entry_id, frame.chain))


def test_what_is_in_order() -> None:
    """A log read in pages, through two processes, one of them behind, with answers that overlap, is in order."""
    ahead, behind = _followed(FRAMES[:2]), _followed(FRAMES[:3])
    ahead.take(1.5, FRAMES[2:], MANY)
    check_alike([ahead, behind])
    answers = [_answered(2, 0.0, 1.0), _answered(1, 0.5, 1.2), _answered(4, 1.1, 2.0), _answered(3, 1.15, 2.1)]
    check_answers(ahead, answers)
    check_fresh(ahead, answers)


class LateLog:
    """A log as the mutant keeps it: numbers are given before what has them is shown, by whoever is done first."""

    def __init__(self) -> None:
        self.shown: list[Frame] = []

    def show(self, frame: Frame) -> None:
        """Another transaction ended."""
        self.shown = sorted([*self.shown, frame], key=lambda shown: shown.number)

    def page(self, after: int) -> list[Frame]:
        """What is shown after a number."""
        return [frame for frame in self.shown if frame.number > after]


def test_a_lower_neighbour_that_comes_later() -> None:
    """Mutant: numbers that are not given inside the transaction. Who follows with a cursor would miss one for ever."""
    log, follower = LateLog(), Follower("process 1")
    log.show(FRAMES[0])
    log.show(FRAMES[2])
    with pytest.raises(WrongOrder, match="number 3 after 1"):
        follower.take(0.0, log.page(follower.cursor), MANY)
    log.show(FRAMES[1])
    assert [frame.number for frame in log.page(0)] == [1, 2, 3]  # whoever looks later finds nothing wrong


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda frames: frames[:2] + frames[3:], "number 4 after 2"),
        (lambda frames: [frames[1], frames[0], *frames[2:]], "number 2 after 0"),
        (lambda frames: [*frames[:3], frames[2], *frames[3:]], "number 3 after 3"),
        (lambda frames: [*frames[:2], replace_id(frames[2]), *frames[3:]], "chain at 3"),
        (lambda frames: _frames([frames[0].entry_id, frames[1].entry_id, frames[0].entry_id]), "at 3 for a second"),
    ],
)
def test_a_page_that_does_not_go_on(spoil: Callable[[list[Frame]], list[Frame]], said: str) -> None:
    """Mutants: a gap, two in the wrong order, one twice, another entry in a slot, an entry in two slots."""
    with pytest.raises(WrongOrder, match=said):
        _followed(spoil(FRAMES))


def replace_id(frame: Frame) -> Frame:
    """The same slot with another entry."""
    return Frame(frame.number, frame.time_ms, frame.chain, bytes(32), frame.envelope)


def test_another_history_through_another_process() -> None:
    """Mutant: two processes that do not share a log. Each for itself is in order."""
    other = _frames([*(frame.entry_id for frame in FRAMES[:3]), bytes(32)])
    with pytest.raises(WrongOrder, match="different entries at 4"):
        check_alike([_followed(FRAMES), _followed(other)])


def test_a_receipt_for_another_slot() -> None:
    """Mutant: an answer before the transaction stands, which then stands elsewhere, or not at all."""
    follower = _followed(FRAMES[:4])
    wrong = replace(_answered(2, 0.0, 1.0), slot=Slot(3, FRAMES[1].entry_id, FRAMES[1].chain))
    for answered in (wrong, _answered(5, 0.0, 1.0)):
        with pytest.raises(WrongOrder, match="receipt"):
            check_answers(follower, [answered])


def test_a_number_below_one_that_was_answered() -> None:
    """Mutant: numbers handed to each process in blocks. Who asks after an answer may get a lower number."""
    with pytest.raises(WrongOrder, match="number 2 was given after 4"):
        check_answers(_followed(FRAMES), [_answered(4, 0.0, 1.0), _answered(2, 1.1, 2.0)])


def test_a_page_that_is_behind() -> None:
    """Mutant: a process that reads from a copy which is behind. What one answered, the other does not show yet."""
    answers = [_answered(4, 0.0, 1.0)]
    with pytest.raises(WrongOrder, match="ended at 3 when 4"):
        check_fresh(_followed(FRAMES[:3], at_s=1.1), answers)
    check_fresh(_followed(FRAMES[:3], at_s=0.9), answers)
    full = Follower("process 1")
    full.take(1.1, FRAMES[:3], 3)  # a page that is full says nothing of what comes after it
    check_fresh(full, answers)
