"""What verifying a space's whole ledger costs: 10,000 entries from the genesis on, every signature and rule of them.

`python -m bench.ledgers [--entries 10000] [--repeats 5]` makes the ledger of a studio that is many years old (some
forty members who come and go, several hundred cameras, an epoch for whatever lost its reach), and judges it as every
client does: the bytes of each entry parsed, then `ledger.apply`, page by page, the signatures verified meanwhile by
helper processes, whose start is part of it. Prints medians, and beside them what one process takes, and the signatures
alone; exits 1 above two seconds on the clock for 10,000 entries. Then what opening it again costs, from what a member's
client kept: at most a tenth of that, of processor time.
"""

import argparse
import os
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from safelight.clients.engine.garbage import collect_seldom
from safelight.clients.engine.helpers import Helpers, useful_count
from safelight.clients.engine.judged_ledger import JudgedLedger
from safelight.clients.engine.signatures_apart import judged_with
from safelight.sync_protocol import account_ledger, ledger, signatures
from safelight.sync_protocol.account_ledger import AccountKind, Unlocker
from safelight.sync_protocol.ledger_entries import (
    AdvanceAccountBody,
    LedgerKind,
    Policy,
    RevokeCameraBody,
    RotateEpochBody,
    SetPolicyBody,
    WithdrawInvitationBody,
    is_ledger_kind,
)
from safelight.sync_protocol.ledger_state import LedgerState
from safelight.sync_protocol.limits import KEY_SIZE_BYTES, MAX_FEED_ENTRIES
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.wire import Signed
from tests.support.ledgers import Person, Signer, Space, id_of, seed_of
from tests.support.members import admit_body, invite_body, joining, remove_entry, role_entry

LIMIT_S = 2.0
LIMIT_ENTRIES = 10_000
AGAIN = 0.1  # of the limit, for what was judged before
MEMBERS = 40
CAMERAS = 500
_ROLES = (Role.EDITOR, Role.EDITOR, Role.VIEWER, Role.PREVIEWER, Role.CONTRIBUTOR)


@dataclass
class Member:
    """Someone in the space: the person, who signs for it, and the role it came in with."""

    person: Person
    signer: Signer
    role: Role


@dataclass
class Studio:
    """A space whose ledger grows month by month: whoever and whatever came first goes first."""

    space: Space
    members: deque[Member] = field(default_factory=deque)
    cameras: deque[str] = field(default_factory=deque)
    made: int = 0

    def month(self) -> None:
        """Fifty entries or so, in about the proportions in which people make them."""
        for _ in range(3):
            self.welcome()
        self.invite_in_vain()
        self.change_role()
        for _ in range(5):
            self.add_device()
        self.lose_device()
        for _ in range(11):
            self.add_camera()
        while len(self.members) > MEMBERS:
            self.remove()
        while len(self.cameras) > CAMERAS:
            self.revoke_camera()
        self.take(LedgerKind.SET_POLICY, SetPolicyBody(Policy(1, "view" if self.made % 2 else "none")))
        self.take(LedgerKind.ROTATE_EPOCH, RotateEpochBody(self.space.next_epoch()))

    def take(self, kind: LedgerKind, body: Signed, signer: Signer | None = None) -> None:
        """Sign an entry, by the owner unless another is named, and take it."""
        self.space.take(self.space.entry(kind, body, signer), signer)

    def name(self) -> str:
        """A name that nothing else has."""
        self.made += 1
        return f"number {self.made}"

    def welcome(self) -> None:
        """Somebody with a password and recovery words is invited, joins and is admitted."""
        person, role = Person(self.name()), _ROLES[self.made % len(_ROLES)]
        for unlocker in Unlocker:
            body = account_ledger.SetUnlockerBody(unlocker.value, seed_of(f"{unlocker} of {person.name}"))
            person.take(person.entry(AccountKind.SET_UNLOCKER, body))
        signer = joining(self.space, person, role)
        self.take(LedgerKind.ADMIT_MEMBER, admit_body(self.space, person, person.name))
        self.members.append(Member(person, signer, role))

    def invite_in_vain(self) -> None:
        """An invitation is given and withdrawn."""
        name = self.name()
        self.take(LedgerKind.INVITE_MEMBER, invite_body(self.space, Role.VIEWER, name))
        self.take(LedgerKind.WITHDRAW_INVITATION, WithdrawInvitationBody(id_of(f"invitation {name}")))

    def change_role(self) -> None:
        """A member gets another role, which ends an epoch for some."""
        member = self.members[self.made % len(self.members)]
        role = Role.PREVIEWER if member.role is not Role.PREVIEWER else Role.EDITOR
        self.space.take(role_entry(self.space, member.person, role))
        member.role = role

    def add_device(self) -> None:
        """A member's account has a new device, which says so here."""
        member = self.members[self.made % len(self.members)]
        device_id, seed = member.person.add_device(self.name())
        signer = Signer(member.person.account_id, device_id, seed)
        body = AdvanceAccountBody(member.person.account_id, member.person.entries[-1:], None)
        self.take(LedgerKind.ADVANCE_ACCOUNT, body, signer)

    def lose_device(self) -> None:
        """The owner's account has a device that is lost at once: two entries of the account, and a new epoch."""
        device_id, _ = self.space.owner.add_device(self.name())
        self.advance_owner(loses=False)
        self.space.owner.revoke_device(device_id)
        self.advance_owner(loses=True)

    def advance_owner(self, *, loses: bool) -> None:
        """The owner's account moves on by one entry."""
        owner = self.space.owner
        epoch = self.space.next_epoch() if loses else None
        self.take(LedgerKind.ADVANCE_ACCOUNT, AdvanceAccountBody(owner.account_id, owner.entries[-1:], epoch))

    def add_camera(self) -> None:
        """A camera is certified and bound."""
        name = self.name()
        self.space.camera(name)
        self.cameras.append(name)

    def remove(self) -> None:
        """Whoever came first is removed, with a new epoch."""
        self.space.take(remove_entry(self.space, self.members.popleft().person))

    def revoke_camera(self) -> None:
        """The oldest camera is revoked, with a new epoch."""
        camera_id = id_of(f"camera {self.cameras.popleft()}")
        self.take(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(camera_id, self.space.next_epoch()))


