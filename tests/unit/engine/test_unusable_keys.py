"""Epochs made for members, one of whose keys is no key."""

import os

from safelight.clients.engine.epochs import make_epoch, open_epoch_box
from safelight.sync_protocol import ledger_epochs
from safelight.sync_protocol.account_ledger import AccountState, Identity
from safelight.sync_protocol.ledger_state import Member
from safelight.sync_protocol.limits import INBOX_KEY_SIZE_BYTES
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.sealing import hpke
from tests.support.refusing import refusal


def _member(account_id: bytes, sealing: bytes) -> Member:
    account = AccountState(account_id, Head(1, bytes(32)), Identity(bytes(32), sealing), bytes(32), {}, {})
    return Member.usual(Role.VIEWER, account)


def test_a_member_whose_key_is_no_key_stops_no_epoch() -> None:
    """It opens nothing itself; everyone else has their box, and the ledger takes the epoch."""
    honest_id, broken_id, seed, nonce = b"h" * 16, b"b" * 16, os.urandom(32), os.urandom(32)
    members = {
        honest_id: _member(honest_id, hpke.public_key(seed)),
        broken_id: _member(broken_id, b"\xff" * INBOX_KEY_SIZE_BYTES),
    }
    made = make_epoch(1, nonce, members, None)
    ledger_epochs.check_epoch(made.epoch, 1, members)
    boxes = {box.account_id: box.box for box in made.boxes}
    assert {len(box) for box in boxes.values()} == {len(boxes[honest_id.hex()])}
    assert open_epoch_box(made.epoch, nonce, honest_id, seed, boxes[honest_id.hex()]) == made.secrets
    broken = (made.epoch, nonce, broken_id, seed, boxes[broken_id.hex()])
    assert refusal(open_epoch_box, *broken) is Code.EPOCH_MISMATCH
