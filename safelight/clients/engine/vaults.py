"""Vaults: the second secret that opens a member's key there, and how long a device holds it (docs/spec/keys.md §10).

The key's private half comes from a random vault secret. That lies in the keyring, under the account secret and the
passphrase together: whoever holds a device that is signed in, but has no passphrase, has nothing that opens.
"""

import asyncio
import contextlib
import secrets
import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from safelight.clients.engine.clock import Clock, now_ms
from safelight.clients.engine.keyring_document import KnownSpace, VaultWrap
from safelight.sync_protocol import ids
from safelight.sync_protocol.limits import ARGON2_SALT_SIZE_BYTES, KEY_SIZE_BYTES
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.sealing.passwords import (
    DEFAULT_COSTS,
    Costs,
    stretch,
    unwrap_vault_secret,
    wrap_vault_secret,
)

MIN_PASSPHRASE_LENGTH = 8
FORGOTTEN_AFTER_S = 300.0
# *A laptop that slept with the vault open*: the loop's clock may stand still meanwhile, so the day's is looked at.
_LOOKED_AT_EVERY_S = 5.0

# Asks the person for a vault's passphrase; None where there is nobody to ask.
AskPassphrase = Callable[[], Awaitable[str | None]]


def _is_passphrase(text: str) -> bool:
    """Whether it could be one at all: nothing shorter is ever taken, and half a surrogate is no text."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(unicodedata.normalize("NFC", text)) >= MIN_PASSPHRASE_LENGTH


async def nobody() -> str | None:
    """Where there is nobody to ask, vaults stay shut."""
    return None


@dataclass(frozen=True, slots=True)
class NewVault:
    """An account's new key for a vault: its public half, the secret that it comes from, and what the keyring keeps."""

    public_key: bytes
    wrap: VaultWrap
    secret: bytes = field(repr=False)


def wrap_of(known: KnownSpace, vault_key: bytes | None) -> VaultWrap:
    """Return the wrap of the key that the ledger has of this account; LEDGER_RULE where the keyring has none of it."""
    fingerprint = None if vault_key is None else ids.key_fingerprint(vault_key)
    for wrap in known.vaults:
        if wrap.key == fingerprint:
            return wrap
    raise Refused(Code.LEDGER_RULE, "this account's keyring has no such key for the vault")


@dataclass(slots=True)
class _Open:
    """A vault's secret, until the loop's clock or the time of day says that it was not used for long enough."""

    key: bytes
    secret: bytes
    until: float
    until_ms: int
    timer: asyncio.TimerHandle


