"""Making a link: a manifest with the keys of the renditions that it shows and nothing else, under a key of its own.

docs/spec/link.md. The secret stands in the address's fragment and, sealed, in the makers' copy.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from safelight.clients.engine.albums import Album, album_assets
from safelight.clients.engine.approvals import to_show
from safelight.clients.engine.assets import OpenedAsset
from safelight.clients.engine.link_listing import link_url, makers_place
from safelight.clients.engine.link_pictures import Progress, Watermark, make_pictures
from safelight.clients.engine.link_showing import Shown, as_they_are, watermarked
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
    MakersCopy,
    ManifestHead,
    PageContent,
    sign_head,
)
from safelight.sync_protocol.padding import pad
from safelight.sync_protocol.records import (
    LinkPolicy,
    PageRef,
    PublishLinkBody,
    RecordKind,
)
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.sealing import floe, keytree
from safelight.sync_protocol.sealing.boxes import random_nonce, seal_box
from safelight.sync_protocol.sealing.passwords import LINK_COSTS, stretch
from safelight.sync_protocol.wire import pack

# The record names two pictures an asset, by name and size, and has room for so many.
MAX_WATERMARKED_ASSETS = 10_000
_FIRST_MANIFEST = 1


@dataclass(frozen=True, slots=True)
class LinkWish:
    """What a maker wants of a link.

    *originals* None means: as far as the space's policy allows, and never with a watermark. The *label* is a note for
    the makers alone; guests see the album's title.
    """

    password: str | None = None
    expires_ms: int = 0
    max_opens: int = 0
    originals: bool | None = None
    label: str = ""
    watermark: Watermark | None = None

    def __repr__(self) -> str:
        return "LinkWish(…)"


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A published link. *url* carries the secret: whoever has it (and the password) can open the link.

    *failed_count* assets have a preview that could not be watermarked; the link shows them without a picture.
    *left_out_count* are not approved, which the album requires; the link does not show them.
    """

    link_id: bytes
    url: str
    originals: bool
    asset_count: int
    failed_count: int = 0
    left_out_count: int = 0

    def __repr__(self) -> str:
        return f"MadeLink({self.link_id.hex()})"


@dataclass(frozen=True, slots=True, repr=False)
class _Secrets:
    """What is made for a link at random, and what follows from it."""

    link_id: bytes
    secret: bytes
    publishing_seed: bytes
    key: bytes
    proof_hash: bytes


async def create_link(
    space: SpaceView, album: Album, wish: LinkWish, *, on_progress: Progress | None = None
) -> MadeLink:
    """Publish a link to an album as it is now. *on_progress* hears how many pictures are watermarked, of how many.

    POLICY_FORBIDS where the space allows no such link; BAD_REQUEST for an empty album or password, or for originals
    with a watermark; NOT_APPROVED where the album requires approval and has nothing that is approved; IN_TRASH where
    all was put there while it was drawn; RIGHT_MISSING; TOO_LARGE for more than a link can hold.
    """
    originals = _allowed_originals(space, wish)
    if wish.password is not None and not wish.password:
        raise Refused(Code.BAD_REQUEST, "a link's password is not empty")
    found = await album_assets(space, album)
    assets = _approved(space, album, found)
    _check_count(len(assets), wish)
    if wish.watermark is None:
        shown = as_they_are(assets, originals=originals)
    else:
        _check_right(space)
        pictures = await make_pictures(space, assets, wish.watermark, on_progress)
        await space.sync()  # it took a while: the epoch may be another, approvals withdrawn, and pictures trashed
        found = _still_in(space, album, found)
        assets = _approved(space, album, _still_in(space, album, assets))
        pictures.keep({asset.asset_id for asset in assets})
        shown = watermarked(assets, pictures)
    made = await asyncio.to_thread(_make_secrets, wish.password)
    pages = await _upload_pages(space, made, shown.assets)
    body = await _body(space, album, wish, made, shown, pages)
    await space.commit(RecordKind.PUBLISH_LINK, body, blobs=[ref.blob for ref in (*body.pages, *body.made_blobs)])
    fingerprint = ids.key_fingerprint(body.publishing_key)
    address = LinkAddress(made.link_id, wish.password is not None, made.secret, fingerprint)
    url, failed, left_out = await link_url(space, address), len(shown.made.failures), len(found) - len(assets)
    return MadeLink(made.link_id, url, originals, len(assets), failed, left_out)


def _approved(space: SpaceView, album: Album, assets: Sequence[OpenedAsset]) -> list[OpenedAsset]:
    """What the album's links may show; NOT_APPROVED where that is nothing of what there is."""
    shown = to_show(space, album, assets)
    if assets and not shown:
        raise Refused(Code.NOT_APPROVED, f"of {len(assets)} in the album none is")
    return shown


def _still_in(space: SpaceView, album: Album, assets: Sequence[OpenedAsset]) -> list[OpenedAsset]:
    """What is in the album, and not in the trash: *a picture trashed, or taken out, while it is drawn*.

    Once it is drawn for a link the server can withhold it no more.
    """
    in_trash = space.index.in_trash([asset.asset_id for asset in assets])
    left = [asset for asset in assets if asset.asset_id not in in_trash]
    if assets and not left:
        raise Refused(Code.IN_TRASH, f"all {len(assets)} that the link was to show")
    still = [asset for asset in left if space.index.is_in_album(album.album_id, asset.asset_id)]
    if left and not still:
        raise Refused(Code.NOT_FOUND, f"all {len(left)} that the link was to show were taken out of the album")
    return still


