"""People who use the engine against a real server: an account on its own profile, with the password it needs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from safelight.clients.engine.account_session import AccountSession, open_account
from safelight.clients.engine.accounts import create_account
from safelight.clients.engine.adding import AssetAdder, RollKeeper
from safelight.clients.engine.files import SealedFile, seal_bytes, seal_file
from safelight.clients.engine.inboxes import sealing_to
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import create_space, find_space
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.ledger_entries import SpaceKind
from safelight.sync_protocol.receipts import Receipt
from safelight.sync_protocol.records import FullPart, RenditionInfo, RenditionName, ViewPart
from safelight.sync_protocol.sealing.fingerprints import content_fingerprint
from tests.support.server_process import ServerProcess

PASSWORD = "correct horse battery staple"


@dataclass
class Someone:
    """An account's profile on one device."""

    path: Path
    name: str
    words: list[str]
    password: str = PASSWORD
    passphrase: str | None = None  # of its vaults, which nobody can be asked for without it
    asked: int = 0

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AccountSession]:
        """Open the account."""
        with ProfileFolder(self.path) as folder:
            async with open_account(folder, self.password, ask_passphrase=self.ask_passphrase) as session:
                yield session

    async def ask_passphrase(self) -> str | None:
        """Type the passphrase, if it is known."""
        self.asked += 1
        return self.passphrase

    @asynccontextmanager
    async def space(self, name: str) -> AsyncIterator[SpaceView]:
        """Open one of the account's spaces, synced."""
        async with self.session() as session:
            with await find_space(session, name) as space:
                await space.sync()
                yield space


async def new_someone(server: ServerProcess, path: Path, name: str, *, url: str = "") -> Someone:
    """Create an account with its first profile at *path*."""
    with ProfileFolder(path) as folder:
        created = await create_account(
            folder, url or server.url, name, server.invite(), PASSWORD, use_system_keyring=False
        )
    return Someone(path, name, created.recovery_words)


async def new_space(someone: Someone, name: str, kind: SpaceKind = "family") -> bytes:
    """Make a space; a vault with the passphrase that its owner has."""
    async with someone.session() as session:
        return await create_space(session, name, kind, someone.passphrase if kind == "vault" else None)


async def add_file(space: SpaceView, path: Path, *, preview: bytes = b"", spool: Path | None = None) -> Receipt:
    """Add one file as a member does: sealed under a roll, uploaded, committed."""
    keeper = RollKeeper(space.committer, space.session.device.device_id, sealing_to(lambda: space.state))
    roll = await keeper.roll()
    asset = roll.new_asset()
    sealed = [seal_file(asset, RenditionName.ORIGINAL, path, spool=spool)]
    if preview:
        sealed += [seal_bytes(asset, name, preview) for name in (RenditionName.PREVIEW, RenditionName.THUMBNAIL)]
    for file in sealed:
        await send(space, file)
    info = {f.ref.name.value: RenditionInfo(f.length_bytes, "image/jpeg", 4, 3) for f in sealed[1:]}
    view = ViewPart(kind="photo", width=4, height=3, renditions=info)
    full = FullPart(
        name=path.name,
        sha256=sealed[0].sha256,
        size_bytes=sealed[0].length_bytes,
        media_type="image/jpeg",
        modified_ns=sealed[0].modified_ns,
    )
    fingerprint = content_fingerprint(await space.dedupe_key(), space.space_id, sealed[0].sha256)
    body = asset.finish([f.ref for f in sealed], view, full, fingerprint=fingerprint)
    receipt = await AssetAdder(space.committer).add(roll.ref, body)
    keeper.close()
    return receipt


async def send(space: SpaceView, file: SealedFile) -> None:
    """Upload a sealed file into the space."""
    await upload_blob(
        space.session.connection, space.space_id, file.source, digest=file.ref.blob, size_bytes=file.ref.size_bytes
    )
