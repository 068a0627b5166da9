"""Upload links, as their makers open, renew, list and close them (docs/spec/upload-links.md).

A guest of one adds and reads nothing, not even the ledger: what it seals to is in a head that the maker signs. So after
each change of keys the head is signed anew, by the first computer of a maker that runs a command in the space.
"""

import secrets
from dataclasses import dataclass

from safelight.clients.engine.albums import Album, list_albums
from safelight.clients.engine.epochs import DOES_NOT_OPEN
from safelight.clients.engine.link_listing import link_url
from safelight.clients.engine.sharing import standing_keys, unless_overtaken
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.upload_heads import OpenedHead, fetch_upload_head, head_place, title_of
from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.ledger_state import UploadLink
from safelight.sync_protocol.limits import KEY_SIZE_BYTES, MAX_NAME_LENGTH
from safelight.sync_protocol.links import LINK_SECRET_SIZE_BYTES, LinkAddress
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import PublishInboxBody, RecordKind
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Tier
from safelight.sync_protocol.sealing import keytree
from safelight.sync_protocol.sealing.boxes import open_box, random_nonce, seal_box
from safelight.sync_protocol.upload_entries import CloseUploadLinkBody, OpenUploadLinkBody, UploadTerms
from safelight.sync_protocol.upload_links import (
    UPLOAD_HEAD_VERSION,
    HeadContent,
    MakersCopy,
    UploadHead,
    album_inboxes,
    sign_upload_head,
)
from safelight.sync_protocol.wire import pack, unpack

_MAX_SIGNINGS = 4
# What says that the log, or the keys, moved on since a head was signed.
_MOVED = frozenset({Code.MANIFEST_INVALID, Code.EPOCH_OLD, Code.GENERATION_OLD, Code.ENTRY_STALE, Code.LEDGER_RULE})
# What says that another device is at it, that the link is over, or that this is not the moment: the next command does
# it. Renewing runs before every command.
_ANOTHER_TIME = DOES_NOT_OPEN | {
    Code.EPOCH_OLD,
    Code.GENERATION_OLD,
    Code.ALBUM_STALE,
    Code.EPOCH_MISMATCH,
    Code.LEDGER_RULE,
    Code.LINK_NOT_OPENED,
    Code.MANIFEST_INVALID,
    Code.NOT_FOUND,
    Code.POLICY_FORBIDS,
    Code.QUOTA_EXCEEDED,
    Code.RATE_LIMITED,
    Code.RIGHT_MISSING,
    Code.UPLOAD_LINK_OVER,
    Code.UPLOAD_LINK_PAUSED,
}


@dataclass(frozen=True, slots=True)
class MadeUploadLink:
    """An upload link. *url* carries the secret: whoever has it may add."""

    link_id: bytes
    url: str

    def __repr__(self) -> str:
        return f"MadeUploadLink({self.link_id.hex()})"


@dataclass(frozen=True, slots=True)
class ListedUploadLink:
    """An upload link as its makers see it; *title* and *url* are empty where this account's keys do not open them.

    *state* is live, paused (it waits for a computer of its maker), expired or closed. *files* and *used_bytes* are the
    server's word, and None where it gives none.
    """

    link_id: bytes
    link: UploadLink
    state: str
    title: str
    label: str
    url: str
    files: int | None
    used_bytes: int | None

    def __repr__(self) -> str:
        return f"ListedUploadLink({self.link_id.hex()})"


async def open_upload_link(
    space: SpaceView, terms: UploadTerms, *, album: Album | None = None, title: str = "", label: str = ""
) -> MadeUploadLink:
    """Make a link by which guests add to the space, and to *album* as well, which is then shared.

    Guests are shown the *title*, makers the *label*, too. Raises RIGHT_MISSING, POLICY_FORBIDS, LEDGER_RULE, and
    BAD_REQUEST for words that are too long.
    """
    _check_may_make(space, album)
    if max(len(title), len(label)) > MAX_NAME_LENGTH:
        raise Refused(Code.BAD_REQUEST, f"a link's title and label have at most {MAX_NAME_LENGTH} characters")
    secret, publishing_seed = secrets.token_bytes(LINK_SECRET_SIZE_BYTES), secrets.token_bytes(KEY_SIZE_BYTES)
    link_id = ids.new_id()
    copy = MakersCopy(secret, publishing_seed, title or (album.title if album else ""), label)

    async def open_() -> None:
        if album is not None:
            await standing_keys(space, album)
        held = await space.epoch_secrets()
        body = OpenUploadLinkBody(
            link_id=link_id,
            guest_key=signatures.public_key_of(keytree.upload_signing_seed(secret)),
            publishing_key=signatures.public_key_of(publishing_seed),
            terms=terms,
            album_id=album.album_id if album else b"",
            epoch=held.number,
            makers=seal_box(
                held.full_metadata_key,
                _makers_place(space, link_id, held.number),
                pack(copy),
                nonce=random_nonce(),
            ),
        )
        await space.commit(LedgerKind.OPEN_UPLOAD_LINK, body)

    await unless_overtaken(space, open_)
    await _publish(space, link_id, copy)
    return MadeUploadLink(link_id, await link_url(space, _address(link_id, copy)))


