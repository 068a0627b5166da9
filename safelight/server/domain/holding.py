"""Holding a blob in one more space: what moves between spaces is keys, and never bytes. docs/spec/http.md."""

from collections.abc import Sequence

from safelight.server.domain.access import Who, account_of, space_for, space_for_reader
from safelight.server.domain.clock import ServerClock
from safelight.server.domain.downloads import may_read
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.database import KeepsUploads
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Tier


class Holding:
    """Lets a space hold blobs that another space's records name."""

    def __init__(
        self,
        database: KeepsUploads,
        ledgers: Ledgers,
        clock: ServerClock,
        max_uncommitted_bytes: int,
        max_uncommitted_blobs: int,
    ) -> None:
        self._database = database
        self._ledgers = ledgers
        self._clock = clock
        self._max_uncommitted_bytes = max_uncommitted_bytes
        self._max_uncommitted_blobs = max_uncommitted_blobs

    async def hold(self, who: Who, space_id: bytes, source_id: bytes, names: Sequence[bytes]) -> int:
        """Let *space_id* hold *names* as if this device had uploaded them there; all of them or none.

        Who asks may add there, and could fetch each of them from the source: *claiming a stranger's blob by its name*.
        Raises FORBIDDEN, SPACE_UNKNOWN, RIGHT_MISSING, NOT_FOUND, QUOTA_EXCEEDED, and UPLOAD_BUSY for a blob that is
        about to go.
        """
        account_of(who)
        target = await space_for(self._ledgers, who, space_id)
        if Right.ADD not in target.rights_of(who.author_id):
            raise Refused(Code.RIGHT_MISSING, Right.ADD.value)
        source = await space_for_reader(self._ledgers, who, source_id, Tier.VIEW)
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            held = await self._database.blob_in_space(source_id, name)
            if held is None or held[1] not in {Tier.VIEW, Tier.FULL} or not may_read(source, who, held[1]):
                raise Refused(Code.NOT_FOUND, f"the source space has no blob {name.hex()} for you")
        await self._database.hold_blobs(
            who.device_id,
            space_id,
            source_id,
            wanted,
            self._max_uncommitted_bytes,
            self._max_uncommitted_blobs,
            self._clock.now_ms(),
        )
        return len(wanted)
