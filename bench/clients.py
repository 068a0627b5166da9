"""What several benchmarks need of a signed-in client."""

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
