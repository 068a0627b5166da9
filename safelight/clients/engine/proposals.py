"""Deletions that one member proposes and another confirms or declines (docs/spec/records.md §9)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from safelight.clients.engine.epochs import DOES_NOT_OPEN
from safelight.clients.engine.index import AssetPlace
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.trash import Changed
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.padding import pad, unpad
from safelight.sync_protocol.records import DecideDeletionBody, ProposeDeletionBody, RecordKind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box
from safelight.sync_protocol.wire import unpack

MAX_NOTE_LENGTH = 1000
_MAX_ATTEMPTS = 3
# What says that somebody else was faster: what they wrote is taken in before the next attempt.
_OVERTAKEN = frozenset({Code.UNCHANGED, Code.EPOCH_OLD})


@dataclass(frozen=True, slots=True)
class Proposal:
    """What of one proposal is not decided yet: who made it, when (the server's time), and why.

    Its id is that of its entry. `note` is None where it does not open, as for who reads the view tier.
    """

    proposal_id: bytes
    author_id: bytes
    time_ms: int
    note: str | None
    places: Sequence[AssetPlace]


async def propose_deletion(space: SpaceView, asset_ids: Iterable[bytes], note: str = "") -> Changed:
    """Propose assets for the trash; what is proposed or in the trash already stays as it is.

    Raises RIGHT_MISSING, NOT_FOUND, and BAD_REQUEST for a note of more than 1000 characters.
    """
    _check_right(space, Right.PROPOSE_DELETION)
    if len(note) > MAX_NOTE_LENGTH:
        raise Refused(Code.BAD_REQUEST, f"a note has at most {MAX_NOTE_LENGTH} characters")
    wanted = list(dict.fromkeys(asset_ids))
    if unknown := set(wanted) - space.index.known_assets(wanted):
        raise Refused(Code.NOT_FOUND, f"no asset {min(unknown).hex()[:12]}")
    result = Changed()
    for start in range(0, len(wanted), MAX_ASSETS_PER_RECORD):
        some = wanted[start : start + MAX_ASSETS_PER_RECORD]
        proposed = await _propose(space, some, note)
        result.changed += proposed
        result.already += [asset_id for asset_id in some if asset_id not in proposed]
    return result


async def _propose(space: SpaceView, asset_ids: Sequence[bytes], note: str) -> list[bytes]:
    """Commit what is neither proposed nor in the trash, and return it."""
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        taken = space.index.in_trash(asset_ids) | space.index.proposed(asset_ids)
        left = [asset_id for asset_id in asset_ids if asset_id not in taken]
        if not left:
            break
        held = await space.epoch_secrets()
        place = _note_place(space, held.number, space.session.account_id, left)
        box = seal_box(held.full_metadata_key, place, pad(note.encode()), nonce=random_nonce())
        try:
            await space.commit(RecordKind.PROPOSE_DELETION, ProposeDeletionBody(held.number, left, box))
        except Refused as refusal:
            if refusal.code not in _OVERTAKEN or attempt == _MAX_ATTEMPTS:
                raise
            await space.sync()
        else:
            return left
    return []


async def list_proposals(space: SpaceView) -> list[Proposal]:
    """List what is proposed and not decided, the oldest first."""
    found = []
    for number, places in space.index.proposals().items():
        entry = parse_entry(space.index.envelope_at(number) or b"")
        body = unpack(entry.body, ProposeDeletionBody)
        author_id = entry.header.author_id
        note = await _open_note(space, author_id, body)
        found.append(Proposal(entry.id, author_id, space.index.time_at(number), note, places))
    return found


async def _open_note(space: SpaceView, author_id: bytes, body: ProposeDeletionBody) -> str | None:
    """The note, or None: *one that does not open* hides neither its proposal nor the others."""
    try:
        held = await space.epoch_secrets(body.epoch)
        place = _note_place(space, body.epoch, author_id, body.asset_ids)
        return unpad(open_box(held.full_metadata_key, place, body.note)).decode("utf-8", "replace")
    except Refused as refusal:
        if refusal.code not in DOES_NOT_OPEN | {Code.FORBIDDEN, Code.PADDING_INVALID}:
            raise
        return None


def _note_place(space: SpaceView, epoch: int, author_id: bytes, asset_ids: Sequence[bytes]) -> bytes:
    return context(Label.DELETION_NOTE, space.space_id, uint(epoch), author_id, *asset_ids)


async def find_proposal(space: SpaceView, prefix: str) -> Proposal:
    """Return the proposal whose id begins with *prefix*; NOT_FOUND for none, BAD_REQUEST for more than one."""
    wanted = prefix.strip().lower()
    found = [one for one in await list_proposals(space) if wanted and one.proposal_id.hex().startswith(wanted)]
    if not found:
        raise Refused(Code.NOT_FOUND, f"nothing that is proposed has an id that begins with {wanted[:32]!r}")
    if len(found) > 1:
        raise Refused(Code.BAD_REQUEST, f"more than one proposal's id begins with {wanted!r}")
    return found[0]


async def decide_deletion(space: SpaceView, proposal: Proposal, *, confirmed: bool) -> list[bytes]:
    """Put what is proposed into the trash (*confirmed*), or leave it where it is; returns the assets decided now.

    Whoever decides signs the assets that they saw, and no others. Raises RIGHT_MISSING for who may not both approve and
    trash; none are returned where somebody else was faster.
    """
    for right in (Right.APPROVE, Right.TRASH):
        _check_right(space, right)
    asset_ids = [place.asset_id for place in proposal.places]
    left = [asset_id for asset_id in asset_ids if asset_id in space.index.proposed(asset_ids)]
    if not left:
        return []
    try:
        await space.commit(RecordKind.DECIDE_DELETION, DecideDeletionBody(left, confirmed))
    except Refused as refusal:
        if refusal.code is not Code.UNCHANGED:
            raise
        await space.sync()
        return []
    return left


def _check_right(space: SpaceView, right: Right) -> None:
    """Say before anything is done what the server would say."""
    if right not in space.state.rights_of(space.session.account_id):
        raise Refused(Code.RIGHT_MISSING, right.value)
