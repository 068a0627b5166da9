"""Moves that were cut off: what they were putting into the trash of the first space, and had not looked for since."""

from collections.abc import Collection

from safelight.clients.engine import durable
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.limits import ID_SIZE_BYTES


class UnfinishedMove:
    """The ids of what a move from *source* to *target* is trashing, kept in the profile until it has looked again.

    *A picture in two trashes*: nothing in the logs tells one that a move left there from one that was deleted twice,
    and what was deleted does not come back. An id is random, and the server's as well.
    """

    def __init__(self, source: SpaceView, target: SpaceView) -> None:
        folder = source.session.folder.space_folder(source.space_id)
        self._path = folder / f"moving-{target.space_id.hex()}"

    @property
    def asset_ids(self) -> list[bytes]:
        """What an earlier move left, or this one has begun."""
        kept = durable.read_file(self._path) or b""
        return [kept[at : at + ID_SIZE_BYTES] for at in range(0, len(kept), ID_SIZE_BYTES)]

    def keep(self, asset_ids: Collection[bytes]) -> None:
        """Remember durably that these are to be looked for; none where all is done."""
        if asset_ids:
            durable.make_folder(self._path.parent)
            durable.write_file(self._path, b"".join(asset_ids))
        else:
            self._path.unlink(missing_ok=True)
