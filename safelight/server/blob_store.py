"""Which store holds the blobs, a folder or a bucket, and that it is the one that this server has used before.

A server that is started over the wrong place for blobs would find all of them missing, or all that is there nobody's.
"""

import asyncio
import secrets
from pathlib import Path

import structlog

from safelight.server import data_folder
from safelight.server.data_folder import DataFolderRefused
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.settings import Settings
from safelight.server.stores.blobs_directory import DirectoryBlobs
from safelight.server.stores.blobs_s3 import S3Blobs
from safelight.server.stores.bucket_address import BucketAddress
from safelight.server.stores.s3_bucket import BucketRefused

_META = "blobs"
_FOLDER_META = "blobs folder"
_log = structlog.get_logger("blobs")


async def open_blobs(settings: Settings, database: Database, server_key: bytes) -> Blobs:
    """Open the store that *settings* name. Raises DataFolderRefused or BucketRefused, each with a remedy."""
    used = (await database.get_meta(_META) or b"").decode()
    folder = data_folder.blobs_path(settings.data)
    if not settings.blobs:
        if used:
            raise DataFolderRefused(f"this server keeps its blobs in {used}; name it with --blobs")
        if settings.database:
            await _claim_folder(settings.data, database)
        return await DirectoryBlobs.open_in(folder)
    if not used and await asyncio.to_thread(_holds_blobs, folder):
        raise DataFolderRefused(f"this server keeps its blobs in {folder}; start it without --blobs")
    if await database.get_meta(_FOLDER_META):
        raise DataFolderRefused("this server keeps its blobs in a data folder; start it there, without --blobs")
    blobs = await S3Blobs.open_at(BucketAddress.parse(settings.blobs, settings.s3_endpoint), settings.s3_timeout_s)
    for lack in blobs.lacks:
        if settings.database:
            raise BucketRefused(f"{lack}; several at one PostgreSQL need a store that has them")
        _log.warning(lack)
    await blobs.claim(server_key, claimed_before=bool(used))
    if used != settings.blobs:
        await remember_bucket(database, settings)
    return blobs


async def remember_bucket(database: Database, settings: Settings) -> None:
    """Note with the rows where their blobs are."""
    await database.set_meta(_META, settings.blobs.encode())


async def _claim_folder(data: Path, database: Database) -> None:
    """Of the processes at one PostgreSQL a single one may keep blobs in its folder: others would find none there."""
    note = data / "blobs.id"
    if not note.exists():
        data_folder.write_durably(note, secrets.token_hex(16), 0o644)
    mine = note.read_bytes()
    if await database.claim_meta(_FOLDER_META, mine) != mine:
        raise DataFolderRefused(
            "another process at this database keeps the blobs in its data folder; several processes keep them in a"
            " bucket, named with --blobs"
        )


def _holds_blobs(folder: Path) -> bool:
    return next(folder.glob("??/*"), None) is not None
