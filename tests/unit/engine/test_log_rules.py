"""The rules by which a member reads a log, each against a server, a member or a thief that breaks it."""

from collections.abc import Callable, Iterator

import pytest

from safelight.clients.engine.index import Index
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol.ledger_entries import LedgerKind, RevokeCameraBody, RotateEpochBody
from safelight.sync_protocol.log import DevicePosition, Entry, Head
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AssetBody,
    OpenRollBody,
    RecordKind,
    RenditionName,
    RenditionRef,
    RevokeLinkBody,
)
from safelight.sync_protocol.refusals import Code
from tests.support.ledgers import Person, Signer, Space, id_of, seed_of
from tests.support.refusing import refuses


@pytest.fixture
def space() -> Space:
    """A space of one owner."""
    return Space(Person("anna")).create()


@pytest.fixture
def index() -> Iterator[Index]:
    """An index that is not kept."""
    opened = Index(None)
    yield opened
    opened.close()


def read(space: Space, index: Index, memory: SpaceMemory | None = None) -> LogReader:
    """Read on in the space's log."""
    reader = LogReader(space.state.space_id, index, memory or SpaceMemory())
    for frame in space.frames[reader.log.number :]:
        with index.transaction():
            reader.take(frame)
    return reader


def codes(index: Index) -> list[Code]:
    """Why entries were set aside."""
    return [problem.code for problem in index.problems()]


def revoke_link(space: Space, signer: Signer | None = None, **changes: object) -> Entry:
    """A record of no consequence for what other records may do."""
    return space.entry(RecordKind.REVOKE_LINK, RevokeLinkBody(id_of("link")), signer, **changes)


def open_roll(space: Space, signer: Signer, name: str = "roll") -> Entry:
    """Open a roll in the epoch in force."""
    body = OpenRollBody(id_of(name), space.state.epoch.number, b"full", b"view")
    return space.entry(RecordKind.OPEN_ROLL, body, signer)


def add_asset(space: Space, signer: Signer, roll: str = "roll", asset: str = "asset") -> Entry:
    """Add an asset to a roll."""
    original = RenditionRef(RenditionName.ORIGINAL, id_of("rendition"), seed_of("blob"), 4096, bytes(74))
    body = AddAssetsBody(id_of(roll), [AssetBody(id_of(asset), b"", [original], b"w", b"w", b"v", b"f")])
    return space.entry(RecordKind.ADD_ASSETS, body, signer)


# Other histories


def test_an_index_that_was_exchanged_is_another_history(space: Space, index: Index) -> None:
    """The index is only a copy: it is held to the pins before anything is read, like the server's log."""
    reader = read(space, index)
    memory = SpaceMemory()
    memory.pin_log(reader.log.head)
    assert LogReader(space.state.space_id, index, memory).log == reader.log
    memory.log = Head(reader.log.number, seed_of("another chain"))
    with refuses(Code.HISTORY_FORKED):
        LogReader(space.state.space_id, index, memory)


def test_a_longer_index_that_was_exchanged_is_another_history(space: Space, index: Index) -> None:
    """Entries after the pinned slot do not hide that another one stands in it."""
    memory = SpaceMemory()
    memory.pin_log(read(space, index).log.head)
    space.take(revoke_link(space))
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    longer = read(space, index)
    assert longer.log.number > memory.log.number
    assert LogReader(space.state.space_id, index, memory).log == longer.log
    memory.log = Head(memory.log.number, seed_of("another chain"))
    with refuses(Code.HISTORY_FORKED):
        LogReader(space.state.space_id, index, memory)


def test_another_ledger_entry_at_the_pinned_slot(space: Space, index: Index) -> None:
    """The ledger is pinned by itself: a camera sees it without the log."""
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    memory = SpaceMemory()
    memory.pin_ledger(Head(2, seed_of("a revocation")))
    with refuses(Code.HISTORY_FORKED):
        read(space, index, memory)
    assert index.head()[0] == 1


def test_a_pinned_ledger_entry_that_is_gone(space: Space, index: Index) -> None:
    """A record stands in its slot now: whoever was revoked by it is a member again."""
    space.take(revoke_link(space))
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    memory = SpaceMemory()
    memory.pin_ledger(Head(2, seed_of("a revocation")))
    with refuses(Code.HISTORY_FORKED):
        read(space, index, memory)
    assert index.head()[0] == 2


def test_a_ledger_entry_whose_signer_was_shown_another_log(space: Space, index: Index) -> None:
    """It follows in the ledger, but its signer knew other records than I do."""
    space.take(revoke_link(space))
    before = Head(2, seed_of("another chain"))
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), log=before))
    with refuses(Code.HISTORY_FORKED):
        read(space, index)
    assert index.head()[0] == 2


def test_a_record_whose_signer_was_shown_another_ledger(space: Space, index: Index) -> None:
    """The same for records: what contradicts this chain is no bad record."""
    space.take(revoke_link(space, ledger=Head(1, seed_of("another genesis"))))
    with refuses(Code.HISTORY_FORKED):
        read(space, index)


@pytest.mark.parametrize("changes", [{"counter": 5}, {"previous_id": seed_of("dropped")}])
def test_a_record_dropped_before_a_ledger_entry(space: Space, index: Index, changes: dict[str, object]) -> None:
    """A ledger entry names its device's last one: with that withheld, the space stops."""
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), None, **changes))
    with refuses(Code.COUNTER_CONFLICT):
        read(space, index)


