"""What an account reads of a space by grants alone: the space's ledger, and the logs of the albums granted to it.

docs/spec/albums.md. The ledger says who may share, who may add, and under which keys; the space's own log is never
asked for.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.album_feed import AlbumFeed
from safelight.clients.engine.commits import Committer
from safelight.clients.engine.generations import (
    AlbumKeys,
    Place,
    keys_handed_down,
    open_all_generations,
    open_grant_box,
    open_title,
)
from safelight.clients.engine.granted_assets import GrantedAlbum, GrantedReader
from safelight.clients.engine.index import Problem
from safelight.clients.engine.keyring_document import KnownSpace
from safelight.clients.engine.ledger_view import LedgerView
from safelight.clients.engine.standing import account_news, check_member, pin_for_all_devices
from safelight.clients.engine.titles import title_of
from safelight.sync_protocol.ledger_entries import AdvanceAccountBody, LedgerKind
from safelight.sync_protocol.ledger_state import Grant, LedgerState
from safelight.sync_protocol.limits import ID_SIZE_BYTES, MAX_SHARED_ALBUMS
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.spaces import GrantedAlbums
from safelight.sync_protocol.records import RemoveFromAlbumBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role, Tier

_MAX_LOOKS = 3


class GrantView:
    """The albums of one space that are granted to this account, as it verified them."""

    def __init__(self, session: AccountSession, known: KnownSpace) -> None:
        self.session = session
        self.space_id = known.space_id
        self.memory = session.folder.memory(known.space_id)
        self.memory.pin_ledger(Head(known.ledger_number, known.ledger_hash))
        self.closed: dict[bytes, Refused] = {}  # which albums do not open, and why, as `albums` found last
        self._feeds: dict[bytes, AlbumFeed] = {}
        self._withheld: dict[bytes, frozenset[str]] = {}
        self._ledger_ids: dict[int, bytes] = {}
        self._view = self._new_view()
        self.committer = Committer(
            session.connection,
            author_id=session.account_id,
            device=session.device,
            space_id=known.space_id,
            memory=self.memory,
            view=self,
            refresh=self.refresh,
            clock=session.clock,
        )

    def _new_view(self) -> LedgerView:
        return LedgerView(self.session.connection, self.space_id, self.memory, before_entry=self._judge)

    @property
    def state(self) -> LedgerState:
        """The verified ledger; SPACE_UNKNOWN before the first `sync`."""
        return self._view.state

    @property
    def ledger_head(self) -> Head:
        """The newest ledger entry verified."""
        return self.state.head

    async def refresh(self) -> LedgerState:
        """Fetch and verify what is new in the ledger alone, and pin it."""
        return await self._view.refresh()

    @property
    def role(self) -> Role:
        """This account's role in the space."""
        return self.state.members[self.session.account_id].role

    @property
    def problems(self) -> list[Problem]:
        """Everything in the albums' logs that did not verify."""
        return [problem for feed in self._feeds.values() for problem in feed.problems]

    async def sync(self) -> LedgerState:
        """Fetch and verify the ledger and the albums' logs, pin them, and let the space hear of this account's news.

        Raises what the ledger raises, CHAIN_BROKEN, HISTORY_ROLLED_BACK, HISTORY_FORKED, and SPACE_UNKNOWN for who is
        no member.
        """
        for _ in range(_MAX_LOOKS):
            await self._look()
            check_member(self.session, self.state)
            # One may be given between two questions, or withheld: see `albums`.
            if not await self._advance_account() and set(self._grants()) <= self._feeds.keys():
                break
        granted = self._grants()
        followed = [feed for album_id, feed in self._feeds.items() if album_id in granted]
        for feed in followed:
            feed.pin()
        await self._pin()
        for feed in followed:
            feed.keep()
        self._forget_others(granted)
        return self.state

    async def _look(self) -> None:
        path = f"/v1/spaces/{self.space_id.hex()}/albums"
        answer = await self.session.connection.request("GET", path, None, GrantedAlbums)
        if len(answer.albums) > MAX_SHARED_ALBUMS:
            raise Refused(Code.SERVER_FAULT, "the server lists more albums than a space shares")
        self._feeds = {}
        for shown in answer.albums:
            feed = AlbumFeed(self.space_id, _album_id(shown.album_id), self.memory, self._path(shown.album_id))
            try:
                await feed.fetch(self.session.connection, Head(shown.number, shown.chain))
            except Refused as refusal:
                if refusal.code is not Code.NOT_FOUND:
                    raise
                continue  # its grant ended between the two questions, as the ledger then says
            self._feeds[feed.album_id] = feed
            self._withheld[feed.album_id] = frozenset(shown.withheld)
        self._ledger_ids = {}
        self._view = self._new_view()
        state = await self._view.refresh()
        self._judge(state, None)

    def _forget_others(self, granted: Collection[bytes]) -> None:
        """Remove what was kept of albums that are not granted any more: it opens with keys that were."""
        kept = {f"album-{album_id.hex()}.frames" for album_id in granted}
        for path in self.session.folder.space_folder(self.space_id).glob("album-*.frames"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _path(self, album: str) -> Path:
        return self.session.folder.space_folder(self.space_id) / f"album-{_album_id(album).hex()}.frames"

    def _judge(self, state: LedgerState, end: int | None) -> None:
        """Judge what stands in the albums' logs before the slot *end*, up to which *state* is in force."""
        self._ledger_ids[state.head.number] = state.head.hash
        for feed in self._feeds.values():
            feed.judge(state, end, self._ledger_at)

    def _ledger_at(self, number: int) -> bytes | None:
        """The ledger's hash at a slot; empty where no ledger entry stands, which is nobody's ledger head."""
        return self._ledger_ids.get(number, b"")

    async def _advance_account(self) -> bool:
        """Let the space hear of new and lost devices: the next keys are sealed to the identity that it knows.

        Returns whether there was anything to tell. HISTORY_ROLLED_BACK where the ledger does not show what it took.
        """
        if self.memory.pending:
            await self.committer.settle()
        told = False
        while news := self._account_news():
            body = AdvanceAccountBody(self.session.account_id, news, None)
            receipt = await self.committer.commit(LedgerKind.ADVANCE_ACCOUNT, body)
            if (await self._view.refresh()).head.number < receipt.number:
                raise Refused(Code.HISTORY_ROLLED_BACK, f"its ledger ends before slot {receipt.number}, which it took")
            told = True
        return told

    def _account_news(self) -> list[bytes]:
        if self.state.tier_of(self.session.account_id) is not Tier.NONE:
            return []  # it reads the space itself, and says so where it does
        return account_news(self.session, self.state)

    async def _pin(self) -> None:
        self.memory.pin_ledger(self.state.head)
        self.memory.save()
        await pin_for_all_devices(self.session, self.state)

    def _grants(self) -> dict[bytes, Grant]:
        me, now_ms = self.session.account_id, self.session.clock()
        found = ((album_id, self.state.grant_of(me, album_id, now_ms)) for album_id in self.state.albums)
        return {album_id: grant for album_id, grant in found if grant is not None}

    # Albums

    def albums(self) -> list[GrantedAlbum]:
        """Return the albums that are granted to this account now and open, in the order in which they were shared.

        What stands in the way of another is in `closed`: CHAIN_BROKEN for one that the server does not show,
        EPOCH_MISMATCH where its keys are not the ledger's. *One album without keys, so that nobody reads the others.*
        """
        albums, self.closed = [], {}
        for album_id, grant in self._grants().items():
            try:
                albums.append(self._open(album_id, grant))
            except Refused as refusal:
                self.closed[album_id] = refusal
        return albums

    def _open(self, album_id: bytes, grant: Grant) -> GrantedAlbum:
        if album_id not in self._feeds:
            until = ", whose grant expires; is this computer's clock right?" if grant.expires_ms else ""
            raise Refused(Code.CHAIN_BROKEN, f"the server does not show the album {album_id.hex()[:12]}{until}")
        place, keys = Place(self.space_id, album_id), self._keys(album_id)
        generation = self.state.albums[album_id].generation
        title = title_of(
            place,
            reversed(self._feeds[album_id].renamings),
            lambda number: keys_handed_down(keys, number),
            lambda: open_title(place, generation, keys[generation.number]),
        )
        return GrantedAlbum(
            self.space_id,
            album_id,
            title.text,
            grant.tier,
            grant.expires_ms,
            grant.given_by,
            grant.given_ms,
            len(self._items(album_id)),
            title.unread,
        )

    def log_end(self, album_id: bytes) -> Head:
        """Where the log of an album that is granted ends."""
        return self._feed(album_id).head

    def shows(self, album_id: bytes, asset_ids: Sequence[bytes]) -> list[bytes]:
        """Those of *asset_ids* that a granted album shows, in their order."""
        self._feed(album_id)
        shown = self._items(album_id)
        return [asset_id for asset_id in asset_ids if asset_id in shown]

    def _feed(self, album_id: bytes) -> AlbumFeed:
        if album_id not in self._feeds:
            raise Refused(Code.NOT_FOUND, "the album is not granted to you any more")
        return self._feeds[album_id]

    def standing_keys(self, album_id: bytes) -> AlbumKeys:
        """The keys in force of a granted album; ALBUM_WAITS while they are due, which a grantee cannot begin."""
        if not self.state.generation_stands(album_id, self.session.clock()):
            raise Refused(Code.ALBUM_WAITS)
        return self._keys(album_id)[self.state.albums[album_id].generation.number]

    def _items(self, album_id: bytes) -> dict[bytes, list[tuple[int, int]]]:
        """Where each asset of an album was shown since it was taken out, if it was.

        The record's place among the verified, and its own in that.
        """
        places: dict[bytes, list[tuple[int, int]]] = {}
        for index, record in enumerate(self._feeds[album_id].records):
            is_out = isinstance(record.body, RemoveFromAlbumBody)
            for position, asset_id in enumerate(record.asset_ids):
                if is_out:
                    places.pop(asset_id, None)  # members may take out what no grantee was shown
                else:
                    places.setdefault(asset_id, []).append((index, position))
        return places

    def _keys(self, album_id: bytes) -> dict[int, AlbumKeys]:
        place, shared = Place(self.space_id, album_id), self.state.albums[album_id]
        seeds = list(self.session.sealing_seeds())
        newest = open_grant_box(place, shared.generation, self.session.account_id, seeds)
        return open_all_generations(place, shared.generations, newest)

    def reader(self, album: GrantedAlbum) -> GrantedReader:
        """Return what opens the album's assets and fetches their files."""
        feed = self._feeds[album.album_id]
        items, withheld = self._items(album.album_id), self._withheld[album.album_id]
        told = frozenset(asset_id for asset_id in items if asset_id.hex() in withheld)
        return GrantedReader(self.session, album, self._keys(album.album_id), feed, items, told)


def _album_id(text: str) -> bytes:
    """The server's word for an album, which is to name a file: sixteen bytes, in hexadecimal."""
    try:
        album_id = bytes.fromhex(text)
    except ValueError:
        album_id = b""
    if len(album_id) != ID_SIZE_BYTES:
        raise Refused(Code.SERVER_FAULT, "the server lists an album without an id")
    return album_id
