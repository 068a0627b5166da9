"""People come into a space and go from it, by the engine against a real server: what each reads, by which keys."""

import os
from pathlib import Path

import msgspec
import pytest

from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.invitations import admit_joined, invite_member, withdraw_invitation
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import (
    begin_epoch_that_is_due,
    list_invitations,
    list_members,
    remove_member,
    set_role,
)
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import list_spaces
from safelight.sync_protocol.ledger_entries import CertifyCameraBody, LedgerKind
from safelight.sync_protocol.limits import INBOX_KEY_SIZE_BYTES
from safelight.sync_protocol.log import DevicePosition
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.sealing import hpke
from tests.support.people import Someone, add_file, new_someone, new_space
from tests.support.server_process import ServerProcess


async def _join(someone: Someone, uri: str) -> bytes:
    async with someone.session() as session:
        return await join_space(session, uri)


async def _reads(space: SpaceView, number: int, name: RenditionName) -> bytes:
    """What a member reads of an asset, as it is now."""
    await space.sync()
    assets = [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]
    return await AssetReader(space).fetch_bytes(assets[number], name)


async def _code(someone: Someone, uri: str) -> Code:
    with pytest.raises(Refused) as refused:
        await _join(someone, uri)
    return refused.value.code


async def test_a_family_comes_together_and_parts(server: ServerProcess, tmp_path: Path) -> None:
    """Who is let in reads what was there before at their tier; who is removed reads nothing that comes after."""
    anna, bert, carla = [await new_someone(server, tmp_path / name, f"{name}-m") for name in ("anna", "bert", "carla")]
    await new_space(anna, "Home")
    photo = tmp_path / "lake.jpg"
    photo.write_bytes(os.urandom(50_000))
    async with anna.space("Home") as space:
        await add_file(space, photo, preview=b"small picture")
        for_bert = await invite_member(space, "Bert", Role.VIEWER)
        for_carla = await invite_member(space, "Grandma Carla", Role.PREVIEWER)
        assert [each.name for each in await list_invitations(space)] == ["Bert", "Grandma Carla"]
        assert await admit_joined(space) == []

    space_id = await _join(bert, for_bert.uri)
    assert await _join(bert, for_bert.uri) == space_id  # as after a lost answer
    assert await _code(carla, for_bert.uri) is Code.INVITATION_USED
    await _join(carla, for_carla.uri)
    async with bert.session() as session:
        listing = await list_spaces(session)
        assert (listing.spaces, listing.waiting) == ([], [space_id])

    async with anna.space("Home") as space:
        assert [(each.name, each.role) for each in await admit_joined(space)] == [
            ("Bert", Role.VIEWER),
            ("Grandma Carla", Role.PREVIEWER),
        ]
        assert [(each.name, each.is_me) for each in await list_members(space)] == [
            ("", True),
            ("Bert", False),
            ("Grandma Carla", False),
        ]
        bert_id = next(each.account_id for each in await list_members(space) if each.name == "Bert")
        carla_id = next(each.account_id for each in await list_members(space) if each.name == "Grandma Carla")

    async with bert.space("Home") as space:
        assert await _reads(space, 0, RenditionName.ORIGINAL) == photo.read_bytes()
    await _check_previewer(carla, 0, b"small picture")
    async with anna.space("Home") as space:
        await set_role(space, carla_id, Role.VIEWER)
    async with carla.space("Home") as space:
        assert await _reads(space, 0, RenditionName.ORIGINAL) == photo.read_bytes()
    async with anna.space("Home") as space:
        await set_role(space, carla_id, Role.PREVIEWER)
        await remove_member(space, bert_id)
        assert space.state.epoch.number == 3
        photo.write_bytes(os.urandom(40_000))
        await add_file(space, photo, preview=b"another picture")
    await _check_previewer(carla, 1, b"another picture")
    async with bert.session() as session:
        listing = await list_spaces(session)
        assert [refusal.code for refusal in listing.refused.values()] == [Code.SPACE_UNKNOWN]


