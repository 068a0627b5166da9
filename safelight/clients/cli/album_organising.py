"""`safelight album remove|rename`: by who organises in the space, or whose grant of the album lets them."""

from collections.abc import Sequence
from typing import Annotated

import typer

from safelight.clients.cli.album_grants import TitleArgument
from safelight.clients.cli.asset import AnySpaceOption
from safelight.clients.cli.output import JsonOption, count_text, note, print_json, say
from safelight.clients.cli.running import warn_of_problems, with_account, with_space
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.album_links import links_that_go_on
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.assets import AssetReader
from safelight.clients.engine.granted import find_granted
from safelight.clients.engine.organising import (
    album_of_grant,
    album_of_space,
    remove_from_album,
    rename_album,
    rename_granted,
)
from safelight.clients.engine.space_view import SpaceView


def remove(
    title: TitleArgument,
    asset_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Assets, by as much of their ids as is theirs alone.")
    ],
    space: AnySpaceOption = None,
    json: JsonOption = False,
) -> None:
    """Take assets out of an album. They stay in the space, and `safelight album add` puts them back.

    Whoever the album is granted to sees them no more; what they saw they may have kept. An approval of theirs in the
    album is over. An album without --space is one that others granted to you and let you organise.

    Example: safelight album remove Summer --space Family 3f2a 77c1

    Example: safelight album remove Wedding 3f2a
    """

    async def take_out(view: SpaceView) -> tuple[list[bytes], list[bytes]]:
        reader, album = AssetReader(view), await find_album(view, title)
        wanted = [reader.place(prefix).asset_id for prefix in asset_ids]
        removed = await remove_from_album(album_of_space(view, album), wanted)
        return removed, links_that_go_on(view, album, removed) if removed else []

    async def take_out_of_granted(session: AccountSession) -> list[bytes]:
        view, reader, granted = await find_granted(session, title)
        warn_of_problems(view.problems)
        wanted = [reader.asset_id(prefix) for prefix in asset_ids]
        return await remove_from_album(album_of_grant(view, granted.album_id), wanted)

    links: list[bytes] = []
    if space is not None:
        removed, links = with_space(space, take_out)
    else:
        removed = with_account(take_out_of_granted)
    if json:
        print_json({"removed": removed, "links": links} if space is not None else {"removed": removed})
        return
    what = count_text(len(removed), "asset")
    say(f"{what} taken out of {title}. Nothing is deleted.")
    if space is not None:
        note(f"To put them back: safelight album add {title} --space {space} ID...")
    else:
        note("Who organises its space can put them back. Links that were made before may go on showing them.")
    _note_links(links)


def _note_links(link_ids: Sequence[bytes]) -> None:
    if link_ids:
        links = count_text(len(link_ids), "link that was made before goes", "links that were made before go")
        note(f"{links} on showing them until revoked: safelight link revoke {link_ids[0].hex()[:12]}")
    for link_id in link_ids[1:]:
        note(f"                      also: safelight link revoke {link_id.hex()[:12]}")


def rename(
    title: TitleArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its name from now on.")],
    space: AnySpaceOption = None,
    json: JsonOption = False,
) -> None:
    """Rename an album, for everyone who sees it. Links that were made before keep the name that they show.

    An album without --space is one that others granted to you and let you organise.

    Example: safelight album rename Summer "Summer in Denmark" --space Family
    """

    async def change(view: SpaceView) -> tuple[bytes, str]:
        album = await find_album(view, title)
        return album.album_id, await rename_album(view, album, new)

    async def change_granted(session: AccountSession) -> tuple[bytes, str]:
        view, _, granted = await find_granted(session, title)
        warn_of_problems(view.problems)
        return granted.album_id, await rename_granted(view, granted.album_id, new)

    album_id, name = with_space(space, change) if space is not None else with_account(change_granted)
    if json:
        print_json({"id": album_id, "name": name})
    else:
        say(f"{title} is called {name}.")
