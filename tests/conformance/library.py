"""A small library to try a database with: accounts, devices, a space, and commits that follow one another."""

import secrets
from dataclasses import dataclass, field, replace

from safelight.server.domain.ports.commits import AssetUse, BlobUse, Commit, Committed, NewLink, Rejected, RollUse
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import (
    AccountChange,
    AccountRow,
    DeviceRow,
    Opening,
    SessionRow,
    UnlockerRow,
    UploadRow,
)
from safelight.sync_protocol.refusals import Code

DAY_MS = 24 * 60 * 60 * 1000
NOW_MS = 1_700_000_000_000
BLOB_SIZE_BYTES = 3_000_000
MAX_ASSETS = 500
MAX_AGE_S = 24 * 60 * 60


def some_id() -> bytes:
    """16 random bytes."""
    return secrets.token_bytes(16)


def some_hash() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(32)


async def add_account(database: Database, name: str = "") -> tuple[bytes, bytes]:
    """Create an account with one device; returns the ids of both."""
    account_id, device_id, invite = some_id(), some_id(), some_hash()
    await database.add_invite(invite, NOW_MS + DAY_MS)
    await database.create_account(
        AccountRow(account_id, name or account_id.hex(), NOW_MS, 1, some_hash()),
        invite,
        AccountChange(
            account_id,
            0,
            [(1, some_hash(), b"first entry")],
            NOW_MS,
            devices=[a_device(device_id, account_id)],
            unlockers=[UnlockerRow("password", some_hash(), b"wrapped", some_id(), 65536, 3)],
        ),
        NOW_MS,
    )
    return account_id, device_id


def a_device(device_id: bytes, owner_id: bytes, space_id: bytes = b"") -> DeviceRow:
    """A device of an account, or a camera of a space."""
    return DeviceRow(device_id, owner_id, space_id, "camera" if space_id else "device", some_hash(), NOW_MS)


def a_session(account_id: bytes, device_id: bytes, expires_ms: int = NOW_MS + DAY_MS) -> SessionRow:
    """A session of a device."""
    return SessionRow(some_hash(), "device", account_id, device_id, b"", expires_ms)


def an_opening(link_id: bytes, now_ms: int = NOW_MS) -> Opening:
    """A new browser's opening."""
    return Opening(link_id, some_id(), some_hash(), now_ms + DAY_MS, now_ms)


