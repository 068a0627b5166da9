"""The links that a member made, as `member remove` and `member role` tell of them."""

import shlex
from collections.abc import Sequence
from typing import Any

from safelight.clients.cli.output import count_text, date_text, note
from safelight.clients.engine.link_listing import StandingLink


def links_json(links: Sequence[StandingLink]) -> list[dict[str, Any]]:
    """Links as the commands' JSON has them."""
    return [
        {"id": link.link_id, "label": link.label, "state": link.state, "expires_ms": link.expires_ms} for link in links
    ]


def revoking_command(account_id: bytes, space: str) -> str:
    """The command that revokes what a removed member's links are, also where an earlier one was cut off."""
    return f"safelight member remove {account_id.hex()} --space {shlex.quote(space)} --revoke-links"


def tell_links(links: Sequence[StandingLink]) -> None:
    """Print a line for each link: its id, label and end."""
    for link in links:
        end = date_text(link.expires_ms)
        note("  " + "  ".join(filter(None, [link.link_id.hex()[:12], link.label, f"until {end}" if end else "no end"])))


def tell_standing(links: Sequence[StandingLink]) -> None:
    """Say which links go on, and that each can be kept or revoked."""
    if links:
        goes = "goes on for whoever has its address" if len(links) == 1 else "go on for whoever has their addresses"
        note(f"{count_text(len(links), 'link')} that they made {goes}:")
        tell_links(links)
        note("Keep one and it is the space's: safelight link show ID. Or end it: safelight link revoke ID.")


def tell_others(count: int) -> None:
    """Say that who read everything could read the addresses of others' links, too."""
    if count:
        note(
            f"They could also read the addresses of {count_text(count, 'other link')} of this space, and may have kept"
            " them: safelight link list"
        )
