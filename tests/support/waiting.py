"""A space at PostgreSQL that another transaction holds, and whoever waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg


@asynccontextmanager
async def held_up(address: str, space_id: bytes) -> AsyncIterator[None]:
    """Hold a space as another process's transaction does, from now to the end of the block."""
    other = await asyncpg.connect(address)
    try:
        async with other.transaction():
            await other.execute("SELECT 1 FROM spaces WHERE space_id = $1 FOR UPDATE", space_id)
            yield
    finally:
        await other.close()


async def until_one_waits(address: str) -> None:
    """Return once a transaction waits for what another one holds."""
    looking = await asyncpg.connect(address)
    try:
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not await looking.fetchval(waits):  # noqa: ASYNC110 - PostgreSQL has no event for it
            await asyncio.sleep(0.01)
    finally:
        await looking.close()
