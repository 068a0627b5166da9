"""A member who writes to the ledger without pause, so that nobody's entry fits behind it, is removed all the same."""

import asyncio
import secrets
import time
from pathlib import Path

import msgspec

from safelight.clients.engine.members import list_members, remove_member
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.ledger_entries import CertifyCameraBody, LedgerKind
from safelight.sync_protocol.log import ENTRY_VERSION, Head, Header, build_entry
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.signatures import public_key_of
from tests.hostile.test_member_attacks import come_in
from tests.support.people import Someone, new_someone, new_space
from tests.support.server_process import ServerProcess


async def flood(space: SpaceView) -> None:
    """Certify one camera after another, as fast as the server takes them: it fetches nothing and verifies nothing."""
    ledger, log = space.state.head, space.reader.log.head
    counter, last = space.memory.position.counter, space.memory.position.entry_id
    device, connection = space.session.device, space.session.connection
    while True:
        now_ms = int(time.time() * 1000)
        body = CertifyCameraBody(
            camera_id=secrets.token_bytes(16),
            pairing_key=public_key_of(secrets.token_bytes(32)),
            expires_ms=now_ms + 60_000,
            quota_bytes=0,
            epoch=space.state.epoch.number,
            name=b"a name",
            dedupe=b"a key",
        )
        header = Header(
            version=ENTRY_VERSION,
            critical=True,
            kind=LedgerKind.CERTIFY_CAMERA.value,
            space_id=space.space_id,
            author_id=space.session.account_id,
            device_id=device.device_id,
            counter=counter + 1,
            previous_id=last,
            ledger=ledger,
            log=log,
            signed_ms=now_ms,
        )
        request = CommitEntry(build_entry(header, body, device.signing_seed), [])
        path = f"/v1/spaces/{space.space_id.hex()}/commits"
        receipt = msgspec.msgpack.decode(
            (await connection.request("POST", path, request, Committed)).receipt, type=Receipt
        )
        counter, last = counter + 1, receipt.entry_id
        ledger, log = Head(receipt.number, receipt.entry_id), Head(receipt.number, receipt.chain)


async def test_a_member_who_cannot_be_removed(server: ServerProcess, victim: Someone, tmp_path: Path) -> None:
    """*Every entry of the owner's is stale when it comes*: the server gives pauses, and the owner's device goes on."""
    insider = await new_someone(server, tmp_path / "insider", "insider-flood")
    await new_space(victim, "Home")
    await come_in(victim, insider, "Max", Role.EDITOR)
    async with insider.space("Home") as theirs, victim.space("Home") as space:
        flooding = asyncio.create_task(flood(theirs))
        await asyncio.sleep(0.2)
        await remove_member(space, theirs.session.account_id)
        assert [one.is_me for one in await list_members(space)] == [True]
        assert not flooding.done() or isinstance(flooding.exception(), Refused)  # it was at it, or is out
        flooding.cancel()
