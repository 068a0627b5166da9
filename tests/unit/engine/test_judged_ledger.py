"""A long ledger that was judged is kept, and holds only for whom, what and where it was judged."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from safelight.clients.engine import judged_ledger
from safelight.clients.engine.index import Index
from safelight.clients.engine.judged_ledger import KEPT_EVERY, JudgedLedger, software
from safelight.clients.engine.log_reader import LogReader
from safelight.clients.engine.memory import SpaceMemory
from safelight.sync_protocol import ids
from safelight.sync_protocol.ledger_entries import LedgerKind, RotateEpochBody
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code
from tests.support.ledgers import Person, Space, seed_of
from tests.support.refusing import refuses

SECRET = seed_of("account secret")


@dataclass
class Kept:
    """A space whose ledger was read and kept, and the index that has it."""

    space: Space
    index: Index
    judged: JudgedLedger

    def reader(self, judged: JudgedLedger | None = None, memory: SpaceMemory | None = None) -> LogReader:
        """Open the index again."""
        return LogReader(self.space.state.space_id, self.index, memory or SpaceMemory(), judged or self.judged)

    def read_on(self) -> LogReader:
        """Read what is new."""
        reader = self.reader()
        with self.index.transaction():
            for frame in self.space.frames[reader.log.number :]:
                reader.take(frame)
            reader.keep_judged()
        return reader

    def spoil_signatures(self) -> None:
        """Change the last byte, which is of the signature, of every entry that the index has but the genesis."""
        spoiled = "CAST(substr(envelope, 1, length(envelope) - 1) || x'ff' AS BLOB)"
        self.index._db.execute(f"UPDATE entries SET envelope = {spoiled} WHERE number > 1")


def rotate(space: Space) -> None:
    """Add a ledger entry."""
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(space.next_epoch())))


@pytest.fixture(scope="module")
def long_ledger() -> Space:
    """A space whose ledger is just long enough to be kept."""
    space = Space(Person("anna")).create()
    while len(space.frames) < KEPT_EVERY:
        rotate(space)
    return space


@pytest.fixture
def kept(long_ledger: Space) -> Iterator[Kept]:
    """That space, read and kept."""
    index = Index(None)
    found = Kept(long_ledger, index, JudgedLedger(SECRET, long_ledger.state.space_id))
    found.read_on()
    yield found
    index.close()


def test_what_was_judged_is_not_judged_again(kept: Kept) -> None:
    """The state is the same as the one that was judged, though no signature of it would verify now."""
    kept.spoil_signatures()
    assert kept.reader().state == kept.space.state
    with refuses(Code.SIGNATURE_INVALID):
        LogReader(kept.space.state.space_id, kept.index, SpaceMemory())


def test_what_is_newer_is_judged(kept: Kept) -> None:
    """An entry that came after it is judged from there on, at each opening."""
    kept.spoil_signatures()
    rotate(kept.space)
    assert kept.read_on().state == kept.reader().state == kept.space.state
    kept.spoil_signatures()
    with refuses(Code.SIGNATURE_INVALID):
        kept.reader()


def test_a_short_ledger_is_not_kept() -> None:
    """It is judged faster than it could be read."""
    space, index = Space(Person("anna")).create(), Index(None)
    Kept(space, index, JudgedLedger(SECRET, space.state.space_id)).read_on()
    assert index.judged() is None
    index.close()


@pytest.mark.parametrize("other", ["account", "space", "software", "bytes"])
def test_it_holds_for_its_account_space_and_software(kept: Kept, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """*Members made by whoever may write to the index*: what another key or place sealed, or changed, is not taken."""
    sealed, space_id = kept.index.judged() or b"", kept.space.state.space_id
    assert kept.judged.open(sealed) == kept.space.state
    if other == "software":
        monkeypatch.setattr(judged_ledger, "software", lambda: seed_of("another"))
    elif other == "bytes":
        sealed = bytes([sealed[0] ^ 1]) + sealed[1:]
    account = seed_of("another") if other == "account" else SECRET
    judged = JudgedLedger(account, seed_of("another") if other == "space" else space_id)
    assert judged.open(sealed) is None


def test_software_is_another_once_a_rule_is(tmp_path: Path) -> None:
    """*A ledger that stays as it was judged before a rule was mended*, since the version is the same."""
    rules, names = Path(ids.__file__).parent, {"ledger.py", "ledger_members.py", "roles.py", "signatures.py"}
    assert names <= {module.name for module in rules.glob("*.py")}
    for module in rules.glob("*.py"):
        (tmp_path / module.name).write_bytes(module.read_bytes())
    assert software(tmp_path) == software()
    for name in sorted(names):
        shutil.copytree(tmp_path, changed := tmp_path.with_name(f"changed-{name}"))
        (changed / name).write_bytes((tmp_path / name).read_bytes() + b"# mended")
        assert software(changed) != software()


def test_all_is_judged_where_it_does_not_open(kept: Kept) -> None:
    """Another account's, say: the entries themselves are there."""
    stranger = JudgedLedger(seed_of("another"), kept.space.state.space_id)
    assert kept.reader(stranger).state == kept.space.state
    kept.spoil_signatures()
    with refuses(Code.SIGNATURE_INVALID):
        kept.reader(stranger)


def test_it_holds_where_its_head_stands_in_the_log(kept: Kept) -> None:
    """*An index exchanged for another history's, with what was judged left in it*: the entries are judged."""
    other = Space(kept.space.owner).create()
    index = Index(None)
    with index.transaction():
        index.keep_judged(kept.index.judged() or b"")
    assert LogReader(other.state.space_id, index, SpaceMemory(), kept.judged).state is None
    index.close()


def test_it_is_held_to_the_pins(kept: Kept) -> None:
    """Where another entry is pinned at its head, the space stops."""
    memory = SpaceMemory()
    memory.pin_ledger(Head(kept.space.state.head.number, seed_of("another")))
    with refuses(Code.HISTORY_FORKED):
        kept.reader(memory=memory)
