"""Servers that are broken on purpose, each as code that runs before the real one's main."""

NO_FOLDER_SYNC = """
from safelight.server.stores.disk import FolderSync
FolderSync.sync = lambda self: None
"""

NO_FILE_SYNC = """
from safelight.server.stores import disk
disk.sync_file = disk.sync_data = lambda fd: None
"""

NO_DATABASE_SYNC = """
from safelight.server.stores.sqlite_writer import SqliteWriter
begin = SqliteWriter.__init__
def loose(self, path):
    begin(self, path)
    self._connection.execute("PRAGMA synchronous = OFF")
SqliteWriter.__init__ = loose
"""

# Bytes are called durable, and their folder, though the disk said that it could not.
SWALLOWED_SYNC_ERRORS = """
from safelight.server.stores import disk
def swallowing(sync):
    def swallow(*arguments):
        try:
            sync(*arguments)
        except OSError:
            pass
    return swallow
disk.sync_file, disk.sync_data = swallowing(disk.sync_file), swallowing(disk.sync_data)
"""

# A sync that failed is tried once more, and then believed: the pages that failed are clean by then, and may be gone.
SYNC_TRIED_AGAIN = """
from safelight.server.stores import disk
def retrying(sync):
    def retry(*arguments):
        try:
            sync(*arguments)
        except OSError:
            sync(*arguments)
    return retry
disk.sync_file, disk.sync_data = retrying(disk.sync_file), retrying(disk.sync_data)
"""

# The row is written before the blob has its name.
ROW_BEFORE_BLOB = """
from safelight.server.stores.blobs_directory import DirectoryBlobs
from pathlib import Path
publish = DirectoryBlobs.publish
import threading
def early(self, upload_id, part, digest, pieces):
    name, size_bytes = part.seal(pieces, digest)
    threading.Timer(0.5, lambda: self._part_path(upload_id).replace(self._blob_path(name))).start()
    return name, size_bytes
DirectoryBlobs.publish = early
"""

# What failed once is forgotten: the store goes on as if nothing had been.
FORGIVING = """
from safelight.server.stores.blobs_directory import DirectoryBlobs
DirectoryBlobs._failed = property(lambda self: False, lambda self, value: None)
"""

# A disk that is full is taken for one that failed.
FULL_IS_BROKEN = """
from safelight.server.stores import disk
disk._FULL, disk._BROKEN = frozenset(), disk._BROKEN | disk._FULL
"""

# A blob's bytes count as stored, however many of them the disk took.
ROW_AT_ONCE = """
import os
from safelight.server.stores import blob_part, disk
def some(fd, pieces):
    for piece in pieces:
        try:
            os.write(fd, piece)
        except OSError:
            pass
disk.write_all = some
class Size(int):
    __ne__ = __lt__ = lambda self, other: False
class Os:
    def __getattr__(self, name):
        return getattr(os, name)
    def fstat(self, fd):
        return type("Stat", (), {"st_size": Size()})
blob_part.os = Os()
"""


def hasty(module: str, appender: str) -> str:
    """A server that is quick to promise: it says that a blob is stored, and stores it a moment later."""
    return f"""
import asyncio
from safelight.server.stores.{module} import {appender} as A
finish, close = A.finish, A.close
async def hasty(self, digest=None):
    self.hasty = True
    async def later():
        await asyncio.sleep(2)
        await finish(self, digest)
        await close(self)
    self.task = asyncio.ensure_future(later())
    return digest, self.offset_bytes
async def patient(self):
    if not getattr(self, "hasty", False):
        await close(self)
A.finish, A.close = hasty, patient
"""


HASTY = hasty("blobs_directory", "DirectoryAppender")
HASTY_BUCKET = hasty("s3_upload", "S3Appender")

# Whoever adds photographs is answered, and a moment later they are committed.
EAGER = """
import time
from safelight.server.stores.sqlite_writer import SqliteWriter, _to_the_end
write = SqliteWriter._write_group
def noting(self, group):
    self.group = group
    return write(self, group)
def eager(self, work):
    self._connection.execute("BEGIN IMMEDIATE")
    result = _to_the_end(work)
    done = [(job, told) for job, told in zip(self.group, result) if any(commit.assets for commit in job.commits)]
    if done:
        self._loop.call_soon_threadsafe(self._deliver, *map(list, zip(*done)))
        time.sleep(1)
    self._connection.execute("COMMIT")
    return result
SqliteWriter._write_group, SqliteWriter._transact = noting, eager
"""

EAGER_POSTGRES = """
import asyncio
from safelight.server.stores import postgres_writer
from safelight.server.stores.postgres_writer import PostgresWriter
write, run, groups = PostgresWriter._commit_group, postgres_writer.commit_locked, [[]]
async def noting(self, group):
    groups[0] = group
    await write(self, group)
async def eager(tx, spaces, commits):
    outcomes = await run(tx, spaces, commits)
    if any(commit.assets for commit in commits):
        left = iter(outcomes)
        for waiting in groups[0]:
            waiting.done.set_result([next(left) for _ in waiting.batch.commits])
        await asyncio.sleep(1)
    return outcomes
PostgresWriter._commit_group, postgres_writer.commit_locked = noting, eager
"""
