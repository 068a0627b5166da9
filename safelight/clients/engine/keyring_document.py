"""The keyring: one document under the account secret that says what counts for this account (docs/spec/keys.md).

The server keeps it and numbers its versions; it cannot read, change or, unseen, roll it back.
"""

from collections.abc import Callable

import msgspec

from safelight.clients.engine.connection import Connection
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.messages.accounts import Keyring, PutKeyring
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box
from safelight.sync_protocol.wire import Sealed, pack, unpack

_MAX_ATTEMPTS = 5


class _InKeyring(Sealed, frozen=True, forbid_unknown_fields=True):
    """Base of what the keyring says, where a later version adds no key that this one would pass over.

    *A vault lost to an older version*: whoever writes the next version of the keyring would leave out what it never
    read, so it reads all of it or writes nothing.
    """


class VaultWrap(_InKeyring, frozen=True):
    """An account's secret of one vault, under the account secret and the vault's passphrase together (`vaults`).

    `key` is the fingerprint of the public key that comes from it.
    """

    key: bytes
    nonce: bytes
    salt: bytes
    memory_kib: int
    passes: int
    wrapped: bytes


class KnownSpace(_InKeyring, frozen=True):
    """A space that this account made or joined, and the newest ledger head that one of its devices saw there.

    `confirmed` is false between listing a space that is about to be made and the receipt for its genesis. `vaults` is
    there for vaults, and for them alone: an account that came in more than once, or tried to, made a key each time.
    """

    space_id: bytes
    confirmed: bool = True
    ledger_number: int = 0
    ledger_hash: bytes = b""
    vaults: list[VaultWrap] = []


class KeyringContent(_InKeyring, frozen=True):
    """What the keyring says. `account_number` and `account_hash` pin the account's own ledger for new devices.

    `former_secrets` are the account secrets before this one, newest first: what was sealed to the identities that they
    made, or lies under them, still opens.
    """

    server_key: bytes
    account_number: int
    account_hash: bytes
    spaces: list[KnownSpace] = []
    former_secrets: list[bytes] = []

    def __repr__(self) -> str:
        return "KeyringContent(…)"


class KeyringDocument:
    """The account's keyring as last fetched; `seen_version` is the profile's pin."""

    def __init__(self, connection: Connection, account_id: bytes, account_secret: bytes, seen_version: int) -> None:
        self._connection = connection
        self._account_id = account_id
        self._key = keytree.keyring_key(account_secret)
        self.version = seen_version
        self.content: KeyringContent | None = None

    async def fetch(self) -> KeyringContent | None:
        """Fetch and open the newest version; None before the first.

        HISTORY_ROLLED_BACK if the server shows an older one than was seen, OPEN_FAILED if it was changed, and
        SERVER_KEY_CHANGED if another server was pinned by this account's devices; UPDATE_REQUIRED if a newer version
        wrote it.
        """
        kept = await self._connection.request("GET", "/v1/keyring", None, Keyring)
        if kept.version < self.version:
            raise Refused(Code.HISTORY_ROLLED_BACK, f"the keyring has version {kept.version}, {self.version} was seen")
        if kept.version == 0:
            return None
        opened = open_box(self._key, self._place(kept.version), kept.sealed)
        try:
            content = unpack(opened, KeyringContent, Code.UPDATE_REQUIRED)
        except Refused:
            raise Refused(Code.UPDATE_REQUIRED, "another version wrote this account's keyring") from None
        if content.server_key != self._connection.server_key:
            raise Refused(Code.SERVER_KEY_CHANGED, "this account's devices know the server by another key")
        self.version, self.content = kept.version, content
        return content

    async def update(self, change: Callable[[KeyringContent | None], KeyringContent]) -> KeyringContent:
        """Put a changed version; where another device was first, *change* is applied to its version."""
        for _ in range(_MAX_ATTEMPTS):
            content = change(self.content)
            if content == self.content:
                return content
            version = self.version + 1
            try:
                await self._connection.request("PUT", "/v1/keyring", self.next_version(content), Keyring)
            except Refused as refusal:
                if refusal.code is not Code.KEYRING_CONFLICT:
                    raise
                # Another device's version; or our own, whose answer was lost: then the change is found made.
                await self.fetch()
                continue
            self.version, self.content = version, content
            return content
        raise Refused(Code.KEYRING_CONFLICT)

    def next_version(self, content: KeyringContent) -> PutKeyring:
        """Seal *content* as the version that follows the one that was fetched."""
        version = self.version + 1
        return PutKeyring(version, seal_box(self._key, self._place(version), pack(content), nonce=random_nonce()))

    def _place(self, version: int) -> bytes:
        return context(Label.KEYRING, self._account_id, uint(version))


def with_space(content: KeyringContent, known: KnownSpace) -> KeyringContent:
    """Return *content* with *known* in place of what it said of that space.

    A vault's wraps stay, and another takes the place of none but one of the same key. *A vault that nothing opens any
    more*: whoever only moves a pin knows nothing of them, and of two devices that join at once either may be first. Nor
    does a pin go back, where another device saw more of the ledger meanwhile.
    """
    others = [space for space in content.spaces if space.space_id != known.space_id]
    before = next((space for space in content.spaces if space.space_id == known.space_id), known)
    wraps = {wrap.key: wrap for wrap in (*before.vaults, *known.vaults)}
    newest = max(known, before, key=lambda space: space.ledger_number)
    known = msgspec.structs.replace(
        known,
        ledger_number=newest.ledger_number,
        ledger_hash=newest.ledger_hash,
        vaults=list(wraps.values()),
    )
    return msgspec.structs.replace(content, spaces=[*others, known])
