"""Judging much at once: the rules here, entry by entry, and the signatures meanwhile by helpers.

What was judged so counts once every signature of it holds. Where one does not, or anything else is wrong, the caller
gives all of it up and judges again, one after the other: so what is refused, and for which entry, is the same as ever.
"""

from collections.abc import Callable

from safelight.clients.engine.helper_work import VerifySignatures, verify_all
from safelight.clients.engine.helpers import Asked, Helpers, HelpersGone
from safelight.sync_protocol import signatures
from safelight.sync_protocol.refusals import Refused

_TOGETHER = 100  # some milliseconds of work


def judged_with(helpers: Helpers, judge: Callable[[], None]) -> bool:
    """Do what *judge* does, and have its signatures verified by *helpers*; return whether nothing was refused.

    Where something was, what *judge* did must be given up: it may rest on what nobody signed.
    """
    apart = _Apart(helpers)
    try:
        with signatures.set_apart(apart.take):
            judge()
    except Refused:
        return False
    return apart.all_hold()


class _Apart:
    """Signatures that were set apart: some with the helpers, the last few not yet."""

    def __init__(self, helpers: Helpers) -> None:
        self._helpers = helpers
        self._waiting: list[tuple[bytes, bytes, bytes]] = []
        self._sent: list[tuple[Asked, VerifySignatures]] = []

    def take(self, public_key: bytes, signature: bytes, message: bytes) -> None:
        """Set one apart, and send them on when there are enough."""
        self._waiting.append((public_key, signature, message))
        if len(self._waiting) == _TOGETHER:
            request = VerifySignatures(self._waiting)
            self._sent.append((self._helpers.ask(request), request))
            self._waiting = []

    def all_hold(self) -> bool:
        """Whether every one of them holds; those that no helper answers for are verified here."""
        last = VerifySignatures(self._waiting)
        return verify_all(last) and all(self._holds(*each) for each in self._sent)

    def _holds(self, asked: Asked, request: VerifySignatures) -> bool:
        try:
            return self._helpers.answer(asked, bool)
        except HelpersGone:
            return verify_all(request)
