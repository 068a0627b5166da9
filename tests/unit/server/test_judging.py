"""Rules that the server holds by itself, where requests alone could not show that one is missing."""

import hashlib
import os
from functools import partial

import pytest

from safelight.server.domain import judge, links
from safelight.server.domain.access import Who, space_for, space_for_reader
from safelight.server.domain.ledgers import Ledgers
from safelight.server.domain.ports.rows import LinkState
from safelight.sync_protocol.ledger_entries import BoxRef, LedgerKind
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.messages.spaces import NewBox
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role, Tier
from tests.support.ledgers import NOW_MS, Person, Space, with_role
from tests.support.members import admit_body, joining, role_entry
from tests.support.protocol import make_epoch
from tests.support.refusing import refusal, refuses


class _Alone:
    """A database of one process; whatever else is asked for is at hand."""

    async def newest_ledger_number(self, _: bytes) -> None:
        return None


def ledgers(*states: LedgerState) -> Ledgers:
    """The server's ledgers, with these spaces at hand."""
    held = Ledgers(_Alone())  # type: ignore[arg-type]  # all else that is asked for is at hand
    for state in states:
        held.advance(state, state.head.number, state.head.hash)
    return held


def test_boxes_go_to_those_whom_the_epoch_names() -> None:
    """Two members' boxes, each sent for the other, leave both unable to read: hashes alone do not say whose."""
    anna, bert = os.urandom(16), os.urandom(16)
    epoch, boxes = make_epoch(2, [(anna, "full"), (bert, "full")])
    assert judge._check_boxes(2, epoch.boxes, boxes) == [(2, anna, boxes[0].box), (2, bert, boxes[1].box)]
    exchanged = [NewBox(boxes[1].account_id, boxes[0].box), NewBox(boxes[0].account_id, boxes[1].box)]
    assert refusal(judge._check_boxes, 2, epoch.boxes, exchanged) is Code.LEDGER_RULE


def test_a_new_member_comes_with_its_box_of_the_epoch_in_force() -> None:
    """Admitted or risen, it alone gets a box, which must be the one that was signed for; others keep theirs."""
    space, bert = Space(Person("anna")).create(), Person("bert")
    joining(space, bert, Role.PREVIEWER)
    sealed = NewBox(bert.account_id.hex(), b"sealed view secret")
    ref = BoxRef(bert.account_id, "view", hashlib.sha256(sealed.box).digest())
    admission = space.entry(LedgerKind.ADMIT_MEMBER, admit_body(space, bert, "bert", box=ref))
    judged = partial(judge.judge_ledger_entry, now_ms=NOW_MS, quota_bytes=0)
    for boxes in ([], [sealed, sealed], [NewBox(bert.account_id.hex(), b"another")]):
        assert refusal(judged, space.state, admission, boxes) is Code.LEDGER_RULE
    commit = judged(space.state, admission, [sealed]).commit
    assert commit.boxes == [(1, bert.account_id, sealed.box)]
    assert (bert.account_id, "previewer") in commit.members
    space.take(admission)
    risen = NewBox(bert.account_id.hex(), b"sealed epoch secret")
    ref = BoxRef(bert.account_id, "full", hashlib.sha256(risen.box).digest())
    assert judged(space.state, role_entry(space, bert, Role.VIEWER, box=ref), [risen]).commit.boxes == [
        (1, bert.account_id, risen.box)
    ]


async def test_a_cameras_session_is_of_one_space() -> None:
    """Also where another space bound a camera of the same id."""
    one, other = Space(Person("anna")).create(), Space(Person("bert")).create()
    camera = one.camera()
    assert other.camera().device_id == camera.device_id
    who = Who(b"", camera.device_id, one.state.space_id, b"", 0)
    both = ledgers(one.state, other.state)
    assert await space_for(both, who, one.state.space_id) == one.state
    with refuses(Code.SPACE_UNKNOWN):
        await space_for(both, who, other.state.space_id)


async def test_a_camera_stands_as_long_as_its_maker_may_add() -> None:
    """Its session is not ended with that right; nothing is shown to it all the same."""
    space = Space(Person("anna")).create()
    camera = space.camera()
    who = Who(b"", camera.device_id, space.state.space_id, b"", 0)
    lowered = with_role(space.state, space.owner.account_id, Role.VIEWER)
    with refuses(Code.SPACE_UNKNOWN):
        await space_for(ledgers(lowered), who, lowered.space_id)


@pytest.mark.parametrize("tier", [Tier.VIEW, Tier.FULL])
async def test_a_camera_reads_nothing(tier: Tier) -> None:
    """Not even if its session named the account of whoever made it."""
    space = Space(Person("anna")).create()
    camera = space.camera()
    who = Who(space.owner.account_id, camera.device_id, space.state.space_id, b"", 0)
    with refuses(Code.FORBIDDEN):
        await space_for_reader(ledgers(space.state), who, space.state.space_id, tier)
    owner = Who(space.owner.account_id, space.owner.device_id, b"", b"", 0)
    assert await space_for_reader(ledgers(space.state), owner, space.state.space_id, tier) == space.state


@pytest.mark.parametrize("tier", ["view", "full"])
@pytest.mark.parametrize("originals", [True, False])
@pytest.mark.parametrize("blob", ["page", "view", "full", ""])
def test_an_original_needs_a_link_of_the_full_tier_and_its_policy(tier: str, originals: bool, blob: str) -> None:
    """Whatever a link names: what was published is judged again when it is fetched."""
    link = LinkState(
        b"", b"", 0, tier, b"", b"", b"", b"", b"", 0, 0, 0, 0, originals, revoked=False, opens=0, last_opened_ms=0,
        downloads=0,
    )  # fmt: skip
    shown = {"page": True, "view": True, "full": tier == "full" and originals, "": False}
    assert links._may_show(link, blob) is shown[blob]
