"""Blobs: what an upload ends with, and holding elsewhere what is there already.

The upload itself follows draft-ietf-httpbis-resumable-upload.
"""

from typing import Annotated

import msgspec

from safelight.sync_protocol.ids import Hash
from safelight.sync_protocol.limits import MAX_HELD_AT_ONCE
from safelight.sync_protocol.messages.common import Request, Response

SpaceName = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)", description="a space's id, in hexadecimal")]


class BlobStored(Response, frozen=True):
    """A blob that is durable: its name (SHA-256, hexadecimal) and size."""

    name: str
    size_bytes: int


class HoldBlobs(Request, frozen=True):
    """Blobs of another space, whose id is *source*, that this space is to hold as well."""

    source: SpaceName
    names: Annotated[list[Hash], msgspec.Meta(min_length=1, max_length=MAX_HELD_AT_ONCE)]


class BlobsHeld(Response, frozen=True):
    """How many blobs the space holds now of those that were asked for: all of them."""

    held: int
