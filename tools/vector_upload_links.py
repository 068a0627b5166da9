"""A space with an upload link, grown case by case for the vectors of such links and of their guests."""

import dataclasses
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from safelight.sync_protocol.ledger_entries import LedgerKind, RevokeCameraBody
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import RIGHTS, Right, Role
from safelight.sync_protocol.upload_entries import UploadTerms
from tests.support.grants import ALBUM, share
from tests.support.ledgers import Person, Signer, Space, id_of, seed_of
from tests.support.members import member, remove_entry, role_entry
from tests.support.upload_ledgers import (
    LINK,
    TERMS,
    bound,
    close_entry,
    guest_body,
    guest_of,
    upload_body,
    upload_link,
)
from tools.vector_builder import Cases
from tools.vector_operations import Values
from tools.vector_shared_albums import add

LINKING = [*RIGHTS[Role.EDITOR], Right.LINK]
OTHER = id_of("another link")
END_MS = TERMS.expires_ms
SINGLE = replace(TERMS, max_guests=1)


class Linked:
    """Anna's space, where Ella makes links as well."""

    def __init__(self) -> None:
        self.space = Space(Person("anna")).create()
        self.ella = Person("ella")

    def shared(self) -> "Linked":
        """Share the album."""
        share(self.space)
        return self

    def opened(self, signer: Signer | None = None, **changes: object) -> "Linked":
        """Open the link."""
        upload_link(self.space, signer, **changes)
        return self

    def filling(self) -> "Linked":
        """Open one that fills the album."""
        return self.shared().opened(album_id=ALBUM)

    def with_ella(self, role: Role = Role.EDITOR, rights: list[Right] | None = LINKING) -> Signer:
        """Make Ella a member."""
        return member(self.space, self.ella, role, None if role is not Role.EDITOR else rights)

    def hers(self) -> "Linked":
        """Open a link of hers, with a guest."""
        self.opened(self.with_ella())
        bound(self.space)
        return self

    def demoted(self, role: Role = Role.VIEWER) -> "Linked":
        """Give Ella another role."""
        return self.after(role_entry(self.space, self.ella, role))

    def no_maker(self) -> "Linked":
        """Let her make no more links, and add on."""
        return self.after(role_entry(self.space, self.ella, Role.EDITOR))

    def without_ella(self) -> "Linked":
        """Remove her."""
        return self.after(remove_entry(self.space, self.ella))

    def after(self, entry: Entry, signer: Signer | None = None) -> "Linked":
        """Take an entry that was built."""
        self.space.take(entry, signer)
        return self

    def revoked(self, guest: Signer) -> "Linked":
        """Shut a guest out."""
        body = RevokeCameraBody(guest.author_id, self.space.next_epoch())
        return self.after(self.space.entry(LedgerKind.REVOKE_CAMERA, body))

    def open(self, signer: Signer | None = None, **changes: object) -> Entry:
        """Build what opens the link."""
        return self.space.entry(LedgerKind.OPEN_UPLOAD_LINK, upload_body(self.space, **changes), signer)

    def bind(self, signer: Signer | None = None, **changes: object) -> Entry:
        """Build a guest's binding, with changes of its body after it was signed."""
        guest = guest_of()
        return self.space.entry(
            LedgerKind.BIND_GUEST, replace(guest_body(self.space, guest), **changes), signer or guest
        )

    def close(self, signer: Signer | None = None, link: bytes = LINK) -> Entry:
        """Build the link's end."""
        return close_entry(self.space, signer, link)


# What comes after the history that it grows.
Next = Callable[[Linked], Entry]


def replay_link(cases: Cases, name: str, make: Next, expect: Code | None = None) -> Values:
    """Record what a reader makes of the history that *make* grows and ends."""
    linked = Linked()
    last = make(linked)
    return add(cases, name, linked.space, last, expect)


def judge_link(cases: Cases, name: str, make: Next, expect: Code | None = None) -> None:
    """Record what becomes of a record: taken, or set aside."""
    output = replay_link(cases, name, make)
    if output["set_aside_codes_text"] != ([] if expect is None else [expect.value]):
        raise AssertionError(f"{name}: set aside as {output['set_aside_codes_text']} instead of {expect}")


# Records of one log: each is made after those before it, and what may not be is set aside.
Judged = Sequence[tuple[Callable[[], Entry], Code | None]]


def judge_records(cases: Cases, name: str, space: Space, records: Judged) -> None:
    """Record in one log what becomes of several records, none of which changes the ledger."""
    last = [_take(space, make, keep=at < len(records)) for at, (make, _) in enumerate(records, start=1)][-1]
    output = add(cases, name, space, last)
    expected = [code.value for _, code in records if code]
    if output["set_aside_codes_text"] != expected:
        raise AssertionError(f"{name}: set aside as {output['set_aside_codes_text']} instead of {expected}")


def placed(space: Space, signer: Signer) -> Signer:
    """Who signs next after what it signed last in the log."""
    position = space.log.devices.get(signer.author_id + signer.device_id)
    if position:
        signer.counter, signer.last_id = position.counter, position.entry_id
    return signer


def _take(space: Space, make: Callable[[], Entry], *, keep: bool) -> Entry:
    """Make a record, and give it its slot unless it is the last, which is added to the case."""
    entry = make()
    if keep:
        space.take(entry, Signer(b"", b"", b""))
    return entry


def terms(**changes: int) -> UploadTerms:
    """Other terms than the link's."""
    return replace(TERMS, **changes)


def forger(signer: Signer) -> Signer:
    """Who signs in another's place, under another key."""
    return dataclasses.replace(signer, seed=seed_of("mallory"))
