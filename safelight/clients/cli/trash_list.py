"""What `safelight asset list --trash` shows."""

from typing import Any

from safelight.clients.cli.asset_rows import asset_row
from safelight.clients.cli.member_names import shown_name
from safelight.clients.cli.output import Column, date_text, print_json, print_table, size_text
from safelight.clients.cli.running import with_space
from safelight.clients.engine.assets import AssetReader
from safelight.clients.engine.listing import listed
from safelight.clients.engine.members import list_members
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.trash import trashed_assets


def list_trash(space: str, *, json: bool) -> None:
    """List what is in a space's trash, the longest there first, with who put it there and when."""

    async def look(view: SpaceView) -> list[dict[str, Any]]:
        names = {one.account_id: shown_name(one) for one in await list_members(view)}
        trashed = {one.place.asset_id: one for one in await trashed_assets(view)}
        rows = []
        async for found in AssetReader(view).each([one.place for one in trashed.values()]):
            one = trashed[found.asset_id]
            by = names.get(one.author_id, one.author_id.hex()[:12])
            rows.append(asset_row(listed(found)) | {"trashed_by": by, "trashed_ms": one.time_ms})
        return rows

    rows = with_space(space, look)
    if json:
        print_json(rows)
        return
    columns = [
        *(Column("id"), Column("name", fold=True), Column("taken"), Column("size", right=True)),
        *(Column("trashed by", fold=True), Column("when")),
    ]
    print_table(
        columns,
        (
            (
                *(row["id"][:12], row["name"], row["taken"], size_text(row["size_bytes"])),
                *(row["trashed_by"], date_text(row["trashed_ms"])),
            )
            for row in rows
        ),
    )
