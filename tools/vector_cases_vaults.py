"""Vectors of vaults: spaces whose members bring a key that opens with a second secret."""

import msgspec

from safelight.sync_protocol import log
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import Entry, Frame
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role
from tests.support.ledgers import NOW_MS, Person, Space
from tests.support.members import admit_body, invite_body, join_body, remove_entry, role_entry, signer_of
from tools.vector_builder import Cases
from tools.vector_operations import Values


def vaults() -> list[Values]:
    """Return the cases."""
    cases = Cases()
    _made(cases)
    _joined(cases)
    return cases.cases


def _add(cases: Cases, name: str, space: Space, last: Entry, expect: Code | None = None) -> None:
    number = space.log.number + 1
    frame = Frame(number, NOW_MS, log.next_chain(space.log.chain, number, last.id), last.id, last.envelope)
    cases.add(name, "space.replay", expect, frames=log.frames_to_bytes([*space.frames, frame]))


def _made(cases: Cases) -> None:
    anna = Person("anna")
    for kind, key, name, refused in (
        ("vault", anna.vault_key, "a vault with a key", False),
        ("vault", None, "a vault without a key", True),
        ("vault", anna.identity.sealing, "a vault under the account's own key", True),
        ("family", anna.vault_key, "a family space with a vault's key", True),
        ("work", anna.vault_key, "a work space with a vault's key", True),
    ):
        space = Space(anna, kind, "none")
        terms = msgspec.structs.replace(space.terms, vault_key=key)
        entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(terms))
        _add(cases, name, space, entry, Code.LEDGER_RULE if refused else None)


def _joined(cases: Cases) -> None:
    bert = Person("bert")
    for kind, key, name, refused in (
        ("vault", bert.vault_key, "joined a vault", False),
        ("vault", None, "joined a vault without a key", True),
        ("vault", bert.identity.sealing, "joined a vault with the account's own key", True),
        ("family", bert.vault_key, "joined a family space with a vault's key", True),
    ):
        space = _inviting(kind)
        entry = space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "bert", vault_key=key), signer_of(bert))
        _add(cases, name, space, entry, Code.LEDGER_RULE if refused else None)
    space = _inviting("vault")
    swapped = msgspec.structs.replace(join_body(space, bert, "bert"), vault_key=Person("mallory").vault_key)
    entry = space.entry(LedgerKind.JOIN_SPACE, swapped, signer_of(bert))
    _add(cases, "joined a vault with a key that was exchanged", space, entry, Code.SIGNATURE_INVALID)
    space, by_bert = _inviting("vault"), signer_of(bert)
    space.take(space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "bert"), by_bert), by_bert)
    space.take(space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "bert")))
    space.take(role_entry(space, bert, Role.PREVIEWER))
    _add(cases, "in a vault, from invitation to removal", space, remove_entry(space, bert))


def _inviting(kind: str) -> Space:
    space = Space(Person("anna"), kind, "none").create()
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "bert")))
    return space
