"""Upload links, for their guests."""

from safelight.server.routes.call import Call
from safelight.server.routes.spaces import signature_of
from safelight.server.routes.table import Auth, Route
from safelight.sync_protocol.messages.links import UploadLinkOpened
from safelight.sync_protocol.refusals import Code

GUEST_HEADER = "Safelight-Guest"


async def open_upload_link(call: Call) -> UploadLinkOpened:
    """Say where guests of an upload link seal to."""
    return await call.services.upload_links.open(call.path_bytes("link"), signature_of(call, GUEST_HEADER))


ROUTES = [
    Route(
        "GET",
        "/v1/upload-links/{link:[0-9a-f]{32}}",
        open_upload_link,
        "Where guests of an upload link seal to, for who has its secret",
        Auth.NONE,
        response=UploadLinkOpened,
        refusals=(Code.LINK_NOT_OPENED, Code.UPLOAD_LINK_OVER, Code.UPLOAD_LINK_PAUSED),
        headers=(GUEST_HEADER,),
    ),
]