async def _check_previewer(someone: Someone, number: int, preview: bytes) -> None:
    """They see the preview, hold no key of the full tier, and get no original."""
    async with someone.space("Home") as space:
        assert await _reads(space, number, RenditionName.PREVIEW) == preview
        assert (await space.epoch_secrets()).full is None
        with pytest.raises(Refused) as refused:
            await _reads(space, number, RenditionName.ORIGINAL)
        assert refused.value.code is Code.FORBIDDEN


async def test_invitations_that_let_nobody_in(server: ServerProcess, tmp_path: Path) -> None:
    """Cut, of another server's account, withdrawn: each says what it is, and nothing is joined."""
    dora, emil = [await new_someone(server, tmp_path / name, f"{name}-i") for name in ("dora", "emil")]
    await new_space(dora, "Home")
    async with dora.space("Home") as space:
        code = await invite_member(space, "Emil", Role.EDITOR)
        assert repr(code) == f"InvitationCode({code.invitation_id.hex()})"
        assert await _code(emil, code.uri[:-2]) is Code.INVITATION_INVALID
        assert await _code(emil, "https://example.org/") is Code.INVITATION_INVALID
        await withdraw_invitation(space, code.invitation_id)
        assert await list_invitations(space) == []
    assert await _code(emil, code.uri) is Code.INVITATION_EXPIRED
    assert await _code(dora, code.uri) is Code.INVITATION_EXPIRED
    async with emil.session() as session:
        assert (await list_spaces(session)).spaces == []


