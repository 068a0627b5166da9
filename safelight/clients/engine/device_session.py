"""A device's session at its server: a bearer token, got by proving the device's key, renewed when it has ended."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.messages.sessions import AskChallenge, Challenge, OpenSession, Session
from safelight.sync_protocol.refusals import Code, Refused

_MAX_SIGNINGS = 3
_ENDED = frozenset({Code.SESSION_REQUIRED, Code.SESSION_EXPIRED})


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A device (or camera) and the 32-byte seed that it signs with."""

    device_id: bytes
    signing_seed: bytes = field(repr=False)


class DeviceSession:
    """The token of one device, shared by all its requests; asked for once, also when many need it."""

    def __init__(
        self,
        device: DeviceKey | None,
        ask: Callable[[AskChallenge], Awaitable[Challenge]],
        open_: Callable[[OpenSession], Awaitable[Session]],
    ) -> None:
        self._device = device
        self._ask = ask
        self._open = open_
        self._token: str | None = None
        self._lock = asyncio.Lock()

    async def token(self, server_key: bytes) -> str:
        """Return the token, signing in if there is none; SESSION_REQUIRED without a device.

        What is signed names the server's key, so no other server can sign in here with it.
        """
        async with self._lock:
            if self._token is None:
                if self._device is None:
                    raise Refused(Code.SESSION_REQUIRED)
                self._token = await self._sign_in(self._device, server_key)
            return self._token

    async def _sign_in(self, device: DeviceKey, server_key: bytes) -> str:
        """Sign a challenge, and another one where that is used up: by an answer that was lost, or by a long way."""
        device_id = device.device_id
        for signing in range(_MAX_SIGNINGS):
            challenge = (await self._ask(AskChallenge(device_id.hex()))).challenge
            message = context(Label.SIGN_SESSION, server_key, device_id, challenge)
            signature = signatures.sign(device.signing_seed, message)
            try:
                return (await self._open(OpenSession(device_id.hex(), challenge, signature))).token
            except Refused as refusal:
                if refusal.code is not Code.SESSION_EXPIRED or signing == _MAX_SIGNINGS - 1:
                    raise
        raise Refused(Code.SESSION_REQUIRED)  # not reached: the last signing returns or raises

    def ended(self, token: str, refusal: Refused) -> bool:
        """Whether *refusal* says that the session of *token* has ended; it is then forgotten."""
        if refusal.code not in _ENDED:
            return False
        if self._token == token:
            self._token = None
        return True

    def forget(self) -> None:
        """Sign in anew for the next request."""
        self._token = None
