"""Upload links for their guests: where to seal to, for who proves that they have the link's secret.

Whoever has not is told nothing, not even that there is such a link. docs/spec/upload-links.md.
"""

from safelight.server.domain.clock import ServerClock
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.database import KeepsUploadLinks
from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.messages.links import UploadLinkOpened
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.upload_links import UploadHead
from safelight.sync_protocol.wire import unpack

_NOBODYS_KEY = bytes(KEY_SIZE_BYTES)


class UploadLinks:
    """Answers guests."""

    def __init__(self, database: KeepsUploadLinks, ledgers: Ledgers, clock: ServerClock) -> None:
        self._database = database
        self._ledgers = ledgers
        self._clock = clock

    async def open(self, link_id: bytes, signature: bytes) -> UploadLinkOpened:
        """Return a link's newest head, and where the ledger ends, which a guest's binding has to follow.

        Raises LINK_NOT_OPENED to who has not the secret; to who has, UPLOAD_LINK_OVER, and UPLOAD_LINK_PAUSED until a
        maker signed a head of the epoch in force.
        """
        row = await self._database.upload_link(link_id)
        state = await self._ledgers.state(row.space_id) if row else None
        link = state.upload_links[link_id] if state else None
        try:
            signatures.verify(
                link.guest_key if link else _NOBODYS_KEY, signature, context(Label.SIGN_UPLOAD_READ, link_id)
            )
        except Refused:
            raise Refused(Code.LINK_NOT_OPENED) from None
        if row is None or state is None or link is None:
            raise Refused(Code.LINK_NOT_OPENED)
        if not state.upload_link_stands(link_id, self._clock.now_ms()):
            raise Refused(Code.UPLOAD_LINK_OVER)
        if not row.head or unpack(row.head, UploadHead).epoch != state.epoch.number:
            raise Refused(Code.UPLOAD_LINK_PAUSED)
        return UploadLinkOpened(
            head=row.head,
            head_signature=row.head_signature,
            publishing_key=link.publishing_key,
            ledger_number=state.head.number,
            ledger_hash=state.head.hash,
            files=row.files,
            used_bytes=row.used_bytes,
        )