async def renew_upload_links(space: SpaceView) -> int:
    """Sign the heads anew of links whose keys are others by now, and return how many.

    Does nothing for who may not make links, or does not read all. What fails, the next command does.
    """
    me, renewed = space.session.account_id, 0
    if Right.LINK not in space.state.rights_of(me) or space.state.tier_of(me) is not Tier.FULL:
        return 0
    now_ms = space.session.clock()
    for link_id in list(space.state.upload_links):
        if not space.state.upload_link_stands(link_id, now_ms):
            continue
        try:
            renewed += await _renew(space, link_id)
        except Refused as refusal:
            if refusal.code not in _ANOTHER_TIME:
                raise
    return renewed


async def list_upload_links(space: SpaceView) -> list[ListedUploadLink]:
    """List the space's upload links, the newest first; raises what the connection raises."""
    return [await _listed(space, *each) for each in reversed(list(space.state.upload_links.items()))]


async def close_upload_link(space: SpaceView, link_id: bytes) -> None:
    """Close an upload link: nothing is added by it any more. Raises RIGHT_MISSING and LEDGER_RULE."""
    await space.commit(LedgerKind.CLOSE_UPLOAD_LINK, CloseUploadLinkBody(link_id))


def find_upload_link(space: SpaceView, prefix: str) -> bytes | None:
    """Return the id of the upload link that begins with *prefix*; BAD_REQUEST for more than one, or no prefix."""
    wanted = prefix.strip().lower()
    if not wanted:
        raise Refused(Code.BAD_REQUEST, "name the link by its id; `link list` shows it")
    found = [link_id for link_id in space.state.upload_links if link_id.hex().startswith(wanted)]
    if len(found) > 1:
        raise Refused(Code.BAD_REQUEST, f"more than one link's id begins with {prefix[:32]!r}")
    return found[0] if found else None


def _check_may_make(space: SpaceView, album: Album | None) -> None:
    """Say before an album is shared what the ledger would say after it."""
    rights = space.state.rights_of(space.session.account_id)
    for right in (Right.LINK, Right.ADD, *((Right.ORGANISE,) if album else ())):
        if right not in rights:
            raise Refused(Code.RIGHT_MISSING, right.value)
    if space.state.policy.links == "none":
        raise Refused(Code.POLICY_FORBIDS, "this space allows no links")


def _makers_place(space: SpaceView, link_id: bytes, epoch: int) -> bytes:
    return context(Label.UPLOAD_MAKERS, space.space_id, link_id, uint(epoch))


def _address(link_id: bytes, copy: MakersCopy) -> LinkAddress:
    fingerprint = ids.key_fingerprint(signatures.public_key_of(copy.publishing_seed))
    return LinkAddress(
        link_id, has_password=False, secret=copy.secret, publisher_fingerprint=fingerprint, is_upload=True
    )


async def _makers_copy(space: SpaceView, link_id: bytes) -> MakersCopy:
    """Open what the makers keep of a link; raises what `DOES_NOT_OPEN` has, and OPEN_FAILED for another link's."""
    link = space.state.upload_links[link_id]
    held = await space.epoch_secrets(link.makers_epoch)
    opened = open_box(held.full_metadata_key, _makers_place(space, link_id, link.makers_epoch), link.makers)
    copy = unpack(opened, MakersCopy, Code.OPEN_FAILED)
    if signatures.public_key_of(copy.publishing_seed) != link.publishing_key:
        raise Refused(Code.OPEN_FAILED, "the link's makers' copy has another key than the ledger")
    return copy