def make_ledger(entries: int) -> list[bytes]:
    """Return the envelopes of a ledger of so many entries."""
    studio = Studio(Space(Person("owner")).create())
    while len(studio.space.frames) < entries:
        studio.month()
    return [frame.envelope for frame in studio.space.frames[:entries]]


def judge(envelopes: list[bytes], state: LedgerState | None = None, after: int = 0) -> LedgerState:
    """Verify the ledger from its genesis on, or on from *state*, as clients do."""
    for number, envelope in enumerate(envelopes, after + 1):
        entry = parse_entry(envelope)
        if not is_ledger_kind(entry.header.kind):
            raise RuntimeError(f"slot {number} holds no ledger entry")
        state = ledger.apply(state, entry, number)
    if state is None:
        raise RuntimeError("there is no ledger")
    return state


def judge_with(helpers: Helpers, envelopes: list[bytes]) -> LedgerState:
    """The same with helpers, page by page: what a client does that has so much to verify."""
    states: list[LedgerState | None] = [None]
    for after in range(0, len(envelopes), MAX_FEED_ENTRIES):
        page = envelopes[after : after + MAX_FEED_ENTRIES]
        if not judged_with(helpers, lambda: states.append(judge(page, states[-1], after))):  # noqa: B023 - called here
            raise RuntimeError("the ledger does not hold")
    if states[-1] is None:
        raise RuntimeError("there is no ledger")
    return states[-1]


def judged_from_nothing(envelopes: list[bytes]) -> None:
    """Start helpers, judge with them and end them."""
    with Helpers(useful_count()) as helpers:
        judge_with(helpers, envelopes)


@dataclass
class Verified:
    """Every signature that was verified, to be verified once more without anything around it."""

    calls: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)

    def take(self, public_key: bytes, signature: bytes, message: bytes) -> None:
        """Note one and verify it."""
        self.calls.append((public_key, signature, message))
        _verify(public_key, signature, message)

    def again(self) -> None:
        """Verify them all."""
        for call in self.calls:
            _verify(*call)


_verify = signatures.verify


def signatures_of(envelopes: list[bytes]) -> Verified:
    """Return the signatures that judging a ledger verifies."""
    verified = Verified()
    signatures.verify = verified.take
    try:
        judge(envelopes)
    finally:
        signatures.verify = _verify
    return verified


def main() -> int:
    """Make the ledger, judge it several times and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=LIMIT_ENTRIES)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    envelopes = make_ledger(options.entries)
    state, verified = judge(envelopes), signatures_of(envelopes)
    standing = sum(not camera.revoked for camera in state.cameras.values())
    print(
        f"{len(envelopes):,} entries, {sum(map(len, envelopes)) / 1e6:.1f} MB: {len(state.members)} members,"
        f" {standing} of {len(state.cameras):,} cameras, {len(state.invitations)} invitations,"
        f" {len(state.epochs):,} epochs\n"
    )
    limit_s = LIMIT_S * options.entries / LIMIT_ENTRIES
    collect_seldom()  # as every command does
    judged = [timed(lambda: judge(envelopes)) for _ in range(options.repeats)]
    helped = [timed(lambda: judged_from_nothing(envelopes)) for _ in range(options.repeats)]
    alone = [timed(verified.again) for _ in range(options.repeats)]
    print(f"| medians of {options.repeats} | seconds | of processor time | limit |")
    print("|---|---|---|---|")
    print(f"| judged from the genesis on, with helpers as clients do | {median_of(helped)} | {limit_s:.2f} |")
    print(f"| by one process | {median_of(judged)} | |")
    print(f"| its {len(verified.calls):,} signatures alone | {median_of(alone)} | |")
    kept = JudgedLedger(os.urandom(KEY_SIZE_BYTES), state.space_id)
    sealed = kept.seal(state)
    if kept.open(sealed) != state:
        raise RuntimeError("what was kept is not what was judged")
    again = [timed(lambda: kept.open(sealed)) for _ in range(options.repeats)]
    print(f"| opened again, as kept ({len(sealed) / 1e6:.1f} MB) | {median_of(again)} | {limit_s * AGAIN:.2f} |")
    first_s = statistics.median(wall_s for wall_s, _ in helped)
    again_s = statistics.median(cpu_s for _, cpu_s in again)
    return int(first_s > limit_s or again_s > limit_s * AGAIN)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """How long *work* takes: on the clock, and of the processors, with those of the processes that ended in it."""
    started_s, started_cpu_s = time.perf_counter(), _cpu_s()
    work()
    return time.perf_counter() - started_s, _cpu_s() - started_cpu_s


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def median_of(times: list[tuple[float, float]]) -> str:
    """Both medians, as they stand in the table."""
    return " | ".join(f"{statistics.median(column):.2f}" for column in zip(*times, strict=True))


if __name__ == "__main__":
    sys.exit(main())
