"""A guest of a link: opens its address as the page in the browser does, with the same checks."""

import json
from dataclasses import dataclass

import aiohttp
import msgspec
from yarl import URL

from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.links import (
    HeadContent,
    LinkAddress,
    LinkAsset,
    LinkRendition,
    ManifestHead,
    PageContent,
    check_page,
    parse_address,
    verify_head,
)
from safelight.sync_protocol.messages.links import LinkOpened, OpenLink
from safelight.sync_protocol.padding import unpad
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import floe, keytree
from safelight.sync_protocol.sealing.passwords import LINK_COSTS, stretch
from safelight.sync_protocol.wire import unpack


@dataclass
class Guest:
    """An opened link: its manifest, verified, and the browser session that may fetch what it shows."""

    http: aiohttp.ClientSession
    server: URL
    address: LinkAddress
    opened: LinkOpened
    head: ManifestHead
    content: HeadContent
    assets: list[LinkAsset]

    async def fetch(self, name: bytes) -> tuple[int, bytes]:
        """Ask for a blob through the link's session: the status and the body."""
        url = self.server / "v1" / "links" / self.address.link_id.hex() / "blobs" / name.hex()
        async with self.http.get(url) as response:
            return response.status, await response.read()

    async def see(self, asset: LinkAsset, rendition: LinkRendition) -> bytes:
        """Fetch and open what the link shows."""
        status, blob = await self.fetch(rendition.blob)
        assert status == 200, blob
        place = context(Label.FILE, asset.asset_id, rendition.name.value.encode(), rendition.rendition_id)
        return floe.open_bytes(rendition.key, place, blob)[: rendition.length_bytes]


async def open_link(http: aiohttp.ClientSession, url: str, password: str | None = None) -> Guest:
    """Open a link's address; raises the server's refusal, or MANIFEST_INVALID for what its maker did not sign."""
    server, address = URL(url).origin(), parse_address(url)
    base, proof = keytree.link_base(address.secret), None
    key = keytree.link_key(base)
    if address.has_password:
        mixed = base + stretch(password or "", keytree.link_password_salt(address.secret), LINK_COSTS)
        key, proof = keytree.link_key_with_password(mixed), keytree.link_password_proof(mixed)
    request = OpenLink(keytree.link_access_token(address.secret), proof)
    path = server / "v1" / "links" / address.link_id.hex()
    headers = {"Content-Type": "application/json"}
    async with http.post(path / "open", data=msgspec.json.encode(request), headers=headers) as response:
        body = await response.read()
        if response.status != 200:
            raise Refused(Code(json.loads(body)["code"]))
    opened = msgspec.json.decode(body, type=LinkOpened)
    head = verify_head(address, opened.head, opened.head_signature, opened.publishing_key)
    place = context(Label.LINK_HEAD, address.link_id, uint(head.number))
    content = unpack(unpad(floe.open_bytes(keytree.link_head_key(key), place, head.sealed)), HeadContent)
    guest = Guest(http, server, address, opened, head, content, [])
    for number, page in enumerate(head.pages):
        status, blob = await guest.fetch(page.blob)
        assert status == 200, blob
        check_page(head, number, blob)
        place = context(Label.LINK_PAGE, address.link_id, uint(head.number), uint(number))
        plain = unpad(floe.open_bytes(keytree.link_page_key(key, number), place, blob))
        guest.assets += unpack(plain, PageContent).assets
    return guest
