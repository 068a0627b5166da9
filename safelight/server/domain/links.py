"""Links: opened with a token and a proof, counted once a browser, and asked about again at every blob.

Without a valid token every refusal is the same, after the same work: an unknown link, a wrong token, a wrong password.
With a valid token and proof the reason is told. Throttling starts after the token, so that nobody without the link can
lock its guests out.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeSerializer

from safelight.server.domain.access import Who, space_for_reader
from safelight.server.domain.accounts import Throttles
from safelight.server.domain.addresses import network_of
from safelight.server.domain.clock import ServerClock, monotonic_ms
from safelight.server.domain.downloads import Download, open_blob
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.blobs import Blobs
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import LinkState, Opening
from safelight.server.domain.throttle import Throttle
from safelight.sync_protocol.limits import HASH_SIZE_BYTES, ID_SIZE_BYTES
from safelight.sync_protocol.messages import links as messages
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Tier

HANDOVER_SIZE_BYTES = 16
# Each new browser leaves a row: a wedding's guests come in at once, a program that opens for ever does not.
OPENINGS_AT_ONCE = 1000
OPENING_REFILL_S = 2
_NO_HASH = bytes(HASH_SIZE_BYTES)


@dataclass(frozen=True, slots=True)
class Guest:
    """A browser that opened a link: which opening it is, and until when its cookie holds."""

    link_id: bytes
    opening_id: bytes
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer to an opening, and the cookie that carries it on."""

    answer: messages.LinkOpened
    cookie: str
    guest: Guest


