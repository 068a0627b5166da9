"""A lying server, alone or with a member, against who is in a space, and against what is known of who went."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.invitations import admit_joined, invite_member
from safelight.clients.engine.joining import join_space
from safelight.clients.engine.link_listing import list_links, revoke_links, standing_links
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.clients.engine.members import list_members, remove_member
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.verifying import words_of_ledger
from safelight.sync_protocol.ledger_entries import InviteMemberBody, LedgerKind, WithdrawInvitationBody
from safelight.sync_protocol.log import Entry, Frame, build_entry, parse_entry
from safelight.sync_protocol.messages.links import Links
from safelight.sync_protocol.messages.spaces import SpaceRow
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.signatures import public_key_of
from tests.hostile.proxy import Exchange, Proxy, with_envelope
from tests.support.people import Someone, add_file, new_someone, new_space
from tests.support.server_process import ServerProcess


async def come_in(owner: Someone, other: Someone, name: str, role: Role) -> None:
    """Invite, join and admit."""
    async with owner.space("Home") as space:
        code = await invite_member(space, name, role)
    async with other.session() as session:
        await join_space(session, code.uri)
    async with owner.space("Home") as space:
        assert [each.refused for each in await admit_joined(space)] == [None]


def _another(entry: Entry, space: SpaceView) -> bytes:
    """What the same device signs in *entry*'s place for someone else to see: an invitation of its own."""
    body = InviteMemberBody(
        invitation_id=secrets.token_bytes(16),
        key=public_key_of(secrets.token_bytes(32)),
        role=Role.VIEWER,
        rights=[],
        expires_ms=int(time.time() * 1000) + 60_000,
        epoch=space.state.epoch.number,
        name=b"sealed name of a ghost",
    )
    header = msgspec.structs.replace(entry.header, kind=LedgerKind.INVITE_MEMBER.value)
    return build_entry(header, body, space.session.device.signing_seed)


async def test_two_members_shown_two_histories(
    server: ServerProcess, proxy: Proxy, victim: Someone, tmp_path: Path
) -> None:
    """A manager signs two histories, and the server shows each member one: both verify, and the words differ.

    Up to where they part the words are the same, so the two also learn what they still agree on.
    """
    owner, insider = [await new_someone(server, tmp_path / name, f"{name}-fork") for name in ("owner", "insider")]
    space_id = await new_space(owner, "Home")
    await come_in(owner, insider, "Max", Role.MANAGER)
    await come_in(owner, victim, "Vera", Role.VIEWER)
    async with insider.space("Home") as space:
        code = await invite_member(space, "Ruth", Role.VIEWER)
        shared = space.state.head.number - 1
        receipt = await space.commit(LedgerKind.WITHDRAW_INVITATION, WithdrawInvitationBody(code.invitation_id))
        envelope = space.index.envelope_at(receipt.number)
        assert envelope is not None
        other = parse_entry(_another(parse_entry(envelope), space))

    def rewrite(frames: list[Frame]) -> list[Frame]:
        return [with_envelope(f, other.envelope) if f.number == receipt.number else f for f in frames]

    def show_row(exchange: Exchange) -> Exchange:
        return exchange.changed(exchange.as_(SpaceRow), ledger_hash=other.id)

    proxy.rewrite_log(space_id, rewrite)
    proxy.lie("GET", f"/v1/spaces/{space_id.hex()}$", show_row)
    async with owner.space("Home") as space:
        of_owner, before_it = await words_of_ledger(space), await words_of_ledger(space, shared)
    async with victim.space("Home") as space:
        of_victim = await words_of_ledger(space)
        agreed = await words_of_ledger(space, shared)
    assert of_owner.number == of_victim.number == receipt.number
    assert of_owner.words != of_victim.words
    assert agreed.words == before_it.words
    assert [one.account_id for one in agreed.members] == [one.account_id for one in before_it.members]


async def test_members_who_are_shown_the_truth(server: ServerProcess, victim: Someone, tmp_path: Path) -> None:
    """By an honest server the words are the same for everyone, also for who reads previews alone."""
    owner = await new_someone(server, tmp_path / "owner", "owner-words")
    await new_space(owner, "Home")
    await come_in(owner, victim, "Vera", Role.PREVIEWER)
    async with owner.space("Home") as space, victim.space("Home") as hers:
        mine, theirs = await words_of_ledger(space), await words_of_ledger(hers)
    assert (mine.number, mine.words) == (theirs.number, theirs.words)
    assert [one.account_id for one in mine.members] == [one.account_id for one in theirs.members]


def _hidden(state: str) -> Callable[[Exchange], Exchange]:
    def lie(exchange: Exchange) -> Exchange:
        rows = exchange.as_(Links).links
        return exchange.with_json(Links([] if not state else [msgspec.structs.replace(r, state=state) for r in rows]))

    return lie


async def test_a_server_that_hides_the_links_of_who_went(
    server: ServerProcess, proxy: Proxy, victim: Someone, tmp_path: Path
) -> None:
    """A server that shows no link, or says that they are over, hides none: the signed records name them all."""
    space_id = await new_space(victim, "Home", "work")
    insider = await new_someone(server, tmp_path / "insider", "insider-links")
    await come_in(victim, insider, "Max", Role.MANAGER)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"photograph")
    async with insider.space("Home") as space:
        await add_file(space, photo, preview=b"preview")
        await space.sync()
        await create_album(space, "Shown")
        assets = [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]
        await add_to_album(space, await find_album(space, "Shown"), assets)
        made = await create_link(space, await find_album(space, "Shown"), LinkWish(label="Kept"))
        insider_id = space.session.account_id
    async with victim.space("Home") as space:
        await remove_member(space, insider_id)
        assert [one.is_me for one in await list_members(space)] == [True]
        for state in ("", "revoked", "expired"):
            proxy.be_honest()
            proxy.lie("GET", f"/v1/spaces/{space_id.hex()}/links", _hidden(state))
            standing = await standing_links(space)
            assert [(link.link_id, link.maker_id, link.label, link.state) for link in standing] == [
                (made.link_id, insider_id, "Kept", "live")
            ]
        proxy.be_honest()
        assert [link.state for link in await revoke_links(space, standing)] == ["revoked"]
        assert await standing_links(space) == []
        assert [link.row.state for link in await list_links(space)] == ["revoked"]
