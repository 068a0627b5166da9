"""`safelight asset propose-deletion|proposals|confirm-deletion|decline-deletion`: deletions with four eyes."""

from typing import Annotated, Any

import typer

from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.asset_rows import asset_row
from safelight.clients.cli.member_links import links_json
from safelight.clients.cli.member_names import shown_name
from safelight.clients.cli.output import (
    Column,
    JsonOption,
    count_text,
    date_text,
    print_json,
    print_table,
    say,
)
from safelight.clients.cli.running import with_space
from safelight.clients.cli.trash import IdsArgument, ids_of, tell_showing
from safelight.clients.engine.assets import AssetReader
from safelight.clients.engine.listing import listed
from safelight.clients.engine.members import list_members
from safelight.clients.engine.proposals import decide_deletion, find_proposal, list_proposals, propose_deletion
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.trash import Changed, LinksShowing, links_showing

ProposalsArgument = Annotated[
    list[str], typer.Argument(metavar="PROPOSAL...", help="Proposals, by as much of their ids as is theirs alone.")
]


def propose(
    asset_ids: IdsArgument,
    space: SpaceOption,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; sealed to who reads the space.")] = "",
    json: JsonOption = False,
) -> None:
    """Propose assets for the trash. They stay where they are until somebody who may confirms it, or declines.

    Example: safelight asset propose-deletion 3f2a 77c1 --space Studio --note "out of focus"
    """

    async def put(view: SpaceView) -> Changed:
        return await propose_deletion(view, ids_of(view, asset_ids), note)

    result = with_space(space, put)
    if json:
        print_json({"proposed": result.changed, "already": result.already})
        return
    there = f"; {count_text(len(result.already), 'was', 'were')} already, or in the trash" if result.already else ""
    say(f"{count_text(len(result.changed), 'asset')} proposed for the trash of {space}{there}.")
    if result.changed:
        say("A manager sees it with `safelight asset proposals`, and confirms or declines it.")


def proposals(space: SpaceOption, json: JsonOption = False) -> None:
    """List what is proposed for the trash and not decided yet, who proposed it, when, and why.

    Example: safelight asset proposals --space Studio
    """

    async def look(view: SpaceView) -> list[dict[str, Any]]:
        names = {one.account_id: shown_name(one) for one in await list_members(view)}
        reader, rows = AssetReader(view), []
        for one in await list_proposals(view):
            assets = [asset_row(listed(found)) async for found in reader.each(list(one.places))]
            by = names.get(one.author_id, one.author_id.hex()[:12])
            rows.append(
                {
                    "id": one.proposal_id.hex(),
                    "proposed_by": by,
                    "proposed_ms": one.time_ms,
                    "note": one.note,
                    "assets": assets,
                }
            )
        return rows

    rows = with_space(space, look)
    if json:
        print_json(rows)
        return
    columns = [
        *(Column("proposal"), Column("by", fold=True), Column("when")),
        *(Column("asset"), Column("name", fold=True), Column("note", fold=True)),
    ]
    print_table(
        columns,
        (
            (
                *(row["id"][:12], row["proposed_by"], date_text(row["proposed_ms"])),
                *(asset["id"][:12], asset["name"], "(does not open)" if row["note"] is None else row["note"]),
            )
            for row in rows
            for asset in row["assets"]
        ),
    )


def confirm(proposal_ids: ProposalsArgument, space: SpaceOption, json: JsonOption = False) -> None:
    """Put what others proposed into the trash. It takes the rights to approve and to trash, as managers have them.

    Nothing is deleted: the files stay stored and count against the quota, and `asset restore` puts them back.

    Example: safelight asset confirm-deletion 9c41 --space Studio
    """

    async def put(view: SpaceView) -> tuple[list[bytes], LinksShowing]:
        decided = await _decide(view, proposal_ids, confirmed=True)
        return decided, await links_showing(view, decided)

    decided, links = with_space(space, put)
    if json:
        print_json(
            {
                "trashed": decided,
                "withheld_links": links_json(links.withheld),
                "showing_links": links_json(links.made),
            }
        )
        return
    say(f"{count_text(len(decided), 'asset')} put into the trash of {space}.")
    say("Nothing is deleted: they stay stored, and count. `safelight asset restore` puts them back.")
    tell_showing(links)


def decline(proposal_ids: ProposalsArgument, space: SpaceOption, json: JsonOption = False) -> None:
    """Leave what others proposed for the trash where it is. It takes the same rights as confirming.

    Example: safelight asset decline-deletion 9c41 --space Studio
    """

    async def put(view: SpaceView) -> list[bytes]:
        return await _decide(view, proposal_ids, confirmed=False)

    decided = with_space(space, put)
    if json:
        print_json({"kept": decided})
    else:
        say(f"{count_text(len(decided), 'asset')} stay in {space}, and are proposed no more.")


async def _decide(view: SpaceView, prefixes: list[str], *, confirmed: bool) -> list[bytes]:
    """Decide each of the proposals, all of which are found before the first is decided."""
    found = {one.proposal_id: one for one in [await find_proposal(view, prefix) for prefix in prefixes]}
    return [asset_id for one in found.values() for asset_id in await decide_deletion(view, one, confirmed=confirmed)]
