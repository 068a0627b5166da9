"""The space ledger: one pure function, *state + entry → state, or a named refusal*, run by both ends.

docs/spec/log.md §5. What the entries say stands in `ledger_entries`, and what they add up to in `ledger_state`; here is
who may sign which, and what it does.
"""

from msgspec.structs import replace

from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.account_ledger import AccountState, apply_account_entries
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.grant_entries import EndGrantBody, GiveGrantBody, OpenGenerationBody
from safelight.sync_protocol.ledger_cameras import change_cameras
from safelight.sync_protocol.ledger_entries import (
    BODIES,
    AdvanceAccountBody,
    BindCameraBody,
    CertifyCameraBody,
    CreateSpaceBody,
    PointCameraBody,
    Policy,
    RevokeCameraBody,
    RotateEpochBody,
    SetPolicyBody,
    SpaceKind,
    SpaceTerms,
)
from safelight.sync_protocol.ledger_epochs import after_loss, check_epoch, with_epoch, with_inboxes
from safelight.sync_protocol.ledger_grants import change_grants
from safelight.sync_protocol.ledger_members import change_members, without_invitations_of
from safelight.sync_protocol.ledger_state import LedgerState, Member, authorise, check_vault_key
from safelight.sync_protocol.ledger_uploads import change_upload_links
from safelight.sync_protocol.log import ENTRY_VERSION, Entry, Head, verify_entry
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right, Role
from safelight.sync_protocol.upload_entries import BindGuestBody, CloseUploadLinkBody, OpenUploadLinkBody
from safelight.sync_protocol.wire import Signed, unpack

PROTOCOL_VERSION = 1

# What a space of a kind may allow at most (DESIGN §4).
_LINKS_OF_KIND: dict[SpaceKind, frozenset[str]] = {
    "family": frozenset({"none", "view"}),
    "work": frozenset({"none", "view", "full"}),
    "vault": frozenset({"none"}),
}


def apply(state: LedgerState | None, entry: Entry, number: int) -> LedgerState:
    """Take the ledger entry at slot *number*: the new state, or a refusal after which the space stops.

    Verifies the signature, the hash of the ledger entry before, the signer's standing and right, and the kind's own
    rule. Raises the refusals of the table's group "Entries, log and ledger".
    """
    shape = BODIES.get(entry.header.kind)
    if shape is None or entry.header.version != ENTRY_VERSION:
        return _pass_over(state, entry, number)
    body = unpack(entry.body, shape)
    if isinstance(body, CreateSpaceBody):
        return _create(state, entry, body, number)
    if state is None:
        raise Refused(Code.LEDGER_RULE, "a space begins with its genesis")
    if entry.header.space_id != state.space_id:
        raise Refused(Code.ENTRY_WRONG_SPACE)
    if entry.header.ledger != state.head:
        raise Refused(Code.ENTRY_STALE, f"the ledger is at slot {state.head.number}")
    changed = _change(state, entry, body)
    return replace(changed, head=Head(number, entry.id))


def _pass_over(state: LedgerState | None, entry: Entry, number: int) -> LedgerState:
    newer = Refused(Code.ENTRY_UNKNOWN_CRITICAL, f"{entry.header.kind}, version {entry.header.version}")
    if state is None:
        raise newer
    if entry.header.ledger != state.head:
        raise Refused(Code.ENTRY_STALE, f"the ledger is at slot {state.head.number}")
    authorise(state, entry, None)
    if entry.header.author_id not in state.members:
        # Each moves the ledger's head: a stolen camera could make everyone's next ledger entry stale for ever.
        raise Refused(Code.RIGHT_MISSING, "a camera signs nothing in the ledger but its binding")
    if entry.header.critical:
        # Last: *a space stopped by garbage* that nobody in it signed would ask everyone for an update in vain.
        raise newer
    return replace(state, head=Head(number, entry.id))


