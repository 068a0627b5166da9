"""A place for blobs whose uploads are counted, whichever engine it is; only there where somebody wants the counts."""

import time
from typing import Any, cast

from safelight.server.domain.ports.blobs import Appender, Blobs, Taken
from safelight.server.domain.ports.meter import Meter


class MeteredAppender:
    """An appender that tells how much it takes, and how long it takes to make that durable."""

    def __init__(self, appender: Appender, meter: Meter) -> None:
        self._appender = appender
        self._meter = meter
        self._closed = False

    @property
    def offset_bytes(self) -> int:
        """How much was taken."""
        return self._appender.offset_bytes

    async def write(self, data: bytes | bytearray | memoryview, taken: Taken | None = None) -> None:
        """Take bytes."""
        size_bytes = len(data)
        await self._appender.write(data, taken)
        self._meter.received(size_bytes)

    async def flush(self) -> int:
        """Make everything durable."""
        started_s = time.monotonic()
        offset_bytes = await self._appender.flush()
        self._meter.synced(time.monotonic() - started_s)
        return offset_bytes

    async def finish(self, *arguments: Any) -> tuple[bytes, int]:
        """Publish durably."""
        started_s = time.monotonic()
        finished = await self._appender.finish(*arguments)
        self._meter.synced(time.monotonic() - started_s)
        return finished

    async def close(self) -> None:
        """Release what is held open."""
        if not self._closed:
            self._closed = True
            self._meter.appending(-1)
        await self._appender.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._appender, name)


class _MeteredBlobs:
    def __init__(self, blobs: Blobs, meter: Meter) -> None:
        self._blobs = blobs
        self._meter = meter

    async def append(self, *arguments: Any) -> MeteredAppender:
        """Open an upload for appending."""
        appender = await self._blobs.append(*arguments)
        self._meter.appending(1)
        return MeteredAppender(appender, self._meter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)


def metered(blobs: Blobs, meter: Meter) -> Blobs:
    """Return *blobs*, with appending told to *meter*; all else goes straight through."""
    return cast("Blobs", _MeteredBlobs(blobs, meter))
