"""Blobs: what an upload ends with. The upload itself follows draft-ietf-httpbis-resumable-upload."""

from safelight.sync_protocol.messages.common import Response


class BlobStored(Response, frozen=True):
    """A blob that is durable: its name (SHA-256, hexadecimal) and size."""

    name: str
    size_bytes: int