@dataclass
class Library:
    """One space and the devices that commit to it. What it makes follows on what it knows was committed."""

    database: Database
    account_id: bytes
    device_id: bytes
    space_id: bytes
    ledger_number: int = 1
    epoch: int = 1
    positions: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    rolls: dict[bytes, bytes] = field(default_factory=dict)

    @classmethod
    async def make(cls, database: Database, *, quota_bytes: int = 0) -> "Library":
        """Make an account and a space of its own."""
        account_id, device_id = await add_account(database)
        library = cls(database, account_id, device_id, some_hash())
        await library.do(library.genesis(quota_bytes))
        return library

    async def commit(self, *commits: Commit) -> list[Committed | Rejected]:
        """Commit together, and remember the positions of what stands."""
        outcomes = await self.database.commit(commits)
        for commit, outcome in zip(commits, outcomes, strict=True):
            if isinstance(outcome, Committed) and not outcome.repeated and commit.space_id == self.space_id:
                self.positions[commit.device_id] = (commit.counter, commit.entry_id)
                if commit.is_ledger:
                    self.ledger_number, self.epoch = outcome.number, commit.epoch
        return outcomes

    async def do(self, commit: Commit) -> Committed:
        """Commit what must stand."""
        [outcome] = await self.commit(commit)
        assert isinstance(outcome, Committed), outcome
        return outcome

    def a_record(self, device_id: bytes = b"", *, after: Commit | None = None) -> Commit:
        """A record of no further consequence, next of its device, or next after *after*."""
        device_id = device_id or (after.device_id if after else self.device_id)
        counter, previous_id = self.positions.get(device_id, (0, b""))
        if after is not None:
            counter, previous_id = after.counter, after.entry_id
        envelope = secrets.token_bytes(200)
        return Commit(
            space_id=self.space_id,
            entry_id=some_hash(),
            envelope=envelope,
            kind="note.add",
            author_id=self.account_id,
            device_id=device_id,
            counter=counter + 1,
            previous_id=previous_id,
            ledger_number=self.ledger_number,
            now_ms=NOW_MS,
        )

    def genesis(self, quota_bytes: int = 0) -> Commit:
        """The entry that makes the space."""
        return replace(
            self.a_record(),
            kind="space.create",
            ledger_number=0,
            is_ledger=True,
            genesis_kind="family",
            quota_bytes=quota_bytes,
            epoch=1,
            members=[(self.account_id, "owner")],
            boxes=[(1, self.account_id, b"box of epoch 1")],
        )

    def a_ledger_entry(self, device_id: bytes = b"", *, epoch: int = 0) -> Commit:
        """A ledger entry, of a new epoch where *epoch* says so."""
        return replace(
            self.a_record(device_id),
            kind="epoch.rotate",
            is_ledger=True,
            epoch=epoch or self.epoch,
            members=[(self.account_id, "owner")],
            boxes=[(epoch, self.account_id, b"box of epoch %d" % epoch)] if epoch else (),
        )

    def roll_use(self, roll_id: bytes, *, opens: bool = False, assets: int = 1) -> RollUse:
        """A roll in the epoch in force, with the protocol's limits."""
        return RollUse(roll_id, opens, self.epoch, 0 if opens else assets, MAX_ASSETS, MAX_AGE_S)

    async def open_roll(self, device_id: bytes = b"") -> bytes:
        """Open a roll and return its id."""
        roll_id = some_id()
        await self.do(replace(self.a_record(device_id), kind="roll.open", roll=self.roll_use(roll_id, opens=True)))
        return roll_id

    async def hold(self, device_id: bytes = b"", *, size_bytes: int = BLOB_SIZE_BYTES, now_ms: int = NOW_MS) -> bytes:
        """Upload a blob into the space, and return its name."""
        name = some_hash()
        await self.hold_named(name, device_id, size_bytes=size_bytes, now_ms=now_ms)
        return name

    async def hold_named(
        self, name: bytes, device_id: bytes = b"", *, size_bytes: int = BLOB_SIZE_BYTES, now_ms: int = NOW_MS
    ) -> bytes:
        """Upload a blob of that name into the space, and return the upload's id."""
        upload = self.an_upload(device_id)
        await self.database.add_upload(upload, 1000, 10**15, 10**6)
        await self.database.finish_upload(upload.upload_id, name, size_bytes, now_ms)
        return upload.upload_id

    def an_upload(self, device_id: bytes = b"", *, length_bytes: int | None = None) -> UploadRow:
        """An upload that begins."""
        return UploadRow(
            upload_id=some_id(),
            device_id=device_id or self.device_id,
            account_id=self.account_id,
            space_id=self.space_id,
            created_ms=NOW_MS,
            expires_ms=NOW_MS + DAY_MS,
            length_bytes=length_bytes,
        )

    async def an_asset(self, *names: bytes, device_id: bytes = b"", tier: str = "full") -> Commit:
        """A record that adds one asset with the blobs *names*, in the device's open roll."""
        device_id = device_id or self.device_id
        if device_id not in self.rolls:
            self.rolls[device_id] = await self.open_roll(device_id)
        asset_id = some_id()
        return replace(
            self.a_record(device_id),
            kind="asset.add",
            roll=self.roll_use(self.rolls[device_id]),
            assets=[AssetUse(asset_id, some_hash())],
            blobs=[BlobUse(name, BLOB_SIZE_BYTES, tier, asset_id, "original") for name in names],
        )

    async def a_link(
        self,
        *,
        view: tuple[bytes, ...] = (),
        full: tuple[bytes, ...] = (),
        made: tuple[bytes, ...] = (),
        max_opens: int = 0,
    ) -> Commit:
        """A record that publishes a link with one page and these blobs; *made* are its own."""
        page, link_id = await self.hold(size_bytes=1000), some_id()
        link = NewLink(
            link_id=link_id,
            tier="full" if full else "view",
            album_id=some_id(),
            token_hash=some_hash(),
            proof_hash=b"",
            publishing_key=some_hash(),
            head=b"head",
            head_signature=b"signature",
            starts_ms=0,
            expires_ms=0,
            max_opens=max_opens,
            originals=bool(full),
            view_blobs=view,
            full_blobs=full,
            pages=[page],
            made_blobs=made,
        )
        blobs = [BlobUse(page, 1000, "page", link_id, "page")]
        blobs += [BlobUse(name, BLOB_SIZE_BYTES, "made", link_id, "made") for name in made]
        return replace(self.a_record(), kind="link.publish", link=link, blobs=blobs)

    async def publish(self, commit: Commit) -> bytes:
        """Commit a link and return its id."""
        await self.do(commit)
        assert commit.link is not None
        return commit.link.link_id


async def refused(library: Library, commit: Commit) -> Code:
    """Commit what must be refused, check that it left nothing, and return the reason."""
    space = await library.database.space(commit.space_id)
    [outcome] = await library.commit(commit)
    assert isinstance(outcome, Rejected), outcome
    assert await library.database.space(commit.space_id) == space
    assert await library.database.committed(commit.space_id, commit.device_id, commit.counter, commit.entry_id) is None
    return outcome.code
