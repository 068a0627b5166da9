"""What helper processes do: verify many signatures, and open many assets to list them. Pure, and no more than that.

Whoever asks could do each of it by itself, with the same outcome, and does where no helper answers. A listing needs no
keys afterwards, so none come back.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from safelight.clients.engine.rolls import RollKeys, open_asset_keys, open_full_part, open_view_part
from safelight.sync_protocol import signatures
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import AssetBody, FullPart, ViewPart, added_by
from safelight.sync_protocol.refusals import Code, Refused

SIZE_BYTES = 4  # of the length before each request and each answer


class VerifySignatures(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Whether every one of these holds: the public key, the signature, and what it is over. Answered by a bool."""

    signatures: Sequence[tuple[bytes, bytes, bytes]]


class SealedRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record that added assets, as kept; the ids under which the index has them, in its order; and its roll."""

    envelope: bytes
    asset_ids: list[bytes]
    roll: RollKeys


class ListAssets(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Open these records' assets and say what a listing shows of them. Answered by a list of `ListedAsset`."""

    space_id: bytes
    records: list[SealedRecord]


Request: TypeAlias = VerifySignatures | ListAssets


class ListedAsset(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a listing shows of an asset, opened and verified; of one that does not open, its id alone (`is_damaged`)."""

    asset_id: bytes
    kind: str = ""
    name: str = ""
    taken: str = ""
    size_bytes: int = 0
    renditions: tuple[str, ...] = ()

    @property
    def is_damaged(self) -> bool:
        """Whether it did not open."""
        return not self.kind


def verify_all(request: VerifySignatures) -> bool:
    """Whether all the signatures hold."""
    try:
        for each in request.signatures:
            signatures.verify(*each)
    except Refused:
        return False
    return True


def list_assets(request: ListAssets) -> list[ListedAsset]:
    """Open the assets of all records, in order; one that does not open is listed as damaged, and hides no other."""
    return [listed for record in request.records for listed in _listed(record, request.space_id)]


def _listed(record: SealedRecord, space_id: bytes) -> Iterator[ListedAsset]:
    try:
        entry = parse_entry(record.envelope)
        bodies = added_by(entry.header.kind, entry.body).assets
    except Refused:
        bodies = []
    for position, asset_id in enumerate(record.asset_ids):
        try:
            yield _open(asset_id, bodies[position], record.roll, space_id)
        except (Refused, IndexError):
            yield ListedAsset(asset_id)


def _open(asset_id: bytes, body: AssetBody, roll: RollKeys, space_id: bytes) -> ListedAsset:
    if body.asset_id != asset_id:
        raise Refused(Code.OPEN_FAILED, "the index has another asset here")
    keys = open_asset_keys(body, roll, space_id)
    view = open_view_part(body, keys, space_id, roll.roll_id)
    full = None if keys.full is None else open_full_part(body, keys, space_id, roll.roll_id)
    return listed_asset(asset_id, body, view, full)


def listed_asset(asset_id: bytes, body: AssetBody, view: ViewPart, full: FullPart | None) -> ListedAsset:
    """What a listing shows of an asset that was opened; *full* is None for who reads the view tier."""
    return ListedAsset(
        asset_id=asset_id,
        kind=view.kind,
        name=full.name if full else "",
        taken=_taken(view),
        size_bytes=full.size_bytes if full else sum(ref.size_bytes for ref in body.renditions),
        renditions=tuple([ref.name.value for ref in body.renditions]),
    )


def _taken(view: ViewPart) -> str:
    """The capture time with its offset where that is known; empty where the file does not say when it was taken."""
    if not view.taken_local or view.taken_offset_min is None:
        return view.taken_local
    hours, minutes = divmod(abs(view.taken_offset_min), 60)
    return f"{view.taken_local}{'-' if view.taken_offset_min < 0 else '+'}{hours:02}:{minutes:02}"