def _create(state: LedgerState | None, entry: Entry, body: CreateSpaceBody, number: int) -> LedgerState:
    header = entry.header
    if state is not None or number != 1 or header.space_id or header.counter != 1 or header.previous_id:
        raise Refused(Code.LEDGER_RULE, "a genesis stands only at the beginning")
    if header.ledger.number or header.log.number or header.ledger.hash or header.log.hash:
        raise Refused(Code.LEDGER_RULE, "nothing comes before a genesis")
    terms = unpack(body.terms, SpaceTerms)
    account = apply_account_entries(None, terms.account_entries)
    key = account.device_key(header.device_id)
    if account.account_id != terms.account_id or header.author_id != terms.account_id or key is None:
        raise Refused(Code.SIGNER_UNKNOWN)
    verify_entry(entry, key)
    message = context(Label.SIGN_GENESIS_IDENTITY, header.device_id, body.terms)
    signatures.verify(account.identity.signing, body.identity_signature, message)
    _check_policy(terms.kind, terms.policy)
    check_vault_key(terms.kind, account, terms.vault_key)
    members = {terms.account_id: Member.usual(Role.OWNER, account, terms.vault_key)}
    check_epoch(terms.epoch, 1, members)
    return LedgerState(
        space_id=ids.space_id(entry.envelope),
        head=Head(number, entry.id),
        kind=terms.kind,
        nonce=terms.nonce,
        creator_id=terms.account_id,
        policy=terms.policy,
        name=terms.name,
        dedupe=terms.dedupe,
        members=members,
        epochs=(terms.epoch,),
        inboxes=with_inboxes((), terms.epoch),
    )


def _change(state: LedgerState, entry: Entry, body: Signed) -> LedgerState:
    match body:
        case AdvanceAccountBody():
            return _advance_account(state, entry, body)
        case CertifyCameraBody() | BindCameraBody() | RevokeCameraBody() | PointCameraBody():
            return change_cameras(state, entry, body)
        case RotateEpochBody():
            authorise(state, entry, Right.MEMBERS)
            return with_epoch(state, body.epoch)
        case SetPolicyBody():
            return _set_policy(state, entry, body)
        case OpenGenerationBody() | GiveGrantBody() | EndGrantBody():
            return change_grants(state, entry, body)
        case OpenUploadLinkBody() | BindGuestBody() | CloseUploadLinkBody():
            return change_upload_links(state, entry, body)
        case _:
            return change_members(state, entry, body)


def _check_policy(kind: SpaceKind, policy: Policy) -> None:
    if policy.min_version > PROTOCOL_VERSION:
        raise Refused(Code.UPDATE_REQUIRED)
    if policy.links not in _LINKS_OF_KIND[kind]:
        raise Refused(Code.LEDGER_RULE, f"a {kind} space cannot allow links of the tier {policy.links}")


def _set_policy(state: LedgerState, entry: Entry, body: SetPolicyBody) -> LedgerState:
    authorise(state, entry, Right.POLICY)
    _check_policy(state.kind, body.policy)
    if body.policy.min_version < state.policy.min_version:
        # *Server downgrades everyone*, with the help of whoever may set policies.
        raise Refused(Code.LEDGER_RULE, "the lowest version of a space never falls")
    return replace(state, policy=body.policy)


def _advance_account(state: LedgerState, entry: Entry, body: AdvanceAccountBody) -> LedgerState:
    """Any device of the account may post its account's new head, also one that only the new entries name."""
    member = state.members.get(body.account_id)
    if member is None or entry.header.author_id != body.account_id:
        raise Refused(Code.SIGNER_UNKNOWN)
    account = apply_account_entries(member.account, body.entries)
    advanced = replace(state, members={**state.members, body.account_id: replace(member, account=account)})
    if member.account.identity != account.identity:
        # *A thief lets a friend in* by an invitation that they gave before, and that any manager's device admits of.
        advanced = without_invitations_of(advanced, body.account_id)
    authorise(advanced, entry, None)
    if body.epoch or _lost_reach(member.account, account):
        return after_loss(advanced, entry, body.epoch)
    return advanced


def _lost_reach(before: AccountState, after: AccountState) -> bool:
    """Whether a device or identity that could read no longer counts; a device that came and went in between did not."""
    gone = any(not device.revoked and after.devices[key].revoked for key, device in before.devices.items())
    return gone or before.identity != after.identity
