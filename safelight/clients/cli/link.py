"""`safelight link …`: share links, each with its own key and policy."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

from safelight.clients.camera.develop.pool import developers
from safelight.clients.camera.watermarks import check_text, watermark
from safelight.clients.cli.asking import LINK_PASSWORD_VARIABLE, Misuse, ask_new_password
from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.camera import FolderArgument, NoRenditionsOption
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
from safelight.clients.cli.upload_link import (
    DEFAULT_MAX_FILES,
    DEFAULT_MAX_GUESTS,
    DEFAULT_QUOTA,
    UploadWish,
    make_upload_link,
    report_upload_link,
    taken_text,
    upload_by_link,
    upload_row,
    upload_wish,
)
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.albums import Album, find_album
from safelight.clients.engine.keyring_document import KnownSpace
from safelight.clients.engine.link_listing import ListedLink, find_link, list_links, revoke_link
from safelight.clients.engine.link_making import LinkWish, MadeLink, create_link
from safelight.clients.engine.members import list_members
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.upload_links import close_upload_link, find_upload_link, list_upload_links
from safelight.sync_protocol.refusals import Code, Refused

T = TypeVar("T")

_GONE = "(no longer a member)"

app = typer.Typer(no_args_is_help=True, help="Links: show an album to whoever has the address.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The link's id, or as much of it as is its alone.")]


@app.command()
def create(
    space: SpaceOption,
    album: Annotated[
        str | None, typer.Option("--album", metavar="NAME", help="The album to show, or with --upload to fill as well.")
    ] = None,
    *,
    upload: Annotated[bool, typer.Option("--upload", help="Make a link by which guests add, and see nothing.")] = False,
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
    title: Annotated[str, typer.Option("--title", help="With --upload: what guests are told that they add to.")] = "",
    quota: Annotated[
        str, typer.Option("--quota", metavar="SIZE", help=f"With --upload: of all guests, {DEFAULT_QUOTA} if not said.")
    ] = "",
    max_files: Annotated[
        int,
        typer.Option(
            "--max-files", metavar="N", min=0, help=f"With --upload: of all guests, {DEFAULT_MAX_FILES} if not said."
        ),
    ] = 0,
    max_guests: Annotated[
        int,
        typer.Option(
            "--max-guests", metavar="N", min=0, help=f"With --upload: computers, {DEFAULT_MAX_GUESTS} if not said."
        ),
    ] = 0,
    json: JsonOption = False,
) -> None:
    """Make a link that shows an album as it is now. Its address is the key: send it to whom you trust with it.

    In a family space links never hold originals. A link with a watermark never does, anywhere: its pictures are drawn
    anew on this computer, and neither an original nor a clean preview can be had with it. Where the album requires
    approval, it shows what is approved.

    Example: safelight link create --album Summer --space Family --password --expires 7d

    With --upload it is a link for adding instead: guests see nothing, not even each other's pictures. It ends after
    30 days if you do not say otherwise.

    Example: safelight link create --album Proofs --space Studio --watermark 'Proof for Kolibri'

    Example: safelight link create --upload --album Wedding --space Family --expires 14d --quota 20GB
    """
    if upload:
        if password or no_originals or max_opens or watermark_text is not None:
            raise Misuse(
                "an upload link shows nothing, so it takes no --password, --no-originals, --max-opens, --watermark"
            )
        _create_upload(space, album, _upload_wish(expires, quota, max_files, max_guests, title, label), json=json)
        return
    if album is None:
        raise Misuse("say which album to show: --album NAME")
    if title or quota or max_files or max_guests:
        raise Misuse("--title, --quota, --max-files and --max-guests go with --upload")
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


def _create_upload(space: str, album: str | None, wish: UploadWish, *, json: bool) -> None:
    made, warning = with_space(space, lambda view: make_upload_link(view, wish, album))
    report_upload_link(made, warning, wish, album, json=json)


def _upload_wish(expires: str, quota: str, max_files: int, max_guests: int, title: str, label: str) -> UploadWish:
    return upload_wish(
        expires=expires,
        quota=quota or DEFAULT_QUOTA,
        max_files=max_files or DEFAULT_MAX_FILES,
        max_guests=max_guests or DEFAULT_MAX_GUESTS,
        title=title,
        label=label,
    )


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
            rows.extend([upload_row(link, name, makers, _GONE) for link in await list_upload_links(view)])

        await in_spaces(session, collect)
        return rows

    rows = with_account(look)
    if json:
        print_json(rows)
        return
    columns = [Column("id"), Column("space"), Column("state"), Column("used", right=True), Column("expires")]
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
        if (uploading := find_upload_link(view, link_id)) is not None:
            [found_upload] = [each for each in await list_upload_links(view) if each.link_id == uploading]
            return upload_row(found_upload, await view.name(), await _makers(view), _GONE)
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
    used = f"{taken_text(row)} taken" if row["kind"] == "upload" else f"opened {_opens(row)}"
    say(f"{row['state']}, {used}, expires {date_text(row['expires_ms']) or 'never'}")
    if row.get("watermark"):
        say(f"Watermarked: {row['watermark']}")


@app.command()
def revoke(link_id: IdArgument, json: JsonOption = False) -> None:
    """Withdraw a link: it opens no more, and downloads under way stop. What was downloaded stays downloaded.

    Example: safelight link revoke 91d0
    """
    revoked = _in_some_space(link_id, lambda view: withdraw(view, link_id))
    if json:
        print_json({"id": revoked, "state": "revoked"})
    else:
        say("The link is withdrawn.")


@app.command()
def upload(
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="The link; - asks for it, or reads standard input.", show_default=False),
    ],
    folder: FolderArgument,
    no_renditions: NoRenditionsOption = False,
    json: JsonOption = False,
) -> None:
    """Add what is new in a folder by somebody's upload link. It needs no account, and shows nothing that is there.

    An interrupted upload is completed by the next one with the same link, which sends nothing twice. A link in the
    command itself can be read by other users of this computer while the command runs, and stays in the shell's history;
    with - it is asked for.

    Example: safelight link upload 'https://photos.example/s/5be0…#…' ~/Pictures/wedding

    Example: safelight link upload - ~/Pictures/wedding < link.txt
    """
    upload_by_link(url, folder, renditions=not no_renditions, json=json)


async def withdraw(view: SpaceView, prefix: str) -> bytes | None:
    """Revoke or close the link of the space that begins with *prefix*; BAD_REQUEST where two do."""
    shows, uploads = find_link(view, prefix), find_upload_link(view, prefix)
    if shows is not None and uploads is not None:
        raise Refused(Code.BAD_REQUEST, f"more than one link's id begins with {prefix[:32]!r}")
    if uploads is not None:
        await close_upload_link(view, uploads)
    if shows is not None:
        await revoke_link(view, shows)
    return uploads if shows is None else shows


def _in_some_space(link_id: str, work: Callable[[SpaceView], Coroutine[object, object, T | None]]) -> T:
    """Do *work* in the one space that has the link; NOT_FOUND where none has, BAD_REQUEST where two have.

    *A link of somebody else's space that begins alike* would be withdrawn in its place.
    """

    async def inside(session: AccountSession) -> T:
        holders: list[KnownSpace] = []

        async def look(view: SpaceView) -> None:
            if find_link(view, link_id) is not None or find_upload_link(view, link_id) is not None:
                holders.append(view.known)

        await in_spaces(session, look)
        if len(holders) > 1:
            raise Refused(Code.BAD_REQUEST, f"links of more than one space begin with {link_id[:32]!r}")
        for known in holders:
            with SpaceView(session, known) as view:
                await view.sync()
                found = await work(view)
            if found is not None:
                return found
        raise Refused(Code.NOT_FOUND, f"no link's id begins with {link_id[:32]!r}")

    return with_account(inside)


async def _makers(view: SpaceView) -> dict[bytes, str]:
    """Members by account, as `member list` shows them."""
    return {one.account_id: shown_name(one) for one in await list_members(view)}


def _row(link: ListedLink, space: str, makers: dict[bytes, str]) -> dict[str, Any]:
    row = link.row
    return {
        "id": row.link_id,
        "kind": "show",
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
    return row["label"], row.get("watermark", ""), row["maker"]


def _opens(row: dict[str, Any]) -> str:
    if row["kind"] == "upload":
        return taken_text(row)
    return f"{row['opens']} of {row['max_opens']}" if row["max_opens"] else f"{row['opens']}×"
