"""Spaces over HTTP: cameras from pairing to revocation, new devices, fingerprints, albums, and the feed."""

import base64
import os

import pytest

from safelight.sync_protocol import log
from safelight.sync_protocol.ledger_entries import AdvanceAccountBody, LedgerKind, RevokeCameraBody
from safelight.sync_protocol.log import frames_from_bytes
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.messages.spaces import (
    AskFingerprints,
    CommitEntry,
    Committed,
    DevicePositionRow,
    KnownFingerprints,
    SpaceRow,
    Spaces,
)
from safelight.sync_protocol.records import AddToAlbumBody, AlbumItem, CreateAlbumBody, RecordKind
from safelight.sync_protocol.wire import unpack
from tests.http.conftest import Owner, Server
from tests.support.protocol import Blob, Pairing, Signer, make_asset


async def where(owner: Owner) -> SpaceRow:
    """Where the space stands."""
    return (await owner.api.get(owner.space)).as_(SpaceRow)


async def test_a_revoked_camera(owner: Owner) -> None:
    """A camera's right and session end with its revocation, and what it signed before cannot come after."""
    pairing = Pairing()
    camera, signer = await owner.api.pair_camera(owner.writer, pairing)
    late = owner.writer.open_roll(signer)
    epoch, boxes = owner.writer.next_epoch()
    body = RevokeCameraBody(pairing.camera_id, epoch)
    await owner.api.commit(owner.writer, owner.writer.entry(LedgerKind.REVOKE_CAMERA, body), boxes)
    assert (await camera.get(f"{owner.space}/ledger")).code == "session-required"
    assert (await camera.try_commit(owner.writer, late)).code == "session-required"
    assert (await owner.api.try_commit(owner.writer, late)).code == "signer-unknown"


async def test_pairing(server: Server, owner: Owner) -> None:
    """A camera reads the ledger by its pairing key, binds its own key once, and reads nothing else."""
    pairing = Pairing()
    await owner.api.commit(owner.writer, pairing.certify(owner.writer))
    nobody = server.api
    path = f"{owner.space}/pairing/{pairing.camera_id.hex()}"
    signature = pairing.read_signature(owner.writer.space_id)
    encoded = {"Safelight-Pairing": base64.b64encode(signature).decode()}
    frames = list(frames_from_bytes((await nobody.get(path, **encoded)).body))
    assert [frame.number for frame in frames] == [1, 2]
    assert (await nobody.get(path)).code == "signature-invalid"
    assert (await nobody.get(path, **{"Safelight-Pairing": "???"})).code == "bad-request"
    wrong = base64.b64encode(bytes(64)).decode()
    assert (await nobody.get(path, **{"Safelight-Pairing": wrong})).code == "signature-invalid"
    assert (await nobody.get(f"{owner.space}/pairing/{os.urandom(16).hex()}", **encoded)).code == "space-unknown"

    signer = pairing.signer
    entry = pairing.bind(owner.writer, signer)
    first = (await nobody.post(f"{owner.space}/bind", CommitEntry(entry.envelope))).as_(Committed)
    assert (await nobody.post(f"{owner.space}/bind", CommitEntry(entry.envelope))).as_(Committed) == first
    row = await where(owner)
    owner.writer.took(entry, row.number, row.chain, signer)
    thief = Signer(pairing.camera_id, pairing.camera_id, os.urandom(32))
    second = pairing.bind(owner.writer, thief)
    assert (await nobody.post(f"{owner.space}/bind", CommitEntry(second.envelope))).code == "camera-already-bound"
    assert (await nobody.get(path, **encoded)).code == "camera-already-bound"

    camera = await nobody.sign_in(signer)
    assert len((await camera.get("/v1/spaces")).as_(Spaces).spaces) == 1
    assert (await camera.get(f"{owner.space}/log")).code == "forbidden"
    assert (await camera.get(f"{owner.space}/boxes/1")).code == "forbidden"
    assert (await camera.get(f"{owner.space}/links")).code == "forbidden"
    assert (await camera.get(f"{owner.space}/ledger")).status == 200


async def test_an_expired_pairing(server: Server, owner: Owner) -> None:
    """The server holds a pairing code to its own clock, whatever time the camera signs."""
    pairing = Pairing()
    await owner.api.commit(owner.writer, pairing.certify(owner.writer))
    server.clock.offset_ms = pairing.lifetime_ms + 1000
    entry = pairing.bind(owner.writer, pairing.signer)
    assert (await server.api.post(f"{owner.space}/bind", CommitEntry(entry.envelope))).code == "pairing-expired"


async def test_only_bindings_need_no_session(server: Server, owner: Owner) -> None:
    """The way in for cameras takes a camera's binding and nothing else."""
    entry = owner.writer.open_roll()
    assert (await server.api.post(f"{owner.space}/bind", CommitEntry(entry.envelope))).code == "forbidden"


