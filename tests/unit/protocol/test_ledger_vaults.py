"""Vaults in the space ledger: who comes in brings a key that opens with a second secret, and only there."""

import msgspec
import pytest

from safelight.sync_protocol.ledger_entries import LedgerKind, Policy, SetPolicyBody
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role
from tests.support.ledgers import Person, Space, apply_next
from tests.support.members import admit_body, invite_body, join_body, joining, member, signer_of
from tests.support.refusing import refusal


@pytest.fixture
def anna() -> Person:
    """Who makes the vault."""
    return Person("anna")


@pytest.fixture
def bert() -> Person:
    """Who is invited."""
    return Person("bert")


@pytest.fixture
def vault(anna: Person) -> Space:
    """A vault."""
    return Space(anna, "vault", "none").create()


def test_boxes_are_sealed_to_the_vaults_key(vault: Space, anna: Person, bert: Person) -> None:
    """The members' keys are those that they brought, and never their accounts' own."""
    member(vault, bert, Role.VIEWER)
    members = vault.state.members
    assert members[anna.account_id].sealing_key == anna.vault_key != anna.identity.sealing
    assert members[bert.account_id].sealing_key == bert.vault_key != bert.identity.sealing
    elsewhere = Space(anna).create()
    assert elsewhere.state.members[anna.account_id].sealing_key == anna.identity.sealing


@pytest.mark.parametrize("kind", ["family", "work", "vault"])
def test_a_genesis_brings_a_key_into_a_vault_alone(anna: Person, kind: str) -> None:
    """Without a key a vault would open with the account's password; with one, another space would not open at all."""
    space = Space(anna, kind, "none")
    for key, fits in ((None, kind != "vault"), (anna.vault_key, kind == "vault"), (anna.identity.sealing, False)):
        terms = msgspec.structs.replace(space.terms, vault_key=key)
        entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body(terms))
        if fits:
            apply_next(space, entry)
        else:
            assert refusal(apply_next, space, entry) is Code.LEDGER_RULE


@pytest.mark.parametrize("kind", ["family", "work", "vault"])
def test_who_joins_brings_a_key_into_a_vault_alone(anna: Person, bert: Person, kind: str) -> None:
    """The same for whoever joins."""
    space = Space(anna, kind, "none").create()
    space.take(space.entry(LedgerKind.INVITE_MEMBER, invite_body(space, Role.VIEWER, "bert")))
    for key, fits in ((None, kind != "vault"), (bert.vault_key, kind == "vault"), (bert.identity.sealing, False)):
        entry = space.entry(LedgerKind.JOIN_SPACE, join_body(space, bert, "bert", vault_key=key), signer_of(bert))
        if fits:
            apply_next(space, entry)
        else:
            assert refusal(apply_next, space, entry) is Code.LEDGER_RULE


def test_a_server_does_not_exchange_the_vaults_key(vault: Space, bert: Person) -> None:
    """*Swapped vault key*: the identity and the invitation's secret vouch for it, each by a signature of its own."""
    vault.take(vault.entry(LedgerKind.INVITE_MEMBER, invite_body(vault, Role.VIEWER, "bert")))
    honest, mallorys = join_body(vault, bert, "bert"), Person("mallory").vault_key
    forged = join_body(vault, bert, "bert", vault_key=mallorys)
    for body in (
        msgspec.structs.replace(honest, vault_key=mallorys),
        msgspec.structs.replace(forged, identity_signature=honest.identity_signature),
        msgspec.structs.replace(forged, invitation_signature=honest.invitation_signature),
    ):
        entry = vault.entry(LedgerKind.JOIN_SPACE, body, signer_of(bert))
        assert refusal(apply_next, vault, entry) is Code.SIGNATURE_INVALID


def test_the_key_is_that_of_the_invitation_by_which_one_was_admitted(vault: Space, bert: Person) -> None:
    """Who joins twice, and with two keys, has the boxes sealed to the one that belongs to the admission."""
    signer = joining(vault, bert, Role.VIEWER)
    another = Person("another").vault_key
    vault.take(vault.entry(LedgerKind.INVITE_MEMBER, invite_body(vault, Role.VIEWER, "again")))
    joined = join_body(vault, bert, "again", vault_key=another)
    vault.take(vault.entry(LedgerKind.JOIN_SPACE, joined, signer), signer)
    vault.take(vault.entry(LedgerKind.ADMIT_MEMBER, admit_body(vault, bert, "again")))
    assert vault.state.members[bert.account_id].sealing_key == another


def test_a_vault_never_allows_links(vault: Space) -> None:
    """Nor by a later policy."""
    entry = vault.entry(LedgerKind.SET_POLICY, SetPolicyBody(Policy(1, "view")))
    assert refusal(apply_next, vault, entry) is Code.LEDGER_RULE
