"""A member who begins an epoch that opens for nobody else locks nobody out, and is removed all the same."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.epochs import NewEpoch, make_epoch
from safelight.clients.engine.link_listing import revoke_links, standing_links
from safelight.clients.engine.members import list_invitations, list_members, remove_member
from safelight.clients.engine.pairing_codes import list_cameras, pair_camera
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.ledger_entries import (
    CertifyCameraBody,
    InviteMemberBody,
    LedgerKind,
    RevokeCameraBody,
    RotateEpochBody,
)
from safelight.sync_protocol.messages.spaces import NewBox
from safelight.sync_protocol.records import RecordKind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.signatures import public_key_of
from tests.hostile.test_member_attacks import come_in
from tests.support.identities import sha256
from tests.support.people import Someone, add_file, new_someone, new_space
from tests.support.protocol import Blob, Link
from tests.support.server_process import ServerProcess

Spoils = Callable[[NewEpoch], NewEpoch]


def boxes_of_noise(new: NewEpoch) -> NewEpoch:
    """Give everyone a box that holds nothing."""
    boxes = [NewBox(box.account_id, secrets.token_bytes(len(box.box))) for box in new.boxes]
    refs = [
        msgspec.structs.replace(ref, hash=sha256(bytes(box.box)))
        for ref, box in zip(new.epoch.boxes, boxes, strict=True)
    ]
    return replace(new, epoch=msgspec.structs.replace(new.epoch, boxes=refs), boxes=boxes)


def others_inboxes(new: NewEpoch) -> NewEpoch:
    """Show the ledger an inbox that nobody was given the secret of."""
    other = make_epoch(1, bytes(32), {}, None).epoch
    return replace(new, epoch=msgspec.structs.replace(new.epoch, full_inbox=other.full_inbox))


def no_history(new: NewEpoch) -> NewEpoch:
    """Hand nothing down that opens."""
    return replace(new, epoch=msgspec.structs.replace(new.epoch, full_history=secrets.token_bytes(72)))


async def _photos(space: SpaceView) -> list[str]:
    return [
        asset.full.name if isinstance(asset, OpenedAsset) and asset.full else ""
        async for asset in AssetReader(space).each()
    ]


async def _add(someone: Someone, path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, path.name.encode())
    async with someone.space("Home") as space:
        await add_file(space, path)


@pytest.mark.parametrize("spoils", [boxes_of_noise, others_inboxes, no_history])
async def test_an_epoch_that_opens_for_nobody(
    server: ServerProcess, victim: Someone, tmp_path: Path, spoils: Spoils
) -> None:
    """*An editor who cannot be removed*: what they began is passed over, by the owner and by all others."""
    insider, other = [
        await new_someone(server, tmp_path / name, f"{name}-{spoils.__name__}") for name in ("insider", "other")
    ]
    await new_space(victim, "Home")
    await _add(victim, tmp_path / "before.jpg")
    await come_in(victim, insider, "Max", Role.EDITOR)
    await come_in(victim, other, "Vera", Role.VIEWER)
    async with insider.space("Home") as space:
        insider_id = space.session.account_id
        paired = await pair_camera(space, "Camera")
        new = spoils(await space.next_epoch())
        body = RevokeCameraBody(paired.camera_id, new.epoch)
        await space.committer.commit(LedgerKind.REVOKE_CAMERA, body, boxes=new.boxes)
    for someone in (victim, other):
        async with someone.space("Home") as space:
            assert await _photos(space) == ["before.jpg"]
            with pytest.raises(Refused) as refused:
                await space.epoch_secrets()
            assert refused.value.code is Code.EPOCH_MISMATCH  # nothing is sealed to it
    async with victim.space("Home") as space:
        await remove_member(space, insider_id)
        assert insider_id not in {one.account_id for one in await list_members(space)}
    await _add(victim, tmp_path / "after.jpg")
    late = await new_someone(server, tmp_path / "late", f"late-{spoils.__name__}")
    await come_in(victim, late, "Ruth", Role.VIEWER)
    for someone in (victim, other, late):
        async with someone.space("Home") as space:
            assert await _photos(space) == ["before.jpg", "after.jpg"]


async def _name_all_by(space: SpaceView) -> None:
    """Certify a camera, invite someone and publish a link, each with what is sealed in the epoch in force: noise."""
    expires_ms, epoch = int(time.time() * 1000) + 600_000, space.state.epoch.number
    certified = CertifyCameraBody(
        secrets.token_bytes(16), public_key_of(secrets.token_bytes(32)), expires_ms, 0, epoch, b"noise", b"noise"
    )
    await space.commit(LedgerKind.CERTIFY_CAMERA, certified)
    invited = InviteMemberBody(
        secrets.token_bytes(16), public_key_of(secrets.token_bytes(32)), Role.VIEWER, [], expires_ms, epoch, b"noise"
    )
    await space.commit(LedgerKind.INVITE_MEMBER, invited)
    page = Blob(b"a page")
    size_bytes = len(page.data)
    await upload_blob(space.session.connection, space.space_id, page.data, digest=page.name, size_bytes=size_bytes)
    await space.commit(RecordKind.PUBLISH_LINK, Link(page).body(space))  # type: ignore[arg-type]  # all that it asks is the epoch


async def test_what_is_named_in_an_epoch_that_opens_for_nobody(
    server: ServerProcess, victim: Someone, tmp_path: Path
) -> None:
    """*One thing that does not open hides all others*: members, cameras and links are listed and ended all the same."""
    insider = await new_someone(server, tmp_path / "insider", "insider-names")
    await new_space(victim, "Home", "work")
    await come_in(victim, insider, "Max", Role.MANAGER)
    async with insider.space("Home") as space:
        insider_id = space.session.account_id
        new = boxes_of_noise(await space.next_epoch())
        await space.commit(LedgerKind.ROTATE_EPOCH, RotateEpochBody(new.epoch), boxes=new.boxes)
        await _name_all_by(space)
    async with victim.space("Home") as space:
        assert [one.name for one in await list_cameras(space)] == ["(a name that does not open)"]
        assert [one.name for one in await list_invitations(space)] == ["(a name that does not open)"]
        assert [one.account_id for one in await list_members(space)][1:] == [insider_id]
        await remove_member(space, insider_id)
        (standing,) = await standing_links(space)
        assert (standing.maker_id, standing.label) == (insider_id, "")
        await revoke_links(space, [standing])
        assert await standing_links(space) == []
