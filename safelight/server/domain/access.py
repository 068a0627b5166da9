"""Who asks, and whether it may: sessions, tickets, and standing in a space."""

from dataclasses import dataclass

from safelight.server.domain.ledgers import Ledgers
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier, reads


@dataclass(frozen=True, slots=True)
class Who:
    """A proven session: of an account's device, of a camera (`space_id` set), or a ticket (no device)."""

    account_id: bytes
    device_id: bytes
    space_id: bytes
    token_hash: bytes
    expires_ms: int

    @property
    def is_camera(self) -> bool:
        """Whether this is a camera, which belongs to one space and to no account."""
        return bool(self.space_id)

    @property
    def author_id(self) -> bytes:
        """Under which id it signs entries."""
        return self.device_id if self.is_camera else self.account_id


def account_of(who: Who) -> bytes:
    """Return the account that asks; raises FORBIDDEN for a camera, which belongs to none."""
    if who.is_camera:
        raise Refused(Code.FORBIDDEN, "a camera has no account")
    return who.account_id


async def space_for(ledgers: Ledgers, who: Who, space_id: bytes, *, guests: bool = False) -> LedgerState:
    """Return the space's ledger for one who stands in it; raises SPACE_UNKNOWN for everyone else, alike.

    *guests* of upload links stand in it only where they add something: of all else they learn nothing.
    """
    if who.is_camera and who.space_id != space_id:
        raise Refused(Code.SPACE_UNKNOWN)
    state = await ledgers.state(space_id)
    # A device that the space has not heard of yet still reads for its account; only what it signs must wait.
    camera_stands = who.is_camera and state.signing_key(who.device_id, who.device_id) is not None
    if not camera_stands and who.account_id not in state.members:
        raise Refused(Code.SPACE_UNKNOWN)
    if who.is_camera and not guests and state.guest_link(who.device_id):
        raise Refused(Code.SPACE_UNKNOWN)
    return state


def check_guest(state: LedgerState, author_id: bytes, now_ms: int) -> None:
    """Refuse a guest whose upload link is over by the server's clock, whatever time they sign; UPLOAD_LINK_OVER."""
    link_id = state.guest_link(author_id)
    if link_id and not state.upload_link_stands(link_id, now_ms):
        raise Refused(Code.UPLOAD_LINK_OVER)


async def space_for_reader(ledgers: Ledgers, who: Who, space_id: bytes, tier: Tier) -> LedgerState:
    """Return the space's ledger for a member that reads *tier*; raises SPACE_UNKNOWN, or FORBIDDEN for the others."""
    state = await space_for(ledgers, who, space_id)
    if who.is_camera or not reads(state.tier_of(who.account_id), tier):
        raise Refused(Code.FORBIDDEN, f"this needs the {tier.value} tier of the space")
    return state
