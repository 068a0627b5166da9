/** Members in the space ledger: invited, joined, admitted, given another role, removed; mirror of
 * sync_protocol/ledger_members.py.
 */

import { applyAccountEntries, deviceKey } from "./account_ledger.ts";
import { equal, sha256, toHex, type Bytes } from "./bytes.ts";
import { Label, context, uint } from "./contexts.ts";
import {
  admitMemberBody,
  inviteMemberBody,
  joinSpaceBody,
  removeMemberBody,
  setRoleBody,
  withdrawInvitationBody,
  type AdmitMemberBody,
  type InviteMemberBody,
  type JoinSpaceBody,
  type RemoveMemberBody,
  type SetRoleBody,
  type WithdrawInvitationBody,
} from "./ledger_entries.ts";
import { afterLoss, withBox } from "./ledger_epochs.ts";
import { withoutGrantsOf } from "./ledger_grants.ts";
import {
  authorise,
  checkVaultKey,
  epochOf,
  mayManage,
  rightsOf,
  type Change,
  type Invitation,
  type LedgerState,
  type Member,
} from "./ledger_state.ts";
import { INVITATION_MAX_AGE_S, MAX_MEMBERS } from "./limits.ts";
import { verifyEntry, type Entry } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { TIERS, isWithin, mayHold, reads, type Right, type Role } from "./roles.ts";
import { verify } from "./signatures.ts";
import { unpack } from "./wire.ts";

export const MEMBER_CHANGES: readonly (readonly [string, (body: Bytes) => Change])[] = [
  ["member.invite", (body) => invite(unpack(body, inviteMemberBody))],
  ["member.withdraw", (body) => withdraw(unpack(body, withdrawInvitationBody))],
  ["member.join", (body) => join(unpack(body, joinSpaceBody))],
  ["member.admit", (body) => admit(unpack(body, admitMemberBody))],
  ["member.role", (body) => setRole(unpack(body, setRoleBody))],
  ["member.remove", (body) => remove(unpack(body, removeMemberBody))],
];

function invite(body: InviteMemberBody): Change {
  return async (state, entry) => {
    await authorise(state, entry, "members");
    const rights = checkedRights(state, entry, body.role, body.rights);
    if (state.invitations.has(toHex(body.invitationId))) {
      throw new Refused(Code.LEDGER_RULE, "the invitation's id is taken");
    }
    if ([...state.invitations.values()].filter((invitation) => !invitation.over).length >= MAX_MEMBERS) {
      throw new Refused(Code.LEDGER_RULE, "there are too many invitations; withdraw some");
    }
    if (body.expiresMs > entry.header.signedMs + INVITATION_MAX_AGE_S * 1000) {
      throw new Refused(Code.LEDGER_RULE, "an invitation lives at most 30 days");
    }
    if (body.epoch !== epochOf(state).number) throw new Refused(Code.EPOCH_OLD);
    const { invitationId: id, key, role, expiresMs, name, epoch: nameEpoch } = body;
    const given = { invitedBy: entry.header.authorId, givenAt: state.head.number, vaultKey: null, over: false };
    return withInvitation(state, { ...given, id, key, role, rights, expiresMs, name, nameEpoch });
  };
}

/** Who gave it may, also one who invites nobody any more, and who may manage members of its role. */
function withdraw(body: WithdrawInvitationBody): Change {
  return async (state, entry) => {
    await authorise(state, entry);
    const invitation = openInvitation(state, body.invitationId);
    const { authorId } = entry.header;
    if (!equal(authorId, invitation.invitedBy) && !mayManage(state, authorId, invitation.role)) {
      throw new Refused(Code.RIGHT_MISSING, "members");
    }
    return withInvitation(state, { ...invitation, over: true });
  };
}