async def test_an_admission_that_is_refused_stops_nothing(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who joined with a key that is no key stays out; others who joined, also under a camera's id, are let in."""
    frida, hans = [await new_someone(server, tmp_path / name, f"{name}-r") for name in ("frida", "hans")]
    await new_space(frida, "Home")
    async with frida.space("Home") as space:
        codes = [await invite_member(space, name, Role.VIEWER) for name in ("Gert", "Hans")]
    with monkeypatch.context() as patch:
        patch.setattr(hpke, "public_key", lambda _seed: b"\xff" * INBOX_KEY_SIZE_BYTES)
        gert = await new_someone(server, tmp_path / "gert", "gert-r")
        await _join(gert, codes[0].uri)
    await _join(hans, codes[1].uri)
    async with hans.session() as session:
        hans_id = session.account_id
    async with frida.space("Home") as space:
        body = CertifyCameraBody(hans_id, bytes(32), space.session.clock() + 60_000, 0, 1, b"name", b"key")
        await space.commit(LedgerKind.CERTIFY_CAMERA, body)
        told = [(each.name, each.refused and each.refused.code) for each in await admit_joined(space)]
        assert told == [("Gert", Code.FORMAT_UNSUPPORTED), ("Hans", None)]
        assert [each.joined for each in await list_invitations(space)] == [True]


async def test_members_are_named_by_the_invitation_that_let_them_in(server: ServerProcess, tmp_path: Path) -> None:
    """Whoever also used an invitation that awaited someone else is not listed under that name."""
    ida, jens = [await new_someone(server, tmp_path / name, f"{name}-n") for name in ("ida", "jens")]
    await new_space(ida, "Home")
    async with ida.space("Home") as space:
        codes = [await invite_member(space, name, Role.VIEWER) for name in ("Jens", "Grandma")]
    for code in codes:
        await _join(jens, code.uri)
    async with ida.space("Home") as space:
        await admit_joined(space)
        assert [each.name for each in await list_members(space)] == ["", "Jens"]


async def test_two_managers_devices_admit_at_once(server: ServerProcess, tmp_path: Path) -> None:
    """Whose device was slower, to admit or to begin an epoch that is due, is not told of a failure, nor stopped."""
    kai, mia, lena = [await new_someone(server, tmp_path / name, f"{name}-t") for name in ("kai", "mia", "lena")]
    await new_space(kai, "Home")
    async with kai.space("Home") as space:
        for_mia = await invite_member(space, "Mia", Role.MANAGER)
        for_lena = await invite_member(space, "Lena", Role.VIEWER)
    await _join(mia, for_mia.uri)
    async with kai.space("Home") as space:
        assert [each.name for each in await admit_joined(space)] == ["Mia"]
    await _join(lena, for_lena.uri)
    async with kai.space("Home") as faster, mia.space("Home") as slower:
        assert [each.name for each in await admit_joined(faster)] == ["Lena"]
        assert await admit_joined(slower) == []
        assert [each.name for each in await list_members(slower)] == ["", "Mia", "Lena"]
        slower.reader.state = msgspec.structs.replace(
            slower.state, epoch_due=True
        )  # as after a previewer lost a device
        await faster.rotate_epoch()
        assert not await begin_epoch_that_is_due(slower)
        assert (slower.state.epoch.number, slower.state.epoch_due) == (2, False)


async def test_an_invitation_to_a_space_that_one_is_in(server: ServerProcess, tmp_path: Path) -> None:
    """It changes nothing of what the account knows of the space."""
    nora, otto = [await new_someone(server, tmp_path / name, f"{name}-k") for name in ("nora", "otto")]
    await new_space(nora, "Home")
    async with nora.space("Home") as space:
        codes = [await invite_member(space, "Otto", Role.VIEWER) for _ in range(2)]
    await _join(otto, codes[0].uri)
    async with nora.space("Home") as space:
        await admit_joined(space)
    async with otto.space("Home") as space:
        known = space.session.content.spaces
        assert [each.confirmed for each in known] == [True]
    assert await _code(otto, codes[1].uri) is Code.MEMBER_EXISTS
    async with otto.session() as session:
        assert session.content.spaces == known


async def test_what_was_sent_before_does_not_stand_in_a_join(server: ServerProcess, tmp_path: Path) -> None:
    """An entry whose answer was lost is not sent for the join that is meant, whether it had been taken or not."""
    paul, rosa = [await new_someone(server, tmp_path / name, f"{name}-s") for name in ("paul", "rosa")]
    space_id = await new_space(paul, "Home")
    async with paul.space("Home") as space:
        codes = [await invite_member(space, "Rosa", role) for role in (Role.PREVIEWER, Role.VIEWER)]
    await _join(rosa, codes[0].uri)
    with ProfileFolder(rosa.path) as folder:
        memory = folder.memory(space_id)
        async with paul.space("Home") as space:
            taken = space.index.envelope_at(space.state.head.number)
        assert taken is not None
        memory.pending, memory.position = taken, DevicePosition(0, b"")
        memory.save()
    await _join(rosa, codes[1].uri)
    async with paul.space("Home") as space:
        assert [each.joined for each in await list_invitations(space)] == [True, True]
    with ProfileFolder(rosa.path) as folder:
        assert folder.memory(space_id).position.counter == 2


async def test_a_role_rises_while_its_member_reads(server: ServerProcess, tmp_path: Path) -> None:
    """Whoever has a space open reads more from the next look on, in the same epoch."""
    tom, uma = [await new_someone(server, tmp_path / name, f"{name}-o") for name in ("tom", "uma")]
    await new_space(tom, "Home")
    async with tom.space("Home") as space:
        code = await invite_member(space, "Uma", Role.PREVIEWER)
    await _join(uma, code.uri)
    async with tom.space("Home") as theirs:
        [admitted] = await admit_joined(theirs)
        async with uma.space("Home") as own:
            assert (await own.epoch_secrets()).full is None
            await set_role(theirs, admitted.account_id, Role.VIEWER)
            await own.sync()
            assert (await own.epoch_secrets()).full == (await theirs.epoch_secrets()).full
