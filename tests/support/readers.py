"""A space whose epoch has real keys, and whoever reads it."""

import secrets

from safelight.clients.engine.account_entries import AccountKeys, start_account
from safelight.clients.engine.connection import DeviceKey
from safelight.clients.engine.epochs import EpochSecrets, make_epoch
from safelight.sync_protocol.account_ledger import apply_account_entries
from safelight.sync_protocol.ledger_entries import Policy
from safelight.sync_protocol.ledger_epochs import with_inboxes
from safelight.sync_protocol.ledger_state import LedgerState, Member
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.roles import Role

NONCE = b"n" * 32
DEVICE = DeviceKey(b"d" * 16, b"s" * 32)


def member(role: Role = Role.OWNER) -> tuple[AccountKeys, bytes, Member]:
    """An account as a member of a space."""
    keys = AccountKeys(secrets.token_bytes(32))
    chain = start_account(keys, secrets.token_bytes(32), DEVICE, signed_ms=1)
    return keys, chain.account_id, Member.usual(role, apply_account_entries(None, chain.entries))


def readable_space(*, role: Role = Role.OWNER) -> tuple[LedgerState, EpochSecrets]:
    """A space's ledger with one epoch, and that epoch's secrets."""
    _, account_id, one = member(role)
    new = make_epoch(1, NONCE, {account_id: one}, None)
    state = LedgerState(
        space_id=b"p" * 32,
        head=Head(1, b"h" * 32),
        kind="family",
        nonce=NONCE,
        creator_id=account_id,
        policy=Policy(1, "view"),
        name=b"",
        dedupe=b"",
        members={account_id: one},
        epochs=(new.epoch,),
        inboxes=with_inboxes((), new.epoch),
    )
    return state, new.secrets
