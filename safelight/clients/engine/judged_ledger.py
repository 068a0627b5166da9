"""A space's ledger as it was judged, kept so that a long one is not judged again at each command.

Who may write to the local index must not be able to make members: so it is sealed under a key that comes from the
account secret. And what other software judged is judged again, which may know rules that the other did not.
"""

from dataclasses import fields

import msgspec

from safelight import __version__
from safelight.sync_protocol.account_ledger import AccountState, Device
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger_state import Camera, Grant, Invitation, LedgerState, Member, SharedAlbum
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box
from safelight.sync_protocol.sealing.keytree import derive

# So many entries are judged in a few hundredths of a second; a shorter ledger is never kept.
KEPT_EVERY = 200
_STRUCTS = (LedgerState, Member, Invitation, Camera, Grant, SharedAlbum)
_SOFTWARE = " ".join(
    (
        __version__,
        *(name for shape in _STRUCTS for name in shape.__struct_fields__),
        *(field.name for shape in (AccountState, Device) for field in fields(shape)),
    )
).encode("ascii")


class JudgedLedger:
    """Seals and opens the judged ledger of one space, for one account."""

    def __init__(self, account_secret: bytes, space_id: bytes) -> None:
        self._key = derive(account_secret, Label.PROFILE_LEDGER_KEY)
        self._place = context(Label.PROFILE_LEDGER, space_id, _SOFTWARE)

    def seal(self, state: LedgerState) -> bytes:
        """Return *state* as it is kept."""
        return seal_box(self._key, self._place, msgspec.msgpack.encode(state), nonce=random_nonce())

    def open(self, sealed: bytes) -> LedgerState | None:
        """Return the state that was kept; None for anything that this software, for this account, did not seal."""
        try:
            return msgspec.msgpack.decode(open_box(self._key, self._place, sealed), type=LedgerState)
        except (Refused, msgspec.DecodeError):
            return None
