"""How the suites open databases in PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safelight.server.domain.ports.database import Database
from safelight.server.stores.engine_postgres import PostgresDatabase
from tests.conformance.engines import OpenDatabase
from tests.support.postgres import PostgresServer


@contextmanager
def databases_of(server: PostgresServer) -> Iterator[OpenDatabase]:
    """How to open a database on *server* for a folder, the same one whenever it is opened again, until the end."""
    names: dict[Path, str] = {}

    async def open_postgres(folder: Path) -> Database:
        if folder not in names:
            names[folder] = server.make_database()
        return await PostgresDatabase.open(server.address(names[folder]))

    yield open_postgres
    for name in names.values():
        server.drop_database(name)