/** The expiry is judged by the signed time, the same for everyone; the server judges by its own clock besides. */
function join(body: JoinSpaceBody): Change {
  return async (state, entry) => {
    const invitation = state.invitations.get(toHex(body.invitationId));
    if (!invitation || invitation.over || !mayStillInvite(state, invitation)) throw new Refused(Code.INVITATION_EXPIRED);
    if (invitation.joiner) throw new Refused(Code.INVITATION_USED);
    const { signedMs, deviceId, authorId } = entry.header;
    if (signedMs > invitation.expiresMs) throw new Refused(Code.INVITATION_EXPIRED);
    const head = await sha256(body.accountEntries.at(-1) ?? new Uint8Array(0));
    const brought = body.vaultKey ?? new Uint8Array(0);
    const parts = [state.spaceId, body.invitationId, deviceId, uint(body.accountEntries.length), head, brought];
    // First, of all that costs: *a thousand entries to verify*, sent by one who has no secret.
    await verify(invitation.key, body.invitationSignature, context(Label.SIGN_JOIN_INVITATION, ...parts));
    const account = await applyAccountEntries(undefined, body.accountEntries);
    const key = deviceKey(account, deviceId);
    if (!equal(authorId, account.accountId) || !key) throw new Refused(Code.SIGNER_UNKNOWN);
    if (state.members.has(toHex(account.accountId))) throw new Refused(Code.MEMBER_EXISTS);
    if ((state.removed.get(toHex(account.accountId)) ?? 0) > invitation.givenAt) {
      // *Whoever was removed lets themselves in again* by an invitation that they kept.
      throw new Refused(Code.INVITATION_EXPIRED, "this account was removed after it was given");
    }
    const byIdentity = context(Label.SIGN_JOIN_IDENTITY, ...parts);
    await verify(account.identity.signing, body.identitySignature, byIdentity);
    await verifyEntry(entry, key);
    checkVaultKey(state.kind, account, body.vaultKey);
    return withInvitation(state, { ...invitation, joiner: account, vaultKey: body.vaultKey });
  };
}

/** Who may manage members of the role admits, though another invited: both have what only the secret vouched for. */
function admit(body: AdmitMemberBody): Change {
  return async (state, entry) => {
    await authorise(state, entry, "members");
    const invitation = openInvitation(state, body.invitationId);
    const { joiner, role, rights } = invitation;
    if (!joiner || !equal(joiner.accountId, body.accountId)) {
      throw new Refused(Code.LEDGER_RULE, "that account did not join by this invitation");
    }
    if (!mayStillInvite(state, invitation)) throw new Refused(Code.INVITATION_EXPIRED);
    checkGives(state, entry, role, rights);
    if (state.members.size >= MAX_MEMBERS) throw new Refused(Code.LEDGER_RULE, "there are too many members");
    if (body.epoch !== epochOf(state).number) throw new Refused(Code.EPOCH_OLD);
    // *Whoever was removed is let in again* by a second invitation, whose giver's device admits of itself.
    const invitations = [...state.invitations].map(([key, other]): [string, Invitation] => {
      const isTheirs = other.joiner !== undefined && equal(other.joiner.accountId, body.accountId);
      return [key, isTheirs ? { ...other, over: true } : other];
    });
    const { accountId, invitationId } = body;
    const { vaultKey } = invitation;
    const admitted = withMember(state, { id: accountId, role, account: joiner, rights, invitationId, vaultKey });
    // *Whoever adds keeps someone out for good* by certifying a camera under their id: only malice makes the two the same.
    const cameras = mapped(state.cameras, (camera) =>
      equal(camera.id, accountId) ? { ...camera, revoked: true } : camera,
    );
    return withBox({ ...admitted, cameras, invitations: new Map(invitations) }, accountId, TIERS[role], body.box);
  };
}

/** Less reach comes with a new epoch, more with a box of the one in force, as much with neither. */
function setRole(body: SetRoleBody): Change {
  return async (state, entry) => {
    await authorise(state, entry, "members");
    const member = managedMember(state, entry, body.accountId);
    const rights = checkedRights(state, entry, body.role, body.rights);
    if (body.role === member.role && rights.size === member.rights.size && isWithin(rights, member.rights)) {
      throw new Refused(Code.LEDGER_RULE, "that is the member's role already");
    }
    if (body.role !== "owner") checkOtherOwner(state, body.accountId);
    const after = withMember(state, { ...member, role: body.role, rights });
    const [tierBefore, tier] = [TIERS[member.role], TIERS[body.role]];
    if (!reads(tier, tierBefore)) {
      checkNotOneself(entry, body.accountId);
      if (body.box) throw new Refused(Code.LEDGER_RULE, "a new epoch has all its boxes itself");
      return afterLoss(after, entry, body.epoch);
    }
    if (body.epoch) throw new Refused(Code.LEDGER_RULE, "no reach is lost, so no epoch ends");
    return withBox(after, body.accountId, tier === tierBefore ? "none" : tier, body.box);
  };
}

