/** Where a space's ledger stands, and what each in it may do there; mirror of sync_protocol/ledger_state.py. */

import { deviceKey, type AccountState } from "./account_ledger.ts";
import { equal, toHex, type Bytes } from "./bytes.ts";
import { type Generation } from "./grant_entries.ts";
import { type Epoch, type Policy, type SpaceKind } from "./ledger_entries.ts";
import { verifyEntry, type Entry, type Head } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { CAMERA_RIGHTS, MANAGES, TIERS, type Right, type Role, type Tier } from "./roles.ts";
import { type UploadTerms } from "./upload_entries.ts";

/** An account in the space: its role, its own ledger as far as it counts here, its rights, and how it came in.
 *
 * `invitationId` is that by which it was admitted; empty for who made the space. In a vault it has a key of its own, which
 * opens with the vault's second secret alone.
 */
export interface Member {
  readonly id: Bytes;
  readonly role: Role;
  readonly account: AccountState;
  readonly rights: ReadonlySet<Right>;
  readonly invitationId: Bytes;
  readonly vaultKey: Bytes | null;
}

/** The public key to which the boxes of a member's epochs are sealed. */
export const sealingKey = (member: Member): Bytes => member.vaultKey ?? member.account.identity.sealing;

/** An invitation: given, then used once by `joiner`, and over when that was admitted or it was withdrawn.
 *
 * `givenAt` is the ledger entry that its giver had before it, `vaultKey` what the joiner brought into a vault.
 */
export interface Invitation {
  readonly id: Bytes;
  readonly invitedBy: Bytes;
  readonly key: Bytes;
  readonly role: Role;
  readonly rights: ReadonlySet<Right>;
  readonly expiresMs: number;
  readonly name: Bytes;
  readonly nameEpoch: number;
  readonly givenAt: number;
  readonly joiner?: AccountState;
  readonly vaultKey: Bytes | null;
  readonly over: boolean;
}

/** A camera: certified, then bound once, until revoked. A guest of an upload link (`linkId`) is one, too.
 *
 * What it adds is in the shared album `albumId` as well; in none, where that is empty.
 */
export interface Camera {
  readonly id: Bytes;
  readonly certifiedBy: Bytes;
  readonly pairingKey: Bytes;
  readonly expiresMs: number;
  readonly quotaBytes: number;
  readonly name: Bytes;
  readonly nameEpoch: number;
  readonly dedupe: Bytes;
  readonly deviceKey?: Bytes;
  readonly revoked: boolean;
  readonly albumId: Bytes;
  readonly linkId: Bytes;
}

/** An upload link: opened, joined by guests, until it expires or is closed (docs/spec/upload-links.md). */
export interface UploadLink {
  readonly id: Bytes;
  readonly madeBy: Bytes;
  readonly guestKey: Bytes;
  readonly publishingKey: Bytes;
  readonly terms: UploadTerms;
  readonly albumId: Bytes;
  readonly makers: Bytes;
  readonly makersEpoch: number;
  readonly guests: number;
  readonly closed: boolean;
}

/** One account reads one album at `tier`, until `expiresMs`; 0 means until it is ended. */
export interface Grant {
  readonly tier: Tier;
  readonly expiresMs: number;
  readonly givenBy: Bytes;
  readonly givenMs: number;
  readonly canAdd: boolean;
  readonly canOrganise: boolean;
}

/** An album that is shared by grants: the generations of its keys, and the grants that were not ended.
 *
 * Grants stand by account id in hexadecimal. Only the newest generation keeps its boxes.
 */
export interface SharedAlbum {
  readonly generations: readonly [Generation, ...Generation[]];
  readonly grants: ReadonlyMap<string, Grant>;
}

/** Who may do what in a space, up to the ledger entry at `head`; whatever has an id stands by it in hexadecimal.
 *
 * `removed` has, by account, the ledger entry before its last removal. An epoch is due where somebody lost reach who could
 * not begin the epoch that belongs to it.
 */
export interface LedgerState {
  readonly spaceId: Bytes;
  readonly head: Head;
  readonly kind: SpaceKind;
  readonly nonce: Bytes;
  readonly creatorId: Bytes;
  readonly policy: Policy;
  readonly name: Bytes;
  readonly dedupe: Bytes;
  readonly members: ReadonlyMap<string, Member>;
  readonly epochs: readonly [Epoch, ...Epoch[]];
  readonly cameras: ReadonlyMap<string, Camera>;
  readonly invitations: ReadonlyMap<string, Invitation>;
  readonly removed: ReadonlyMap<string, number>;
  readonly albums: ReadonlyMap<string, SharedAlbum>;
  readonly uploadLinks: ReadonlyMap<string, UploadLink>;
  readonly isEpochDue: boolean;
}

/** What an entry makes of a state, or a refusal. */
export type Change = (state: LedgerState, entry: Entry) => Promise<LedgerState>;

/** The epoch in force. */
export function epochOf(state: LedgerState): Epoch {
  return state.epochs.at(-1) ?? state.epochs[0];
}

/** The rights of a member or of a camera that is bound and not revoked; of anyone else, none. */
export function rightsOf(state: LedgerState, authorId: Bytes): ReadonlySet<Right> {
  const member = state.members.get(toHex(authorId));
  if (member) return member.rights;
  return standingCamera(state, authorId) ? CAMERA_RIGHTS : new Set();
}

/** Whether a member may add, and so may its cameras. */
export function mayAdd(state: LedgerState, accountId: Bytes): boolean {
  const member = state.members.get(toHex(accountId));
  return member?.rights.has("add") ?? false;
}