async def test_camera_quota(owner: Owner) -> None:
    """A camera's own quota ends what it may add."""
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing(quota_bytes=10_000))
    blobs = [Blob(os.urandom(4000)), Blob(os.urandom(4000))]
    await camera.upload(owner.writer.space_id, *blobs)
    await camera.commit(owner.writer, owner.writer.open_roll(signer), signer=signer)
    await camera.commit(owner.writer, owner.writer.add_assets(make_asset(blobs[0]), signer=signer), signer=signer)
    second = owner.writer.add_assets(make_asset(blobs[1]), signer=signer)
    assert (await camera.try_commit(owner.writer, second)).code == "quota-exceeded"


async def test_a_new_device_in_a_space(server: Server, owner: Owner) -> None:
    """A new device signs once the space has heard of it, and the account's own ledger must say the same."""
    entry, laptop = owner.person.add_device()
    advance = owner.writer.entry(
        LedgerKind.ADVANCE_ACCOUNT, AdvanceAccountBody(owner.person.account_id, [entry], None), laptop
    )
    path = f"/v1/accounts/{owner.person.account_id.hex()}/ledger"
    assert (await owner.api.try_commit(owner.writer, advance)).code in {"account-ledger-conflict", "forbidden"}
    await owner.api.post(path, AppendAccountEntries([entry]))
    api = await server.api.sign_in(laptop)
    assert (await api.get(f"{owner.space}/log")).status == 200
    assert (await api.try_commit(owner.writer, owner.writer.open_roll(laptop))).code == "signer-unknown"
    await api.commit(owner.writer, advance, signer=laptop)
    await api.commit(owner.writer, owner.writer.open_roll(laptop), signer=laptop)
    assert (await api.get(f"{owner.space}/position")).as_(DevicePositionRow) == DevicePositionRow(2, laptop.last_id)


async def test_fingerprints(server: Server, owner: Owner) -> None:
    """Known fingerprints come with the signed records that say so; strangers learn nothing."""
    fingerprint, blob = os.urandom(32), Blob(os.urandom(1000))
    await owner.api.add_photo(owner.writer, blob, fingerprint=fingerprint)
    camera, _ = await owner.api.pair_camera(owner.writer, Pairing())
    question = AskFingerprints([os.urandom(32), fingerprint, os.urandom(32)])
    for api in (owner.api, camera):
        answer = (await api.post(f"{owner.space}/fingerprints", question)).as_(KnownFingerprints)
        assert [(known.fingerprint, known.number) for known in answer.known] == [(fingerprint, 3)]
        frame = unpack(answer.records[0], log.Frame)
        assert log.parse_entry(frame.envelope).header.kind == RecordKind.ADD_ASSETS
    _, stranger = await server.account()
    assert (await stranger.post(f"{owner.space}/fingerprints", question)).code == "space-unknown"


async def test_albums(owner: Owner) -> None:
    """Albums name assets that are there."""
    asset_id = await owner.api.add_photo(owner.writer, Blob(os.urandom(1000)))
    album_id = os.urandom(16)
    body = CreateAlbumBody(album_id, 1, 1, os.urandom(1216), os.urandom(1216), b"key", b"key", b"title")
    await owner.api.commit(owner.writer, owner.writer.entry(RecordKind.CREATE_ALBUM, body))
    items = [AlbumItem(asset_id, b"wrap", b"wrap")]
    await owner.api.commit(
        owner.writer, owner.writer.entry(RecordKind.ADD_TO_ALBUM, AddToAlbumBody(album_id, 1, items))
    )
    unknown = AddToAlbumBody(album_id, 1, [AlbumItem(os.urandom(16), b"wrap", b"wrap")])
    assert (
        await owner.api.try_commit(owner.writer, owner.writer.entry(RecordKind.ADD_TO_ALBUM, unknown))
    ).status == 404


async def test_cameras_organise_nothing(owner: Owner) -> None:
    """A camera adds, and does nothing else."""
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing())
    body = CreateAlbumBody(os.urandom(16), 1, 1, os.urandom(1216), os.urandom(1216), b"key", b"key", b"title")
    answer = await camera.try_commit(owner.writer, owner.writer.entry(RecordKind.CREATE_ALBUM, body, signer))
    assert (answer.status, answer.code) == (403, "right-missing")


async def test_feed_pages(owner: Owner) -> None:
    """The feed pages by count and by bytes, without gaps, and always gives at least one."""
    for _ in range(6):
        await owner.api.commit(owner.writer, owner.writer.open_roll())
    for query in ("limit=2", "max_bytes=1", "max_bytes=3000", "limit=1000&max_bytes=1000000"):
        numbers: list[int] = []
        while True:
            after = numbers[-1] if numbers else 0
            page = (await owner.api.get(f"{owner.space}/log?after={after}&{query}")).body
            if not page:
                break
            numbers += [frame.number for frame in frames_from_bytes(page)]
        assert numbers == list(range(1, 8))


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "limit=0", "max_bytes=0", "after=1&after=2", "other=1", "after=1.0"]
)
async def test_feed_queries_that_are_none(owner: Owner, query: str) -> None:
    """A query is whole numbers, each once."""
    assert (await owner.api.get(f"{owner.space}/log?{query}")).code == "bad-request"
