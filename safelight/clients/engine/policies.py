"""What a space allows, as the ledger says it: shown, and set by who may (docs/spec/log.md §5)."""

from typing import Literal

from safelight.clients.engine.link_listing import StandingLink, standing_links
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.ledger_entries import LedgerKind, Policy, SetPolicyBody
from safelight.sync_protocol.roles import Tier

LinksPolicy = Literal["none", "view", "full"]


async def set_links_policy(space: SpaceView, links: LinksPolicy) -> bool:
    """Set which links may be made from now on (`none`, `view` or `full`); False where that is so already.

    Links that were made before go on: see `links_beyond_policy`. Raises RIGHT_MISSING, and LEDGER_RULE for more than
    the space's kind allows.
    """
    policy = space.state.policy
    if policy.links == links:
        return False
    await space.commit(LedgerKind.SET_POLICY, SetPolicyBody(Policy(policy.min_version, links)))
    return True


async def links_beyond_policy(space: SpaceView) -> list[StandingLink]:
    """List the links that stand and could not be made any more; none for who may not see the space's links.

    The policy is asked when a link is published, by the server and by every reader, and not when it is opened: what was
    made before it was narrowed goes on as it is, originals included.
    """
    allowed = space.state.policy.links
    if allowed == "full" or space.state.tier_of(space.session.account_id) is not Tier.FULL:
        return []
    return [link for link in await standing_links(space) if allowed == "none" or link.originals]
