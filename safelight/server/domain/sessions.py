"""Sessions: a device proves its signing key and gets a bearer token, which is looked up again at every request."""

import hmac
import secrets
from collections import OrderedDict

from safelight.server.domain.access import Who, account_of
from safelight.server.domain.accounts import token_hash
from safelight.server.domain.clock import ServerClock
from safelight.server.domain.ports.database import Database
from safelight.server.domain.ports.rows import SessionRow
from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.messages import sessions as messages
from safelight.sync_protocol.refusals import Code, Refused

_CHALLENGE_LIFETIME_MS = 60_000
# Far longer than it is good: processes' clocks may differ. Each remembers by itself those that it has let through.
_CHALLENGE_LEASE_MS = 60 * 60 * 1000
_TOUCH_EVERY_MS = 10 * 60 * 1000
_NONCE_SIZE_BYTES = 12
_TIME_SIZE_BYTES = 4
# Verified where a device is unknown, so that the answer takes as long as for a known one.
_NOBODYS_KEY = signatures.public_key_of(bytes(32))


class Sessions:
    """Opens, finds and ends sessions.

    A challenge is nonce ‖ time ‖ MAC over both and the device id: nothing is kept of those only asked for, so asking
    for many cannot push others out; used ones are remembered for their minute.
    """

    def __init__(
        self, database: Database, clock: ServerClock, *, secret: bytes, server_key: bytes, lifetime_s: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._secret = secret
        self._server_key = server_key
        self._lifetime_ms = lifetime_s * 1000
        self._used: OrderedDict[bytes, int] = OrderedDict()
        self._touched: OrderedDict[bytes, int] = OrderedDict()

    def challenge(self, request: messages.AskChallenge) -> messages.Challenge:
        """Return something to sign, good once and for a minute; known and unknown devices get it alike."""
        nonce = secrets.token_bytes(_NONCE_SIZE_BYTES)
        issued = (self._clock.now_ms() // 1000).to_bytes(_TIME_SIZE_BYTES, "big")
        return messages.Challenge(nonce + issued + self._mac(bytes.fromhex(request.device_id), nonce + issued))

    async def open(self, request: messages.OpenSession) -> messages.Session:
        """Check the signed challenge; raises SIGNATURE_INVALID, SESSION_EXPIRED or DEVICE_REVOKED."""
        device_id = bytes.fromhex(request.device_id)
        self._use_challenge(device_id, request.challenge)
        device = await self._database.device(device_id)
        message = context(Label.SIGN_SESSION, self._server_key, device_id, request.challenge)
        signatures.verify(device.key if device else _NOBODYS_KEY, request.signature, message)
        if device is None:
            raise Refused(Code.SIGNATURE_INVALID)
        if device.revoked:
            raise Refused(Code.DEVICE_REVOKED)
        if await self._database.take_lease(request.challenge, _CHALLENGE_LEASE_MS):
            raise Refused(Code.SESSION_EXPIRED, "the challenge was used at another process of this server")
        now_ms = self._clock.now_ms()
        token = secrets.token_urlsafe(32)
        session = SessionRow(
            token_hash=token_hash(token),
            purpose="session",
            account_id=b"" if device.space_id else device.owner_id,
            device_id=device_id,
            space_id=device.space_id,
            expires_ms=now_ms + self._lifetime_ms,
        )
        await self._database.add_session(session)
        await self._touch(device_id, now_ms)
        return messages.Session(token, session.expires_ms)

    async def find(self, token: str, *, ticket_allowed: bool) -> Who:
        """Return who holds *token*; raises SESSION_REQUIRED for an unknown or revoked one, or SESSION_EXPIRED."""
        row = await self._database.session(token_hash(token))
        if row is None or row.purpose not in ({"session", "ticket"} if ticket_allowed else {"session"}):
            raise Refused(Code.SESSION_REQUIRED)
        now_ms = self._clock.now_ms()
        if now_ms >= row.expires_ms:
            raise Refused(Code.SESSION_EXPIRED)
        if row.device_id:
            await self._touch(row.device_id, now_ms)
        return Who(row.account_id, row.device_id, row.space_id, row.token_hash, row.expires_ms)

    async def still_stands(self, who: Who) -> bool:
        """Whether the session is neither ended nor its device revoked: asked again during long transfers."""
        row = await self._database.session(who.token_hash)
        return row is not None and self._clock.now_ms() < row.expires_ms

    async def end(self, who: Who) -> None:
        """End a session."""
        await self._database.delete_session(who.token_hash)

    async def devices(self, who: Who) -> messages.Devices:
        """Return the account's devices and the cameras that it certified; raises FORBIDDEN for a camera."""
        rows = await self._database.devices_of(account_of(who))
        return messages.Devices(
            [
                messages.DeviceRow(
                    device_id=row.device_id.hex(),
                    kind=row.kind,
                    space_id=row.space_id.hex(),
                    created_ms=row.created_ms,
                    last_seen_ms=row.last_seen_ms,
                    revoked=row.revoked,
                )
                for row in rows
            ]
        )

    def _mac(self, device_id: bytes, nonce_and_time: bytes) -> bytes:
        return hmac.digest(self._secret, b"challenge\0" + device_id + nonce_and_time, "sha256")[:16]

    def _use_challenge(self, device_id: bytes, challenge: bytes) -> None:
        now_ms = self._clock.now_ms()
        while self._used and next(iter(self._used.values())) < now_ms:
            self._used.popitem(last=False)
        nonce_and_time, mac = challenge[:-16], challenge[-16:]
        if len(challenge) != 32 or not hmac.compare_digest(mac, self._mac(device_id, nonce_and_time)):
            raise Refused(Code.SIGNATURE_INVALID, "not a challenge of this server")
        issued_ms = int.from_bytes(nonce_and_time[_NONCE_SIZE_BYTES:], "big") * 1000
        if now_ms > issued_ms + _CHALLENGE_LIFETIME_MS or challenge in self._used:
            raise Refused(Code.SESSION_EXPIRED, "the challenge was used or is too old; ask for another")
        self._used[challenge] = now_ms + _CHALLENGE_LIFETIME_MS

    async def _touch(self, device_id: bytes, now_ms: int) -> None:
        """Remember when a device was last heard of, at most every ten minutes: it costs a write."""
        if now_ms - self._touched.get(device_id, 0) < _TOUCH_EVERY_MS:
            return
        self._touched[device_id] = now_ms
        self._touched.move_to_end(device_id)
        if len(self._touched) > 100_000:
            self._touched.popitem(last=False)
        await self._database.touch_device(device_id, now_ms)
