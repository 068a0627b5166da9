"""What other processes say over PostgreSQL's LISTEN and NOTIFY, on a connection that is made again when it is lost."""

import asyncio
import logging
from contextlib import suppress

from safelight.server.domain.ports.neighbours import Hears
from safelight.server.stores.postgres_connection import connect
from safelight.server.stores.postgres_errors import Meaning, meaning
from safelight.server.stores.postgres_writer import CHANNEL

CHECK_EVERY_S = 15.0
_CHECK_TIMEOUT_S = 5.0
_PAUSES_S = (0.1, 0.5, 1.0, 2.0)

_LOG = logging.getLogger(__name__)


class PostgresListener:
    """Passes on to *hears* what is said, from when it is made until `close`. Leases are held under *holder*."""

    def __init__(self, address: str, holder: bytes, hears: Hears) -> None:
        self._address = address
        self._holder = holder.hex()
        self._hears = hears
        self._failures = 0
        self._listening = asyncio.create_task(self._run_forever())

    async def close(self) -> None:
        """Stop listening."""
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening

    async def _run_forever(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - bells ring late without it, and it must come back
                if self._failures == 0 or meaning(error) is Meaning.MISTAKE:
                    _LOG.warning("the database tells nothing of other processes: %s", type(error).__name__)
            await asyncio.sleep(_PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)])
            self._failures += 1

    async def _listen(self) -> None:
        """Listen until the connection is lost, which is found out by asking now and then."""
        connection = await connect(self._address)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda *heard: self._pass_on(str(heard[-1])))
            self._failures = 0
            self._hears.missed_something()
            while not lost.is_set():
                try:
                    async with asyncio.timeout(CHECK_EVERY_S):
                        await lost.wait()
                except TimeoutError:
                    await connection.execute("SELECT 1", timeout=_CHECK_TIMEOUT_S)
        finally:
            connection.terminate()

    def _pass_on(self, payload: str) -> None:
        match payload.split():
            case ["log", space_id, number]:
                self._hears.log_grew(bytes.fromhex(space_id), int(number))
            case ["wanted", name, holder] if holder == self._holder:
                self._hears.wanted(bytes.fromhex(name))
            case _:
                pass  # a newer version says things that this one does not know
