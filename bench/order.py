"""What must hold of a log that several processes write and show: whoever follows it is never shown a wrong order.

The checks know neither HTTP nor the processes: they are given what was shown and what was answered, and when. Each has
a mutant in tests/unit/test_order.py that it catches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from safelight.sync_protocol.log import Frame, next_chain


class WrongOrder(Exception):
    """Something was shown, or answered, that breaks the log's order."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What stands at a number."""

    number: int
    entry_id: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A commit that was answered: when it was sent, when the answer was there, and the slot that the receipt names."""

    sent_s: float
    answered_s: float
    slot: Slot


@dataclass(frozen=True, slots=True)
class Asked:
    """A page of the feed: when it was asked for, and the last number that was shown by its end."""

    at_s: float
    last: int


@dataclass
class Follower:
    """Reads a log with a cursor: each page has to go on exactly where the one before it ended."""

    name: str
    slots: list[Slot] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    _ids: set[bytes] = field(default_factory=set)

    @property
    def cursor(self) -> int:
        """The last number that was shown."""
        return len(self.slots)

    def take(self, at_s: float, page: Iterable[Frame], max_entries: int) -> None:
        """Go on by the *page* after the cursor that was asked for at that time. Raises WrongOrder."""
        before = self.cursor
        for frame in page:
            chain = self.slots[-1].chain if self.slots else b""
            if frame.number != self.cursor + 1:
                raise WrongOrder(f"{self.name} shows number {frame.number} after {self.cursor}")
            if frame.chain != next_chain(chain, frame.number, frame.entry_id):
                raise WrongOrder(
                    f"{self.name} shows a chain at {frame.number} that does not follow from the one before"
                )
            if frame.entry_id in self._ids:
                raise WrongOrder(f"{self.name} shows the entry at {frame.number} for a second time")
            self._ids.add(frame.entry_id)
            self.slots.append(Slot(frame.number, frame.entry_id, frame.chain))
        if self.cursor < before + max_entries:  # else there is more, and nothing can be said of what was left out
            self.asked.append(Asked(at_s, self.cursor))


def check_alike(followers: Sequence[Follower]) -> None:
    """Whoever follows, through whichever process and from whichever time on, was shown the same; raises WrongOrder."""
    first = max(followers, key=lambda follower: follower.cursor)
    for follower in followers:
        for known, shown in zip(first.slots, follower.slots, strict=False):
            if known != shown:
                raise WrongOrder(f"{first.name} and {follower.name} show different entries at {shown.number}")


def check_answers(follower: Follower, answers: Sequence[Answered]) -> None:
    """Each receipt's slot is the one shown, and who had an answer stands before whoever asked later.

    *follower* has read to the end. Raises WrongOrder.
    """
    for answered in answers:
        number = answered.slot.number
        if number > follower.cursor or follower.slots[number - 1] != answered.slot:
            raise WrongOrder(f"{follower.name} does not show at {number} what its receipt says")
    by_end = sorted(answers, key=lambda answered: answered.answered_s)
    highest, done = 0, 0
    for answered in sorted(answers, key=lambda answered: answered.sent_s):
        while done < len(by_end) and by_end[done].answered_s < answered.sent_s:
            highest = max(highest, by_end[done].slot.number)
            done += 1
        if answered.slot.number <= highest:
            raise WrongOrder(f"number {answered.slot.number} was given after {highest} had been answered")


def check_fresh(follower: Follower, answers: Sequence[Answered]) -> None:
    """A page shows all that was answered before it was asked for, by whichever process; raises WrongOrder."""
    by_end = sorted(answers, key=lambda answered: answered.answered_s)
    highest, done = 0, 0
    for asked in sorted(follower.asked, key=lambda asked: asked.at_s):
        while done < len(by_end) and by_end[done].answered_s < asked.at_s:
            highest = max(highest, by_end[done].slot.number)
            done += 1
        if asked.last < highest:
            raise WrongOrder(f"{follower.name} ended at {asked.last} when {highest} had been answered")
