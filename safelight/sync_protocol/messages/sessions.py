"""Sessions: a device proves its signing key and gets a bearer token."""

from safelight.sync_protocol.ids import HexId
from safelight.sync_protocol.messages.common import Request, Response, Signature


class AskChallenge(Request, frozen=True):
    """Ask for something to sign; every device id gets one, known or not."""

    device_id: HexId


class Challenge(Response, frozen=True):
    """32 random bytes, valid once and for a minute."""

    challenge: bytes


class OpenSession(Request, frozen=True):
    """The signature over `context(SIGN_SESSION, server key, device id, challenge)`."""

    device_id: HexId
    challenge: bytes
    signature: Signature


class Session(Response, frozen=True):
    """A bearer token for `Authorization`, until `expires_ms`."""

    token: str
    expires_ms: int


class DeviceRow(Response, frozen=True):
    """A device of the account, or a camera of one of its spaces, and when it was last heard of."""

    device_id: str
    kind: str
    space_id: str
    created_ms: int
    last_seen_ms: int
    revoked: bool


class Devices(Response, frozen=True):
    """All devices of the account and cameras it certified."""

    devices: list[DeviceRow]
