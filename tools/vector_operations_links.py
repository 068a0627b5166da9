"""The operations on links, manifests and files that vectors name."""

from typing import Any

from safelight.sync_protocol import links, padding, upload_links
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.sealing import floe, keytree
from safelight.sync_protocol.wire import unpack

Values = dict[str, Any]


def _address(address: links.LinkAddress) -> Values:
    return {
        "link_id": address.link_id,
        "has_password": address.has_password,
        "secret": address.secret,
        "publisher_fingerprint": address.publisher_fingerprint,
        "handover": address.handover,
        "is_upload": address.is_upload,
    }


def _verify_head(v: Values) -> Values:
    address = links.parse_address(v["address_text"])
    head = links.verify_head(address, v["content"], v["signature"], v["publishing_key"])
    return {
        "manifest_number": head.number,
        "created_number": head.created_ms,
        "page_blobs": [page.blob for page in head.pages],
        "page_sizes_bytes": [page.size_bytes for page in head.pages],
    }


def _head(v: Values) -> links.ManifestHead:
    return unpack(v["content"], links.ManifestHead, Code.MANIFEST_INVALID)


def head_place(link_id: bytes, number: int) -> bytes:
    """Return what the sealed content of a manifest's head is bound to."""
    return context(Label.LINK_HEAD, link_id, uint(number))


def page_place(link_id: bytes, number: int, page: int) -> bytes:
    """Return what a page of a manifest is bound to."""
    return context(Label.LINK_PAGE, link_id, uint(number), uint(page))


def _open_head(v: Values) -> Values:
    head = _head(v)
    key = keytree.link_head_key(v["link_key"])
    packed = padding.unpad(floe.open_bytes(key, head_place(head.link_id, head.number), head.sealed))
    content = unpack(packed, links.HeadContent, Code.MANIFEST_INVALID)
    return {
        "title_text": content.title,
        "asset_count": content.asset_count,
        "tier_text": content.tier,
        "originals": content.originals,
        "label_text": content.label,
        "expires_number": content.expires_ms,
    }


def _open_page(v: Values) -> Values:
    head, page = _head(v), v["page_index"]
    links.check_page(head, page, v["blob"])
    key = keytree.link_page_key(v["link_key"], page)
    packed = padding.unpad(floe.open_bytes(key, page_place(head.link_id, head.number, page), v["blob"]))
    assets = unpack(packed, links.PageContent, Code.MANIFEST_INVALID).assets
    renditions = [rendition for asset in assets for rendition in asset.renditions]
    return {
        "asset_ids": [asset.asset_id for asset in assets],
        "asset_kinds_text": [asset.kind for asset in assets],
        "asset_names_text": [asset.name for asset in assets],
        "captions_text": [asset.caption for asset in assets],
        "taken_text": [asset.taken_local for asset in assets],
        "thumbhashes": [asset.thumbhash for asset in assets],
        "rendition_names_text": [rendition.name.value for rendition in renditions],
        "rendition_ids": [rendition.rendition_id for rendition in renditions],
        "rendition_keys": [rendition.key for rendition in renditions],
        "rendition_headers": [rendition.header for rendition in renditions],
        "lengths_bytes": [rendition.length_bytes for rendition in renditions],
        "media_types_text": [rendition.media_type for rendition in renditions],
    }


def _open_file(v: Values) -> Values:
    length_bytes, sealed = v["length_bytes"], v["header"] + v["sealed"][floe.HEADER_SIZE_BYTES :]
    padding.check_file_size(length_bytes, floe.plaintext_size_bytes(len(sealed)))
    place = context(Label.FILE, v["asset_id"], v["name_text"].encode(), v["rendition_id"])
    plaintext = floe.open_bytes(v["key"], place, sealed)
    padding.check_zeros(plaintext[length_bytes:])
    return {"plaintext": plaintext[:length_bytes]}


def _verify_upload_head(v: Values) -> Values:
    said = {name: v[name] for name in ("link_id", "secret", "publisher_fingerprint")}
    address = links.LinkAddress(**said, has_password=False, is_upload=True)
    head = upload_links.verify_upload_head(address, v["content"], v["signature"], v["publishing_key"])
    return {
        "space_id": head.space_id,
        "server_key": head.server_key,
        "epoch_number": head.epoch,
        "full_inbox": head.full_inbox,
        "view_inbox": head.view_inbox,
        "log_number": head.log.number,
        "max_files_number": head.terms.max_files,
    }


LINK_OPERATIONS = {
    "link.fragment": lambda v: {"fragment_text": links.build_fragment(links.LinkAddress(**v))},
    "link.parse-fragment": lambda v: _address(links.parse_fragment(v["link_id"], v["fragment_text"])),
    "link.parse-address": lambda v: _address(links.parse_address(v["address_text"])),
    "link.verify-head": _verify_head,
    "link.open-head": _open_head,
    "link.open-page": _open_page,
    "upload.head": _verify_upload_head,
    "file.open": _open_file,
}
