"""Links: a manifest with the keys of the renditions that it shows and nothing else, published under a key of its own.

docs/spec/link.md. The secret stands in the address's fragment and, sealed, in the makers' copy.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from safelight.clients.engine.albums import Album, album_assets
from safelight.clients.engine.assets import OpenedAsset
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.limits import KEY_SIZE_BYTES, MANIFEST_PAGE_ASSETS, MAX_MANIFEST_PAGES
from safelight.sync_protocol.links import (
    LINK_SECRET_SIZE_BYTES,
    LINK_VERSION,
    HeadContent,
    LinkAddress,
    LinkAsset,
    LinkRendition,
    MakersCopy,
    ManifestHead,
    PageContent,
    build_fragment,
    sign_head,
)
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.messages.links import LinkRow, Links
from safelight.sync_protocol.padding import pad
from safelight.sync_protocol.records import (
    LinkPolicy,
    PageRef,
    PublishLinkBody,
    RecordKind,
    RenditionName,
    RevokeLinkBody,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import floe, keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box
from safelight.sync_protocol.sealing.passwords import LINK_COSTS, stretch
from safelight.sync_protocol.wire import pack, unpack

_FIRST_MANIFEST = 1
_VIEW = (RenditionName.PREVIEW, RenditionName.THUMBNAIL)
_FULL = (*_VIEW, RenditionName.ORIGINAL)


@dataclass(frozen=True, slots=True)
class LinkWish:
    """What a maker wants of a link. *originals* None means: as far as the space's policy allows.

    The *label* is a note for the makers alone; guests see the album's title.
    """

    password: str | None = None
    expires_ms: int = 0
    max_opens: int = 0
    originals: bool | None = None
    label: str = ""

    def __repr__(self) -> str:
        return "LinkWish(…)"


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A published link. *url* carries the secret: whoever has it (and the password) can open the link."""

    link_id: bytes
    url: str
    originals: bool
    asset_count: int

    def __repr__(self) -> str:
        return f"MadeLink({self.link_id.hex()})"


@dataclass(frozen=True, slots=True)
class ListedLink:
    """A link as its makers see it: the server's row, and from the makers' copy the label and the whole address."""

    row: LinkRow
    label: str
    has_password: bool
    url: str

    def __repr__(self) -> str:
        return f"ListedLink({self.row.link_id})"


async def create_link(space: SpaceView, album: Album, wish: LinkWish) -> MadeLink:
    """Publish a link to an album as it is now.

    POLICY_FORBIDS where the space allows no such link; BAD_REQUEST for an empty album or an empty password; TOO_LARGE
    for more than a link can hold.
    """
    originals = _allowed_originals(space, wish)
    if wish.password is not None and not wish.password:
        raise Refused(Code.BAD_REQUEST, "a link's password is not empty")
    assets = await album_assets(space, album)
    if not assets:
        raise Refused(Code.BAD_REQUEST, "the album is empty")
    if len(assets) > MANIFEST_PAGE_ASSETS * MAX_MANIFEST_PAGES:
        raise Refused(Code.TOO_LARGE, "a link shows at most 100,000 assets")
    shown = _FULL if originals else _VIEW
    secret, publishing_seed = secrets.token_bytes(LINK_SECRET_SIZE_BYTES), secrets.token_bytes(KEY_SIZE_BYTES)
    publishing_key = signatures.public_key_of(publishing_seed)
    link_id = ids.new_id()
    address = LinkAddress(link_id, wish.password is not None, secret, ids.key_fingerprint(publishing_key))
    key, proof_hash = await asyncio.to_thread(_link_key, secret, wish.password)
    pages = await _upload_pages(space, link_id, key, [_show(asset, n, shown) for n, asset in enumerate(assets, 1)])
    content = HeadContent(
        title=album.title,
        asset_count=len(assets),
        tier="full" if originals else "view",
        originals=originals,
        expires_ms=wish.expires_ms,
    )
    now_ms = space.session.clock()
    head = ManifestHead(
        version=LINK_VERSION,
        link_id=link_id,
        number=_FIRST_MANIFEST,
        created_ms=now_ms,
        pages=pages,
        sealed=floe.seal_bytes(
            keytree.link_head_key(key),
            context(Label.LINK_HEAD, link_id, uint(_FIRST_MANIFEST)),
            pad(pack(content)),
        ),
    )
    signed, signature = sign_head(head, publishing_seed)
    held = await space.epoch_secrets()
    makers = MakersCopy(secret, publishing_seed, wish.password is not None, wish.label, space.session.profile.name)
    body = PublishLinkBody(
        link_id=link_id,
        album_id=album.album_id,
        tier="full" if originals else "view",
        epoch=held.number,
        token_hash=hashlib.sha256(keytree.link_access_token(secret)).digest(),
        proof_hash=proof_hash,
        publishing_key=publishing_key,
        head=signed,
        head_signature=signature,
        pages=pages,
        view_blobs=_blobs(assets, _VIEW),
        full_blobs=_blobs(assets, (RenditionName.ORIGINAL,)) if originals else [],
        made_blobs=[],
        policy=LinkPolicy(starts_ms=0, expires_ms=wish.expires_ms, max_opens=wish.max_opens, originals=originals),
        makers=seal_box(
            held.full_metadata_key, _makers_place(space, link_id, held.number), pack(makers), nonce=random_nonce()
        ),
    )
    await space.commit(RecordKind.PUBLISH_LINK, body, blobs=[page.blob for page in pages])
    return MadeLink(link_id, await _url(space, address), originals, len(assets))


def _allowed_originals(space: SpaceView, wish: LinkWish) -> bool:
    allowed = space.state.policy.links
    if allowed == "none":
        raise Refused(Code.POLICY_FORBIDS, "this space allows no links")
    if allowed == "view" and wish.originals:
        raise Refused(Code.POLICY_FORBIDS, "this space allows links without originals only")
    return allowed == "full" if wish.originals is None else wish.originals


