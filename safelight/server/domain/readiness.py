"""Whether traffic may come: asked of the stores, which write nothing for it, and remembered for a second."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from safelight.server.domain.clock import Milliseconds
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.state import StoreState
from safelight.sync_protocol.refusals import Code, Refused

KEPT_MS = 1000
PATIENCE_S = 5.0
READY = "ok"
STOPPING = "stopping"

_log = structlog.get_logger("readiness")


@dataclass(frozen=True, slots=True)
class Look:
    """How the stores were when they were last asked."""

    database: StoreState
    blobs: StoreState


class _Asked:
    """One store, never asked again while it owes an answer: a disk that hangs would take a thread each time."""

    def __init__(self, name: str, ask: Callable[[], Awaitable[StoreState]]) -> None:
        self._name = name
        self._ask = ask
        self._asking: asyncio.Future[StoreState] | None = None

    async def state(self) -> StoreState:
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
        done, _ = await asyncio.wait({self._asking}, timeout=PATIENCE_S)
        if not done:
            return StoreState(Code.STORAGE_UNAVAILABLE)
        asked, self._asking = self._asking, None
        try:
            return await asked
        except Refused as refused:
            return StoreState(refused.code)
        except Exception as error:  # noqa: BLE001 - whatever it is, the store did not answer
            _log.warning("a store does not answer", store=self._name, error=type(error).__name__)
            return StoreState(Code.STORAGE_UNAVAILABLE)


class Readiness:
    """Says of each part of the server whether it can do its work, by a stable code.

    However many ask, the stores are asked once a second: anyone may ask.
    """

    def __init__(self, database: Database, blobs: Blobs, monotonic: Milliseconds, *, ready_free_bytes: int) -> None:
        self._database = _Asked("database", database.state)
        self._blobs = _Asked("blobs", blobs.state)
        self._monotonic = monotonic
        self._ready_free_bytes = ready_free_bytes
        self._looking: asyncio.Task[Look] | None = None
        self._looked_ms = 0
        self._stopping = False

    def stop(self) -> None:
        """From now on the server is not ready: it is about to end."""
        self._stopping = True

    async def parts(self) -> dict[str, str]:
        """Return `ok` or what is wrong: `stopping` of the server, or the code that writing would be refused with."""
        look = await self.look()
        return {
            "server": STOPPING if self._stopping else READY,
            "database": self._code(look.database),
            "blobs": self._code(look.blobs),
        }

    async def look(self) -> Look:
        """Return how the stores are, or were at most a second ago."""
        now_ms = self._monotonic()
        if self._looking is None or (self._looking.done() and now_ms - self._looked_ms >= KEPT_MS):
            self._looked_ms = now_ms
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> Look:
        return Look(*await asyncio.gather(self._database.state(), self._blobs.state()))

    def _code(self, state: StoreState) -> str:
        if state.refusal is not None:
            return state.refusal.value
        full = state.free_bytes is not None and state.free_bytes < self._ready_free_bytes
        return Code.STORAGE_FULL.value if full else READY
