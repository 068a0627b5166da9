"""Taking a log's pages: what verified is kept, up to the first entry that stops the space.

With helpers, a page's signatures are verified by other processes while its rules are judged here. Nothing of the page
is kept before all of them hold; where anything is refused, the page is judged again, one entry after the other.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress

from safelight.clients.engine.helpers import Helpers
from safelight.clients.engine.index import Index
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.signatures_apart import judged_with
from safelight.sync_protocol.log import Frame
from safelight.sync_protocol.refusals import Code, Refused


class _NotTaken(Exception):
    """What was judged with helpers does not count: the transaction that took it is given up."""


async def take_log(
    fetch: Callable[[int], Coroutine[object, object, list[Frame]]],
    end: int,
    reader: LogReader,
    index: Index,
    helpers: Helpers | None,
) -> None:
    """Take the log up to the slot *end*, page by page; *fetch* returns the one after a slot, empty beyond the last.

    The server makes the next page while one is verified. Raises CHAIN_BROKEN for a log that ends before, and what
    `take_page` raises.
    """
    following: asyncio.Task[list[Frame]] | None = None
    try:
        while (after := reader.log.number) < end:
            frames = await (following or fetch(after))
            following = None
            if not frames:
                raise Refused(Code.CHAIN_BROKEN, f"the log ends at slot {after}, not {end}")
            if frames[-1].number < end:
                following = asyncio.create_task(fetch(frames[-1].number))
                await asyncio.sleep(0)  # it is sent now: verifying lets nothing else run
            take_page(reader, index, frames, helpers)
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def take_page(reader: LogReader, index: Index, frames: Sequence[Frame], helpers: Helpers | None = None) -> None:
    """Verify frames and keep them; where one is refused, those before it are kept, and its refusal is raised."""
    if helpers is None or not helpers.count or not _took_with(helpers, reader, index, frames):
        _take_in_turn(reader, index, frames)


def _take_in_turn(reader: LogReader, index: Index, frames: Sequence[Frame]) -> None:
    failure: Refused | None = None
    with _kept_or_given_up(reader, index):
        for frame in frames:
            try:
                reader.take(frame)
            except Refused as refusal:
                failure = refusal  # what came before it stays verified
                break
    if failure is not None:
        stops = failure.code is Code.ENTRY_UNKNOWN_CRITICAL
        raise Refused(Code.UPDATE_REQUIRED, failure.detail) if stops else failure


def _took_with(helpers: Helpers, reader: LogReader, index: Index, frames: Sequence[Frame]) -> bool:
    """Take frames whose every signature holds and of which none is refused: else False, and nothing was taken."""

    def take() -> None:
        for frame in frames:
            reader.take(frame)

    with suppress(_NotTaken), _kept_or_given_up(reader, index):
        if judged_with(helpers, take):
            return True
        raise _NotTaken  # before anything of it is kept
    return False


@contextmanager
def _kept_or_given_up(reader: LogReader, index: Index) -> Iterator[None]:
    """The index's transaction; the reader goes back with it, whatever ends it.

    *A full disk in the middle of a forged page*: what was judged while its signatures were with helpers would stay the
    ledger of a process that goes on.
    """
    place = reader.standing()
    try:
        with index.transaction():
            yield
    except BaseException:
        reader.back_to(place)
        raise
