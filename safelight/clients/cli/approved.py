"""Which pictures of an album are approved, by whom and when, as lists show it."""

from typing import Any

from safelight.clients.cli.member_names import shown_name
from safelight.clients.cli.output import date_text
from safelight.clients.engine.albums import AlbumReader
from safelight.clients.engine.approvals import approvals_of
from safelight.clients.engine.members import list_members

_GONE = "(no longer a member)"


async def with_approvals(reader: AlbumReader, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of each asset's row whether it is approved in the album, by whom and when."""
    approvals = approvals_of(reader.space, reader.album)
    names = {one.account_id: shown_name(one) for one in await list_members(reader.space)}
    shown = []
    for row in rows:
        found = approvals.get(bytes.fromhex(row["id"]))
        approver = names.get(found.approver_id, _GONE) if found else ""
        shown.append(
            {
                **row,
                "approved": found is not None,
                "approved_by": found.approver_id if found else b"",
                "approver": approver,
                "approved_ms": found.time_ms if found else 0,
            }
        )
    return shown


def approved_text(row: dict[str, Any]) -> str:
    """When an asset was approved, and by whom; empty where it is not."""
    return f"{date_text(row['approved_ms'])} by {row['approver']}" if row.get("approved") else ""
