"""Verify words: the same for the same ledger, others for any other, and what the spec says they are."""

import hashlib

from mnemonic import Mnemonic

from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.ledger_entries import LedgerKind, Policy, SetPolicyBody
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.verify_words import verify_words
from tests.support.ledgers import Person, Space
from tests.support.members import member


def _words(space: Space) -> list[str]:
    return verify_words(space.state.space_id, space.state.head)


def test_what_the_spec_says() -> None:
    """The first 132 bits of the hash, 11 a word, the highest first: computed here digit by digit."""
    space_id, head = b"s" * 32, Head(7, b"h" * 32)
    digest = hashlib.sha256(context(Label.VERIFY_WORDS, space_id, uint(7), head.hash)).digest()
    bits = "".join(f"{byte:08b}" for byte in digest)
    places = [int(bits[at : at + 11], 2) for at in range(0, 132, 11)]
    assert verify_words(space_id, head) == [Mnemonic("english").wordlist[place] for place in places]


def test_every_bit_counts() -> None:
    """Another space, another number or another entry gives other words, whichever bit of them differs."""
    space_id, head = bytes(32), Head(1, bytes(32))
    others = {tuple(verify_words(space_id, head))}
    for bit in range(256):
        flipped = (1 << bit).to_bytes(32, "big")
        others.add(tuple(verify_words(flipped, head)))
        others.add(tuple(verify_words(space_id, Head(1, flipped))))
    others |= {tuple(verify_words(space_id, Head(number, head.hash))) for number in range(2, 100)}
    assert len(others) == 1 + 2 * 256 + 98


def test_whoever_sees_other_keys_sees_other_words() -> None:
    """A member with the same name and role under other keys, or one entry more that says little: other words."""
    honest, ghost = (Space(Person("anna")).create() for _ in range(2))
    assert _words(honest) == _words(ghost)
    member(honest, Person("bert"), Role.VIEWER)
    member(ghost, Person("somebody else who is called bert"), Role.VIEWER)
    assert honest.state.head.number == ghost.state.head.number
    assert _words(honest) != _words(ghost)
    before = _words(honest)
    honest.take(honest.entry(LedgerKind.SET_POLICY, SetPolicyBody(Policy(1, "none"))))
    assert _words(honest) != before
