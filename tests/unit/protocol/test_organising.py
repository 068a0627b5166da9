"""Taking pictures out of albums and renaming them, in the ledger and by the record: by a right, or by a grant."""

import pytest
from msgspec.structs import replace

from safelight.sync_protocol import record_rules
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.limits import MAX_TITLE_BOX_SIZE_BYTES
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.records import RecordKind
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role, Tier
from safelight.sync_protocol.wire import Signed
from tests.support.grants import ALBUM, end_body, give_body, open_body, remove_body, renaming_body, share
from tests.support.ledgers import NOW_MS, Person, Signer, Space, apply_next, id_of, seed_of
from tests.support.members import member
from tests.support.refusing import refusal

LATER_MS = NOW_MS + 60_000
PLACE = Head(2, seed_of("place"))
OTHER = bytes(16)
REMOVE, RENAME = RecordKind.REMOVE_FROM_ALBUM, RecordKind.RENAME_ALBUM


@pytest.fixture
def space() -> Space:
    """Anna's work space, with a shared album."""
    space = Space(Person("anna"), "work", "full").create()
    share(space)
    return space


@pytest.fixture
def bert(space: Space) -> Signer:
    """Who reads nothing but what he is granted."""
    return member(space, Person("bert"), Role.GRANTEE)


def give(space: Space, *, by: Signer | None = None, **changes: object) -> None:
    """Let Bert organise."""
    body = give_body(space, Person("bert"), **{"can_organise": True, **changes})  # type: ignore[arg-type]  # values by name
    space.take(space.entry(LedgerKind.GIVE_GRANT, body, by), by)


def check(space: Space, kind: str, body: Signed, signer: Signer | None = None, at_ms: int = NOW_MS) -> object:
    """Judge a record by the space's ledger."""
    return record_rules.check_record(space.state, space.entry(kind, body, signer, signed_ms=at_ms))


def test_a_grant_may_let_its_member_organise(space: Space, bert: Signer) -> None:
    """The album, for as long as it stands, and no other one; adding is not among it."""
    give(space, expires_ms=LATER_MS)
    state = space.state
    assert state.may_organise(bert.author_id, ALBUM, LATER_MS - 1)
    assert not state.may_organise(bert.author_id, ALBUM, LATER_MS)
    assert not state.may_organise(bert.author_id, OTHER, NOW_MS)
    assert not state.may_add_to(bert.author_id, ALBUM, NOW_MS)
    assert not state.rights_of(bert.author_id)
    for album in (ALBUM, OTHER):
        assert state.may_organise(space.owner.account_id, album, NOW_MS)
    assert not state.may_organise(space.camera().author_id, ALBUM, NOW_MS)
    space.take(space.entry(LedgerKind.END_GRANT, end_body(space, Person("bert"))))
    assert not space.state.may_organise(bert.author_id, ALBUM, NOW_MS)


def test_organising_is_never_taken_from_a_grant_that_stands(space: Space, bert: Signer) -> None:
    """It is given to one that does not let its member; a later one has it again, or is no widening."""
    share(space, Person("bert"))
    assert not space.state.may_organise(bert.author_id, ALBUM, NOW_MS)
    give(space)
    for can_add in (False, True):
        entry = space.entry(LedgerKind.GIVE_GRANT, give_body(space, Person("bert"), Tier.FULL, can_add=can_add))
        assert refusal(apply_next, space, entry) is Code.LEDGER_RULE
    give(space, can_add=True, tier=Tier.FULL)
    grant = space.state.albums[ALBUM].grants[bert.author_id]
    assert (grant.tier, grant.can_add, grant.can_organise) == (Tier.FULL, True, True)


@pytest.mark.usefixtures("bert")
def test_who_lets_others_organise_does_so_itself(space: Space) -> None:
    """*A manager that lets a friend do what it may not*; adding is not needed for it."""
    for name, missing, code in (("max", Right.ORGANISE, Code.RIGHT_MISSING), ("mia", Right.ADD, None)):
        by_manager = member(space, Person(name), Role.MANAGER, RIGHTS[Role.MANAGER] - {missing})
        entry = space.entry(LedgerKind.GIVE_GRANT, give_body(space, Person("bert"), can_organise=True), by_manager)
        if code:
            assert refusal(apply_next, space, entry) is code
        else:
            apply_next(space, entry)


