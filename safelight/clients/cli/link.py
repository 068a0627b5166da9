"""`safelight link …`: share links, each with its own key and policy."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

from safelight.clients.camera.develop.pool import developers
from safelight.clients.camera.watermarks import check_text, watermark
from safelight.clients.cli.asking import LINK_PASSWORD_VARIABLE, ask_new_password
from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.expiry import parse_expiry
from safelight.clients.cli.member_names import shown_name
from safelight.clients.cli.output import (
    Column,
    JsonOption,
    count_text,
    date_text,
    note,
    print_json,
    print_qr,
    print_table,
    say,
)
from safelight.clients.cli.progress import CountProgress
from safelight.clients.cli.running import in_spaces, with_account, with_space
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.albums import Album, find_album
from safelight.clients.engine.link_listing import ListedLink, find_link, list_links, revoke_link
from safelight.clients.engine.link_making import LinkWish, MadeLink, create_link
from safelight.clients.engine.members import list_members
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.refusals import Code, Refused

T = TypeVar("T")

_GONE = "(no longer a member)"

app = typer.Typer(no_args_is_help=True, help="Links: show an album to whoever has the address.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The link's id, or as much of it as is its alone.")]


@app.command()
def create(
    album: Annotated[str, typer.Option("--album", metavar="NAME", help="The album to show.")],
    space: SpaceOption,
    *,
    password: Annotated[bool, typer.Option("--password", help="Ask for a password that guests must know.")] = False,
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="7d, 12h, 30m, 2w, or a date: the end of that day.")
    ] = "",
    no_originals: Annotated[
        bool, typer.Option("--no-originals", help="Show previews; no original can be had, by nobody, with this link.")
    ] = False,
    max_opens: Annotated[
        int, typer.Option("--max-opens", metavar="N", min=0, help="How many browsers may open it; 0 for no limit.")
    ] = 0,
    watermark_text: Annotated[
        str | None,
        typer.Option("--watermark", metavar="TEXT", help="Show previews with this text all over them, no originals."),
    ] = None,
    label: Annotated[str, typer.Option("--label", help="A note for yourself; no guest sees it.")] = "",
    json: JsonOption = False,
) -> None:
    """Make a link that shows an album as it is now. Its address is the key: send it to whom you trust with it.

    In a family space links never hold originals. A link with a watermark never does, anywhere: its pictures are drawn
    anew on this computer, and neither an original nor a clean preview can be had with it. Where the album requires
    approval, it shows what is approved.

    Example: safelight link create --album Summer --space Family --password --expires 7d

    Example: safelight link create --album Proofs --space Studio --watermark 'Proof for Kolibri'
    """
    expires_ms = parse_expiry(expires, datetime.now(UTC)) if expires else 0
    text = None if watermark_text is None else check_text(watermark_text)
    chosen = ask_new_password("Password for the link", variable=LINK_PASSWORD_VARIABLE) if password else None
    wish = LinkWish(chosen, expires_ms, max_opens, False if no_originals else None, label)

    async def make(view: SpaceView) -> tuple[MadeLink, str]:
        found = await find_album(view, album)
        made = await (create_link(view, found, wish) if text is None else _watermarked(view, found, wish, text))
        return made, (await view.session.connection.server_info()).warning

    made, warning = with_space(space, make)
    if not made.originals and not no_originals and text is None:
        note("This space allows links without originals only: this one shows previews.")
    _report(made, warning, text or "", expires_ms, json=json)


def _report(made: MadeLink, warning: str, watermark_text: str, expires_ms: int, *, json: bool) -> None:
    """Print a new link, and what its maker should know of it."""
    if made.failed_count:
        note(f"{count_text(made.failed_count, 'preview')} could not be drawn anew: shown without a picture.")
    if made.left_out_count:
        left_out = count_text(made.left_out_count, "picture is", "pictures are")
        note(f"{left_out} left out, not being approved: safelight album approve says what may be shown.")
    if warning:
        note(warning)
    if json:
        print_json(
            {
                "id": made.link_id,
                "url": made.url,
                "originals": made.originals,
                "assets": made.asset_count,
                "watermark": watermark_text,
                "failed": made.failed_count,
                "left_out": made.left_out_count,
                "expires_ms": expires_ms,
                "warning": warning,
            }
        )
        return
    say(made.url)
    print_qr(made.url)


async def _watermarked(view: SpaceView, album: Album, wish: LinkWish, text: str) -> MadeLink:
    async with developers() as pool:
        with CountProgress("Watermarking") as progress:
            drawn = replace(wish, watermark=watermark(pool, text))
            return await create_link(view, album, drawn, on_progress=progress.reached)


@app.command(name="list")
def list_(json: JsonOption = False) -> None:
    """List the links of all your spaces, newest first in each."""

    async def look(session: AccountSession) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []

        async def collect(view: SpaceView) -> None:
            name, makers = await view.name(), await _makers(view)
            rows.extend([_row(link, name, makers) for link in await list_links(view)])

        await in_spaces(session, collect)
        return rows

    rows = with_account(look)
    if json:
        print_json(rows)
        return
    columns = [Column("id"), Column("space"), Column("state"), Column("opened", right=True), Column("expires")]
    columns += [Column("label", fold=True), Column("watermark", fold=True), Column("made by", fold=True)]
    print_table(
        columns,
        (
            (row["id"][:12], row["space"], row["state"], _opens(row), date_text(row["expires_ms"]), *_notes(row))
            for row in rows
        ),
    )


@app.command()
def show(link_id: IdArgument, json: JsonOption = False) -> None:
    """Show a link's address again, and how it stands.

    Example: safelight link show 91d0
    """

    async def look(view: SpaceView) -> dict[str, Any] | None:
        found = find_link(view, link_id)
        listed = [] if found is None else await list_links(view)
        name, makers = await view.name(), await _makers(view)
        return next((_row(link, name, makers) for link in listed if found and link.row.link_id == found.hex()), None)

    row = _in_some_space(link_id, look)
    if json:
        print_json(row)
        return
    say(row["url"] or "Its address does not open with this account's keys.")
    if row["url"]:
        print_qr(row["url"])
    say(f"{row['state']}, opened {_opens(row)}, expires {date_text(row['expires_ms']) or 'never'}")
    if row["watermark"]:
        say(f"Watermarked: {row['watermark']}")


@app.command()
def revoke(link_id: IdArgument, json: JsonOption = False) -> None:
    """Withdraw a link: it opens no more, and downloads under way stop. What was downloaded stays downloaded.

    Example: safelight link revoke 91d0
    """

    async def withdraw(view: SpaceView) -> bytes | None:
        found = find_link(view, link_id)
        if found is not None:
            await revoke_link(view, found)
        return found

    revoked = _in_some_space(link_id, withdraw)
    if json:
        print_json({"id": revoked, "state": "revoked"})
    else:
        say("The link is withdrawn.")


def _in_some_space(link_id: str, work: Callable[[SpaceView], Coroutine[object, object, T | None]]) -> T:
    """Do *work* in the space that has the link; NOT_FOUND where none has."""

    async def inside(session: AccountSession) -> T:
        found = await in_spaces(session, work)
        if found is None:
            raise Refused(Code.NOT_FOUND, f"no link's id begins with {link_id[:32]!r}")
        return found

    return with_account(inside)


async def _makers(view: SpaceView) -> dict[bytes, str]:
    """Members by account, as `member list` shows them."""
    return {one.account_id: shown_name(one) for one in await list_members(view)}


def _row(link: ListedLink, space: str, makers: dict[bytes, str]) -> dict[str, Any]:
    row = link.row
    return {
        "id": row.link_id,
        "space": space,
        "url": link.url,
        "state": row.state,
        "tier": row.tier,
        "password": link.has_password,
        "watermark": link.watermark,
        "label": link.label,
        "made_by": link.maker_id,
        "maker": makers.get(link.maker_id, _GONE),
        "created_ms": row.created_ms,
        "expires_ms": row.expires_ms,
        "opens": row.opens,
        "max_opens": row.max_opens,
        "last_opened_ms": row.last_opened_ms,
        "downloads": row.downloads,
    }


def _notes(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["label"], row["watermark"], row["maker"]


def _opens(row: dict[str, Any]) -> str:
    return f"{row['opens']} of {row['max_opens']}" if row["max_opens"] else f"{row['opens']}×"