class Links:
    """Opens links, serves their blobs, and lists them for their makers."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        ledgers: Ledgers,
        clock: ServerClock,
        throttles: Throttles,
        *,
        secret: bytes,
        session_lifetime_s: int,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._ledgers = ledgers
        self._clock = clock
        self._throttles = throttles
        self._openings = Throttle(OPENINGS_AT_ONCE, OPENING_REFILL_S, monotonic_ms)
        self._cookies = URLSafeSerializer(secret, salt="link session", signer_kwargs={"digest_method": hashlib.sha256})
        self.session_lifetime_s = session_lifetime_s

    async def open(self, link_id: bytes, request: messages.OpenLink, cookie: str, address: str) -> Opened:
        """Open a link, or renew an opening at no cost.

        Raises LINK_NOT_OPENED, and to who has token and proof LINK_EXPIRED, LINK_REVOKED, LINK_EXHAUSTED; RATE_LIMITED.
        """
        link = await self._database.link(link_id)
        self._check_secrets(link, request, address)
        if link is None:
            raise Refused(Code.LINK_NOT_OPENED)
        now_ms = self._clock.now_ms()
        _check_standing(link, now_ms)
        # The browser that opened it stays the one, also when its session is over: coming back costs no opening.
        guest = self._read_cookie(link_id, cookie)
        opening_id = guest.opening_id if guest else None
        if opening_id is not None and not await self._database.known_opening(link_id, opening_id):
            opening_id = None
        if opening_id is None and len(request.handover) == HANDOVER_SIZE_BYTES:
            opening_id = await self._database.use_handover(link_id, _sha256(request.handover), now_ms)
        handover = secrets.token_bytes(HANDOVER_SIZE_BYTES)
        expires_ms = min(now_ms + self.session_lifetime_s * 1000, link.expires_ms or 2**53 - 1)
        opening = Opening(
            link_id=link_id,
            opening_id=opening_id or secrets.token_bytes(ID_SIZE_BYTES),
            handover_hash=_sha256(handover),
            handover_expires_ms=expires_ms,
            now_ms=now_ms,
        )
        if opening_id is not None:
            await self._database.set_handover(opening)
            return self._opened(link, Guest(link_id, opening.opening_id, expires_ms), handover)
        self._openings.take(link_id)
        if not await self._database.open_link(opening, link.max_opens):
            raise await self._why_not(link_id)
        return self._opened(link, Guest(link_id, opening.opening_id, expires_ms), handover)

    def guest(self, link_id: bytes, cookie: str) -> Guest | None:
        """Read the cookie of a browser that opened this link; None if it is not one, or its time is over."""
        guest = self._read_cookie(link_id, cookie)
        return guest if guest and self._clock.now_ms() < guest.expires_ms else None

    def _read_cookie(self, link_id: bytes, cookie: str) -> Guest | None:
        try:
            opening, expires_ms = self._cookies.loads(cookie, salt=f"link {link_id.hex()}")
            return Guest(link_id, bytes.fromhex(opening), int(expires_ms))
        except (BadSignature, ValueError, TypeError):
            return None

    async def download(self, link_id: bytes, name: bytes, cookie: str) -> Download:
        """Open a blob that the link names.

        Raises LINK_SESSION_REQUIRED, NOT_FOUND, LINK_EXPIRED, LINK_REVOKED, and WITHHELD for what is in the trash.
        """
        guest = self.guest(link_id, cookie)
        link = await self._database.link(link_id) if guest else None
        if guest is None or link is None:
            raise Refused(Code.LINK_SESSION_REQUIRED)
        _check_standing(link, self._clock.now_ms())
        size_bytes = await self._shows(link, name)
        if size_bytes is None:
            raise Refused(Code.NOT_FOUND)
        if await self._database.is_in_trash(link.space_id, name):
            raise Refused(Code.WITHHELD)

        async def stands() -> bool:
            now = await self._database.link(link_id)
            if now is None or _state(now, self._clock.now_ms()) in {"revoked", "expired", "waiting"}:
                return False
            shown = await self._shows(now, name) is not None
            return shown and not await self._database.is_in_trash(now.space_id, name)

        return Download(name, await open_blob(self._blobs, name, size_bytes), stands)

    async def _shows(self, link: LinkState, name: bytes) -> int | None:
        """The stored size of a blob, if the link's sessions may have it now: the one place where that is decided."""
        held = await self._database.link_blob(link.link_id, name)
        return held[0] if held is not None and _may_show(link, held[1]) else None

    async def count_download(self, link_id: bytes, name: bytes) -> None:
        """Count a fetched original, for the maker's list; pages and previews are looking, not downloading."""
        held = await self._database.link_blob(link_id, name)
        if held is not None and held[1] == Tier.FULL:
            await self._database.count_download(link_id, self._clock.now_ms())

    async def of_space(self, who: Who, space_id: bytes) -> messages.Links:
        """Return a space's links, newest first, for its full readers; raises SPACE_UNKNOWN or FORBIDDEN."""
        await space_for_reader(self._ledgers, who, space_id, Tier.FULL)
        now_ms = self._clock.now_ms()
        return messages.Links([_row(link, now_ms) for link in await self._database.links_of(space_id)])

    def _check_secrets(self, link: LinkState | None, request: messages.OpenLink, address: str) -> None:
        """Compare token and proof, whether or not there is anything to compare with; raises LINK_NOT_OPENED.

        Both comparisons are always made, so that the answer's time tells nothing.
        """
        token_fits = hmac.compare_digest(_sha256(request.token), link.token_hash if link else _NO_HASH)
        wanted = (link.proof_hash if link else b"") or _NO_HASH
        proof_equal = hmac.compare_digest(_sha256(request.proof or b""), wanted)
        if link is None or not token_fits:
            raise Refused(Code.LINK_NOT_OPENED)
        if not link.proof_hash:
            return
        keys = (link.link_id, network_of(address))
        self._throttles.addresses.take(keys[1])
        self._throttles.links.take(keys[0])
        if not proof_equal:
            raise Refused(Code.LINK_NOT_OPENED)
        self._throttles.addresses.give_back(keys[1])
        self._throttles.links.give_back(keys[0])

    async def _why_not(self, link_id: bytes) -> Refused:
        link = await self._database.link(link_id)
        return Refused(Code.LINK_REVOKED if link is None or link.revoked else Code.LINK_EXHAUSTED)

    def _opened(self, link: LinkState, guest: Guest, handover: bytes) -> Opened:
        answer = messages.LinkOpened(
            head=link.head,
            head_signature=link.head_signature,
            publishing_key=link.publishing_key,
            expires_ms=guest.expires_ms,
            handover=handover,
        )
        value = self._cookies.dumps([guest.opening_id.hex(), guest.expires_ms], salt=f"link {link.link_id.hex()}")
        return Opened(answer, value, guest)


def _state(link: LinkState, now_ms: int) -> str:
    if link.revoked:
        return "revoked"
    if link.expires_ms and now_ms >= link.expires_ms:
        return "expired"
    if now_ms < link.starts_ms:
        return "waiting"
    return "exhausted" if link.max_opens and link.opens >= link.max_opens else "live"


def _check_standing(link: LinkState, now_ms: int) -> None:
    """Refuse a link that is over. One that is used up still serves the browsers that opened it."""
    match _state(link, now_ms):
        case "revoked":
            raise Refused(Code.LINK_REVOKED)
        case "expired":
            raise Refused(Code.LINK_EXPIRED)
        case "waiting":
            raise Refused(Code.LINK_NOT_OPENED, "it is not open yet")


def _may_show(link: LinkState, tier: str) -> bool:
    """An original leaves only through a link of the full tier whose policy says so, whatever the link names."""
    return tier in {"page", "made", Tier.VIEW} or (tier == Tier.FULL and link.tier == Tier.FULL and link.originals)


def _row(link: LinkState, now_ms: int) -> messages.LinkRow:
    return messages.LinkRow(
        link_id=link.link_id.hex(),
        number=link.number,
        state=_state(link, now_ms),
        tier=link.tier,
        created_ms=link.created_ms,
        expires_ms=link.expires_ms,
        max_opens=link.max_opens,
        opens=link.opens,
        last_opened_ms=link.last_opened_ms,
        downloads=link.downloads,
    )


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
