"""Invites, accounts, their ledgers, unlockers and keyrings."""

from dataclasses import astuple

from safelight.server.domain.ports.rows import AccountChange, AccountRow, SessionRow, UnlockerRow
from safelight.server.stores.devices import add_device, check_holds, end_tickets, keep_session, revoke_device
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load
from safelight.server.stores.transaction import Transaction
from safelight.sync_protocol.refusals import Code, Refused

SQL = load("accounts")


class AccountRows(Engine):
    """People and how they unlock."""

    async def add_invite(self, code_hash: bytes, expires_ms: int) -> None:
        """Keep an invite that is good for one account until *expires_ms*."""

        async def work(tx: Transaction) -> None:
            await tx.rows(SQL["add_invite"], code_hash=code_hash, expires_ms=expires_ms)

        await self._write(work)

    async def create_account(self, account: AccountRow, invite_hash: bytes, change: AccountChange, now_ms: int) -> None:
        """Use the invite and create the account, both or neither; raises INVITE_INVALID or NAME_TAKEN."""

        async def work(tx: Transaction) -> None:
            if not await tx.rows(SQL["use_invite"], code_hash=invite_hash, now_ms=now_ms):
                raise Refused(Code.INVITE_INVALID)
            created = await tx.rows(
                SQL["create"],
                account_id=account.account_id,
                name=account.name,
                created_ms=account.created_ms,
                ledger_number=account.ledger_number,
                ledger_hash=account.ledger_hash,
            )
            if not created:
                raise Refused(Code.NAME_TAKEN)
            await _write_change(tx, change)

        await self._write(work)

    async def account_by_name(self, name: str) -> AccountRow | None:
        """Return the account of that name."""
        rows = await self._reading.rows(SQL["by_name"], name=name)
        return AccountRow(*rows[0]) if rows else None

    async def account(self, account_id: bytes) -> AccountRow | None:
        """Return the account of that id."""
        rows = await self._reading.rows(SQL["by_id"], account_id=account_id)
        return AccountRow(*rows[0]) if rows else None

    async def unlocker(self, account_id: bytes, kind: str) -> UnlockerRow | None:
        """Return one way to unlock an account."""
        rows = await self._reading.rows(SQL["unlocker"], account_id=account_id, kind=kind)
        return UnlockerRow(*rows[0]) if rows else None

    async def change_account(self, change: AccountChange) -> None:
        """Append to an account's ledger; raises ACCOUNT_LEDGER_CONFLICT, KEYRING_CONFLICT and SESSION_REQUIRED."""

        async def work(tx: Transaction) -> None:
            numbers = await tx.rows(SQL["lock"], account_id=change.account_id)
            if change.token_hash:
                # *A revoked device lets another one in*: whoever is shut out meanwhile is so before this, or after it.
                await check_holds(tx, change.account_id, change.token_hash)
            if numbers != [(change.expected_number,)]:
                raise Refused(Code.ACCOUNT_LEDGER_CONFLICT)
            if change.entries:
                number, entry_id, _ = change.entries[-1]
                await tx.rows(SQL["advance"], account_id=change.account_id, ledger_number=number, ledger_hash=entry_id)
            await _write_change(tx, change)
            if change.keyring is not None:
                await _put_keyring(tx, change.account_id, *change.keyring)

        await self._write(work)

    async def add_ticket(self, ticket: SessionRow, unlocker: UnlockerRow) -> None:
        """Keep a ticket that *unlocker* gave; raises UNLOCK_FAILED where the account has another by now."""

        async def work(tx: Transaction) -> None:
            # *A ticket that outlives its password*: what ends an account's tickets is before this, or after it.
            await tx.rows(SQL["lock"], account_id=ticket.account_id)
            if await tx.rows(SQL["unlocker"], account_id=ticket.account_id, kind=unlocker.kind) != [astuple(unlocker)]:
                raise Refused(Code.UNLOCK_FAILED)
            await keep_session(tx, ticket)

        await self._write(work)

    async def account_entries(self, account_id: bytes, after: int) -> list[bytes]:
        """Return the ledger's envelopes after a number, in order."""
        rows = await self._reading.rows(SQL["entries"], account_id=account_id, after=after)
        return [envelope for (envelope,) in rows]

    async def keyring(self, account_id: bytes) -> tuple[int, bytes]:
        """Return version and sealed document; version 0, empty, before the first."""
        rows = await self._reading.rows(SQL["keyring"], account_id=account_id)
        return (rows[0][0], rows[0][1]) if rows else (0, b"")

    async def put_keyring(self, account_id: bytes, token_hash: bytes, version: int, sealed: bytes) -> None:
        """Keep the next version, by a session that still stands; raises KEYRING_CONFLICT and SESSION_REQUIRED."""

        async def work(tx: Transaction) -> None:
            # *A thief writes over the new keyring*: whoever is shut out meanwhile is so before this, or after it.
            await tx.rows(SQL["lock"], account_id=account_id)
            await check_holds(tx, account_id, token_hash)
            await _put_keyring(tx, account_id, version, sealed)

        await self._write(work)


async def _put_keyring(tx: Transaction, account_id: bytes, version: int, sealed: bytes) -> None:
    if version == 1:
        kept = await tx.rows(SQL["first_keyring"], account_id=account_id, sealed=sealed)
    else:
        kept = await tx.rows(SQL["next_keyring"], account_id=account_id, sealed=sealed, before=version - 1)
    if not kept:
        raise Refused(Code.KEYRING_CONFLICT)


async def _write_change(tx: Transaction, change: AccountChange) -> None:
    await tx.run_many(
        SQL["add_entry"],
        [(change.account_id, number, entry_id, change.now_ms, data) for number, entry_id, data in change.entries],
    )
    for device in change.devices:
        if not await add_device(tx, device):
            raise Refused(Code.ACCOUNT_LEDGER_CONFLICT, "the device's id is taken")
    for device_id in change.revoked_devices:
        await revoke_device(tx, device_id, change.account_id)
    if change.unlockers:
        await end_tickets(tx, change.account_id)
    await tx.run_many(SQL["set_unlocker"], [(change.account_id, *astuple(unlocker)) for unlocker in change.unlockers])
