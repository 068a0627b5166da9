"""Approvals: an album may require them, and its links then show approved pictures only (docs/spec/albums.md §6).

An approval is of an asset as it is: it names the content, so that nothing else can come to stand under it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import Hash, Id, OptionalHash
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import HASH_SIZE_BYTES, MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.records import RenditionName, RenditionRef
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.wire import Signed

_MAY_SWITCH_ON = frozenset({Right.ORGANISE, Right.APPROVE})


class AlbumRulesBody(Signed, frozen=True):
    """What an album's links are held to from now on; the newest in the log counts."""

    album_id: Id
    requires_approval: bool


class ApprovalItem(Signed, frozen=True):
    """An asset that is approved, by its content (`content_of`), or whose approval is withdrawn, with none."""

    asset_id: Id
    content: OptionalHash


class ApproveAssetsBody(Signed, frozen=True):
    """Assets of an album that its links may show, or may show no more."""

    album_id: Id
    approved: bool
    items: Annotated[list[ApprovalItem], msgspec.Meta(min_length=1, max_length=MAX_ASSETS_PER_RECORD)]


def content_of(asset_id: bytes, files: Iterable[tuple[str, bytes]]) -> Hash:
    """Return what an approval names: all files of an asset, by rendition and blob, in the order of its record.

    The blob's name is the hash of its bytes, which open by no other key and as no other asset's.
    """
    parts = [part for name, blob in files for part in (name.encode(), blob)]
    return hashlib.sha256(context(Label.ASSET_CONTENT, asset_id, *parts)).digest()


def files_of(renditions: Sequence[RenditionRef]) -> list[tuple[RenditionName, bytes]]:
    """Return an asset's files as `content_of` takes them."""
    return [(ref.name, ref.blob) for ref in renditions]


def check_about_approval(state: LedgerState, entry: Entry, body: AlbumRulesBody | ApproveAssetsBody) -> None:
    """Check what a record about approval says; raises RIGHT_MISSING, ASSET_CONFLICT or ENTRY_MALFORMED."""
    if isinstance(body, AlbumRulesBody):
        _check_rules(state, entry, body)
    else:
        _check_items(body)


def _check_rules(state: LedgerState, entry: Entry, body: AlbumRulesBody) -> None:
    """Who organises or approves switches approval on; off only who approves.

    *An organiser who goes round the approver*: they could switch it off, make a link, and switch it on again.
    """
    enough = _MAY_SWITCH_ON if body.requires_approval else {Right.APPROVE}
    if not enough & state.rights_of(entry.header.author_id):
        raise Refused(Code.RIGHT_MISSING, Right.APPROVE.value)


def _check_items(body: ApproveAssetsBody) -> None:
    """Each asset once, with its content where it is approved. A withdrawal names none: it holds for all that it is."""
    if len({item.asset_id for item in body.items}) != len(body.items):
        raise Refused(Code.ASSET_CONFLICT, "an asset stands twice in one record")
    if any(len(item.content) != (HASH_SIZE_BYTES if body.approved else 0) for item in body.items):
        raise Refused(Code.ENTRY_MALFORMED, "an approval names the content, a withdrawal none")
