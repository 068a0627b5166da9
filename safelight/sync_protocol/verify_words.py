"""Verify words: twelve words that fix a space's ledger up to one entry, for two members to compare by voice.

docs/spec/log.md §5. A ledger entry names the one before it by its id, which is a hash; so the id of one fixes all up to
it, and with them every member's keys: the same words at the same entry are the same members with the same keys.
"""

import hashlib

from mnemonic import Mnemonic

from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.log import Head

VERIFY_WORD_COUNT = 12
_BITS_PER_WORD = 11
# A server and an insider could look for two ledgers with the same words: 132 bits make that 2^66 ledgers each.
_BIT_COUNT = VERIFY_WORD_COUNT * _BITS_PER_WORD
_WORDS = Mnemonic("english").wordlist


def verify_words(space_id: bytes, head: Head) -> list[str]:
    """Return the words of a space's ledger at *head*: the first 132 bits of a SHA-256, 11 a word of BIP-39's list.

    Not a BIP-39 phrase: there is no checksum in them, and they open nothing.
    """
    digest = hashlib.sha256(context(Label.VERIFY_WORDS, space_id, uint(head.number), head.hash)).digest()
    bits = int.from_bytes(digest, "big") >> (8 * len(digest) - _BIT_COUNT)
    places = range(_BIT_COUNT - _BITS_PER_WORD, -1, -_BITS_PER_WORD)
    return [_WORDS[(bits >> place) % len(_WORDS)] for place in places]
