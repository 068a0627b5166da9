"""Links as their makers see them: listed, found by id, and withdrawn.

The secret stands in the address's fragment and, sealed, in the makers' copy of the link's record.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from safelight.clients.engine.epochs import DOES_NOT_OPEN
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol import ids
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.links import LinkAddress, MakersCopy, build_fragment
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.messages.links import LinkRow, Links
from safelight.sync_protocol.records import PublishLinkBody, RecordKind, RevokeLinkBody
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.sealing.boxes import open_box
from safelight.sync_protocol.wire import unpack


@dataclass(frozen=True, slots=True)
class ListedLink:
    """A link as its makers see it: the server's row, and from the makers' copy the notes and the whole address.

    *maker_id* is the account that signed its record. *watermark* is the text over its pictures, empty where it shows
    them as they are.
    """

    row: LinkRow
    maker_id: bytes
    label: str
    has_password: bool
    url: str
    watermark: str = ""

    def __repr__(self) -> str:
        return f"ListedLink({self.row.link_id})"


@dataclass(frozen=True, slots=True)
class StandingLink:
    """A link that nobody revoked and whose time is not over, by the verified log alone; the server is not asked.

    *state* is `live`, `waiting` for its time to come, or `revoked` once this run revoked it. *maker_id* is the account
    that signed its record. *originals* says that it is of the full tier, and so holds keys of originals.
    """

    link_id: bytes
    maker_id: bytes
    label: str
    expires_ms: int
    originals: bool
    state: str


def makers_place(space: SpaceView, link_id: bytes, epoch: int) -> bytes:
    """Return what binds the makers' copy to its link."""
    return context(Label.LINK_MAKERS, space.space_id, link_id, uint(epoch))


async def link_url(space: SpaceView, address: LinkAddress) -> str:
    """Return the whole address, fragment included, under the server's public URL."""
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


async def standing_links(space: SpaceView) -> list[StandingLink]:
    """List the links that stand, newest first, as their signed records say; FORBIDDEN for the view tier."""
    now_ms = space.session.clock()
    standing = []
    for _, number, revoked in space.index.links():
        if revoked:
            continue
        record = await _open_record(space, number)
        if 0 < record.body.policy.expires_ms <= now_ms:
            continue
        policy = record.body.policy
        link = StandingLink(
            record.body.link_id,
            record.maker_id,
            record.copy.label if record.copy else "",
            policy.expires_ms,
            record.body.tier == "full",
            "waiting" if now_ms < policy.starts_ms else "live",
        )
        standing.append(link)
    return standing


async def revoke_links(space: SpaceView, links: Sequence[StandingLink]) -> list[StandingLink]:
    """Revoke each of *links* that nobody revoked meanwhile, and return them as they are then."""
    for link in links:
        revoked = {link_id for link_id, _, revoked in space.index.links() if revoked}
        if link.link_id not in revoked:
            await revoke_link(space, link.link_id)
    return [replace(link, state="revoked") for link in links]


def check_may_revoke(space: SpaceView) -> None:
    """Say before anything is done what the server would say at the first link; raises RIGHT_MISSING."""
    if Right.REVOKE_LINK not in space.state.rights_of(space.session.account_id):
        raise Refused(Code.RIGHT_MISSING, "revoking links")


@dataclass(frozen=True, slots=True)
class _Record:
    """A link's record: who signed it, what it says, and the makers' copy if it opens."""

    maker_id: bytes
    body: PublishLinkBody
    copy: MakersCopy | None


async def _open_record(space: SpaceView, number: int) -> _Record:
    envelope = space.index.envelope_at(number)
    if envelope is None:
        raise Refused(Code.NOT_FOUND, "the link's record is not kept here")
    entry = parse_entry(envelope)
    body = unpack(entry.body, PublishLinkBody)
    try:
        held = await space.epoch_secrets(body.epoch)
        opened = open_box(held.full_metadata_key, makers_place(space, body.link_id, body.epoch), body.makers)
        return _Record(entry.header.author_id, body, unpack(opened, MakersCopy, Code.OPEN_FAILED))
    except Refused as refusal:
        if refusal.code not in DOES_NOT_OPEN:
            raise
        return _Record(entry.header.author_id, body, None)


async def _listed(space: SpaceView, number: int, row: LinkRow) -> ListedLink:
    record = await _open_record(space, number)
    body, copy = record.body, record.copy
    if copy is None:
        return ListedLink(row, record.maker_id, "", bool(body.proof_hash), "")
    address = LinkAddress(body.link_id, copy.has_password, copy.secret, ids.key_fingerprint(body.publishing_key))
    url = await link_url(space, address)
    return ListedLink(row, record.maker_id, copy.label, copy.has_password, url, copy.watermark)


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
