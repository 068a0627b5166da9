"""A space with an album to share, grown case by case for the vectors of grants and of cameras pointed at albums."""

import dataclasses
from collections.abc import Callable

from msgspec.structs import replace

from safelight.sync_protocol import log
from safelight.sync_protocol.ledger_entries import LedgerKind, RotateEpochBody
from safelight.sync_protocol.log import Entry, Frame
from safelight.sync_protocol.records import RecordKind
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role, Tier
from tests.support.grants import end_body, give_body, open_body, share, show_body
from tests.support.ledgers import NOW_MS, Person, Signer, Space, seed_of
from tests.support.members import member, remove_entry
from tools.vector_builder import Cases
from tools.vector_operations import Values

LATER_MS = NOW_MS + 60_000


class Shared:
    """Anna's space, where Bert reads nothing but what he is granted."""

    def __init__(self) -> None:
        self.space = Space(Person("anna"), "work", "full").create()
        self.bert, self.chris = Person("bert"), Person("chris")
        self.by_bert = member(self.space, self.bert, Role.GRANTEE)

    def begun(self) -> "Shared":
        """Share the album with nobody yet."""
        share(self.space)
        return self

    def given(self, tier: Tier = Tier.VIEW, expires_ms: int = 0) -> "Shared":
        """Share it with Bert."""
        share(self.space, self.bert, tier=tier, expires_ms=expires_ms)
        return self

    def with_chris(self, role: Role = Role.GRANTEE) -> Signer:
        """Make Chris a member; returns what signs for him."""
        return member(self.space, self.chris, role)

    def forger(self) -> Signer:
        """Return who signs in Anna's place, under another key."""
        return dataclasses.replace(self.space.signer, seed=seed_of("mallory"))

    def rotated(self) -> "Shared":
        """Begin another epoch."""
        self.space.take(self.space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(self.space.next_epoch())))
        return self

    def ended(self) -> "Shared":
        """End Bert's grant."""
        self.space.take(self.end())
        return self

    def open(self, signer: Signer | None = None, at_ms: int = NOW_MS, **changes: object) -> Entry:
        """Build the next generation's beginning."""
        body = open_body(self.space, at_ms=at_ms, **changes)  # type: ignore[arg-type]  # values by name
        return self.space.entry(LedgerKind.OPEN_GENERATION, body, signer, signed_ms=at_ms)

    def give(
        self,
        person: Person | None = None,
        tier: Tier = Tier.VIEW,
        signer: Signer | None = None,
        at_ms: int = NOW_MS,
        **changes: int,
    ) -> Entry:
        """Build a grant, for Bert unless another is named."""
        body = give_body(self.space, person or self.bert, tier, **changes)  # type: ignore[arg-type]  # values by name
        return self.space.entry(LedgerKind.GIVE_GRANT, body, signer, signed_ms=at_ms)

    def end(self, signer: Signer | None = None, at_ms: int = NOW_MS, **changes: object) -> Entry:
        """Build the end of Bert's grant."""
        body = end_body(self.space, self.bert, at_ms=at_ms, **changes)  # type: ignore[arg-type]  # values by name
        return self.space.entry(LedgerKind.END_GRANT, body, signer, signed_ms=at_ms)

    def remove(self, person: Person) -> "Shared":
        """Remove a member."""
        self.space.take(remove_entry(self.space, person))
        return self

    def after(self, entry: Entry, signer: Signer | None = None) -> "Shared":
        """Take an entry that was built."""
        self.space.take(entry, signer)
        return self

    def show(self, signer: Signer | None = None, at_ms: int = NOW_MS, **changes: object) -> Entry:
        """Build the record that shows two pictures in the album."""
        body = replace(show_body(), **changes)
        return self.space.entry(RecordKind.SHOW_IN_ALBUM, body, signer, signed_ms=at_ms)


# What comes after the history that it grows.
Next = Callable[[Shared], Entry]


def replay(cases: Cases, name: str, make: Next, expect: Code | None = None) -> Values:
    """Record what a reader makes of the history that *make* grows and ends."""
    shared = Shared()
    return add(cases, name, shared.space, make(shared), expect)


def add(cases: Cases, name: str, space: Space, last: Entry, expect: Code | None = None) -> Values:
    """Record what a reader makes of a space's history and one more entry."""
    number = space.log.number + 1
    frame = Frame(number, NOW_MS, log.next_chain(space.log.chain, number, last.id), last.id, last.envelope)
    return cases.add(name, "space.replay", expect, frames=log.frames_to_bytes([*space.frames, frame]))


def judge(cases: Cases, name: str, make: Next, expect: Code | None = None) -> None:
    """Record what becomes of a record: one that breaks a rule is set aside, and the space goes on."""
    output = replay(cases, name, make)
    if output["set_aside_codes_text"] != ([] if expect is None else [expect.value]):
        raise AssertionError(f"{name}: set aside as {output['set_aside_codes_text']} instead of {expect}")
