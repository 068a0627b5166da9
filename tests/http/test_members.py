"""Members over HTTP: invited, joined and admitted, and shut out again."""

import pytest

from safelight.sync_protocol.ledger_entries import LedgerKind, WithdrawInvitationBody
from safelight.sync_protocol.log import frames_from_bytes
from safelight.sync_protocol.messages.accounts import AppendAccountEntries
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed, EpochBox, SpaceRow, Spaces
from safelight.sync_protocol.roles import Role
from tests.http.conftest import Owner, Server
from tests.support.identities import now_ms
from tests.support.invitations import Invitation, become_member, removal, role_change, take_join
from tests.support.protocol import Person


async def test_from_invitation_to_removal(server: Server, owner: Owner) -> None:
    """Who is invited reads the ledger by the invitation's key, joins once, reads when admitted, and nothing after."""
    invitation = Invitation(Role.VIEWER)
    await owner.api.commit(owner.writer, invitation.invite(owner.writer))
    person, api = await server.account()
    path, reading = (
        f"{owner.space}/invitations/{invitation.invitation_id.hex()}",
        invitation.reading(owner.writer.space_id),
    )
    frames = list(frames_from_bytes((await server.api.get(path, **reading)).body))
    assert [frame.number for frame in frames] == [1, 2]
    assert (await server.api.get(path)).code == "signature-invalid"
    assert (await server.api.get(path, **{"Safelight-Invitation": "???"})).code == "bad-request"

    signer = person.signer
    entry = invitation.join(owner.writer, person, signer)
    first = (await api.post(f"{owner.space}/join", CommitEntry(entry.envelope))).as_(Committed)
    assert (await api.post(f"{owner.space}/join", CommitEntry(entry.envelope))).as_(Committed) == first
    row = (await owner.api.get(owner.space)).as_(SpaceRow)
    owner.writer.took(entry, row.number, row.chain, signer)
    assert (await api.get(f"{owner.space}/log")).code == "space-unknown"
    assert (await api.get(f"{owner.space}/ledger")).code == "space-unknown"
    assert len(list(frames_from_bytes((await server.api.get(path, **reading)).body))) == 3

    admission, boxes = invitation.admit(owner.writer, person)
    assert (await owner.api.try_commit(owner.writer, admission)).code == "ledger-rule"
    await owner.api.commit(owner.writer, admission, boxes)
    assert (await server.api.get(path, **reading)).code == "invitation-expired"
    assert [space.role for space in (await api.get("/v1/spaces")).as_(Spaces).spaces] == ["viewer"]
    assert (await api.get(f"{owner.space}/boxes/1")).as_(EpochBox).box == boxes[0].box
    assert len(list(frames_from_bytes((await api.get(f"{owner.space}/log")).body))) == 4

    await owner.api.commit(owner.writer, *removal(owner.writer, person))
    for what in ("", "/log", "/ledger", "/boxes/1", "/boxes/2", "/chain", "/links"):
        assert (await api.get(owner.space + what)).code == "space-unknown"
    assert (await api.get("/v1/spaces")).as_(Spaces).spaces == []


async def test_an_invitation_is_for_one(server: Server, owner: Owner) -> None:
    """A second join by the same secret is refused by name, so that the alarm can be raised."""
    invitation = Invitation(Role.PREVIEWER)
    await owner.api.commit(owner.writer, invitation.invite(owner.writer))
    for expected in ("", "invitation-used"):
        person, api = await server.account()
        signer = person.signer
        entry = invitation.join(owner.writer, person, signer)
        if expected:
            assert (await api.post(f"{owner.space}/join", CommitEntry(entry.envelope))).code == expected
        else:
            await take_join(api, owner.writer, entry, signer)


async def test_an_invitation_that_is_over(server: Server, owner: Owner) -> None:
    """Withdrawn, or past its time by the server's own clock, whatever time the joiner signs."""
    person, api = await server.account()
    withdrawn, late = Invitation(Role.VIEWER), Invitation(Role.VIEWER)
    for invitation in (withdrawn, late):
        await owner.api.commit(owner.writer, invitation.invite(owner.writer))
    withdrawal = WithdrawInvitationBody(withdrawn.invitation_id)
    await owner.api.commit(owner.writer, owner.writer.entry(LedgerKind.WITHDRAW_INVITATION, withdrawal))
    server.clock.offset_ms = late.lifetime_ms + 1000
    for invitation in (withdrawn, late):
        entry = invitation.join(owner.writer, person, person.signer)
        assert (await api.post(f"{owner.space}/join", CommitEntry(entry.envelope))).code == "invitation-expired"
        path = f"{owner.space}/invitations/{invitation.invitation_id.hex()}"
        reading = invitation.reading(owner.writer.space_id)
        assert (await server.api.get(path, **reading)).code == "invitation-expired"


