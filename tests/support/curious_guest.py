"""A guest who keeps every byte and key that a link gives, and tries all of them on what the link does not show."""

import base64
import hashlib
import json
from dataclasses import dataclass

import aiohttp

from safelight.clients.engine.files import file_context
from safelight.sync_protocol import padding
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.links import LinkAsset, ManifestHead, PageContent, parse_address, verify_head
from safelight.sync_protocol.records import RenditionRef
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.sealing import floe, keytree, passwords
from safelight.sync_protocol.wire import unpack
from tests.support.server_process import ServerProcess

LINK_PASSWORD = "the guest's password"


@dataclass
class CuriousGuest:
    """What a guest ends up with: the session, and everything that the manifest holds."""

    http: aiohttp.ClientSession
    link: str
    assets: list[LinkAsset]
    head: ManifestHead
    plaintexts: list[bytes]
    secrets: list[bytes]

    async def fetch(self, name: bytes, path: str = "") -> tuple[int, bytes]:
        """Ask for a blob by its name, by the link's session."""
        url = path or f"{self.link}/blobs/{name.hex()}"
        async with self.http.get(url) as answer:
            return answer.status, await answer.read()


async def open_as_guest(http: aiohttp.ClientSession, server: ServerProcess, url: str) -> CuriousGuest:
    """Open the link as its page does, and keep every byte and key on the way."""
    address = parse_address(url)
    base = keytree.link_base(address.secret)
    stretched = passwords.stretch(LINK_PASSWORD, keytree.link_password_salt(address.secret), passwords.LINK_COSTS)
    key = keytree.link_key_with_password(base + stretched)
    proof = keytree.link_password_proof(base + stretched)
    token = keytree.link_access_token(address.secret)
    link = f"{server.url}/v1/links/{address.link_id.hex()}"
    asked = {"token": base64.b64encode(token).decode(), "proof": base64.b64encode(proof).decode()}
    async with http.post(f"{link}/open", json=asked) as answer:
        assert answer.status == 200, await answer.text()
        opened = json.loads(await answer.read())
    content, signature, publisher = (
        base64.b64decode(opened[name]) for name in ("head", "head_signature", "publishing_key")
    )
    head = verify_head(address, content, signature, publisher)
    guest = CuriousGuest(http, link, [], head, [content], [address.secret, base, stretched, key, proof, token])
    guest.secrets += [base + stretched, keytree.link_head_key(key), keytree.link_picks_key(address.secret)]
    place = context(Label.LINK_HEAD, head.link_id, uint(head.number))
    guest.plaintexts.append(floe.open_bytes(keytree.link_head_key(key), place, head.sealed))
    for number, page in enumerate(head.pages):
        status, sealed = await guest.fetch(page.blob)
        assert status == 200
        place = context(Label.LINK_PAGE, head.link_id, uint(head.number), uint(number))
        packed = padding.unpad(floe.open_bytes(keytree.link_page_key(key, number), place, sealed))
        guest.plaintexts.append(packed)
        guest.secrets.append(keytree.link_page_key(key, number))
        guest.assets += unpack(packed, PageContent).assets
    guest.secrets += [rendition.key for asset in guest.assets for rendition in asset.renditions]
    return guest


def opens(key: bytes, ref: RenditionRef, asset_id: bytes, sealed: bytes) -> bool:
    """Whether *key* opens the rendition's stored bytes."""
    try:
        floe.open_bytes(key, file_context(asset_id, ref.name, ref.rendition_id), sealed)
    except Refused:
        return False
    return True


def stored(server: ServerProcess, name: bytes) -> bytes:
    """A blob's bytes, taken from the server's disk: more than any guest could reach."""
    found = [path for path in server.data.rglob(f"*{name.hex()[4:]}*") if path.is_file()]
    found = [path for path in found if hashlib.sha256(path.read_bytes()).digest() == name]
    assert len(found) == 1
    return found[0].read_bytes()


def guesses(guest: CuriousGuest, wanted: RenditionRef) -> list[bytes]:
    """Every key that the guest holds, any 32 bytes that it read, and what can be derived from each."""
    keys = [secret[:32] for secret in guest.secrets if len(secret) >= 32]
    for plaintext in guest.plaintexts:
        keys += [plaintext[start : start + 32] for start in range(len(plaintext) - 31)]
    derived = [keytree.rendition_key(key, wanted.name.value, wanted.rendition_id) for key in keys]
    views = [keytree.asset_view_key(key) for key in keys]
    return [*keys, *derived, *views]
