"""`safelight album approval|approve|disapprove`: what the links of an album may show, and who says so."""

from collections.abc import Sequence
from typing import Annotated

import typer

from safelight.clients.cli.album_grants import TitleArgument
from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.output import JsonOption, count_text, note, print_json, say
from safelight.clients.cli.running import with_space
from safelight.clients.engine.album_links import drawn_links
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.approvals import (
    approve as approve_assets,
)
from safelight.clients.engine.approvals import (
    set_requires_approval,
    wanted_assets,
    wanted_places,
    withdraw_approval,
)
from safelight.clients.engine.space_view import SpaceView

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Assets, by as much of their ids as is theirs alone.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All that is in the album now.")]


def approval(
    title: TitleArgument,
    space: SpaceOption,
    on: Annotated[
        bool | None, typer.Option("--on/--off", help="Whether its links show approved pictures only.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say that an album's links show approved pictures only, or that they show all again.

    It holds for links that are out already, too: of what is not approved their guests get no more. Approve first, then
    switch it on, and no guest misses anything. Who organises or approves switches it on; off, only who approves. People
    of the space, and those whom the album is granted to, see all of it as before.

    Example: safelight album approval Proofs --space Studio --on

    Example: safelight member invite "Anna at Kolibri" --space Studio --role previewer --rights approve
    """
    if on is None:
        raise Misuse("say --on or --off")

    async def switch(view: SpaceView) -> tuple[bytes, list[bytes]]:
        album = await find_album(view, title)
        await set_requires_approval(view, album, on=on)
        return album.album_id, drawn_links(view, album) if on else []

    album_id, drawn = with_space(space, switch)
    if json:
        print_json({"id": album_id, "approval": on, "watermarked_links": drawn})
        return
    say(f"Links of {title} show {'approved pictures only' if on else 'all of it'}.")
    _note_drawn(drawn)


def approve(
    title: TitleArgument,
    space: SpaceOption,
    asset_ids: IdsArgument = None,
    everything: AllOption = False,
    json: JsonOption = False,
) -> None:
    """Approve pictures of an album, each with all of its files as they are: its links may show them.

    Look at them before: `safelight asset list --album`, `safelight asset get ID --rendition preview`. Links that were
    made without a picture do not get it; make another.

    Example: safelight album approve Proofs --space Studio 3f2a 77c1
    """
    _check_named(asset_ids, everything=everything)

    async def give(view: SpaceView) -> list[bytes]:
        album = await find_album(view, title)
        assets = await wanted_assets(view, album, asset_ids or [])
        if everything and len(assets) < album.asset_count:
            note(f"{count_text(album.asset_count - len(assets), 'picture')} cannot be looked at here: left as before.")
        return await approve_assets(view, album, assets)

    approved = with_space(space, give)
    if json:
        print_json({"approved": approved})
    else:
        say(f"{count_text(len(approved), 'picture')} of {title} approved.")


def disapprove(
    title: TitleArgument,
    space: SpaceOption,
    asset_ids: IdsArgument = None,
    everything: AllOption = False,
    json: JsonOption = False,
) -> None:
    """Withdraw the approval of pictures: links of an album that requires it give them to nobody any more.

    What guests have seen they may have kept, and a link's page goes on to show a blurred outline, caption and time.
    Where that matters, or the link is a watermarked one, revoke it.

    Example: safelight album disapprove Proofs --space Studio 3f2a
    """
    _check_named(asset_ids, everything=everything)

    async def take(view: SpaceView) -> tuple[list[bytes], list[bytes]]:
        album = await find_album(view, title)
        withdrawn = await withdraw_approval(view, album, wanted_places(view, album, asset_ids or []))
        return withdrawn, drawn_links(view, album) if withdrawn else []

    withdrawn, drawn = with_space(space, take)
    if json:
        print_json({"withdrawn": withdrawn, "watermarked_links": drawn})
        return
    say(f"{count_text(len(withdrawn), 'approval')} of {title} withdrawn.")
    _note_drawn(drawn)


def _check_named(asset_ids: Sequence[str] | None, *, everything: bool) -> None:
    if bool(asset_ids) == everything:
        raise Misuse("name the pictures by their ids, or say --all")


def _note_drawn(link_ids: Sequence[bytes]) -> None:
    """Watermarked links show pictures of their own, and the server cannot tell which are of what."""
    if link_ids:
        links = count_text(len(link_ids), "watermarked link shows", "watermarked links show")
        note(f"{links} what was drawn before. To end one: safelight link revoke {link_ids[0].hex()[:12]}")
    for link_id in link_ids[1:]:
        note(f"                      also: safelight link revoke {link_id.hex()[:12]}")