async def test_an_invitation_for_a_year(owner: Owner) -> None:
    """A device whose clock is ahead makes none that lives longer than it may, nor one that is over already."""
    year_ms = 365 * 86_400_000
    ahead = Invitation(Role.VIEWER, lifetime_ms=year_ms).invite(owner.writer, signed_ms=now_ms() + year_ms)
    assert (await owner.api.try_commit(owner.writer, ahead)).code == "ledger-rule"
    over = Invitation(Role.VIEWER, lifetime_ms=-1000).invite(owner.writer)
    assert (await owner.api.try_commit(owner.writer, over)).code == "ledger-rule"


async def test_a_join_is_of_the_account_that_the_server_knows(server: Server, owner: Owner) -> None:
    """Entries that the account's own ledger here does not have, another's device, anything but a join: refused."""
    invitation = Invitation(Role.VIEWER)
    await owner.api.commit(owner.writer, invitation.invite(owner.writer))
    person, api = await server.account()
    unknown = Person(person.name)
    by_unknown = invitation.join(owner.writer, unknown, unknown.signer)
    assert (await api.post(f"{owner.space}/join", CommitEntry(by_unknown.envelope))).code == "account-ledger-conflict"
    another, _ = await server.account()
    of_another = invitation.join(owner.writer, another, another.signer)
    assert (await api.post(f"{owner.space}/join", CommitEntry(of_another.envelope))).code == "forbidden"
    device_entry, _ = person.add_device()
    ahead = invitation.join(owner.writer, person, person.signer)
    answer = await api.post(f"{owner.space}/join", CommitEntry(ahead.envelope))
    assert answer.code == "account-ledger-conflict"
    path = f"/v1/accounts/{person.account_id.hex()}/ledger"
    assert (await api.post(path, AppendAccountEntries([device_entry]))).status == 200
    roll = owner.writer.open_roll(person.signer)
    assert (await api.post(f"{owner.space}/join", CommitEntry(roll.envelope))).code == "forbidden"
    await take_join(api, owner.writer, ahead, person.signer)


@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER])
async def test_another_admits_and_removes(server: Server, owner: Owner, role: Role) -> None:
    """Whoever may manage the role admits whom another invited, and removes whom another admitted."""
    manager, manager_api = await server.account()
    by = await become_member(owner.api, owner.writer, manager, manager_api, role)
    person, api = await server.account()
    invitation, signer = Invitation(Role.EDITOR), person.signer
    await owner.api.commit(owner.writer, invitation.invite(owner.writer))
    await take_join(api, owner.writer, invitation.join(owner.writer, person, signer), signer)
    admission, boxes = invitation.admit(owner.writer, person, by)
    await manager_api.commit(owner.writer, admission, boxes, by)
    assert (await api.get(f"{owner.space}/log")).status == 200
    entry, boxes = removal(owner.writer, person, by)
    await manager_api.commit(owner.writer, entry, boxes, by)
    assert (await api.get(f"{owner.space}/log")).code == "space-unknown"


async def test_an_invitation_is_read_no_longer_than_its_giver_may_give(server: Server, owner: Owner) -> None:
    """Whoever was removed does not read on by an invitation that they gave themselves, used or not."""
    manager, manager_api = await server.account()
    by = await become_member(owner.api, owner.writer, manager, manager_api, Role.MANAGER)
    person, api = await server.account()
    given = [Invitation(Role.VIEWER), Invitation(Role.VIEWER)]
    for invitation in given:
        await manager_api.commit(owner.writer, invitation.invite(owner.writer, by), None, by)
    await take_join(api, owner.writer, given[0].join(owner.writer, person, person.signer), person.signer)
    paths = [f"{owner.space}/invitations/{invitation.invitation_id.hex()}" for invitation in given]
    headers = [invitation.reading(owner.writer.space_id) for invitation in given]
    for path, header in zip(paths, headers, strict=True):
        assert (await server.api.get(path, **header)).status == 200
    await owner.api.commit(owner.writer, *role_change(owner.writer, manager, Role.VIEWER))
    for path, header in zip(paths, headers, strict=True):
        assert (await server.api.get(path, **header)).code == "invitation-expired"
