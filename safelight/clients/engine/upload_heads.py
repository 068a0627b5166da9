"""An upload link's head, fetched and verified against the link's address, which is all that a guest believes."""

import base64
from dataclasses import dataclass

from safelight.clients.engine.connection import Connection
from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.links import LinkAddress
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.messages.links import UploadLinkOpened
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import open_box
from safelight.sync_protocol.upload_links import HeadContent, UploadHead, verify_upload_head
from safelight.sync_protocol.wire import unpack

GUEST_HEADER = "Safelight-Guest"


@dataclass(frozen=True, slots=True)
class OpenedHead:
    """A verified head and its title; and, by the server's word alone, its ledger's end and what was taken."""

    head: UploadHead
    title: str
    ledger: Head
    files: int
    used_bytes: int


async def fetch_upload_head(connection: Connection, address: LinkAddress) -> OpenedHead:
    """Fetch an upload link's newest head.

    Raises LINK_NOT_OPENED, UPLOAD_LINK_OVER, UPLOAD_LINK_PAUSED, MANIFEST_INVALID, SERVER_KEY_CHANGED.
    """
    await connection.server_info()
    message = context(Label.SIGN_UPLOAD_READ, address.link_id)
    signature = signatures.sign(keytree.upload_signing_seed(address.secret), message)
    answer = await connection.request(
        "GET",
        f"/v1/upload-links/{address.link_id.hex()}",
        None,
        UploadLinkOpened,
        headers={GUEST_HEADER: base64.b64encode(signature).decode("ascii")},
        anonymous=True,
    )
    head = verify_upload_head(address, answer.head, answer.head_signature, answer.publishing_key)
    if head.server_key != connection.server_key:
        # *Another server in its place* takes the pictures, and gives receipts that nobody else honours.
        raise Refused(Code.SERVER_KEY_CHANGED, str(connection.url.host))
    return OpenedHead(
        head,
        title_of(head, address.secret),
        Head(answer.ledger_number, answer.ledger_hash),
        answer.files,
        answer.used_bytes,
    )


def head_place(space_id: bytes, link_id: bytes, number: int) -> bytes:
    """Return what binds a head's content to its link, and to where its signer knew the log to end."""
    return context(Label.UPLOAD_HEAD, space_id, link_id, uint(number))


def title_of(head: UploadHead, secret: bytes) -> str:
    """Open what a head tells guests; raises MANIFEST_INVALID."""
    try:
        place = head_place(head.space_id, head.link_id, head.log.number)
        opened = open_box(keytree.upload_head_key(secret), place, head.sealed)
    except Refused:
        raise Refused(Code.MANIFEST_INVALID, "its title does not open") from None
    return unpack(opened, HeadContent, Code.MANIFEST_INVALID).title