def _link_key(secret: bytes, password: str | None) -> tuple[bytes, bytes]:
    """Return the link key, and the hash of the password's proof (empty without one). Blocks for the stretching."""
    base = keytree.link_base(secret)
    if password is None:
        return keytree.link_key(base), b""
    mixed = base + stretch(password, keytree.link_password_salt(secret), LINK_COSTS)
    return keytree.link_key_with_password(mixed), hashlib.sha256(keytree.link_password_proof(mixed)).digest()


def _show(asset: OpenedAsset, number: int, shown: Sequence[RenditionName]) -> LinkAsset:
    """What a guest gets of an asset: the keys of the renditions shown, and display metadata. Never the asset's keys."""
    renditions = [
        LinkRendition(
            name=ref.name,
            rendition_id=ref.rendition_id,
            key=asset.keys.rendition_key(ref),
            blob=ref.blob,
            size_bytes=ref.size_bytes,
            header=ref.header,
            length_bytes=(info := asset.info(ref)).length_bytes,
            media_type=info.media_type,
            width=info.width,
            height=info.height,
        )
        for ref in asset.body.renditions
        if ref.name in shown
    ]
    with_original = RenditionName.ORIGINAL in shown and asset.full is not None
    view = asset.view
    return LinkAsset(
        number=number,
        asset_id=asset.asset_id,
        kind=view.kind,
        renditions=renditions,
        width=view.width,
        height=view.height,
        duration_ms=view.duration_ms,
        thumbhash=view.thumbhash,
        caption=view.caption,
        taken_local=view.taken_local,
        name=asset.full.name if with_original and asset.full else "",
    )


def _blobs(assets: Sequence[OpenedAsset], names: Sequence[RenditionName]) -> list[bytes]:
    return [ref.blob for asset in assets for ref in asset.body.renditions if ref.name in names]


async def _upload_pages(space: SpaceView, link_id: bytes, key: bytes, shown: list[LinkAsset]) -> list[PageRef]:
    pages: list[PageRef] = []
    for start in range(0, len(shown), MANIFEST_PAGE_ASSETS):
        number = len(pages)
        place = context(Label.LINK_PAGE, link_id, uint(_FIRST_MANIFEST), uint(number))
        content = PageContent(shown[start : start + MANIFEST_PAGE_ASSETS])
        blob = floe.seal_bytes(keytree.link_page_key(key, number), place, pad(pack(content)))
        digest = hashlib.sha256(blob).digest()
        await upload_blob(space.session.connection, space.space_id, blob, digest=digest, size_bytes=len(blob))
        pages.append(PageRef(digest, len(blob)))
    return pages


def _makers_place(space: SpaceView, link_id: bytes, epoch: int) -> bytes:
    return context(Label.LINK_MAKERS, space.space_id, link_id, uint(epoch))


async def _url(space: SpaceView, address: LinkAddress) -> str:
    public = await space.session.connection.public_url()
    return f"{public}/s/{address.link_id.hex()}#{build_fragment(address)}"


async def list_links(space: SpaceView) -> list[ListedLink]:
    """List the space's links, newest first, each with its address from the makers' copy; FORBIDDEN for the view tier.

    A link that the verified log does not hold is left out: the server cannot slip one in.
    """
    answer = await space.session.connection.request("GET", f"/v1/spaces/{space.space_id.hex()}/links", None, Links)
    rows = {row.link_id: row for row in answer.links}
    listed: list[ListedLink] = []
    for link_id, number, _ in space.index.links():
        row = rows.get(link_id.hex())
        if row is not None:
            listed.append(await _listed(space, number, row))
    return listed


async def _listed(space: SpaceView, number: int, row: LinkRow) -> ListedLink:
    envelope = space.index.envelope_at(number)
    if envelope is None:
        raise Refused(Code.NOT_FOUND, "the link's record is not kept here")
    body = unpack(parse_entry(envelope).body, PublishLinkBody)
    try:
        held = await space.epoch_secrets(body.epoch)
        opened = open_box(held.full_metadata_key, _makers_place(space, body.link_id, body.epoch), body.makers)
        copy = unpack(opened, MakersCopy, Code.OPEN_FAILED)
    except Refused as refusal:
        if refusal.code not in (Code.OPEN_FAILED, Code.PADDING_INVALID):
            raise
        return ListedLink(row, "", bool(body.proof_hash), "")
    address = LinkAddress(body.link_id, copy.has_password, copy.secret, ids.key_fingerprint(body.publishing_key))
    return ListedLink(row, copy.label, copy.has_password, await _url(space, address))


async def revoke_link(space: SpaceView, link_id: bytes) -> None:
    """Withdraw a link: it opens no more, and downloads under way stop. NOT_FOUND if the space has no such link."""
    if all(known != link_id for known, _, _ in space.index.links()):
        raise Refused(Code.NOT_FOUND, "this space has no such link")
    await space.commit(RecordKind.REVOKE_LINK, RevokeLinkBody(link_id))


def find_link(space: SpaceView, prefix: str) -> bytes | None:
    """Return the id of the space's link that begins with *prefix*; BAD_REQUEST for more than one, or no prefix."""
    wanted = prefix.strip().lower()
    if not wanted:  # else a script's empty variable would mean the only link there is
        raise Refused(Code.BAD_REQUEST, "name the link by its id; `link list` shows it")
    found = [link_id for link_id, _, _ in space.index.links() if link_id.hex().startswith(wanted)]
    if len(found) > 1:
        raise Refused(Code.BAD_REQUEST, f"more than one link's id begins with {wanted[:32]!r}")
    return found[0] if found else None