def test_a_record_dropped_before_a_record(space: Space, index: Index) -> None:
    """The record that follows says that one is missing; it is set aside, and those after it count again."""
    space.take(revoke_link(space, counter=3))
    space.take(revoke_link(space))
    reader = read(space, index)
    assert codes(index) == [Code.COUNTER_CONFLICT]
    assert reader.log.devices[space.signer.author_id + space.signer.device_id].counter == 4


# Whose position moves


def forged(space: Space) -> Entry:
    """In the owner's name, by another key."""
    return revoke_link(space, Signer(space.signer.author_id, space.signer.device_id, seed_of("thief"), 7))


def elsewhere(space: Space) -> Entry:
    """What the owner signed for another space."""
    return revoke_link(space, space_id=seed_of("other space"), counter=9)


def unknown_device(space: Space) -> Entry:
    """By a device that the account does not have."""
    return revoke_link(space, device_id=id_of("no device"), counter=9)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (forged, Code.SIGNATURE_INVALID),
        (elsewhere, Code.ENTRY_WRONG_SPACE),
        (unknown_device, Code.SIGNER_UNKNOWN),
    ],
)
def test_what_nobody_signed_moves_nobody(
    space: Space, index: Index, entry: Callable[[Space], Entry], code: Code
) -> None:
    """The victim's next record still follows its last one."""
    space.take(revoke_link(space))
    before = space.log.devices
    bad = entry(space)
    space.take(bad, Signer(bad.header.author_id, bad.header.device_id, b""))
    space.log = type(space.log)(space.log.number, space.log.chain, before)
    good = revoke_link(space)
    space.take(good)
    reader = read(space, index)
    assert codes(index) == [code]
    assert reader.log.devices == {
        space.signer.author_id + space.signer.device_id: DevicePosition(good.header.counter, good.id)
    }


def test_what_its_signer_may_not_do_moves_its_signer(space: Space, index: Index) -> None:
    """A camera revokes no link; but it signed that, and its next record follows."""
    camera = space.camera()
    space.take(revoke_link(space, camera), camera)
    roll = open_roll(space, camera)
    space.take(roll, camera)
    reader = read(space, index)
    assert codes(index) == [Code.RIGHT_MISSING]
    assert reader.log.position(camera.author_id, camera.device_id) == DevicePosition(camera.counter, roll.id)


def test_a_record_shown_again_moves_nobody_back(space: Space, index: Index) -> None:
    """An old record in a new slot is set aside, and the device's position stays at its newest."""
    first = revoke_link(space)
    space.take(first)
    last = revoke_link(space)
    space.take(last)
    space.take(first, Signer(b"", b"", b""))
    reader = read(space, index)
    assert codes(index) == [Code.COUNTER_CONFLICT]
    position = reader.log.position(space.signer.author_id, space.signer.device_id)
    assert position == DevicePosition(last.header.counter, last.id)


# What records say of rolls and assets


def test_another_devices_roll(space: Space, index: Index) -> None:
    """A camera adds to its own roll alone: it could hide what it adds behind another's name."""
    phone, tablet = space.camera("phone"), space.camera("tablet")
    space.take(open_roll(space, phone), phone)
    space.take(add_asset(space, tablet), tablet)
    space.take(add_asset(space, phone), phone)
    read(space, index)
    assert codes(index) == [Code.ROLL_UNKNOWN]
    assert [place.number for place in index.assets()] == [len(space.frames)]


def test_a_roll_of_an_epoch_that_ended(space: Space, index: Index) -> None:
    """Whoever was removed still opens it: what comes after the new epoch is not counted."""
    camera = space.camera()
    space.take(open_roll(space, camera), camera)
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(space.next_epoch())))
    space.take(add_asset(space, camera), camera)
    read(space, index)
    assert codes(index) == [Code.EPOCH_OLD]
    assert list(index.assets()) == []


def test_an_asset_and_a_roll_are_new_once(space: Space, index: Index) -> None:
    """A second asset or roll of an id would take the first one's place."""
    phone, tablet = space.camera("phone"), space.camera("tablet")
    space.take(open_roll(space, phone), phone)
    space.take(add_asset(space, phone), phone)
    space.take(add_asset(space, phone), phone)
    space.take(open_roll(space, tablet), tablet)
    read(space, index)
    assert codes(index) == [Code.ASSET_CONFLICT, Code.ROLL_UNKNOWN]
    roll = index.roll(id_of("roll"))
    assert roll is not None
    assert roll.device_id == phone.device_id


def test_a_camera_adds_nothing_after_its_revocation(space: Space, index: Index) -> None:
    """A server that takes its records all the same convinces no reader."""
    camera = space.camera()
    space.take(open_roll(space, camera), camera)
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(camera.device_id, space.next_epoch())))
    space.take(add_asset(space, camera), camera)
    read(space, index)
    assert codes(index) == [Code.SIGNER_UNKNOWN]
    assert list(index.assets()) == []


def test_nothing_stands_before_the_genesis(space: Space, index: Index) -> None:
    """A record in the first slot is another log than mine."""
    record = revoke_link(space)
    state = space.state
    other = Space(space.owner)
    other.take(record, Signer(b"", b"", b""))
    reader = LogReader(state.space_id, index, SpaceMemory())
    with refuses(Code.LEDGER_RULE):
        reader.take(other.frames[0])
