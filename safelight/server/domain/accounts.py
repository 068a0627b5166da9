"""Accounts: made by invite, unlocked by proof, and nothing told about names that do not exist."""

import hashlib
import hmac
import secrets
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from safelight.server.domain.access import Who, account_of, space_for
from safelight.server.domain.addresses import network_of
from safelight.server.domain.clock import ServerClock
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import AccountChange, AccountRow, DeviceRow, SessionRow, UnlockerRow
from safelight.server.domain.throttle import Throttle
from safelight.sync_protocol.account_ledger import AccountState, Unlocker, apply_account_entries, is_known_account_entry
from safelight.sync_protocol.codes import to_letters
from safelight.sync_protocol.limits import (
    ARGON2_MAX_MEMORY_KIB,
    ARGON2_MAX_PASSES,
    ARGON2_MIN_MEMORY_KIB,
    ARGON2_MIN_PASSES,
    ARGON2_SALT_SIZE_BYTES,
    ID_SIZE_BYTES,
)
from safelight.sync_protocol.messages import accounts as messages
from safelight.sync_protocol.refusals import Code, Refused

TICKET_LIFETIME_S = 15 * 60
_MAX_HOMES = 10_000
_NO_SALT = bytes(ARGON2_SALT_SIZE_BYTES)


def token_hash(token: str) -> bytes:
    """What the server keeps of a bearer token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _invite_hash(code: str) -> bytes:
    """What the server keeps of an invite code, however a person wrote it down."""
    return hashlib.sha256("".join(code.split()).replace("-", "").lower().encode()).digest()


@dataclass(frozen=True, slots=True)
class Throttles:
    """Attempts left for each account name, each link and each address."""

    names: Throttle
    links: Throttle
    addresses: Throttle


class Accounts:
    """Creating, unlocking and changing accounts."""

    def __init__(
        self, database: Database, ledgers: Ledgers, clock: ServerClock, throttles: Throttles, *, secret: bytes
    ) -> None:
        self._database = database
        self._ledgers = ledgers
        self._clock = clock
        self._throttles = throttles
        self._homes: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()
        self._secret = secret

    async def new_invite(self, lifetime_s: int) -> str:
        """Make a one-time code for one new account."""
        letters = to_letters(secrets.token_bytes(15))
        code = "-".join(letters[at : at + 6] for at in range(0, len(letters), 6))
        await self._database.add_invite(_invite_hash(code), self._clock.now_ms() + lifetime_s * 1000)
        return code

    async def create(self, request: messages.CreateAccount) -> messages.AccountCreated:
        """Create an account and use up its invite.

        Raises INVITE_INVALID, NAME_TAKEN, NAME_INVALID, PASSWORD_COST_REFUSED and what the account's ledger raises.
        """
        name = _check_name(request.name)
        _check_known(request.entries)
        state = apply_account_entries(None, request.entries)
        unlockers = [_check_unlocker(unlocker, state) for unlocker in request.unlockers]
        if {unlocker.kind for unlocker in unlockers} != {kind.value for kind in Unlocker}:
            raise Refused(Code.BAD_REQUEST, "an account begins with a password and recovery words")
        now_ms = self._clock.now_ms()
        account = AccountRow(state.account_id, name, now_ms, state.head.number, state.head.hash)
        change = _change(None, state, request.entries, unlockers, now_ms)
        await self._database.create_account(account, _invite_hash(request.invite), change, now_ms)
        return messages.AccountCreated(state.account_id.hex())

    async def start_unlock(self, request: messages.StartUnlock) -> messages.UnlockStarted:
        """Say what the unlocker needs. A name that does not exist gets an answer that looks the same every time."""
        name = unicodedata.normalize("NFC", request.name)
        account = await self._database.account_by_name(name)
        unlocker = await self._database.unlocker(account.account_id if account else bytes(ID_SIZE_BYTES), request.kind)
        if account and unlocker:
            return messages.UnlockStarted(account.account_id.hex(), unlocker.salt, unlocker.memory_kib, unlocker.passes)
        false_id = self._false("account", name)[:ID_SIZE_BYTES].hex()
        if request.kind == Unlocker.RECOVERY.value:
            return messages.UnlockStarted(false_id, _NO_SALT, 0, 0)
        salt = self._false("salt", name)[:ARGON2_SALT_SIZE_BYTES]
        return messages.UnlockStarted(false_id, salt, ARGON2_MIN_MEMORY_KIB, ARGON2_MIN_PASSES)

    async def finish_unlock(self, request: messages.FinishUnlock, address: str) -> messages.Unlocked:
        """Check the proof and release the wrapped secret; raises UNLOCK_FAILED, alike for wrong names and passwords."""
        name = unicodedata.normalize("NFC", request.name)
        keys = self._attempts_of(name, address)
        self._throttles.addresses.take(keys[1])
        self._throttles.names.take(keys[0])
        account = await self._database.account_by_name(name)
        unlocker = await self._database.unlocker(account.account_id if account else bytes(ID_SIZE_BYTES), request.kind)
        expected = unlocker.auth_hash if unlocker else self._false("auth", name)
        if not hmac.compare_digest(hashlib.sha256(request.auth_key).digest(), expected) or not account or not unlocker:
            raise Refused(Code.UNLOCK_FAILED)
        self._throttles.addresses.give_back(keys[1])
        self._throttles.names.give_back(keys[0])
        self._remember_home(name, address)
        ticket = secrets.token_urlsafe(32)
        expires_ms = self._clock.now_ms() + TICKET_LIFETIME_S * 1000
        session = SessionRow(token_hash(ticket), "ticket", account.account_id, b"", b"", expires_ms)
        await self._database.add_ticket(session, unlocker)
        entries = await self._database.account_entries(account.account_id, 0)
        return messages.Unlocked(account.account_id.hex(), unlocker.wrapped, entries, ticket, expires_ms)

    async def ledger(self, who: Who, account_id: bytes, after: int) -> messages.AccountLedger:
        """Return an account's ledger to itself, and to who shares a space with it; NOT_FOUND for everyone else."""
        account = await self._database.account(account_id)
        if account is None or not await self._may_see(who, account_id):
            raise Refused(Code.NOT_FOUND)
        entries = await self._database.account_entries(account_id, after)
        return messages.AccountLedger(account_id.hex(), account.name, entries)

    async def append(
        self, who: Who, account_id: bytes, request: messages.AppendAccountEntries
    ) -> messages.AccountLedger:
        """Append entries to the own ledger, all or none, with the unlockers and the keyring that belong to them.

        Raises ACCOUNT_LEDGER_CONFLICT, KEYRING_CONFLICT, SESSION_REQUIRED and the ledger's own.
        """
        account = await self._database.account(account_id)
        if account is None or who.account_id != account_id:
            raise Refused(Code.NOT_FOUND)
        _check_known(request.entries)
        before = apply_account_entries(None, await self._database.account_entries(account_id, 0))
        after = apply_account_entries(before, request.entries)
        unlockers = [_check_unlocker(unlocker, after) for unlocker in request.unlockers]
        if after.unlockers != {**before.unlockers, **{row.kind: _sha256(row.wrapped) for row in unlockers}}:
            raise Refused(Code.BAD_REQUEST, "an unlocker that the ledger sets comes with what it is made of")
        if before.identity != after.identity:
            _check_whole(after, unlockers, request.keyring)
        change = _change(before, after, request.entries, unlockers, self._clock.now_ms())
        keyring = (request.keyring.version, request.keyring.sealed) if request.keyring else None
        await self._database.change_account(replace(change, keyring=keyring, token_hash=who.token_hash))
        return messages.AccountLedger(account_id.hex(), account.name, request.entries)

    async def keyring(self, who: Who) -> messages.Keyring:
        """Return the newest keyring of the account; raises FORBIDDEN for a camera."""
        return messages.Keyring(*await self._database.keyring(account_of(who)))

    async def put_keyring(self, who: Who, request: messages.PutKeyring) -> messages.Keyring:
        """Keep the next keyring; raises KEYRING_CONFLICT, and FORBIDDEN for a camera."""
        await self._database.put_keyring(account_of(who), who.token_hash, request.version, request.sealed)
        return messages.Keyring(request.version, request.sealed)

    def _attempts_of(self, name: str, address: str) -> tuple[bytes, bytes]:
        """Whose attempts these are: the name's, or the name's at home, and the address's.

        A network from which the name was unlocked has attempts of its own, or anyone could keep its owner out for ever.
        """
        network = network_of(address)
        key = hashlib.sha256(name.encode()).digest()
        return (key + network if (key, network) in self._homes else key), network

    def _remember_home(self, name: str, address: str) -> None:
        home = (hashlib.sha256(name.encode()).digest(), network_of(address))
        self._homes[home] = None
        self._homes.move_to_end(home)
        if len(self._homes) > _MAX_HOMES:
            self._homes.popitem(last=False)

    async def _may_see(self, who: Who, account_id: bytes) -> bool:
        if who.is_camera:
            try:  # by the ledger: it stands no more where whoever certified it may not add any more
                return account_id in (await space_for(self._ledgers, who, who.space_id)).members
            except Refused as refusal:
                if refusal.code is not Code.SPACE_UNKNOWN:
                    raise
                return False
        if who.account_id == account_id:
            return True
        for space, _ in await self._database.spaces_of(who.account_id):
            if await self._database.role_in(space.space_id, account_id) is not None:
                return True
        return False

    def _false(self, purpose: str, name: str) -> bytes:
        return hmac.digest(self._secret, f"{purpose}\0{name}".encode(), "sha256")


