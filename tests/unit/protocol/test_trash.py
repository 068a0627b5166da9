"""The trash and what is proposed for it: what records may say, who may say it, and what they change."""

from collections.abc import Callable

import pytest

from safelight.sync_protocol import record_rules
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD, MAX_NOTE_BOX_SIZE_BYTES
from safelight.sync_protocol.records import (
    DecideDeletionBody,
    ProposeDeletionBody,
    RecordKind,
    RestoreAssetsBody,
    TrashAssetsBody,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role
from safelight.sync_protocol.trash import AboutTrash, TrashChange, after_change, trash_change
from tests.support.ledgers import Person, Signer, Space, id_of
from tests.support.members import member
from tests.support.refusing import refusal

A, B, C = (id_of(f"asset {name}") for name in "abc")
NOBODY = frozenset[bytes]()


def propose(asset_ids: list[bytes], epoch: int = 1, note: bytes = b"sealed") -> ProposeDeletionBody:
    """Propose assets for the trash."""
    return ProposeDeletionBody(epoch, asset_ids, note)


def confirm(asset_ids: list[bytes]) -> DecideDeletionBody:
    """Put what is proposed into the trash."""
    return DecideDeletionBody(asset_ids, confirmed=True)


def decline(asset_ids: list[bytes]) -> DecideDeletionBody:
    """Leave what is proposed where it is."""
    return DecideDeletionBody(asset_ids, confirmed=False)


BODIES: dict[RecordKind, Callable[[list[bytes]], AboutTrash]] = {
    RecordKind.TRASH_ASSETS: TrashAssetsBody,
    RecordKind.RESTORE_ASSETS: RestoreAssetsBody,
    RecordKind.PROPOSE_DELETION: propose,
    RecordKind.DECIDE_DELETION: confirm,
}
NEEDS = {
    RecordKind.TRASH_ASSETS: {Right.TRASH},
    RecordKind.RESTORE_ASSETS: {Right.TRASH},
    RecordKind.PROPOSE_DELETION: {Right.PROPOSE_DELETION},
    RecordKind.DECIDE_DELETION: {Right.APPROVE, Right.TRASH},
}


def check(space: Space, kind: RecordKind, body: AboutTrash, signer: Signer | None = None) -> object:
    """Judge a record about the trash by the space's ledger."""
    return record_rules.check_record(space.state, space.entry(kind, body, signer))


@pytest.mark.parametrize("kind", BODIES)
def test_an_asset_stands_once_in_a_record(space: Space, kind: RecordKind) -> None:
    """From one to two hundred, each once."""
    many, make = [index.to_bytes(16) for index in range(MAX_ASSETS_PER_RECORD)], BODIES[kind]
    assert check(space, kind, make(many))
    assert refusal(check, space, kind, make([A, B, A])) is Code.ASSET_CONFLICT
    assert refusal(check, space, kind, make([])) is Code.ENTRY_MALFORMED
    assert refusal(check, space, kind, make([*many, A])) is Code.ENTRY_MALFORMED


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("role", list(Role))
def test_who_may(space: Space, role: Role, kind: RecordKind) -> None:
    """Whose role has the right: to trash, to propose, and both to approve and to trash for deciding."""
    signer = member(space, Person("bert"), role)
    if NEEDS[kind] <= RIGHTS[role]:
        assert check(space, kind, BODIES[kind]([A]), signer)
    else:
        assert refusal(check, space, kind, BODIES[kind]([A]), signer) is Code.RIGHT_MISSING


@pytest.mark.parametrize("right", [Right.APPROVE, Right.TRASH])
@pytest.mark.parametrize("make", [confirm, decline])
def test_who_decides_has_both_rights(
    space: Space, right: Right, make: Callable[[list[bytes]], DecideDeletionBody]
) -> None:
    """*An editor who confirms their own proposal*, or who may approve and not trash: neither confirms nor declines."""
    signer = member(space, Person("bert"), Role.EDITOR, [right, Right.PROPOSE_DELETION])
    assert check(space, RecordKind.PROPOSE_DELETION, propose([A]), signer)
    assert refusal(check, space, RecordKind.DECIDE_DELETION, make([A]), signer) is Code.RIGHT_MISSING


def test_a_note_is_sealed_in_the_epoch_in_force(space: Space) -> None:
    """As everything that is sealed; and it is no larger than a note."""
    assert refusal(check, space, RecordKind.PROPOSE_DELETION, propose([A], epoch=2)) is Code.EPOCH_OLD
    large = propose([A], note=bytes(MAX_NOTE_BOX_SIZE_BYTES + 1))
    assert refusal(check, space, RecordKind.PROPOSE_DELETION, large) is Code.ENTRY_MALFORMED
    assert check(space, RecordKind.PROPOSE_DELETION, propose([A], note=bytes(MAX_NOTE_BOX_SIZE_BYTES)))


@pytest.mark.parametrize(
    ("body", "in_trash", "proposed", "change"),
    [
        (TrashAssetsBody([A, B]), set(), set(), TrashChange(trashed=[A, B])),
        (TrashAssetsBody([A, B, C]), {B}, set(), TrashChange(trashed=[A, C])),
        (TrashAssetsBody([A, B]), set(), {B, C}, TrashChange(trashed=[A, B], settled=[B])),
        (RestoreAssetsBody([A, B]), {A, B, C}, set(), TrashChange(restored=[A, B])),
        (RestoreAssetsBody([A, B]), {B}, {A}, TrashChange(restored=[B])),
        (propose([A, B, C]), {A}, {B}, TrashChange(proposed=[C])),
        (confirm([A, B]), set(), {A, B}, TrashChange(trashed=[A, B], settled=[A, B])),
        (confirm([A, B]), {B}, {A, C}, TrashChange(trashed=[A], settled=[A])),
        (decline([A, B]), set(), {B}, TrashChange(settled=[B])),
    ],
)
def test_what_changes(body: AboutTrash, in_trash: set[bytes], proposed: set[bytes], change: TrashChange) -> None:
    """What is so already stays as it was, the rest changes in order, and what is trashed is proposed no more."""
    found = trash_change(body, in_trash, proposed)
    assert tuple(map(list, found)) == tuple(map(list, change))
    trash, waiting = after_change(found, in_trash, proposed)
    assert trash == (in_trash | set(change.trashed)) - set(change.restored)
    assert waiting == (proposed | set(change.proposed)) - set(change.settled)
    assert not trash & waiting


@pytest.mark.parametrize(
    ("body", "in_trash", "proposed"),
    [
        (TrashAssetsBody([A, B]), {A, B}, set()),
        (RestoreAssetsBody([A, B]), {C}, set()),
        (RestoreAssetsBody([A]), set(), {A}),
        (propose([A, B]), {A}, {B}),
        (confirm([A, B]), {A}, {C}),
        (confirm([A]), set(), set()),
        (decline([A]), set(), set()),
    ],
)
def test_a_record_that_changes_nothing(body: AboutTrash, in_trash: set[bytes], proposed: set[bytes]) -> None:
    """*A log filled with pictures that are trashed, or proposed, again and again*: it changes something, or is none."""
    assert refusal(trash_change, body, in_trash, proposed) is Code.UNCHANGED
