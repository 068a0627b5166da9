"""A space's ledger as it was judged, kept so that a long one is not judged again at each command.

Who may write to the local index must not be able to make members: so it is sealed under a key that comes from the
account secret. And what other software judged is judged again, which may know rules that the other did not.
"""

import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

from safelight import __version__
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box
from safelight.sync_protocol.sealing.keytree import derive

# So many entries are judged in a few hundredths of a second; a shorter ledger is never kept.
KEPT_EVERY = 200


@cache
def software(rules: Traversable | None = None) -> bytes:
    """What judges here: the version, and the protocol's own modules as they are, whose rules change between versions.

    *A rule that was mended, and a ledger that stays as it was judged before*: who updates from the source has one
    version for a long time.
    """
    digest = hashlib.sha256(__version__.encode("ascii"))
    for module in sorted((rules or resources.files("safelight.sync_protocol")).iterdir(), key=lambda found: found.name):
        if module.name.endswith(".py"):
            source = module.read_bytes()
            digest.update(f"\n{module.name} {len(source)}\n".encode() + source)
    return digest.digest()


class JudgedLedger:
    """Seals and opens the judged ledger of one space, for one account."""

    def __init__(self, account_secret: bytes, space_id: bytes) -> None:
        self._key = derive(account_secret, Label.PROFILE_LEDGER_KEY)
        self._space_id = space_id

    @property
    def _place(self) -> bytes:
        """What binds it to its place; the software is read only for a ledger long enough to be kept."""
        return context(Label.PROFILE_LEDGER, self._space_id, software())

    def seal(self, state: LedgerState) -> bytes:
        """Return *state* as it is kept."""
        return seal_box(self._key, self._place, msgspec.msgpack.encode(state), nonce=random_nonce())

    def open(self, sealed: bytes) -> LedgerState | None:
        """Return the state that was kept; None for anything that this software, for this account, did not seal."""
        try:
            return msgspec.msgpack.decode(open_box(self._key, self._place, sealed), type=LedgerState)
        except (Refused, msgspec.DecodeError):
            return None
