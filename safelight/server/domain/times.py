"""Times that the ledger judges by when an entry says it was signed, held to the server's own clock as well.

The ledger must give everyone the same result for ever, so it knows no clock. But whoever photographed a pairing code,
or found an invitation, could choose the time that they sign.
"""

from safelight.server.domain.clock import ServerClock
from safelight.sync_protocol.ledger_entries import CertifyCameraBody, InviteMemberBody, JoinSpaceBody, LedgerKind
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import INVITATION_MAX_AGE_S, PAIRING_MAX_AGE_S, UPLOAD_LINK_MAX_AGE_S
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.upload_entries import BindGuestBody, OpenUploadLinkBody
from safelight.sync_protocol.wire import unpack

_CLOCK_TOLERANCE_S = 600
_CLOCK_DIFFERENCE_S = 24 * 60 * 60


def check_times(state: LedgerState, entry: Entry, clock: ServerClock) -> None:
    """Hold an entry that the ledger allows on *state* to the clock.

    Raises LEDGER_RULE for a code or an invitation that would live too long (a device whose clock is a year ahead would
    make one for a year), PAIRING_EXPIRED, INVITATION_EXPIRED and UPLOAD_LINK_OVER.
    """
    now_ms = clock.now_ms()
    match entry.header.kind:
        case LedgerKind.CERTIFY_CAMERA:
            expires_ms = unpack(entry.body, CertifyCameraBody).expires_ms
            _check_lifetime(expires_ms, PAIRING_MAX_AGE_S, now_ms, "a pairing code lives at most a day")
        case LedgerKind.BIND_CAMERA:
            if now_ms > state.cameras[entry.header.author_id].expires_ms:
                raise Refused(Code.PAIRING_EXPIRED)
        case LedgerKind.INVITE_MEMBER:
            expires_ms = unpack(entry.body, InviteMemberBody).expires_ms
            _check_lifetime(expires_ms, INVITATION_MAX_AGE_S, now_ms, "an invitation lives at most 30 days")
        case LedgerKind.OPEN_GENERATION | LedgerKind.GIVE_GRANT | LedgerKind.END_GRANT:
            check_signed_now(entry, clock)
        case LedgerKind.OPEN_UPLOAD_LINK:
            expires_ms = unpack(entry.body, OpenUploadLinkBody).terms.expires_ms
            _check_lifetime(expires_ms, UPLOAD_LINK_MAX_AGE_S, now_ms, "an upload link expires within a year")
        case LedgerKind.BIND_GUEST:
            if not state.upload_link_stands(unpack(entry.body, BindGuestBody).link_id, now_ms):
                raise Refused(Code.UPLOAD_LINK_OVER)
        case LedgerKind.JOIN_SPACE:
            if now_ms > state.invitations[unpack(entry.body, JoinSpaceBody).invitation_id].expires_ms:
                raise Refused(Code.INVITATION_EXPIRED)


def check_signed_now(entry: Entry, clock: ServerClock) -> None:
    """What says by its own clock which grants have expired is signed by a clock that is right to a day.

    *An editor who dates keys years ahead* would end every grant that is to expire, and dated back they would go on. *A
    grant that nobody can end* any more, since the server's own clock was wrong once: see `ServerClock.is_about_now`.
    """
    if not clock.is_about_now(entry.header.signed_ms, _CLOCK_DIFFERENCE_S * 1000):
        raise Refused(Code.LEDGER_RULE, "it is signed more than a day from now; is this computer's clock right?")


def _check_lifetime(expires_ms: int, max_age_s: int, now_ms: int, rule: str) -> None:
    if not now_ms < expires_ms <= now_ms + (max_age_s + _CLOCK_TOLERANCE_S) * 1000:
        raise Refused(Code.LEDGER_RULE, f"{rule}; is this computer's clock right?")