/** What the member had begun ends with it, for good: its cameras, links for uploading, invitations and grants. */
function remove(body: RemoveMemberBody): Change {
  return async (state, entry) => {
    await authorise(state, entry, "members");
    managedMember(state, entry, body.accountId);
    checkOtherOwner(state, body.accountId);
    checkNotOneself(entry, body.accountId);
    const members = new Map([...state.members].filter(([key]) => key !== toHex(body.accountId)));
    const cameras = mapped(state.cameras, (camera) =>
      equal(camera.certifiedBy, body.accountId) ? { ...camera, revoked: true } : camera,
    );
    const removed = new Map([...state.removed, [toHex(body.accountId), state.head.number]]);
    const ended = withoutGrantsOf(withoutInvitationsOf(state, body.accountId), body.accountId);
    const uploadLinks = mapped(state.uploadLinks, (link) =>
      equal(link.madeBy, body.accountId) ? { ...link, closed: true } : link,
    );
    const left = { ...ended, members, cameras, uploadLinks, removed };
    return afterLoss(left, entry, body.epoch);
  };
}

/** What is given with `role`: in order and each once, rights that it may have, and that the signer may give. */
function checkedRights(state: LedgerState, entry: Entry, role: Role, named: readonly Right[]): ReadonlySet<Right> {
  const rights = new Set(named);
  if (named.join() !== [...rights].sort().join()) {
    throw new Refused(Code.ENTRY_MALFORMED, "rights stand in order, each once");
  }
  if (!mayHold(role, rights)) throw new Refused(Code.LEDGER_RULE, `these are no rights of a ${role}`);
  checkGives(state, entry, role, rights);
  return rights;
}

/** *A manager that makes owners, or gives what it was not given*. */
function checkGives(state: LedgerState, entry: Entry, role: Role, rights: ReadonlySet<Right>): void {
  const { authorId } = entry.header;
  if (!mayManage(state, authorId, role) || !isWithin(rights, rightsOf(state, authorId))) {
    throw new Refused(Code.RIGHT_MISSING, `to make someone a ${role} with these rights`);
  }
}

function managedMember(state: LedgerState, entry: Entry, accountId: Bytes): Member {
  const member = state.members.get(toHex(accountId));
  if (!member) throw new Refused(Code.LEDGER_RULE, "there is no such member");
  if (!mayManage(state, entry.header.authorId, member.role)) {
    throw new Refused(Code.RIGHT_MISSING, `to manage a ${member.role}`);
  }
  return member;
}

function checkOtherOwner(state: LedgerState, accountId: Bytes): void {
  const owners = [...state.members.values()].filter((member) => member.role === "owner");
  if (owners.every((owner) => equal(owner.id, accountId))) throw new Refused(Code.LAST_OWNER);
}

/** The keys of the new epoch would be theirs who lose their reach. */
function checkNotOneself(entry: Entry, accountId: Bytes): void {
  if (equal(accountId, entry.header.authorId)) {
    throw new Refused(Code.LEDGER_RULE, "another takes this reach away, not oneself");
  }
}

/** *Whoever was removed lets a friend in*: an invitation ends with what its giver may give. */
function mayStillInvite(state: LedgerState, invitation: Invitation): boolean {
  const { invitedBy, role, rights } = invitation;
  return mayManage(state, invitedBy, role) && isWithin(rights, rightsOf(state, invitedBy));
}

/** End every invitation that an account gave, for good. */
export function withoutInvitationsOf(state: LedgerState, accountId: Bytes): LedgerState {
  const invitations = mapped(state.invitations, (invitation) =>
    equal(invitation.invitedBy, accountId) ? { ...invitation, over: true } : invitation,
  );
  return { ...state, invitations };
}

function mapped<T>(items: ReadonlyMap<string, T>, change: (item: T) => T): ReadonlyMap<string, T> {
  return new Map([...items].map(([key, item]) => [key, change(item)]));
}

function openInvitation(state: LedgerState, invitationId: Bytes): Invitation {
  const invitation = state.invitations.get(toHex(invitationId));
  if (!invitation || invitation.over) {
    throw new Refused(Code.LEDGER_RULE, "there is no such invitation, or it is over");
  }
  return invitation;
}

function withInvitation(state: LedgerState, invitation: Invitation): LedgerState {
  return { ...state, invitations: new Map([...state.invitations, [toHex(invitation.id), invitation]]) };
}

function withMember(state: LedgerState, member: Member): LedgerState {
  return { ...state, members: new Map([...state.members, [toHex(member.id), member]]) };
}
