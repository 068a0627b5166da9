"""Vaults: the second secret that opens a member's key there, and how long a device holds it (docs/spec/keys.md §10).

The key's private half comes from a random vault secret. That lies in the keyring, under the account secret and the
passphrase together: whoever holds a device that is signed in, but has no passphrase, has nothing that opens.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from safelight.clients.engine.keyring_document import KnownSpace, VaultWrap
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

# Asks the person for a vault's passphrase; None where there is nobody to ask.
AskPassphrase = Callable[[], Awaitable[str | None]]


async def nobody() -> str | None:
    """Where there is nobody to ask, vaults stay shut."""
    return None


@dataclass(frozen=True, slots=True)
class NewVault:
    """An account's new key for a vault: its public half, the secret that it comes from, and what the keyring keeps."""

    public_key: bytes
    wrap: VaultWrap
    secret: bytes = field(repr=False)


@dataclass(slots=True)
class _Open:
    secret: bytes
    forgetting: asyncio.TimerHandle


class Vaults:
    """The vaults of one account, as far as this device holds them open."""

    def __init__(self, account_id: bytes, account_secret: bytes, ask: AskPassphrase = nobody) -> None:
        """Hold none; *ask* is asked when one is to be opened."""
        self._account_id = account_id
        self._account_keys = [keytree.vault_account_key(account_secret)]
        self._ask = ask
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

    async def rewrap(self, known: KnownSpace, passphrase: str) -> VaultWrap:
        """Return the same secret under another *passphrase*; raises what `seed` raises, and BAD_REQUEST."""
        opened, wrap = await self._opened(known)
        return await asyncio.to_thread(self._wrap, wrap.nonce, opened.secret, passphrase)

    def is_open(self, space_id: bytes) -> bool:
        """Whether this device holds the vault open; asking is no use of it."""
        return space_id in self._open

    async def ask(self) -> str | None:
        """Ask the person for a passphrase; None where there is nobody to ask."""
        return await self._ask()

    async def open(self, space_id: bytes, wrap: VaultWrap, passphrase: str) -> None:
        """Open a vault; VAULT_LOCKED where the passphrase is not its own."""
        self.hold(space_id, await asyncio.to_thread(self._unwrap, wrap, passphrase))

    def hold(self, space_id: bytes, secret: bytes) -> None:
        """Hold a vault open, for as long as it is used."""
        self.shut(space_id)
        self._open[space_id] = _Open(secret, self._forget_later(space_id))

    async def seed(self, known: KnownSpace) -> bytes:
        """Return the seed of this account's key in a vault, asking for its passphrase where it is shut.

        Raises VAULT_LOCKED where nobody could be asked, or the answer was wrong.
        """
        opened, _ = await self._opened(known)
        return keytree.vault_sealing_seed(opened.secret)

    def used(self, space_id: bytes) -> None:
        """Count the five minutes anew."""
        if (held := self._open.get(space_id)) is not None:
            held.forgetting.cancel()
            held.forgetting = self._forget_later(space_id)

    def when_shut(self, space_id: bytes, tell: Callable[[], None]) -> Callable[[], None]:
        """Let *tell* be called whenever the vault is shut; returns what ends that."""
        listeners = self._told.setdefault(space_id, [])
        listeners.append(tell)
        return lambda: listeners.remove(tell)

    def shut(self, space_id: bytes) -> None:
        """Forget a vault's key, and let those forget who hold what it opened."""
        held = self._open.pop(space_id, None)
        if held is not None:
            held.forgetting.cancel()
            for tell in self._told.get(space_id, ()):
                tell()

    def shut_all(self) -> None:
        """Forget them all."""
        for space_id in list(self._open):
            self.shut(space_id)

    async def _opened(self, known: KnownSpace) -> tuple[_Open, VaultWrap]:
        if known.vault is None:
            raise Refused(Code.LEDGER_RULE, "this account made no key for the vault")
        if known.space_id not in self._open:
            passphrase = await self._ask()
            if passphrase is None:
                raise Refused(Code.VAULT_LOCKED, "there is nobody to ask for its passphrase")
            await self.open(known.space_id, known.vault, passphrase)
        self.used(known.space_id)
        return self._open[known.space_id], known.vault

    def _forget_later(self, space_id: bytes) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(FORGOTTEN_AFTER_S, self.shut, space_id)

    def _wrap(self, nonce: bytes, secret: bytes, passphrase: str) -> VaultWrap:
        if len(passphrase) < MIN_PASSPHRASE_LENGTH:
            raise Refused(Code.BAD_REQUEST, f"a vault's passphrase has at least {MIN_PASSPHRASE_LENGTH} characters")
        salt, costs = secrets.token_bytes(ARGON2_SALT_SIZE_BYTES), DEFAULT_COSTS
        key = keytree.vault_wrap_key(self._account_keys[0] + stretch(passphrase, salt, costs))
        wrapped = wrap_vault_secret(key, self._account_id, nonce, secret)
        return VaultWrap(nonce, salt, costs.memory_kib, costs.passes, wrapped)

    def _unwrap(self, wrap: VaultWrap, passphrase: str) -> bytes:
        stretched = stretch(passphrase, wrap.salt, Costs(wrap.memory_kib, wrap.passes))
        for account_key in self._account_keys:
            with suppress(Refused):
                key = keytree.vault_wrap_key(account_key + stretched)
                return unwrap_vault_secret(key, self._account_id, wrap.nonce, wrap.wrapped)
        raise Refused(Code.VAULT_LOCKED, "the passphrase is another one")
