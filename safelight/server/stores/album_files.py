"""The files of what is in albums, as a run of commits leaves them: brought in, approved, taken out, and in again."""

from typing import Literal

from safelight.server.stores.commit_facts import SQL
from safelight.server.stores.transaction import Transaction

# A file of an asset in an album: space, album, the blob's name, asset.
AlbumFile = tuple[bytes, bytes, bytes, bytes]
# What becomes of its row: it is there, and approved as it was if it was there before; it is approved, or not; or gone.
_State = Literal["there", "approved", "not approved", "gone"]


class AlbumFiles:
    """The last state of each file that a run touches; `write` makes the rows of it."""

    def __init__(self) -> None:
        self._states: dict[AlbumFile, _State] = {}

    def bring_in(self, file: AlbumFile) -> None:
        """Note a file that comes into an album; what was taken out in this very run comes back without its approval."""
        before = self._states.get(file, "there")
        self._states[file] = "not approved" if before == "gone" else before

    def decide(self, file: AlbumFile, *, approved: bool) -> None:
        """Note that a file is approved, or is so no more."""
        self._states[file] = "approved" if approved else "not approved"

    def take_out(self, file: AlbumFile) -> None:
        """Note that a file goes out of an album, and its approval there with it."""
        self._states[file] = "gone"

    async def write(self, tx: Transaction) -> None:
        """Write all rows, and hide from an album's grantees the blobs that it has no more."""
        gone = self._in("gone")
        await tx.run_many(SQL["remove_album_file"], gone)
        await tx.run_many(SQL["add_album_file"], self._in("there"))
        decided = [(*file, 1) for file in self._in("approved")] + [(*file, 0) for file in self._in("not approved")]
        await tx.run_many(SQL["set_approved"], decided)
        # By what the album has now: another asset of it may have the same file.
        await tx.run_many(SQL["hide_album_blob"], [(space_id, name, album_id) for space_id, album_id, name, _ in gone])

    def _in(self, wanted: _State) -> list[AlbumFile]:
        return [file for file, state in self._states.items() if state == wanted]
