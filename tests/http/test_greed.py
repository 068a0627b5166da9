"""Clients that take more than their share: entries that mean nothing, uploads without end, bodies that swell."""

import os

import pytest

from safelight.sync_protocol import account_ledger, signatures
from safelight.sync_protocol.account_ledger import AddDeviceBody
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ledger import RevokeCameraBody, RotateEpochBody
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.messages.spaces import SpaceRow
from safelight.sync_protocol.records import OpenRollBody, RecordKind
from safelight.sync_protocol.wire import Signed, pack
from tests.http.conftest import Owner, Server, StartServer
from tests.support.protocol import Blob, Link, Pairing, now_ms


class Noise(Signed, frozen=True):
    """A body that means nothing."""

    noise: bytes


async def used(owner: Owner) -> int:
    """How many bytes the space counts as used."""
    return (await owner.api.get(owner.space)).as_(SpaceRow).used_bytes


@pytest.mark.parametrize("kind", ["pick.choose", "camera.noise", "policy.something-new"])
async def test_entries_of_unknown_kinds(owner: Owner, kind: str) -> None:
    """What the server does not know it does not keep, critical or not, whoever signed it."""
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing())
    for api, who in ((owner.api, owner.signer), (camera, signer)):
        for critical in (True, False):
            entry = owner.writer.entry(kind, Noise(os.urandom(500_000)), who, critical=critical)
            answer = await api.try_commit(owner.writer, entry)
            assert (answer.status, answer.code) == (422, "entry-unknown-critical")


@pytest.mark.parametrize("kind", ["roll.open", "camera.certify", "camera.bind"])
async def test_entries_of_later_versions(owner: Owner, kind: str) -> None:
    """A known kind in a later version is as unknown."""
    entry = owner.writer.entry(kind, Noise(b""), version=2, critical=False)
    assert (await owner.api.try_commit(owner.writer, entry)).code == "entry-unknown-critical"


async def test_account_entries_of_unknown_kinds(server: Server) -> None:
    """An account's ledger takes no noise either."""
    person, api = await server.account()
    header = account_ledger.AccountHeader(
        1, False, "pick.choose", person.account_id, person.state.head.number + 1, person.state.head.hash, now_ms()
    )
    body = AddDeviceBody(os.urandom(16), os.urandom(32))
    content = b"\x92" + pack(header) + pack(body)
    signature = signatures.sign(person.identity_seed, context(Label.SIGN_ACCOUNT_ENTRY, content))
    envelope = pack(_Envelope(content, signature))
    account_ledger.apply_account_entry(person.state, envelope)  # readers pass over it
    path = f"/v1/accounts/{person.account_id.hex()}/ledger"
    assert (await api.post(path, AppendAccountEntries([envelope]))).code == "entry-unknown-critical"


class _Envelope(Signed, frozen=True):
    content: bytes
    signature: bytes


async def test_entries_count(owner: Owner) -> None:
    """What entries and boxes take is used space like any other."""
    before = await used(owner)
    assert before > 0
    entry = owner.writer.open_roll()
    await owner.api.commit(owner.writer, entry)
    assert await used(owner) == before + len(entry.envelope)
    epoch, boxes = owner.writer.next_epoch()
    rotation = owner.writer.entry("epoch.rotate", RotateEpochBody(epoch))
    await owner.api.commit(owner.writer, rotation, boxes)
    size_bytes = len(entry.envelope) + len(rotation.envelope) + sum(len(box.box) for box in boxes)
    assert await used(owner) == before + size_bytes


async def test_a_camera_cannot_fill_the_log(owner: Owner) -> None:
    """A camera that signs roll after roll comes to the end of its quota, and is still revoked."""
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing(quota_bytes=20_000))
    for _ in range(20):
        body = OpenRollBody(os.urandom(16), owner.writer.state.epoch.number, os.urandom(2048), os.urandom(2048))
        entry = owner.writer.entry(RecordKind.OPEN_ROLL, body, signer)
        answer = await camera.try_commit(owner.writer, entry)
        if answer.status != 200:
            break
        signer.counter, signer.last_id = entry.header.counter, entry.id
    assert (signer.counter < 8, answer.code) == (True, "quota-exceeded")
    epoch, boxes = owner.writer.next_epoch()
    revocation = owner.writer.entry("camera.revoke", RevokeCameraBody(signer.device_id, epoch))
    await owner.api.commit(owner.writer, revocation, boxes)


async def test_a_full_space_still_takes_away(start_server: StartServer) -> None:
    """Where the quota is used up, links are withdrawn, cameras revoked and epochs rotated all the same."""
    server = await start_server(space_quota_bytes=60_000)
    owner = await server.owner()
    preview = Blob(os.urandom(100))
    await owner.api.add_photo(owner.writer, Blob(os.urandom(100)), preview)
    link = Link(Blob(os.urandom(100)), view=[preview])
    await owner.api.publish(owner.writer, link)
    await owner.api.pair_camera(owner.writer, Pairing())
    for _ in range(60):
        entry = owner.writer.open_roll()
        answer = await owner.api.try_commit(owner.writer, entry)
        if answer.status != 200:
            break
        owner.signer.counter, owner.signer.last_id = entry.header.counter, entry.id
    assert answer.code == "quota-exceeded"
    await owner.api.commit(owner.writer, link.revoke(owner.writer))
    epoch, boxes = owner.writer.next_epoch()
    await owner.api.commit(owner.writer, owner.writer.entry("epoch.rotate", RotateEpochBody(epoch)), boxes)