@pytest.mark.parametrize(
    ("role", "can_add", "code"),
    [
        (Role.VIEWER, False, None),
        (Role.PREVIEWER, False, None),
        (Role.CONTRIBUTOR, False, None),
        (Role.EDITOR, False, Code.LEDGER_RULE),
        (Role.EDITOR, True, Code.LEDGER_RULE),
    ],
)
def test_who_reads_all_may_be_let_organise(space: Space, role: Role, *, can_add: bool, code: Code | None) -> None:
    """And not an editor, who organises already."""
    person = Person("chris")
    member(space, person, role)
    entry = space.entry(LedgerKind.GIVE_GRANT, give_body(space, person, can_add=can_add, can_organise=True))
    if code:
        assert refusal(apply_next, space, entry) is code
    else:
        assert apply_next(space, entry).may_organise(person.account_id, ALBUM, NOW_MS)


def test_an_editor_without_organising_is_let_organise(space: Space) -> None:
    """What counts is what the member may do, not its role."""
    person = Person("chris")
    member(space, person, Role.EDITOR, RIGHTS[Role.EDITOR] - {Right.ORGANISE})
    apply_next(space, space.entry(LedgerKind.GIVE_GRANT, give_body(space, person, can_organise=True)))


def test_who_organises(space: Space, bert: Signer) -> None:
    """Members with the right, in every album; a grantee whom its grant lets, in that one, until it expires."""
    share(space, Person("bert"))
    editor = member(space, Person("eve"), Role.EDITOR)
    viewer = member(space, Person("vera"), Role.VIEWER)
    camera = space.camera()
    shared = [(REMOVE, remove_body(log=PLACE)), (RENAME, renaming_body(log=PLACE))]
    private = [(REMOVE, remove_body(album=OTHER)), (RENAME, renaming_body(album=OTHER, generation=1))]
    for kind, body in (*shared, *private):
        assert check(space, kind, body, editor) == body
        for signer in (viewer, camera, bert):
            assert refusal(check, space, kind, body, signer) is Code.RIGHT_MISSING
    give(space)
    for kind, body in shared:
        assert check(space, kind, body, bert) == body
    for kind, body in private:
        assert refusal(check, space, kind, body, bert) is Code.RIGHT_MISSING


def test_a_grant_that_is_over_lets_nobody_organise(space: Space, bert: Signer) -> None:
    """By the signed time, for everyone alike."""
    give(space, expires_ms=LATER_MS)
    for kind, body in ((REMOVE, remove_body(log=PLACE)), (RENAME, renaming_body(log=PLACE))):
        assert check(space, kind, body, bert, LATER_MS - 1) == body
        assert refusal(check, space, kind, body, bert, LATER_MS) is Code.RIGHT_MISSING


def test_a_title_is_of_the_keys_in_force(space: Space) -> None:
    """*Boxed under keys that an ended grant still has*; what is taken out is boxed under none."""
    for generation in (1, 3):
        assert refusal(check, space, RENAME, renaming_body(log=PLACE, generation=generation)) is Code.GENERATION_OLD
    space.take(space.entry(LedgerKind.OPEN_GENERATION, open_body(space)))
    assert refusal(check, space, RENAME, renaming_body(log=PLACE)) is Code.GENERATION_OLD
    check(space, RENAME, renaming_body(log=PLACE, generation=3))
    check(space, REMOVE, remove_body(log=PLACE))
    for generation in (0, 2):
        body = renaming_body(album=OTHER, generation=generation)
        assert refusal(check, space, RENAME, body) is Code.GENERATION_OLD


def test_what_records_may_not_say(space: Space) -> None:
    """One asset twice, none, a place in a log that is not there, a title of any size."""
    for kind, body, code in (
        (REMOVE, replace(remove_body(), asset_ids=[id_of("one")] * 2), Code.ASSET_CONFLICT),
        (REMOVE, replace(remove_body(), asset_ids=[]), Code.ENTRY_MALFORMED),
        (REMOVE, remove_body(album=OTHER, log=PLACE), Code.ALBUM_STALE),
        (RENAME, renaming_body(album=OTHER, log=PLACE, generation=1), Code.ALBUM_STALE),
        (RENAME, replace(renaming_body(), title=bytes(MAX_TITLE_BOX_SIZE_BYTES + 1)), Code.ENTRY_MALFORMED),
    ):
        assert refusal(check, space, kind, body) is code
