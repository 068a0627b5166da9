"""Links as a browser has them, and photographs to share by them."""

import os

from safelight.sync_protocol.messages.links import OpenLink
from tests.http.conftest import Owner
from tests.support.api import Answer, Api
from tests.support.protocol import Blob, Link


async def photo(owner: Owner) -> tuple[Blob, Blob]:
    """Add a photograph; returns its original and its preview."""
    original, preview = Blob(os.urandom(3000)), Blob(os.urandom(1000))
    await owner.api.add_photo(owner.writer, original, preview)
    return original, preview


async def shared(owner: Owner, **changes: object) -> Link:
    """Publish a link to one preview."""
    _, preview = await photo(owner)
    link = Link(Blob(os.urandom(500)), view=[preview], **changes)  # type: ignore[arg-type]  # values by name
    await owner.api.publish(owner.writer, link)
    return link


async def open_link(api: Api, link: Link, cookie: str = "", **changes: object) -> Answer:
    """Open a link as its page does."""
    values: dict[str, object] = {"token": link.token, "proof": link.password_proof or None, **changes}
    headers = {"Cookie": cookie} if cookie else {}
    request = OpenLink(**values)  # type: ignore[arg-type]  # values by name
    return await api.with_token("").post(f"/v1/links/{link.link_id.hex()}/open", request, **headers)


def cookie_of(answer: Answer) -> str:
    """The cookie that a browser would send back."""
    return answer.headers["Set-Cookie"].partition(";")[0]


async def fetch(api: Api, link: Link, blob: Blob, cookie: str, **headers: str) -> Answer:
    """Fetch a blob through a link."""
    path = f"/v1/links/{link.link_id.hex()}/blobs/{blob.name.hex()}"
    return await api.with_token("").get(path, Cookie=cookie, **headers)
