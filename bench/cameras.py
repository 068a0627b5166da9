"""A space and its cameras at the database port: commits as a camera's entries make them, for benchmarks."""

import asyncio
import secrets
from collections.abc import Sequence

from safelight.server.domain.ports.commits import AssetUse, BlobUse, Commit, Committed, RollUse
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import UploadRow

NOW_MS = 1_700_000_000_000
ENVELOPE_SIZE_BYTES = 1500  # of a record with one asset, its wraps, its sealed metadata and one rendition
BLOB_SIZE_BYTES = 3_000_000
NO_LIMIT = 2**50
# What a camera that develops sends of a photograph.
RENDITIONS = (("original", "full"), ("preview", "view"), ("thumbnail", "view"))


class Cameras:
    """A space and its cameras, whose commits follow one another."""

    def __init__(self, database: Database, count: int, renditions: Sequence[tuple[str, str]] = RENDITIONS[:1]) -> None:
        self.database = database
        self._renditions = renditions
        self.space_id = secrets.token_bytes(32)
        self._account_id = secrets.token_bytes(16)
        self._ids = [secrets.token_bytes(16) for _ in range(count)]
        self._rolls = {camera_id: secrets.token_bytes(16) for camera_id in self._ids}
        self._positions = dict.fromkeys(self._ids, (0, b""))

    async def begin(self) -> None:
        """Make the space and open a roll for each camera."""
        genesis = Commit(
            space_id=self.space_id,
            entry_id=secrets.token_bytes(32),
            envelope=secrets.token_bytes(4000),
            kind="space.create",
            author_id=self._account_id,
            device_id=secrets.token_bytes(16),
            counter=1,
            previous_id=b"",
            ledger_number=0,
            now_ms=NOW_MS,
            is_ledger=True,
            genesis_kind="family",
            epoch=1,
            members=[(self._account_id, "owner")],
            entry_bytes=4000,
        )
        rolls = [self._next(camera_id, "roll.open", self._roll(camera_id, opens=True)) for camera_id in self._ids]
        check(await self.database.commit([genesis]))
        check(await self.database.commit(rolls))

    async def assets(self, count: int) -> list[Commit]:
        """Hold blobs for *count* assets, and make a commit for each asset, the cameras in turn."""
        owners = [self._ids[index % len(self._ids)] for index in range(count)]
        held = await asyncio.gather(*(self._hold(camera_id) for camera_id in owners for _ in self._renditions))
        names = [held[start : start + len(self._renditions)] for start in range(0, len(held), len(self._renditions))]
        return [self._asset(camera_id, those) for camera_id, those in zip(owners, names, strict=True)]

    async def _hold(self, camera_id: bytes) -> bytes:
        upload_id, name = secrets.token_bytes(16), secrets.token_bytes(32)
        upload = UploadRow(upload_id, camera_id, self._account_id, self.space_id, NOW_MS, NOW_MS + 1)
        await self.database.add_upload(upload, NO_LIMIT, NO_LIMIT, NO_LIMIT)
        await self.database.finish_upload(upload_id, name, BLOB_SIZE_BYTES, NOW_MS)
        return name

    def _asset(self, camera_id: bytes, names: Sequence[bytes]) -> Commit:
        asset_id = secrets.token_bytes(16)
        parts = zip(names, self._renditions, strict=True)
        return self._next(
            camera_id,
            "asset.add",
            self._roll(camera_id, opens=False),
            [AssetUse(asset_id, secrets.token_bytes(32))],
            [BlobUse(name, BLOB_SIZE_BYTES, tier, asset_id, rendition) for name, (rendition, tier) in parts],
        )

    def _roll(self, camera_id: bytes, *, opens: bool) -> RollUse:
        return RollUse(self._rolls[camera_id], opens, 1, 0 if opens else 1, NO_LIMIT, NO_LIMIT)

    def _next(
        self,
        camera_id: bytes,
        kind: str,
        roll: RollUse,
        assets: Sequence[AssetUse] = (),
        blobs: Sequence[BlobUse] = (),
    ) -> Commit:
        counter, previous_id = self._positions[camera_id]
        commit = Commit(
            space_id=self.space_id,
            entry_id=secrets.token_bytes(32),
            envelope=secrets.token_bytes(ENVELOPE_SIZE_BYTES),
            kind=kind,
            author_id=self._account_id,
            device_id=camera_id,
            counter=counter + 1,
            previous_id=previous_id,
            ledger_number=1,
            now_ms=NOW_MS,
            roll=roll,
            assets=assets,
            blobs=blobs,
            entry_bytes=ENVELOPE_SIZE_BYTES,
        )
        self._positions[camera_id] = (commit.counter, commit.entry_id)
        return commit


def check(answers: Sequence[object]) -> None:
    """Raise where a commit was refused, which would be fast for nothing."""
    refused = [answer for answer in answers if not isinstance(answer, Committed)]
    if refused:
        raise RuntimeError(f"{len(refused)} of {len(answers)} commits were refused: {refused[0]}")
