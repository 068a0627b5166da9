/** The space ledger: one pure function, state + entry → state, or a named refusal, run by both ends; mirror of
 * sync_protocol/ledger.py (docs/spec/log.md).
 */

import { applyAccountEntries, deviceKey, type AccountState } from "./account_ledger.ts";
import { equal, toHex, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import { spaceId } from "./ids.ts";
import { CAMERA_CHANGES } from "./ledger_cameras.ts";
import {
  advanceAccountBody,
  createSpaceBody,
  rotateEpochBody,
  setPolicyBody,
  spaceTerms,
  type AdvanceAccountBody,
  type CreateSpaceBody,
  type Epoch,
  type Policy,
  type SpaceKind,
} from "./ledger_entries.ts";
import { afterLoss, checkEpoch, withEpoch } from "./ledger_epochs.ts";
import { GRANT_CHANGES } from "./ledger_grants.ts";
import { MEMBER_CHANGES, withoutInvitationsOf } from "./ledger_members.ts";
import {
  authorise,
  checkVaultKey,
  type Change,
  type LedgerState,
  type Member,
} from "./ledger_state.ts";
import { UPLOAD_CHANGES } from "./ledger_uploads.ts";
import { ENTRY_VERSION, isSameHead, verifyEntry, type Entry } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { RIGHTS } from "./roles.ts";
import { verify } from "./signatures.ts";
import { unpack } from "./wire.ts";

export const PROTOCOL_VERSION = 1;

const FAMILIES = new Set(["space", "account", "camera", "epoch", "member", "grant", "upload", "policy", "hold"]);

/** What a space of a kind may allow its links at most. */
const LINKS_OF_KIND: Readonly<Record<SpaceKind, readonly string[]>> = {
  family: ["none", "view"],
  work: ["none", "view", "full"],
  vault: ["none"],
};

/** Whether an entry of `kind` belongs to the ledger (who), known to this version or not, or to the records (what). */
export function isLedgerKind(kind: string): boolean {
  return FAMILIES.has(kind.split(".", 1)[0] ?? "");
}

const CHANGES: ReadonlyMap<string, (body: Bytes) => Change> = new Map([
  ["account.advance", (body) => advanceAccount(unpack(body, advanceAccountBody))],
  ["epoch.rotate", (body) => rotateEpoch(unpack(body, rotateEpochBody).epoch)],
  ["policy.set", (body) => setPolicy(unpack(body, setPolicyBody).policy)],
  ...CAMERA_CHANGES,
  ...GRANT_CHANGES,
  ...MEMBER_CHANGES,
  ...UPLOAD_CHANGES,
]);

/** Take the ledger entry at slot `number`: the new state, or a refusal after which the space stops. */
export async function apply(state: LedgerState | undefined, entry: Entry, number: number): Promise<LedgerState> {
  if (entry.header.version !== ENTRY_VERSION) return passOver(state, entry, number);
  if (entry.header.kind === "space.create") {
    return create(state, entry, unpack(entry.body, createSpaceBody), number);
  }
  const read = CHANGES.get(entry.header.kind);
  if (!read) return passOver(state, entry, number);
  const change = read(entry.body);
  if (!state) throw new Refused(Code.LEDGER_RULE, "a space begins with its genesis");
  if (!equal(entry.header.spaceId, state.spaceId)) throw new Refused(Code.ENTRY_WRONG_SPACE);
  requireCurrent(state, entry);
  return { ...(await change(state, entry)), head: { number, hash: entry.id } };
}

function requireCurrent(state: LedgerState, entry: Entry): void {
  if (!isSameHead(entry.header.ledger, state.head)) {
    throw new Refused(Code.ENTRY_STALE, `the ledger is at slot ${state.head.number}`);
  }
}

async function passOver(state: LedgerState | undefined, entry: Entry, number: number): Promise<LedgerState> {
  const { kind, version, critical } = entry.header;
  const newer = new Refused(Code.ENTRY_UNKNOWN_CRITICAL, `${kind}, version ${version}`);
  if (!state) throw newer;
  requireCurrent(state, entry);
  await authorise(state, entry);
  if (!state.members.has(toHex(entry.header.authorId))) {
    // Each moves the ledger's head: a stolen camera could make everyone's next ledger entry stale for ever.
    throw new Refused(Code.RIGHT_MISSING, "a camera signs nothing in the ledger but its binding");
  }
  // Last: *a space stopped by garbage* that nobody in it signed would ask everyone for an update in vain.
  if (critical) throw newer;
  return { ...state, head: { number, hash: entry.id } };
}

async function create(
  state: LedgerState | undefined,
  entry: Entry,
  body: CreateSpaceBody,
  number: number,
): Promise<LedgerState> {
  const { spaceId: named, counter, previousId, ledger, log, deviceId, authorId } = entry.header;
  if (state || number !== 1 || named.length || counter !== 1 || previousId.length) {
    throw new Refused(Code.LEDGER_RULE, "a genesis stands only at the beginning");
  }
  if (ledger.number || log.number || ledger.hash.length || log.hash.length) {
    throw new Refused(Code.LEDGER_RULE, "nothing comes before a genesis");
  }
  const terms = unpack(body.terms, spaceTerms);
  const account = await applyAccountEntries(undefined, terms.accountEntries);
  const key = deviceKey(account, deviceId);
  if (!equal(account.accountId, terms.accountId) || !equal(authorId, terms.accountId) || !key) {
    throw new Refused(Code.SIGNER_UNKNOWN);
  }
  await verifyEntry(entry, key);
  const message = context(Label.SIGN_GENESIS_IDENTITY, deviceId, body.terms);
  await verify(account.identity.signing, body.identitySignature, message);
  checkPolicy(terms.kind, terms.policy);
  checkVaultKey(terms.kind, account, terms.vaultKey);
  const owner: Member = {
    id: terms.accountId,
    role: "owner",
    account,
    rights: RIGHTS.owner,
    invitationId: new Uint8Array(),
    vaultKey: terms.vaultKey,
  };
  const members = new Map([[toHex(owner.id), owner]]);
  checkEpoch(terms.epoch, 1, members);
  const { kind, nonce, accountId: creatorId, policy, name, dedupe, epoch } = terms;
  const head = { number, hash: entry.id };
  const id = await spaceId(entry.envelope);
  const begun = { spaceId: id, head, kind, nonce, creatorId, policy, name, dedupe, members };
  const nobody = { cameras: new Map(), invitations: new Map(), removed: new Map() };
  const nothing = { albums: new Map(), uploadLinks: new Map() };
  return { ...begun, ...nobody, ...nothing, epochs: [epoch], isEpochDue: false };
}

function checkPolicy(kind: SpaceKind, policy: Policy): void {
  if (policy.minVersion > PROTOCOL_VERSION) throw new Refused(Code.UPDATE_REQUIRED);
  if (!LINKS_OF_KIND[kind].includes(policy.links)) {
    throw new Refused(Code.LEDGER_RULE, `a ${kind} space cannot allow links of that tier`);
  }
}

function setPolicy(policy: Policy): Change {
  return async (state, entry) => {
    await authorise(state, entry, "policy");
    checkPolicy(state.kind, policy);
    if (policy.minVersion < state.policy.minVersion) {
      // *Server downgrades everyone*, with the help of whoever may set policies.
      throw new Refused(Code.LEDGER_RULE, "the lowest version of a space never falls");
    }
    return { ...state, policy };
  };
}

/** Any device of the account may post its account's new head, also one that only the new entries name. */
function advanceAccount(body: AdvanceAccountBody): Change {
  return async (state, entry) => {
    const member = state.members.get(toHex(body.accountId));
    if (!member || !equal(entry.header.authorId, body.accountId)) throw new Refused(Code.SIGNER_UNKNOWN);
    const account = await applyAccountEntries(member.account, body.entries);
    const members = new Map([...state.members, [toHex(member.id), { ...member, account }]]);
    // *A thief lets a friend in* by an invitation that they gave before, and that any manager's device admits of.
    const isRenewed = !isSameIdentity(member.account, account);
    const advanced = { ...(isRenewed ? withoutInvitationsOf(state, body.accountId) : state), members };
    await authorise(advanced, entry);
    const loses = body.epoch !== null || lostReach(member.account, account);
    return loses ? afterLoss(advanced, entry, body.epoch) : advanced;
  };
}

/** Whether a device or identity that could read no longer counts; a device that came and went in between did not. */
function lostReach(before: AccountState, after: AccountState): boolean {
  const gone = [...before.devices].some(([id, device]) => !device.revoked && after.devices.get(id)?.revoked);
  return gone || !isSameIdentity(before, after);
}

function isSameIdentity(before: AccountState, after: AccountState): boolean {
  return equal(before.identity.signing, after.identity.signing) && equal(before.identity.sealing, after.identity.sealing);
}

function rotateEpoch(epoch: Epoch): Change {
  return async (state, entry) => {
    await authorise(state, entry, "members");
    return withEpoch(state, epoch);
  };
}

