"""The trash: what records may say of it, who may say it, and what they change."""

import pytest

from safelight.sync_protocol import record_rules
from safelight.sync_protocol.limits import MAX_ASSETS_PER_RECORD
from safelight.sync_protocol.records import RecordKind, RestoreAssetsBody, TrashAssetsBody
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role
from safelight.sync_protocol.trash import AboutTrash, TrashChange, trash_change
from tests.support.ledgers import Person, Signer, Space, id_of
from tests.support.members import member
from tests.support.refusing import refusal

A, B, C = (id_of(f"asset {name}") for name in "abc")
BODIES = {RecordKind.TRASH_ASSETS: TrashAssetsBody, RecordKind.RESTORE_ASSETS: RestoreAssetsBody}


def check(space: Space, kind: str, asset_ids: list[bytes], signer: Signer | None = None) -> object:
    """Judge a record about the trash by the space's ledger."""
    return record_rules.check_record(space.state, space.entry(kind, BODIES[RecordKind(kind)](asset_ids), signer))


@pytest.mark.parametrize("kind", BODIES)
def test_an_asset_stands_once_in_a_record(space: Space, kind: RecordKind) -> None:
    """From one to two hundred, each once."""
    many = [index.to_bytes(16) for index in range(MAX_ASSETS_PER_RECORD)]
    assert check(space, kind, many)
    assert refusal(check, space, kind, [A, B, A]) is Code.ASSET_CONFLICT
    assert refusal(check, space, kind, []) is Code.ENTRY_MALFORMED
    assert refusal(check, space, kind, [*many, A]) is Code.ENTRY_MALFORMED


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("role", list(Role))
def test_who_trashes_and_restores(space: Space, role: Role, kind: RecordKind) -> None:
    """Whose role has the right: owners, managers and editors."""
    signer = member(space, Person("bert"), role)
    if Right.TRASH in RIGHTS[role]:
        assert check(space, kind, [A], signer)
    else:
        assert refusal(check, space, kind, [A], signer) is Code.RIGHT_MISSING


@pytest.mark.parametrize(
    ("body", "in_trash", "change"),
    [
        (TrashAssetsBody([A, B]), set(), TrashChange(trashed=(A, B))),
        (TrashAssetsBody([A, B, C]), {B}, TrashChange(trashed=(A, C))),
        (RestoreAssetsBody([A, B]), {A, B, C}, TrashChange(restored=(A, B))),
        (RestoreAssetsBody([A, B]), {B}, TrashChange(restored=(B,))),
    ],
)
def test_what_changes(body: AboutTrash, in_trash: set[bytes], change: TrashChange) -> None:
    """What is so already stays as it was; the rest changes, in the record's order."""
    assert trash_change(body, in_trash) == change


@pytest.mark.parametrize(
    ("body", "in_trash"),
    [(TrashAssetsBody([A, B]), {A, B}), (RestoreAssetsBody([A, B]), {C}), (RestoreAssetsBody([A]), set())],
)
def test_a_record_that_changes_nothing(body: AboutTrash, in_trash: set[bytes]) -> None:
    """*A log filled with pictures that are trashed again and again*: each record changes something, or is none."""
    assert refusal(trash_change, body, in_trash) is Code.UNCHANGED
