"""Who can read what at which tier: three people with their devices at a real server, beside a plain model of it.

The model says what each person is and which pictures there are. `look` then tries everything: with each device as its
client does it, with the server past the client, and with every key that anybody ever held.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from safelight.clients.engine.account_session import AccountSession, open_account
from safelight.clients.engine.accounts import login
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.devices import tell_spaces
from safelight.clients.engine.epochs import EpochSecrets, open_epoch_box
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import begin_epoch_that_is_due, remove_member, set_role
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.renewal import renew_identity
from safelight.clients.engine.rolls import open_roll
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import create_space, find_space
from safelight.sync_protocol.ledger_entries import Epoch
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import OpenRollBody, RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import RIGHTS, TIERS, Right, Role, Tier
from safelight.sync_protocol.wire import unpack
from tests.support.people import PASSWORD, add_file, new_someone
from tests.support.server_process import ServerProcess

SPACE = "Home"


@dataclass
class Picture:
    """A picture that was added."""

    original: bytes
    preview: bytes
    asset_id: bytes = b""


@dataclass
class OneOfThem:
    """A person: the devices that stand, the role in the model, and every key that was ever held."""

    name: str
    words: list[str]
    devices: list[AccountSession] = field(default_factory=list)
    role: Role | None = None
    held: list[EpochSecrets] = field(default_factory=list)
    stolen: list[tuple[bytes, int]] = field(default_factory=list)  # a sealing seed, and the epoch in force at the theft


class Divergence(Exception):
    """Somebody can do more, or less, than the model says."""


class Household:
    """The people, their space and the model. Use it as an asynchronous context manager."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._open_sessions: dict[Path, AsyncExitStack] = {}
        self.people: dict[str, OneOfThem] = {}
        self.pictures: list[Picture] = []
        self.space_id = b""

    async def __aenter__(self) -> Self:
        tag = os.urandom(4).hex()
        for name in ("anna", "bert", "carla"):
            made = await new_someone(self._server, self._folder / f"{name}-{tag}", f"{name}-{tag}")
            one = self.people[name] = OneOfThem(made.name, made.words)
            one.devices.append(await self._open(made.path))
            one.devices.append(await self._login(one, f"{name}-laptop-{tag}"))
        anna = self.people["anna"]
        self.space_id = await create_space(anna.devices[0], SPACE, "family")
        anna.role = Role.OWNER
        return self

    async def __aexit__(self, *_: object) -> None:
        for path in list(self._open_sessions):
            await self._close(path)

    @asynccontextmanager
    async def inside(self, name: str, device: int = 0) -> AsyncIterator[SpaceView]:
        """One of a person's devices in the space, synced."""
        session = self.people[name].devices[device]
        await session.refresh()  # as each command does
        with await find_space(session, self.space_id.hex()) as space:
            await space.sync()
            yield space

    async def _open(self, path: Path) -> AccountSession:
        stack = self._open_sessions[path] = AsyncExitStack()
        folder = stack.enter_context(ProfileFolder(path))
        return await stack.enter_async_context(open_account(folder, PASSWORD))

    async def _close(self, path: Path) -> None:
        await self._open_sessions.pop(path).aclose()

    async def _login(self, one: OneOfThem, name: str) -> AccountSession:
        with ProfileFolder(self._folder / name) as folder:
            await login(folder, self._server.url, one.name, PASSWORD, use_system_keyring=False)
        return await self._open(self._folder / name)

    # What happens

    async def join(self, name: str, role: Role) -> None:
        """The owner invites someone, who joins and is let in."""
        one = self.people[name]
        async with self.inside("anna") as space:
            uri = (await invite_member(space, name, role)).uri
        await join_space(one.devices[0], uri)
        async with self.inside("anna") as space:
            admitted = await admit_joined(space)
        if [each.refused for each in admitted] != [None]:
            raise Divergence(f"{name} was not let in: {admitted}")
        one.role = role

    async def change(self, name: str, role: Role) -> None:
        """The owner gives someone another role."""
        async with self.inside("anna") as space:
            await set_role(space, self.people[name].devices[0].account_id, role)
        self.people[name].role = role

    async def remove(self, name: str) -> None:
        """The owner removes someone."""
        async with self.inside("anna") as space:
            await remove_member(space, self.people[name].devices[0].account_id)
        self.people[name].role = None

    async def lose(self, name: str) -> None:
        """Someone loses the laptop; the first device gives the account a new identity, and the owner's client runs."""
        one = self.people[name]
        session = one.devices[0]
        async with self.inside("anna") as space:
            one.stolen.append((session.keys.sealing_seed, space.state.epoch.number))
        await session.refresh()
        await renew_identity(session, " ".join(one.words), PASSWORD)
        for device in one.devices:
            await self._close(device.folder.path)
        one.devices = [await self._open(session.folder.path)]
        outcomes = await tell_spaces(one.devices[0])
        if one.role is not None and [outcome.refused for outcome in outcomes] != [None]:
            raise Divergence(f"{name}'s space has not heard: {outcomes}")
        async with self.inside("anna") as space:
            await begin_epoch_that_is_due(space)

    async def add(self, name: str, device: int) -> None:
        """Someone adds a picture, or is refused, as the model says."""
        one = self.people[name]
        number = len(self.pictures)
        picture = Picture(f"original {number}".encode() + os.urandom(100), f"preview {number}".encode())
        path = self._folder / f"{os.urandom(4).hex()}.jpg"
        path.write_bytes(picture.original)
        may = one.role is not None and Right.ADD in RIGHTS[one.role]
        try:
            async with self.inside(name, device) as space:
                await add_file(space, path, preview=picture.preview)
                await space.sync()
                [*_, place] = space.index.assets()
        except Refused as refusal:
            if may or refusal.code not in {Code.RIGHT_MISSING, Code.SPACE_UNKNOWN, Code.FORBIDDEN}:
                raise
            return
        if not may:
            raise Divergence(f"{name}, {one.role}, added a picture")
        picture.asset_id = place.asset_id
        self.pictures.append(picture)

    # What is looked at

    async def look(self) -> None:
        """Try all that each may and may not, and raise Divergence."""
        for name, one in self.people.items():
            for device, session in enumerate(one.devices):
                if one.role is None:
                    await self._sees_nothing(name, session)
                else:
                    await self._sees_its_tier(name, one, device)
        await self._nobody_opens_more()

    async def _sees_nothing(self, name: str, session: AccountSession) -> None:
        async with self.inside("anna") as space:
            numbers = range(1, space.state.epoch.number + 1)
        for what in (
            "",
            "/log?after=0",
            "/ledger?after=0",
            "/chain?after=0",
            *(f"/boxes/{number}" for number in numbers),
        ):
            try:
                await session.connection.fetch_bytes(f"/v1/spaces/{self.space_id.hex()}{what}")
            except Refused as refusal:
                if refusal.code is not Code.SPACE_UNKNOWN:
                    raise
            else:
                raise Divergence(f"the server still gives {name} {what or 'the space'}")

    async def _sees_its_tier(self, name: str, one: OneOfThem, device: int) -> None:
        if one.role is None:
            return
        tier = TIERS[one.role]
        async with self.inside(name, device) as space:
            held = await space.epoch_secrets()
            one.held += [held] if held not in one.held else []
            for number in range(1, held.number):
                before = await space.epoch_secrets(number)
                one.held += [before] if before not in one.held else []
            reader = AssetReader(space)
            opened = {asset.asset_id: asset async for asset in reader.each() if isinstance(asset, OpenedAsset)}
            if set(opened) != {picture.asset_id for picture in self.pictures}:
                raise Divergence(f"{name}, {one.role}, opens {len(opened)} of {len(self.pictures)}")
            for picture in self.pictures:
                asset = opened[picture.asset_id]
                if await reader.fetch_bytes(asset, RenditionName.PREVIEW) != picture.preview:
                    raise Divergence(f"{name} sees another preview")
                if (asset.full is not None) != (tier is Tier.FULL):
                    raise Divergence(f"{name}, {one.role}, reads {'more' if asset.full else 'less'} than its tier")
                await self._original(name, space, reader, asset, picture, tier)

    async def _original(
        self, name: str, space: SpaceView, reader: AssetReader, asset: OpenedAsset, picture: Picture, tier: Tier
    ) -> None:
        if tier is Tier.FULL:
            if await reader.fetch_bytes(asset, RenditionName.ORIGINAL) != picture.original:
                raise Divergence(f"{name} sees another original")
            return
        try:
            async with space.session.connection.open_blob(self.space_id, asset.body.renditions[0].blob):
                pass
        except Refused as refusal:
            if refusal.code is not Code.NOT_FOUND:
                raise
        else:
            raise Divergence(f"the server gives {name}, who reads {tier}, an original")

    async def _nobody_opens_more(self) -> None:
        """No key that anybody ever held opens a roll of another epoch; no stolen seed a box of a later one."""
        async with self.inside("anna") as space:
            for roll_id in {place.roll_id for place in space.index.assets()}:
                roll = space.index.roll(roll_id)
                envelope = space.index.envelope_at(roll.number) if roll else None
                if roll is None or envelope is None:
                    raise Divergence("the owner's own log has holes")
                body = unpack(parse_entry(envelope).body, OpenRollBody)
                for name, one in self.people.items():
                    for held in one.held:
                        if held.number != roll.epoch and self._opens(body, roll.device_id, held):
                            raise Divergence(f"{name} opens a roll of epoch {roll.epoch} by keys of {held.number}")
        for name, one in self.people.items():
            if one.role is None or TIERS[one.role] is Tier.NONE or not one.stolen:
                continue
            async with self.inside(name) as space:
                newest, nonce = space.state.epoch, space.state.nonce
                await space.epoch_secrets()
                box = space.index.box(newest.number) or b""
                for seed, number in one.stolen:
                    if newest.number > number and _opens_box(newest, nonce, space.session.account_id, seed, box):
                        raise Divergence(f"what was stolen from {name} opens epoch {newest.number}")

    def _opens(self, body: OpenRollBody, device_id: bytes, held: EpochSecrets) -> bool:
        try:
            open_roll(body, self.space_id, device_id, view_secret=held.view, epoch_secret=held.full)
        except Refused:
            return False
        return True


def _opens_box(epoch: Epoch, nonce: bytes, account_id: bytes, seed: bytes, box: bytes) -> bool:
    try:
        open_epoch_box(epoch, nonce, account_id, seed, box)
    except Refused:
        return False
    return True
