"""What several benchmarks need of a signed-in client: a session, and a connection that sends what was made before."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from safelight.clients.engine.connection import Connection
from safelight.clients.engine.device_session import DeviceKey
from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.messages.sessions import AskChallenge, Challenge, OpenSession, Session


async def bearer(connection: Connection, device: DeviceKey) -> str:
    """Open a session of the device's own, for requests that no client of ours makes; return its token."""
    asked = AskChallenge(device.device_id.hex())
    challenge = await connection.request("POST", "/v1/sessions/challenge", asked, Challenge, anonymous=True)
    message = context(Label.SIGN_SESSION, connection.server_key, device.device_id, challenge.challenge)
    signature = signatures.sign(device.signing_seed, message)
    opening = OpenSession(device.device_id.hex(), challenge.challenge, signature)
    return (await connection.request("POST", "/v1/sessions", opening, Session, anonymous=True)).token


@dataclass(frozen=True, slots=True)
class Kept:
    """A connection kept open, over which whole HTTP requests go one after another."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, url: str) -> "Kept":
        """Connect to the server at *url*."""
        address = urlsplit(url)
        return cls(*await asyncio.open_connection(address.hostname, address.port))

    async def ask(self, request: bytes) -> bytes:
        """Send *request* and return its answer's body, which must be of success."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await self.reader.readexactly(int(sizes[0].split(b":")[1]))
        if not head.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(body.decode())
        return body