/** Whether a member may invite, change and remove members of `role`. */
export function mayManage(state: LedgerState, accountId: Bytes, role: Role): boolean {
  const member = state.members.get(toHex(accountId));
  return member !== undefined && member.rights.has("members") && MANAGES[member.role].has(role);
}

/** The tier that an account reads here. */
export function tierOf(state: LedgerState, accountId: Bytes): Tier {
  const member = state.members.get(toHex(accountId));
  return member ? TIERS[member.role] : "none";
}

/** The newest generation of a shared album. */
export function generationOf(album: SharedAlbum): Generation {
  return album.generations.at(-1) ?? album.generations[0];
}

/** Whether a grant has not expired by then. */
export function grantStands(grant: Grant, timeMs: number): boolean {
  return !grant.expiresMs || timeMs < grant.expiresMs;
}

/** The grants of an album that have not expired by then. */
export function standingGrants(album: Pick<SharedAlbum, "grants">, timeMs: number): ReadonlyMap<string, Grant> {
  return new Map([...album.grants].filter(([, grant]) => grantStands(grant, timeMs)));
}

/** Whether a member adds to shared albums by its rights alone, without a grant. */
export function addsToAlbums(state: LedgerState, accountId: Bytes): boolean {
  const rights = rightsOf(state, accountId);
  return rights.has("add") && rights.has("organise");
}

/** Whether an author adds to a shared album at a time: a member, or a camera pointed at it.
 *
 * Members do who add and organise, or whose grant says so.
 */
export function mayAddTo(state: LedgerState, authorId: Bytes, albumId: Bytes, timeMs: number): boolean {
  const album = state.albums.get(toHex(albumId));
  if (!album) return false;
  if (state.members.has(toHex(authorId))) {
    const grant = album.grants.get(toHex(authorId));
    return (grant?.canAdd && grantStands(grant, timeMs)) || addsToAlbums(state, authorId);
  }
  const camera = standingCamera(state, authorId);
  return camera !== undefined && equal(camera.albumId, albumId);
}

/** Whether an author takes pictures out of an album, and renames it, at a time: by a right, or by a grant. */
export function mayOrganise(state: LedgerState, authorId: Bytes, albumId: Bytes, timeMs: number): boolean {
  const isMember = state.members.has(toHex(authorId));
  const grant = isMember ? state.albums.get(toHex(albumId))?.grants.get(toHex(authorId)) : undefined;
  return (grant?.canOrganise && grantStands(grant, timeMs)) || rightsOf(state, authorId).has("organise");
}

/** Whether a shared album may be added to under its newest generation: nobody has its keys who reads no more. */
export function generationStands(state: LedgerState, album: SharedAlbum, timeMs: number): boolean {
  const isOfEpoch = generationOf(album).epoch === epochOf(state).number;
  return isOfEpoch && standingGrants(album, timeMs).size === album.grants.size;
}

/** The signing key of a device in good standing, a camera's included (its device id is its own id). */
export function signingKey(state: LedgerState, authorId: Bytes, deviceId: Bytes): Bytes | undefined {
  const member = state.members.get(toHex(authorId));
  if (member) return deviceKey(member.account, deviceId);
  const camera = standingCamera(state, authorId);
  return camera && equal(deviceId, authorId) ? camera.deviceKey : undefined;
}

/** Whether guests may add by an upload link at a time: like cameras, for as long as its maker may. */
export function uploadLinkStands(state: LedgerState, link: UploadLink, timeMs: number): boolean {
  if (link.closed || timeMs >= link.terms.expiresMs) return false;
  return state.policy.links !== "none" && mayAdd(state, link.madeBy);
}

/** Whether an author was given the space's dedupe key: who reads all, and cameras that are no guests. */
export function holdsDedupeKey(state: LedgerState, authorId: Bytes): boolean {
  const camera = state.members.has(toHex(authorId)) ? undefined : state.cameras.get(toHex(authorId));
  return camera ? !camera.linkId.length : tierOf(state, authorId) === "full";
}

/** The upload link by which an author came; none for members and for other cameras. */
export function guestLink(state: LedgerState, authorId: Bytes): UploadLink | undefined {
  if (state.members.has(toHex(authorId))) return undefined;
  const camera = state.cameras.get(toHex(authorId));
  return camera && state.uploadLinks.get(toHex(camera.linkId));
}

function standingCamera(state: LedgerState, cameraId: Bytes): Camera | undefined {
  const camera = state.cameras.get(toHex(cameraId));
  const stands = camera?.deviceKey && !camera.revoked && mayAdd(state, camera.certifiedBy);
  return stands ? camera : undefined;
}

/** Who comes into a vault brings a key for it, and only there.
 *
 * *A vault that opens without its second secret*: the account's own sealing key is none.
 */
export function checkVaultKey(kind: SpaceKind, account: AccountState, vaultKey: Bytes | null): void {
  if ((vaultKey !== null) !== (kind === "vault")) {
    throw new Refused(Code.LEDGER_RULE, "a vault's members have a key for it, and no others");
  }
  if (vaultKey && equal(vaultKey, account.identity.sealing)) {
    throw new Refused(Code.LEDGER_RULE, "a vault's key is another one than the account's");
  }
}

/** Check by the ledger at the entry's slot that its signer stands, signed it, and has `right` (none: any standing). */
export async function authorise(state: LedgerState, entry: Entry, right?: Right): Promise<void> {
  const { spaceId: named, authorId, deviceId } = entry.header;
  if (!equal(named, state.spaceId)) throw new Refused(Code.ENTRY_WRONG_SPACE);
  const key = signingKey(state, authorId, deviceId);
  if (!key) throw new Refused(Code.SIGNER_UNKNOWN);
  await verifyEntry(entry, key);
  if (right && !rightsOf(state, authorId).has(right)) throw new Refused(Code.RIGHT_MISSING, right);
}
