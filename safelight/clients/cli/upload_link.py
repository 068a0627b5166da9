"""Upload links at the command line: made and shown beside other links (`cli.link`), and used by their guests."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safelight.clients.camera.develop.pool import developers
from safelight.clients.camera.outcomes import Tally
from safelight.clients.camera.push import pushing
from safelight.clients.camera.sent import SentFiles
from safelight.clients.camera.who_adds import guest_adds
from safelight.clients.cli.asking import Misuse, ask_upload_link
from safelight.clients.cli.camera import report_push
from safelight.clients.cli.expiry import parse_expiry
from safelight.clients.cli.output import count_text, date_text, note, print_json, print_qr, say, size_text
from safelight.clients.cli.progress import PushProgress
from safelight.clients.cli.running import run
from safelight.clients.engine.albums import find_album
from safelight.clients.engine.guests import GuestAddress, guest_folder, open_guest, parse_upload_address
from safelight.clients.engine.profile import ProfileFolder, profile_path
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.upload_links import ListedUploadLink, MadeUploadLink, open_upload_link
from safelight.sync_protocol.limits import (
    MAX_BLOB_SIZE_BYTES,
    MAX_UPLOAD_LINK_FILES,
    MAX_UPLOAD_LINK_GUESTS,
    UPLOAD_LINK_MAX_AGE_S,
)
from safelight.sync_protocol.upload_entries import UploadTerms

DEFAULT_EXPIRY = "30d"
DEFAULT_QUOTA = "10GB"
DEFAULT_MAX_FILES = 1000
DEFAULT_MAX_GUESTS = 100
_SIZE = re.compile(r"^(\d{1,15}(?:\.\d{1,3})?)\s*([kmgt]i?)?b?$")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


@dataclass(frozen=True, slots=True)
class UploadWish:
    """What the options of `link create --upload` say."""

    terms: UploadTerms
    title: str
    label: str


def parse_size(text: str) -> int:
    """Return a size in bytes, from `500MB`, `10 GB` or `2GiB`; raises Misuse."""
    found = _SIZE.match(text.strip().lower())
    size_bytes = int(float(found[1]) * _UNITS[found[2] or ""]) if found else 0
    if not 0 < size_bytes <= MAX_BLOB_SIZE_BYTES * 1024:
        raise Misuse(f"--quota takes a size like 500MB or 10GB, not {text!r}")
    return size_bytes


def upload_wish(*, expires: str, quota: str, max_files: int, max_guests: int, title: str, label: str) -> UploadWish:
    """Read the options; raises Misuse for what no link can be."""
    expires_ms = parse_expiry(expires or DEFAULT_EXPIRY, datetime.now(UTC))
    if expires_ms - time.time_ns() // 1_000_000 > (UPLOAD_LINK_MAX_AGE_S - 3600) * 1000:
        raise Misuse("an upload link expires within a year")
    for name, value, most in (
        ("--max-files", max_files, MAX_UPLOAD_LINK_FILES),
        ("--max-guests", max_guests, MAX_UPLOAD_LINK_GUESTS),
    ):
        if not 1 <= value <= most:
            raise Misuse(f"{name} is a number from 1 to {most:,}")
    terms = UploadTerms(expires_ms, max_files, parse_size(quota), max_guests)
    return UploadWish(terms, title, label)


async def make_upload_link(view: SpaceView, wish: UploadWish, album: str | None) -> tuple[MadeUploadLink, str]:
    """Make the link; also what its maker is to be warned of."""
    found = None if album is None else await find_album(view, album)
    made = await open_upload_link(view, wish.terms, album=found, title=wish.title, label=wish.label)
    return made, (await view.session.connection.server_info()).warning


def report_upload_link(made: MadeUploadLink, warning: str, wish: UploadWish, album: str | None, *, json: bool) -> None:
    """Print a new upload link, and what its maker should know of it."""
    terms = wish.terms
    if warning:
        note(warning)
    if json:
        document: dict[str, Any] = {"id": made.link_id, "url": made.url, "album": album or "", "warning": warning}
        print_json({**document, **terms_document(terms)})
        return
    say(made.url)
    print_qr(made.url)
    where = f"{album} and its space" if album else "the space"
    note(f"Whoever has this address can add to {where}, and see nothing of it, until {date_text(terms.expires_ms)}:")
    note(
        f"{count_text(terms.max_files, 'file')} and {size_text(terms.quota_bytes)} of all guests together, "
        f"from at most {count_text(terms.max_guests, 'guest')}."
    )
    note("A guest adds a folder with: safelight link upload. A page to do it in a browser is not there yet.")


def terms_document(terms: UploadTerms) -> dict[str, int]:
    """What a link takes, as `--json` has it."""
    return {
        "expires_ms": terms.expires_ms,
        "max_files": terms.max_files,
        "quota_bytes": terms.quota_bytes,
        "max_guests": terms.max_guests,
    }


def upload_row(listed: ListedUploadLink, space: str, makers: dict[bytes, str], gone: str) -> dict[str, Any]:
    """An upload link as `link list --json` has it, beside links that show pictures."""
    link = listed.link
    return {
        "id": listed.link_id.hex(),
        "kind": "upload",
        "space": space,
        "url": listed.url,
        "state": listed.state,
        "label": listed.label or listed.title,
        "album_id": link.album_id.hex(),
        "made_by": link.made_by,
        "maker": makers.get(link.made_by, gone),
        "files": listed.files,
        "used_bytes": listed.used_bytes,
        "guests": link.guests,
        **terms_document(link.terms),
    }


def taken_text(row: dict[str, Any]) -> str:
    """How much of an upload link is taken."""
    if row["files"] is None:
        return f"{row['guests']} of {row['max_guests']} guests"
    return f"{row['files']} of {row['max_files']} files"


def upload_by_link(url: str | None, folder: Path, *, renditions: bool, json: bool) -> None:
    """Add what is new in a folder by an upload link; exits with 1 where a file could not be added."""
    address = parse_upload_address(ask_upload_link(url))
    path = guest_folder(profile_path(), address.link.link_id)
    with ProfileFolder(path) as held, PushProgress(quiet=json) as progress:
        report_push(run(_upload(held, address, folder, progress, renditions=renditions, json=json)), json=json)


async def _upload(
    held: ProfileFolder,
    address: GuestAddress,
    folder: Path,
    progress: PushProgress,
    *,
    renditions: bool,
    json: bool,
) -> Tally:
    async with open_guest(held, address) as guest:
        if not json:
            terms = guest.opened.head.terms
            title = f"to {guest.opened.title}" if guest.opened.title else "by this link"
            left = max(0, terms.max_files - guest.opened.files)
            note(f"Adding {title}. It takes {count_text(left, 'more file')} until {date_text(terms.expires_ms)}.")
        place = held.space_folder(guest.profile.space_id)
        who = guest_adds(guest, SentFiles(place / "sent", guest.committer))
        async with (
            developers() as pool,
            pushing(who, place / "spool", pool if renditions else None, progress) as pusher,
        ):
            return await pusher.push(folder)
