"""What `asset mirror` and `asset move` share: which assets of one space are meant, and both spaces opened."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Annotated

import typer

from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.running import enter
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.assets import AssetReader
from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_space
from safelight.sync_protocol.refusals import Code, Refused

SourceOption = Annotated[str, typer.Option("--from", metavar="NAME", help="The space where they are.")]
ChosenArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Assets, by as much of their ids as is theirs alone.")
]
ChosenAlbumOption = Annotated[str, typer.Option("--album", metavar="TITLE", help="All that is in this album.")]
EverythingOption = Annotated[bool, typer.Option("--all", help="All of the space's assets.")]


def check_chosen(asset_ids: list[str] | None, album: str, *, everything: bool) -> None:
    """Raise Misuse unless the assets are chosen in exactly one way."""
    if sum((bool(asset_ids), bool(album), everything)) != 1:
        raise Misuse("name the assets by their ids, or an --album, or say --all")


@asynccontextmanager
async def both_spaces(session: AccountSession, source: str, target: str) -> AsyncIterator[tuple[SpaceView, SpaceView]]:
    """Open two spaces by their names; BAD_REQUEST where they are one."""
    with ExitStack() as both:
        first = both.enter_context(await find_space(session, source))
        second = both.enter_context(await find_space(session, target))
        if first.space_id == second.space_id:
            raise Refused(Code.BAD_REQUEST, "these are the same space")
        await enter(first)
        await enter(second)
        yield first, second


@contextmanager
def room_in(target: str) -> Iterator[None]:
    """Say which of the two spaces is full, and what became of those that came over before it was."""
    try:
        yield
    except Refused as refusal:
        if refusal.code is not Code.QUOTA_EXCEEDED:
            raise
        goes_on = "what came over by now is in both spaces, and running it again goes on"
        raise Refused(refusal.code, f"{target}: {refusal.detail}; {goes_on}") from None


async def places_of(space: SpaceView, asset_ids: list[str], album: str) -> list[AssetPlace]:
    """Where the chosen assets stand in the space."""
    if album:
        return space.index.album_assets((await find_album(space, album)).album_id)
    if not asset_ids:
        return list(space.index.assets())
    reader = AssetReader(space)
    return [reader.place(prefix) for prefix in asset_ids]
