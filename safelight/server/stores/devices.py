"""Devices, cameras among them, and their sessions."""

from collections.abc import Mapping, Sequence

from safelight.server.domain.ports.rows import DeviceRow, SessionRow
from safelight.server.stores.engine import Engine
from safelight.server.stores.statements import load
from safelight.server.stores.together import Together
from safelight.server.stores.transaction import Found, Transaction
from safelight.sync_protocol.refusals import Code, Refused

SQL = load("devices")
_ACCOUNTS = load("accounts")
_LINKS = load("links")
_LEASES = load("leases")
# They say who was last at an upload: for longer than a process freezes, and by whatever clock.
_LEASES_KEPT_MS = 7 * 24 * 60 * 60 * 1000
# Programs that run beside one another on one device, each with a session of its own, are fewer.
MAX_SESSIONS = 32


async def add_device(tx: Transaction, device: DeviceRow) -> bool:
    """Add *device*; False if its id is taken."""
    added = await tx.rows(
        SQL["add"],
        device_id=device.device_id,
        owner_id=device.owner_id,
        space_id=device.space_id,
        kind=device.kind,
        key=device.key,
        created_ms=device.created_ms,
        last_seen_ms=device.last_seen_ms,
        revoked=int(device.revoked),
    )
    return bool(added)


async def revoke_device(tx: Transaction, device_id: bytes, owner_id: bytes) -> None:
    """Revoke a device of the account *owner_id*, and end its sessions."""
    await tx.rows(SQL["revoke"], device_id=device_id, owner_id=owner_id)
    await tx.rows(SQL["delete_sessions_of"], device_id=device_id)


async def keep_session(tx: Transaction, session: SessionRow) -> None:
    """Keep a session, and of its device's (or, for tickets, its account's) others no more than the newest few."""
    await tx.rows(
        SQL["add_session"],
        token_hash=session.token_hash,
        purpose=session.purpose,
        account_id=session.account_id,
        device_id=session.device_id,
        space_id=session.space_id,
        expires_ms=session.expires_ms,
    )
    await tx.rows(
        SQL["limit_sessions"],
        purpose=session.purpose,
        device_id=session.device_id,
        account_id=session.account_id,
        token_hash=session.token_hash,
        keep=MAX_SESSIONS,
    )


async def end_tickets(tx: Transaction, account_id: bytes) -> None:
    """End an account's tickets: what they were given for counts no more."""
    await tx.rows(SQL["delete_tickets_of"], no_device=b"", account_id=account_id)


async def check_holds(tx: Transaction, account_id: bytes, token_hash: bytes) -> None:
    """Check that a session or ticket of the account still stands; raises SESSION_REQUIRED."""
    if not await tx.rows(SQL["holds"], account_id=account_id, token_hash=token_hash):
        raise Refused(Code.SESSION_REQUIRED)


async def revoke_in_space(tx: Transaction, device_id: bytes, space_id: bytes) -> None:
    """Revoke a camera of the space and end its sessions; a device of an account is its own ledger's to revoke."""
    await tx.rows(SQL["revoke_in_space"], device_id=device_id, space_id=space_id)
    await tx.rows(SQL["delete_sessions_in"], device_id=device_id, space_id=space_id)


class DeviceRows(Engine):
    """What signs, and what it holds open."""

    def __init__(self) -> None:
        self._sessions = Together(self._sessions_of)

    async def device(self, device_id: bytes) -> DeviceRow | None:
        """Return the device of that id, revoked or not."""
        rows = await self._reading.rows(SQL["by_id"], device_id=device_id)
        return _device(rows[0]) if rows else None

    async def devices_of(self, owner_id: bytes) -> list[DeviceRow]:
        """Return an account's devices and the cameras that it certified, oldest first."""
        return [_device(row) for row in await self._reading.rows(SQL["by_owner"], owner_id=owner_id)]

    async def touch_device(self, device_id: bytes, now_ms: int) -> None:
        """Note that the device was seen."""

        async def work(tx: Transaction) -> None:
            await tx.rows(SQL["touch"], device_id=device_id, now_ms=now_ms)

        await self._write(work)

    async def add_session(self, session: SessionRow) -> None:
        """Keep a session, and of its device's (or, for tickets, its account's) others no more than the newest few."""

        async def work(tx: Transaction) -> None:
            await keep_session(tx, session)

        await self._write(work)

    async def session(self, token_hash: bytes) -> SessionRow | None:
        """Return the session, if it is there and its device is not revoked (expiry is the domain's to judge)."""
        return await self._sessions.find(token_hash)

    async def _sessions_of(self, token_hashes: Sequence[bytes]) -> Mapping[bytes, SessionRow]:
        rows = [SessionRow(*row) for row in await self._reading.rows_in(SQL["sessions"], token_hashes)]
        return {row.token_hash: row for row in rows}

    async def delete_session(self, token_hash: bytes) -> None:
        """End a session."""

        async def work(tx: Transaction) -> None:
            await tx.rows(SQL["delete_session"], token_hash=token_hash)

        await self._write(work)

    async def delete_expired(self, now_ms: int) -> None:
        """Delete sessions, tickets, invites and leases whose time is over, and end hand-overs."""

        async def work(tx: Transaction) -> None:
            await tx.rows(SQL["delete_expired_sessions"], now_ms=now_ms)
            await tx.rows(_ACCOUNTS["delete_expired_invites"], now_ms=now_ms)
            await tx.rows(_LINKS["end_handovers"], now_ms=now_ms)
            await tx.rows(_LEASES["delete_ended"], before_ms=now_ms - _LEASES_KEPT_MS)

        await self._write(work)


def _device(row: Found) -> DeviceRow:
    return DeviceRow(*(*row[:-1], bool(row[-1])))