def _check_name(name: str) -> str:
    """Names that look alike are alike: NFC, and no line end behind which a second name could hide."""
    normal = unicodedata.normalize("NFC", name)
    if not normal or normal.strip() != normal or not normal.isprintable():
        raise Refused(Code.NAME_INVALID)
    return normal


def _check_known(entries: Sequence[bytes]) -> None:
    """Refuse entries of kinds that this server does not know, critical or not."""
    if not all(map(is_known_account_entry, entries)):
        raise Refused(Code.ENTRY_UNKNOWN_CRITICAL)


def _check_unlocker(unlocker: messages.NewUnlocker, state: AccountState) -> UnlockerRow:
    """The wrapped secret must be the one whose hash the ledger names, at costs that clients accept."""
    if state.unlockers.get(unlocker.kind) != _sha256(unlocker.wrapped):
        raise Refused(Code.LEDGER_RULE, f"the ledger does not name this {unlocker.kind} unlocker")
    costs_fit = (
        ARGON2_MIN_MEMORY_KIB <= unlocker.memory_kib <= ARGON2_MAX_MEMORY_KIB
        and ARGON2_MIN_PASSES <= unlocker.passes <= ARGON2_MAX_PASSES
    )
    none_needed = unlocker.memory_kib == 0 and unlocker.passes == 0 and unlocker.salt == _NO_SALT
    if not (costs_fit if unlocker.kind == Unlocker.PASSWORD.value else none_needed):
        raise Refused(Code.PASSWORD_COST_REFUSED)
    return UnlockerRow(
        kind=unlocker.kind,
        auth_hash=_sha256(unlocker.auth_key),
        wrapped=unlocker.wrapped,
        salt=unlocker.salt,
        memory_kib=unlocker.memory_kib,
        passes=unlocker.passes,
    )