class Vaults:
    """The vaults of one account, as far as this device holds them open."""

    def __init__(
        self, account_id: bytes, account_secret: bytes, ask: AskPassphrase = nobody, *, clock: Clock = now_ms
    ) -> None:
        """Hold none; *ask* is asked when one is to be opened."""
        self._account_id = account_id
        self._account_keys = [keytree.vault_account_key(account_secret)]
        self._ask = ask
        self._clock = clock
        self._asking = asyncio.Lock()
        self._open: dict[bytes, _Open] = {}
        self._told: dict[bytes, list[Callable[[], None]]] = {}

    def know_former(self, secrets: Sequence[bytes]) -> None:
        """Open what lies under the account's former secrets, too: a new identity changes no vault."""
        self._account_keys[1:] = map(keytree.vault_account_key, secrets)

    async def make(self, nonce: bytes, passphrase: str) -> NewVault:
        """Make this account's key for the vault with the genesis *nonce*.

        Takes a quarter of a second. Raises BAD_REQUEST for a passphrase of fewer than eight characters.
        """
        secret = secrets.token_bytes(KEY_SIZE_BYTES)
        wrap = await asyncio.to_thread(self._wrap, nonce, secret, passphrase)
        return NewVault(hpke.public_key(keytree.vault_sealing_seed(secret)), wrap, secret)

    async def rewrap(self, space_id: bytes, wrap: VaultWrap, passphrase: str) -> VaultWrap:
        """Return the same secret under another *passphrase*; raises what `seed` raises, and BAD_REQUEST."""
        opened = await self._opened(space_id, wrap)
        return await asyncio.to_thread(self._wrap, wrap.nonce, opened.secret, passphrase)

    def is_open(self, space_id: bytes) -> bool:
        """Whether this device holds the vault open; asking is no use of it."""
        return self._held(space_id) is not None

    async def ask(self) -> str | None:
        """Ask the person for a passphrase; None where there is nobody to ask."""
        return await self._ask()

    async def open(self, space_id: bytes, wrap: VaultWrap, passphrase: str) -> None:
        """Open a vault; VAULT_LOCKED where the passphrase is not its own."""
        self._hold(space_id, wrap.key, await asyncio.to_thread(self._unwrap, wrap, passphrase))

    def hold(self, space_id: bytes, made: NewVault) -> None:
        """Hold a vault open whose key was just made, for as long as it is used."""
        self._hold(space_id, made.wrap.key, made.secret)

    def _hold(self, space_id: bytes, key: bytes, secret: bytes) -> None:
        self.shut(space_id)
        until, until_ms = self._deadlines()
        self._open[space_id] = _Open(key, secret, until, until_ms, self._look_later(space_id, until))

    async def seed(self, space_id: bytes, wrap: VaultWrap) -> bytes:
        """Return the seed of this account's key in a vault, asking for its passphrase where it is shut.

        Raises VAULT_LOCKED where nobody could be asked, or the answer was wrong.
        """
        return keytree.vault_sealing_seed((await self._opened(space_id, wrap)).secret)

    def used(self, space_id: bytes) -> None:
        """Count the five minutes anew."""
        if (held := self._held(space_id)) is not None:
            held.until, held.until_ms = self._deadlines()

    @contextlib.contextmanager
    def only_looked_at(self, space_id: bytes) -> Iterator[None]:
        """What happens inside is no use of a vault: *whoever lists spaces again and again* would keep it open."""
        held = self._held(space_id)
        before = (held.until, held.until_ms) if held is not None else None
        yield
        if held is not None and before is not None:
            held.until, held.until_ms = before

    def when_shut(self, space_id: bytes, tell: Callable[[], None]) -> Callable[[], None]:
        """Let *tell* be called whenever the vault is shut; returns what ends that."""
        listeners = self._told.setdefault(space_id, [])
        listeners.append(tell)
        return lambda: listeners.remove(tell)

    def shut(self, space_id: bytes) -> None:
        """Forget a vault's key, and let those forget who hold what it opened."""
        held = self._open.pop(space_id, None)
        if held is not None:
            held.timer.cancel()
            for tell in self._told.get(space_id, ()):
                tell()

    def shut_all(self) -> None:
        """Forget them all."""
        for space_id in list(self._open):
            self.shut(space_id)

    async def _opened(self, space_id: bytes, wrap: VaultWrap) -> _Open:
        async with self._asking:  # whoever is asked by several at once answers once
            held = self._held(space_id)
            if held is None or held.key != wrap.key:
                passphrase = await self._ask()
                if passphrase is None:
                    raise Refused(Code.VAULT_LOCKED, "there is nobody to ask for its passphrase")
                await self.open(space_id, wrap, passphrase)
            self.used(space_id)
            return self._open[space_id]

    def _held(self, space_id: bytes) -> _Open | None:
        """A vault that is open still; one whose time is over is shut at the latest when it is looked for."""
        held = self._open.get(space_id)
        if held is None or (asyncio.get_running_loop().time() < held.until and self._clock() < held.until_ms):
            return held
        self.shut(space_id)
        return None

    def _deadlines(self) -> tuple[float, int]:
        return asyncio.get_running_loop().time() + FORGOTTEN_AFTER_S, self._clock() + int(FORGOTTEN_AFTER_S * 1000)

    def _look_later(self, space_id: bytes, until: float) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_at(min(until, loop.time() + _LOOKED_AT_EVERY_S), self._look, space_id)

    def _look(self, space_id: bytes) -> None:
        if (held := self._held(space_id)) is not None:
            held.timer = self._look_later(space_id, held.until)

    def _wrap(self, nonce: bytes, secret: bytes, passphrase: str) -> VaultWrap:
        if not _is_passphrase(passphrase):
            raise Refused(Code.BAD_REQUEST, f"a vault's passphrase has at least {MIN_PASSPHRASE_LENGTH} characters")
        salt, costs = secrets.token_bytes(ARGON2_SALT_SIZE_BYTES), DEFAULT_COSTS
        key = keytree.vault_wrap_key(self._account_keys[0] + stretch(passphrase, salt, costs))
        wrapped = wrap_vault_secret(key, self._account_id, nonce, secret)
        fingerprint = ids.key_fingerprint(hpke.public_key(keytree.vault_sealing_seed(secret)))
        return VaultWrap(fingerprint, nonce, salt, costs.memory_kib, costs.passes, wrapped)

    def _unwrap(self, wrap: VaultWrap, passphrase: str) -> bytes:
        if not _is_passphrase(passphrase):
            raise Refused(Code.VAULT_LOCKED, "the passphrase is another one")
        stretched = stretch(passphrase, wrap.salt, Costs(wrap.memory_kib, wrap.passes))
        for account_key in self._account_keys:
            with contextlib.suppress(Refused):
                key = keytree.vault_wrap_key(account_key + stretched)
                return unwrap_vault_secret(key, self._account_id, wrap.nonce, wrap.wrapped)
        raise Refused(Code.VAULT_LOCKED, "the passphrase is another one")
