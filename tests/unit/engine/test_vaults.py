"""How long a vault's key is held, which answers open it, and that the keyring gives none of its keys up."""

import asyncio

import pytest

from safelight.clients.engine import vaults
from safelight.clients.engine.keyring_document import KeyringContent, KnownSpace, VaultWrap, with_space
from safelight.clients.engine.vaults import Vaults, wrap_of
from safelight.sync_protocol.refusals import Code, Refused

SPACE, NONCE = b"s" * 32, b"n" * 32
PASSPHRASE = "nine quiet owls"


class _Person:
    """Answers what it is told to, and looks at a clock of its own."""

    def __init__(self, answer: str | None = PASSPHRASE) -> None:
        self.answer = answer
        self.asked = 0
        self.now_ms = 1_000_000

    async def ask(self) -> str | None:
        self.asked += 1
        await asyncio.sleep(0)
        return self.answer

    def vaults(self) -> Vaults:
        return Vaults(b"a" * 16, b"k" * 32, self.ask, clock=lambda: self.now_ms)


async def test_a_laptop_that_slept_holds_no_vault_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """*The loop's clock stood still meanwhile*: the time of day shuts it, before anything of it is used."""
    person = _Person()
    held = person.vaults()
    made = await held.make(NONCE, PASSPHRASE)
    told = []
    held.when_shut(SPACE, lambda: told.append(SPACE))
    held.hold(SPACE, made)
    person.now_ms += 299_000
    held.used(SPACE)
    person.now_ms += 299_000
    assert held.is_open(SPACE)
    person.now_ms += 1_000
    held.used(SPACE)  # too late to count
    assert told == [SPACE]
    assert not held.is_open(SPACE)
    await held.seed(SPACE, made.wrap)
    assert person.asked == 1

    monkeypatch.setattr(vaults, "_LOOKED_AT_EVERY_S", 0.01)
    held.hold(SPACE, made)
    person.now_ms += 8 * 60 * 60 * 1000
    await asyncio.sleep(0.2)
    assert len(told) == 3, "nobody uses it, and it is dropped all the same"


async def test_a_look_at_a_vault_is_no_use_of_it() -> None:
    """*Whoever lists spaces again and again* keeps none open."""
    person = _Person()
    held = person.vaults()
    made = await held.make(NONCE, PASSPHRASE)
    held.hold(SPACE, made)
    for _ in range(3):
        person.now_ms += 100_000
        with held.only_looked_at(SPACE):
            held.used(SPACE)
    assert not held.is_open(SPACE)


@pytest.mark.parametrize("answer", ["", " ", "short", "\udcff" * 8, "another passphrase"])
async def test_what_is_no_passphrase_opens_nothing(answer: str) -> None:
    """Each is a wrong one, and said to be one: an empty variable and what is no text among them."""
    person = _Person(answer)
    held = person.vaults()
    made = await held.make(NONCE, PASSPHRASE)
    with pytest.raises(Refused) as refused:
        await held.seed(SPACE, made.wrap)
    assert refused.value.code is Code.VAULT_LOCKED


@pytest.mark.parametrize("passphrase", ["", "seven77", "a\u0308o\u0308u\u0308e\u0308", "\udcff" * 8])
async def test_a_passphrase_that_is_not_taken(passphrase: str) -> None:
    """Eight characters as they are stretched, so no letter counts twice because its accent came apart from it."""
    with pytest.raises(Refused) as refused:
        await _Person().vaults().make(NONCE, passphrase)
    assert refused.value.code is Code.BAD_REQUEST


async def test_several_that_ask_at_once_get_one_answer() -> None:
    """A person types a passphrase once, however many downloads wait for it."""
    person = _Person()
    held = person.vaults()
    made = await held.make(NONCE, PASSPHRASE)
    seeds = await asyncio.gather(*(held.seed(SPACE, made.wrap) for _ in range(3)))
    assert len(set(seeds)) == 1
    assert person.asked == 1


async def test_what_is_held_of_one_key_opens_no_other() -> None:
    """*A vault's passphrase changed for a key that is not in force*: each is opened and wrapped by itself."""
    person = _Person()
    held = person.vaults()
    first, second = await held.make(NONCE, PASSPHRASE), await held.make(NONCE, PASSPHRASE)
    held.hold(SPACE, first)
    assert (await held.rewrap(SPACE, second.wrap, "a lamp that turns")).key == second.wrap.key
    assert person.asked == 1


def _wrap(key: bytes, wrapped: bytes = b"") -> VaultWrap:
    return VaultWrap(key, NONCE, b"", 0, 0, wrapped)


def test_no_key_of_a_vault_is_given_up() -> None:
    """Pins leave them alone, another key stands beside the first, and another passphrase takes its own key's place."""
    content = KeyringContent(b"", 0, b"", [KnownSpace(b"other"), KnownSpace(SPACE, vaults=[_wrap(b"1")])])
    content = with_space(content, KnownSpace(SPACE, ledger_number=7))
    content = with_space(content, KnownSpace(SPACE, ledger_number=8, vaults=[_wrap(b"2")]))
    content = with_space(content, KnownSpace(SPACE, ledger_number=9, vaults=[_wrap(b"1", b"anew")]))
    assert content.spaces == [
        KnownSpace(b"other"),
        KnownSpace(SPACE, ledger_number=9, vaults=[_wrap(b"1", b"anew"), _wrap(b"2")]),
    ]


def test_a_pin_in_the_keyring_never_goes_back() -> None:
    """*Another device saw more meanwhile*: what this one saw does not take its place, whatever else it changes."""
    content = KeyringContent(b"", 0, b"", [KnownSpace(SPACE, ledger_number=7, ledger_hash=b"7")])
    content = with_space(content, KnownSpace(SPACE, confirmed=False, ledger_number=5, ledger_hash=b"5"))
    assert content.spaces == [KnownSpace(SPACE, confirmed=False, ledger_number=7, ledger_hash=b"7")]


async def test_the_ledger_says_which_key_counts() -> None:
    """Of two that an account made for a vault, the one that its boxes are sealed to; LEDGER_RULE if that is neither."""
    held = _Person().vaults()
    first, second, third = [await held.make(NONCE, PASSPHRASE) for _ in range(3)]
    known = KnownSpace(SPACE, vaults=[first.wrap, second.wrap])
    assert wrap_of(known, first.public_key) == first.wrap
    assert wrap_of(known, second.public_key) == second.wrap
    for key in (third.public_key, None):
        with pytest.raises(Refused) as refused:
            wrap_of(known, key)
        assert refused.value.code is Code.LEDGER_RULE
