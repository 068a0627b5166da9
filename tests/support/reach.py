"""Who can read what at which tier: three people with their devices at a real server, beside a plain model of it.

The model says what each person is and which pictures there are. `look` then tries everything: with each device as its
client does it, with the server past the client, and with every key that anybody ever held.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from safelight.clients.engine.account_session import AccountSession, open_account
from safelight.clients.engine.accounts import login
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.devices import tell_spaces
from safelight.clients.engine.epochs import EpochSecrets, open_epoch_box
from safelight.clients.engine.generations import AlbumKeys, Place
from safelight.clients.engine.granted import granted_albums
from safelight.clients.engine.granted_assets import GrantedReader
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.members import begin_epoch_that_is_due, remove_member, set_role
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.renewal import renew_identity
from safelight.clients.engine.rolls import open_roll
from safelight.clients.engine.sharing import end_grant, give_grant
from safelight.clients.engine.showing import open_item
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import create_space, find_space
from safelight.sync_protocol.ledger_entries import Epoch
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import OpenRollBody, RecordKind, RenditionName, ShowInAlbumBody, ShownItem
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import RIGHTS, TIERS, Right, Role, Tier
from safelight.sync_protocol.wire import unpack
from tests.support.people import PASSWORD, add_file, new_someone
from tests.support.server_process import ServerProcess

SPACE = "Home"
ALBUM = "Gallery"


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
    grant: Tier = Tier.NONE  # of the album
    held_of_album: list[AlbumKeys] = field(default_factory=list)
    shut_out_at: int = 0  # how many pictures the album had when they stopped reading it

    @property
    def reads_album(self) -> bool:
        """Whether they read the album, as the model says: by their role or by a grant."""
        return self.role is not None and (TIERS[self.role] is not Tier.NONE or self.grant is not Tier.NONE)


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
        self.album: list[Picture] = []
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
        async with self.inside("anna") as space:
            await create_album(space, ALBUM)
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
        with self._noting_who_is_shut_out(name) as one:
            one.role = role

    async def remove(self, name: str) -> None:
        """The owner removes someone."""
        async with self.inside("anna") as space:
            await remove_member(space, self.people[name].devices[0].account_id)
        with self._noting_who_is_shut_out(name) as one:
            one.role, one.grant = None, Tier.NONE

    @contextmanager
    def _noting_who_is_shut_out(self, name: str) -> Iterator[OneOfThem]:
        one = self.people[name]
        read_before = one.reads_album
        yield one
        if read_before and not one.reads_album:
            one.shut_out_at = len(self.album)

    async def give(self, name: str, tier: Tier) -> None:
        """The owner grants someone the album, or is refused, as the model says."""
        one = self.people[name]
        order = [Tier.NONE, Tier.VIEW, Tier.FULL]
        reads_already = one.role is not None and order.index(TIERS[one.role]) >= order.index(tier)
        may = one.role is not None and not reads_already and order.index(tier) >= order.index(one.grant)
        try:
            async with self.inside("anna") as space:
                await give_grant(space, await find_album(space, ALBUM), one.devices[0].account_id, tier)
        except Refused as refusal:
            if may or refusal.code is not Code.LEDGER_RULE:
                raise
            return
        if not may:
            raise Divergence(f"{name}, {one.role}, was granted {tier} after {one.grant}")
        one.grant = tier

    async def end(self, name: str) -> None:
        """The owner ends someone's grant."""
        async with self.inside("anna") as space:
            await end_grant(space, await find_album(space, ALBUM), self.people[name].devices[0].account_id)
        with self._noting_who_is_shut_out(name) as one:
            one.grant = Tier.NONE

    async def put(self) -> None:
        """The owner puts the oldest picture into the album that is not there yet."""
        left = [picture for picture in self.pictures if picture not in self.album]
        if not left:
            return
        async with self.inside("anna") as space:
            asset = await AssetReader(space).find(left[0].asset_id.hex())
            await add_to_album(space, await find_album(space, ALBUM), [asset])
        self.album.append(left[0])

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
                    continue
                if TIERS[one.role] is not Tier.NONE:
                    await self._sees_its_tier(name, one, device)
                await self._sees_its_grant(name, one, session)
        await self._nobody_opens_more()
        await self._nobody_opens_more_of_the_album()

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

    async def _sees_its_grant(self, name: str, one: OneOfThem, session: AccountSession) -> None:
        """The album, if it is granted and gives more than the role does; and by the server, nothing of the space."""
        await session.refresh()
        granted = await granted_albums(session)
        if granted.refused:
            raise Divergence(f"{name}'s albums: {granted.refused}")
        if one.role is not None and TIERS[one.role] is Tier.NONE:
            await self._gets_nothing_of_the_space(name, session)
        if one.role is None or TIERS[one.role] is Tier.FULL:
            return
        if [album.tier for _, album in granted.albums] != ([one.grant] if one.grant is not Tier.NONE else []):
            raise Divergence(f"{name} has grants {granted.albums}, and {one.grant} by the model")
        for view, album in granted.albums:
            one.held_of_album += view._keys(album.album_id).values()
            await self._reads_the_album(name, one.grant, view.reader(album))

    async def _reads_the_album(self, name: str, tier: Tier, reader: GrantedReader) -> None:
        """All that is in it, at the grant's tier, by its keys and by the server."""
        session = reader.session
        opened = [found async for found in reader.each() if isinstance(found, OpenedAsset)]
        if [asset.asset_id for asset in opened] != [picture.asset_id for picture in self.album]:
            raise Divergence(f"{name} opens {len(opened)} of {len(self.album)} in the album")
        for asset, picture in zip(opened, self.album, strict=True):
            if await reader.fetch_bytes(asset, RenditionName.PREVIEW) != picture.preview:
                raise Divergence(f"{name} sees another preview in the album")
            if (asset.full is not None) != (tier is Tier.FULL):
                raise Divergence(f"{name}'s grant {tier} is not what it opens")
            if tier is Tier.FULL:
                original = await reader.fetch_bytes(asset, RenditionName.ORIGINAL)
                if original != picture.original:
                    raise Divergence(f"{name} sees another original in the album")
                continue
            blob = asset.body.renditions[0].blob.hex()
            if await _server_gives(session, f"/v1/spaces/{self.space_id.hex()}/blobs/{blob}"):
                raise Divergence(f"the server gives {name}, who was granted {tier}, an original")

    async def _gets_nothing_of_the_space(self, name: str, session: AccountSession) -> None:
        path = f"/v1/spaces/{self.space_id.hex()}"
        for what in ("/log?after=0", "/boxes/1", "/links"):
            if await _server_gives(session, path + what):
                raise Divergence(f"the server gives {name} {what}")
        async with self.inside("anna") as space:
            shown = {picture.asset_id for picture in self.album} if self.people[name].reads_album else set()
            opened = [found async for found in AssetReader(space).each() if isinstance(found, OpenedAsset)]
        for asset in opened:
            for ref in asset.body.renditions if asset.asset_id not in shown else ():
                if await _server_gives(session, f"{path}/blobs/{ref.blob.hex()}"):
                    raise Divergence(f"the server gives {name} what no album of theirs shows")

    async def _nobody_opens_more_of_the_album(self) -> None:
        """No album key that anybody ever held opens what was added after they stopped reading the album."""
        async with self.inside("anna") as space:
            [(album_id, _)] = space.index.albums()
            if album_id not in space.state.albums:
                return
            place, shown = Place(self.space_id, album_id), _shown(space)
        late = {picture.asset_id: number for number, picture in enumerate(self.album)}
        for name, one in self.people.items():
            for keys in one.held_of_album if not one.reads_album else ():
                for number, time_ms, item in shown:
                    if late[item.asset.asset_id] < one.shut_out_at:
                        continue
                    try:
                        open_item(place, keys, item, number, time_ms)
                    except Refused:
                        continue
                    raise Divergence(f"{name} opens what was added to the album later, by keys of {keys.number}")

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


def _shown(space: SpaceView) -> list[tuple[int, int, ShownItem]]:
    """All that the album's records show."""
    items = []
    for number in range(1, space.reader.log.number + 1):
        entry = parse_entry(space.index.envelope_at(number) or b"")
        if entry.header.kind == RecordKind.SHOW_IN_ALBUM:
            body = unpack(entry.body, ShowInAlbumBody)
            items += [(number, space.index.time_at(number), item) for item in body.items]
    return items


async def _server_gives(session: AccountSession, path: str) -> bool:
    try:
        await session.connection.fetch_bytes(path)
    except Refused as refusal:
        if refusal.code not in {Code.NOT_FOUND, Code.FORBIDDEN}:
            raise
        return False
    return True