def _allowed_originals(space: SpaceView, wish: LinkWish) -> bool:
    allowed = space.state.policy.links
    if allowed == "none":
        raise Refused(Code.POLICY_FORBIDS, "this space allows no links")
    if wish.watermark is not None:
        if wish.originals:
            raise Refused(Code.BAD_REQUEST, "a watermarked link holds no originals: they have no watermark")
        return False
    if allowed == "view" and wish.originals:
        raise Refused(Code.POLICY_FORBIDS, "this space allows links without originals only")
    return allowed == "full" if wish.originals is None else wish.originals


def _check_count(count: int, wish: LinkWish) -> None:
    if not count:
        raise Refused(Code.BAD_REQUEST, "the album is empty")
    limit = MAX_WATERMARKED_ASSETS if wish.watermark else MANIFEST_PAGE_ASSETS * MAX_MANIFEST_PAGES
    if count > limit:
        kind = "watermarked link" if wish.watermark else "link"
        raise Refused(Code.TOO_LARGE, f"a {kind} shows at most {limit:,} assets, and the album has {count:,}")


def _check_right(space: SpaceView) -> None:
    """Say before minutes of drawing what the server would say after them."""
    if Right.LINK not in space.state.rights_of(space.session.account_id):
        raise Refused(Code.RIGHT_MISSING, "making links")


def _make_secrets(password: str | None) -> _Secrets:
    """Make a link's secrets; the proof's hash is empty without a password. Blocks for the stretching."""
    secret, publishing_seed = secrets.token_bytes(LINK_SECRET_SIZE_BYTES), secrets.token_bytes(KEY_SIZE_BYTES)
    base, link_id = keytree.link_base(secret), ids.new_id()
    if password is None:
        return _Secrets(link_id, secret, publishing_seed, keytree.link_key(base), b"")
    mixed = base + stretch(password, keytree.link_password_salt(secret), LINK_COSTS)
    proof_hash = hashlib.sha256(keytree.link_password_proof(mixed)).digest()
    return _Secrets(link_id, secret, publishing_seed, keytree.link_key_with_password(mixed), proof_hash)


async def _body(
    space: SpaceView, album: Album, wish: LinkWish, made: _Secrets, shown: Shown, pages: list[PageRef]
) -> PublishLinkBody:
    signed, signature = sign_head(_head(space, album, wish, made, shown, pages), made.publishing_seed)
    held = await space.epoch_secrets()
    has_password, text = wish.password is not None, wish.watermark.text if wish.watermark else ""
    copy = MakersCopy(made.secret, made.publishing_seed, has_password, wish.label, space.session.profile.name, text)
    place = makers_place(space, made.link_id, held.number)
    return PublishLinkBody(
        link_id=made.link_id,
        album_id=album.album_id,
        tier=shown.tier,
        epoch=held.number,
        token_hash=hashlib.sha256(keytree.link_access_token(made.secret)).digest(),
        proof_hash=made.proof_hash,
        publishing_key=signatures.public_key_of(made.publishing_seed),
        head=signed,
        head_signature=signature,
        pages=pages,
        view_blobs=list(shown.view_blobs),
        full_blobs=list(shown.full_blobs),
        made_blobs=shown.made.blobs(),
        policy=LinkPolicy(starts_ms=0, expires_ms=wish.expires_ms, max_opens=wish.max_opens, originals=shown.originals),
        makers=seal_box(held.full_metadata_key, place, pack(copy), nonce=random_nonce()),
    )


def _head(
    space: SpaceView, album: Album, wish: LinkWish, made: _Secrets, shown: Shown, pages: list[PageRef]
) -> ManifestHead:
    content = HeadContent(
        title=album.title,
        asset_count=len(shown.assets),
        tier=shown.tier,
        originals=shown.originals,
        expires_ms=wish.expires_ms,
    )
    place = context(Label.LINK_HEAD, made.link_id, uint(_FIRST_MANIFEST))
    return ManifestHead(
        version=LINK_VERSION,
        link_id=made.link_id,
        number=_FIRST_MANIFEST,
        created_ms=space.session.clock(),
        pages=pages,
        sealed=floe.seal_bytes(keytree.link_head_key(made.key), place, pad(pack(content))),
    )


async def _upload_pages(space: SpaceView, made: _Secrets, shown: Sequence[LinkAsset]) -> list[PageRef]:
    pages: list[PageRef] = []
    for start in range(0, len(shown), MANIFEST_PAGE_ASSETS):
        number = len(pages)
        place = context(Label.LINK_PAGE, made.link_id, uint(_FIRST_MANIFEST), uint(number))
        content = PageContent(list(shown[start : start + MANIFEST_PAGE_ASSETS]))
        blob = floe.seal_bytes(keytree.link_page_key(made.key, number), place, pad(pack(content)))
        digest = hashlib.sha256(blob).digest()
        await upload_blob(space.session.connection, space.space_id, blob, digest=digest, size_bytes=len(blob))
        pages.append(PageRef(digest, len(blob)))
    return pages