def _check_whole(after: AccountState, unlockers: Sequence[UnlockerRow], keyring: messages.PutKeyring | None) -> None:
    """*An account that nothing opens any more*: a new identity comes with every unlocker anew, and with its keyring."""
    if keyring is None or {unlocker.kind for unlocker in unlockers} != set(after.unlockers):
        raise Refused(Code.BAD_REQUEST, "a new identity comes with all unlockers and the keyring")


def _change(
    before: AccountState | None,
    after: AccountState,
    entries: Sequence[bytes],
    unlockers: Sequence[UnlockerRow],
    now_ms: int,
) -> AccountChange:
    """What the entries change: devices that came, devices that went, unlockers that were set."""
    old = before.devices if before else {}
    first = before.head.number if before else 0
    return AccountChange(
        account_id=after.account_id,
        expected_number=first,
        entries=[(number, _sha256(entry), entry) for number, entry in enumerate(entries, start=first + 1)],
        now_ms=now_ms,
        devices=[
            DeviceRow(device_id, after.account_id, b"", "device", device.key, now_ms, revoked=device.revoked)
            for device_id, device in after.devices.items()
            if device_id not in old
        ],
        revoked_devices=[key for key, device in old.items() if not device.revoked and after.devices[key].revoked],
        unlockers=unlockers,
    )


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
