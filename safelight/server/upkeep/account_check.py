"""An account's rows: its ledger verified as its own devices do it, and its devices' keys compared with it."""

from collections.abc import AsyncIterator, Iterator

from safelight.server.domain.ports.checks import AccountHead
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import DeviceRow
from safelight.server.upkeep.events import Event, Finding
from safelight.sync_protocol.account_ledger import AccountState, apply_account_entries
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Refused

_BACKUP = "put the database back from a backup; the account's devices will say so, too"


async def account_events(database: Database, head: AccountHead) -> AsyncIterator[Event]:
    """Say what is wrong with an account."""
    devices = await database.devices_of(head.account_id)
    entries = await database.account_entries(head.account_id, 0)
    for detail in _wrong(head, entries, devices):
        yield Finding("account", head.account_id.hex(), detail, _BACKUP)


def _wrong(head: AccountHead, entries: list[bytes], devices: list[DeviceRow]) -> Iterator[str]:
    if len(entries) < head.ledger_number:
        yield f"its ledger ends at entry {len(entries)}, and its row says {head.ledger_number}"
        return
    try:
        state = apply_account_entries(None, entries[: head.ledger_number])
    except Refused as refusal:
        yield f"its ledger does not verify: {refusal}"
        return
    if state.account_id != head.account_id or state.head != Head(head.ledger_number, head.ledger_hash):
        yield "its row names another ledger than its entries"
    if len(entries) == head.ledger_number:  # else it moved on meanwhile
        yield from _wrong_devices(state, devices)


def _wrong_devices(state: AccountState, devices: list[DeviceRow]) -> Iterator[str]:
    rows = {row.device_id: row for row in devices if not row.space_id}
    for device_id, device in state.devices.items():
        row = rows.pop(device_id, None)
        if row is None:
            yield f"its device {device_id.hex()} has no row"
        elif (row.key, row.revoked) != (device.key, device.revoked):
            yield f"the row of its device {device_id.hex()} is not what its ledger says"
    for device_id in rows:
        yield f"its ledger does not know the device {device_id.hex()}, which has a row"