async def _renew(space: SpaceView, link_id: bytes) -> bool:
    album_id = space.state.upload_links[link_id].album_id
    organises = Right.ORGANISE in space.state.rights_of(space.session.account_id)
    if album_id and organises and not space.state.generation_stands(album_id, space.session.clock()):
        album = next((one for one in await list_albums(space) if one.album_id == album_id), None)
        if album is not None:
            await unless_overtaken(space, lambda: standing_keys(space, album))
    copy = await _makers_copy(space, link_id)
    if not _is_due(space, link_id, copy):
        return False
    await _publish(space, link_id, copy)
    return True


def _is_due(space: SpaceView, link_id: bytes, copy: MakersCopy) -> bool:
    """Whether guests are given a head that is not of the keys in force, or none, as the verified log says.

    *A head that sends guests to another server, or tells them something else*, by an insider: whoever runs the next
    command mends it.
    """
    number = space.index.upload_head(link_id)
    envelope = None if number is None else space.index.envelope_at(number)
    if envelope is None:
        return True
    head = unpack(unpack(parse_entry(envelope).body, PublishInboxBody).head, UploadHead)
    album = album_inboxes(space.state, space.state.upload_links[link_id].album_id)
    if head.epoch != space.state.epoch.number or head.album != album:
        return True
    return head.server_key != space.session.connection.server_key or _title(head, copy) != copy.title


def _title(head: UploadHead, copy: MakersCopy) -> str | None:
    """What a head tells guests; None where they cannot open it."""
    try:
        return title_of(head, copy.secret)
    except Refused:
        return None


async def _publish(space: SpaceView, link_id: bytes, copy: MakersCopy) -> None:
    """Sign a head of the keys in force. Its record names the same heads, so it is made anew where those moved on."""
    for signing in range(_MAX_SIGNINGS):
        await space.epoch_secrets()  # raises where the epoch is not what its entry says: nothing is sealed to it
        head = _head(space, link_id, copy)
        content, signature = sign_upload_head(head, copy.publishing_seed)
        try:
            await space.commit(RecordKind.PUBLISH_INBOX, PublishInboxBody(link_id, content, signature))
        except Refused as refusal:
            if refusal.code not in _MOVED or signing == _MAX_SIGNINGS - 1:
                raise
            await space.sync()
            if not _is_due(space, link_id, copy):
                return  # another computer was faster
        else:
            return


def _head(space: SpaceView, link_id: bytes, copy: MakersCopy) -> UploadHead:
    state, link, log = space.state, space.state.upload_links[link_id], space.memory.log
    place = head_place(space.space_id, link_id, log.number)
    content = pack(HeadContent(copy.title))
    return UploadHead(
        version=UPLOAD_HEAD_VERSION,
        link_id=link_id,
        space_id=space.space_id,
        server_key=space.session.connection.server_key,
        epoch=state.epoch.number,
        full_inbox=state.epoch.full_inbox,
        view_inbox=state.epoch.view_inbox,
        album=album_inboxes(state, link.album_id),
        ledger=state.head,
        log=log,
        terms=link.terms,
        signed_ms=space.session.clock(),
        sealed=seal_box(keytree.upload_head_key(copy.secret), place, content, nonce=random_nonce()),
    )


async def _listed(space: SpaceView, link_id: bytes, link: UploadLink) -> ListedUploadLink:
    state, opened = _state_of(space, link_id, link), None
    try:
        copy = await _makers_copy(space, link_id)
    except Refused as refusal:
        if refusal.code not in DOES_NOT_OPEN | {Code.OPEN_FAILED}:
            raise
        return ListedUploadLink(link_id, link, state, "", "", "", None, None)
    if state == "live":
        opened, state = await _opened(space, link_id, copy)
    return ListedUploadLink(
        link_id,
        link,
        state,
        copy.title,
        copy.label,
        await link_url(space, _address(link_id, copy)),
        opened.files if opened else None,
        opened.used_bytes if opened else None,
    )


async def _opened(space: SpaceView, link_id: bytes, copy: MakersCopy) -> tuple[OpenedHead | None, str]:
    try:
        return await fetch_upload_head(space.session.connection, _address(link_id, copy)), "live"
    except Refused as refusal:
        if refusal.code not in _ANOTHER_TIME:
            raise
        return None, "paused" if refusal.code is Code.UPLOAD_LINK_PAUSED else "live"


def _state_of(space: SpaceView, link_id: bytes, link: UploadLink) -> str:
    if link.closed or not space.state.may_add(link.made_by) or space.state.policy.links == "none":
        return "closed"
    return "live" if space.state.upload_link_stands(link_id, space.session.clock()) else "expired"
