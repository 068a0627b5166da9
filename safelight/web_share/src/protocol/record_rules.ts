/** What records may say and who may write them: bodies and `checkRecord` of sync_protocol/records.py. */

import { inboxKey, publicKey } from "./account_ledger.ts";
import { albumRulesBody, approveAssetsBody, checkAlbumRules, checkApprovals } from "./approvals.ts";
import { toHex } from "./bytes.ts";
import { FIRST_SHARED_GENERATION } from "./grant_entries.ts";
import {
  authorise,
  epochOf,
  generationOf,
  generationStands,
  holdsDedupeKey,
  mayAddTo,
  mayOrganise,
  rightsOf,
  type LedgerState,
} from "./ledger_state.ts";
import {
  HASH_SIZE_BYTES,
  MAX_ASSETS_PER_RECORD,
  MAX_LINK_BLOBS,
  MAX_MANIFEST_PAGES,
  MAX_NOTE_BOX_SIZE_BYTES,
  MAX_TITLE_BOX_SIZE_BYTES,
} from "./limits.ts";
import { ENTRY_VERSION, head, signatureBytes, type Entry } from "./log.ts";
import { addAlbumAssetsBody, addAssetsBody, assetBody, pageRef, sealedField, type AssetBody } from "./records.ts";
import { Code, Refused } from "./refusals.ts";
import type { Right } from "./roles.ts";
import { checkGuest, checkInbox, publishInboxBody } from "./upload_records.ts";
import { bytes, count, flag, hash, id, list, oneOf, optionalHash, signed, unpack, type Shaped } from "./wire.ts";

const MAX_SEALED_KEY_SIZE_BYTES = 2048;
const MAX_HEAD_SIZE_BYTES = 128 * 1024;

/** A roll: its key sealed to the epoch's full inbox, its view key to the view inbox. */
export const openRollBody = signed({
  rollId: id,
  epoch: count,
  full: bytes(0, MAX_SEALED_KEY_SIZE_BYTES),
  view: bytes(0, MAX_SEALED_KEY_SIZE_BYTES),
});

/** A roll whose assets are in a shared album as well: its keys sealed to the inboxes of both. */
export const openAlbumRollBody = signed({
  rollId: id,
  epoch: count,
  full: bytes(0, MAX_SEALED_KEY_SIZE_BYTES),
  view: bytes(0, MAX_SEALED_KEY_SIZE_BYTES),
  albumId: id,
  generation: count,
  albumFull: bytes(0, MAX_SEALED_KEY_SIZE_BYTES),
  albumView: bytes(0, MAX_SEALED_KEY_SIZE_BYTES),
});
type OpenAlbumRollBody = Shaped<typeof openAlbumRollBody>;

/** An album and its first generation of keys. */
export const createAlbumBody = signed({
  albumId: id,
  generation: count,
  epoch: count,
  fullInbox: inboxKey,
  viewInbox: inboxKey,
  keyFull: sealedField,
  keyView: sealedField,
  title: sealedField,
});

/** An asset in an album: its keys wrapped again, tier by tier. */
const albumItem = signed({ assetId: id, wrapFull: sealedField, wrapView: sealedField });
/** Assets added to an album that its space's members alone see, in order. */
export const addToAlbumBody = signed({
  albumId: id,
  generation: count,
  items: list(albumItem, 1, MAX_ASSETS_PER_RECORD),
});

/** An asset in a shared album, whole: the album's log has no other record of it. */
const shownItem = signed({ rollId: id, asset: assetBody });
/** Assets added to a shared album, in order, under its newest generation; `log` is where the album's log ended. */
export const showInAlbumBody = signed({
  albumId: id,
  generation: count,
  log: head,
  items: list(shownItem, 1, MAX_ASSETS_PER_RECORD),
});
type ShowInAlbumBody = Shaped<typeof showInAlbumBody>;
type AddAlbumAssetsBody = Shaped<typeof addAlbumAssetsBody>;

const assetIds = list(id, 1, MAX_ASSETS_PER_RECORD);
/** Assets taken out of an album, each once; `log` is where the album's own log ended, if it is shared. */
export const removeFromAlbumBody = signed({ albumId: id, log: head, assetIds });
/** An album's title from now on, boxed under its newest generation. */
export const renameAlbumBody = signed({
  albumId: id,
  generation: count,
  log: head,
  title: bytes(0, MAX_TITLE_BOX_SIZE_BYTES),
});
type RenameAlbumBody = Shaped<typeof renameAlbumBody>;

/** What the server holds a link to; 0 means no limit. */
export const linkPolicy = signed({ startsMs: count, expiresMs: count, maxOpens: count, originals: flag });

/** A link and its first manifest. */
export const publishLinkBody = signed({
  linkId: id,
  albumId: id,
  tier: oneOf("view", "full"),
  epoch: count,
  tokenHash: hash,
  proofHash: optionalHash,
  publishingKey: publicKey,
  head: bytes(0, MAX_HEAD_SIZE_BYTES),
  headSignature: signatureBytes,
  pages: list(pageRef, 1, MAX_MANIFEST_PAGES),
  viewBlobs: list(hash, 0, MAX_LINK_BLOBS),
  fullBlobs: list(hash, 0, MAX_LINK_BLOBS),
  madeBlobs: list(pageRef, 0, MAX_LINK_BLOBS),
  policy: linkPolicy,
  makers: sealedField,
});
type PublishLinkBody = Shaped<typeof publishLinkBody>;
type AddToAlbumBody = Shaped<typeof addToAlbumBody>;

/** The link opens no more. */
export const revokeLinkBody = signed({ linkId: id });

/** Assets put into the trash, each once. */
export const trashAssetsBody = signed({ assetIds });
/** Assets taken out of the trash, each once. */
export const restoreAssetsBody = signed({ assetIds });

/** Assets proposed for the trash, each once, and why. */
export const proposeDeletionBody = signed({ epoch: count, assetIds, note: bytes(0, MAX_NOTE_BOX_SIZE_BYTES) });
/** What becomes of assets that are proposed for the trash. */
export const decideDeletionBody = signed({ assetIds, confirmed: flag });

type Rule = (state: LedgerState, body: Entry["body"], entry: Entry) => void | Promise<void>;

/** For each kind the right that it needs, and its own rule; none where that depends on the album or on what is said. */
const RULES: ReadonlyMap<string, readonly [Right | undefined, Rule]> = new Map<
  string,
  readonly [Right | undefined, Rule]
>([
  ["roll.open", ["add", (state, body) => checkEpoch(state, unpack(body, openRollBody).epoch)]],
  ["asset.add", ["add", (state, body, entry) => checkNew(state, entry, unpack(body, addAssetsBody).assets)]],
  [
    "roll.open-album",
    [undefined, (state, body, entry) => checkAlbumRoll(state, entry, unpack(body, openAlbumRollBody))],
  ],
  [
    "asset.add-album",
    [undefined, (state, body, entry) => checkAlbumAssets(state, entry, unpack(body, addAlbumAssetsBody))],
  ],
  ["album.create", ["organise", (state, body) => checkEpoch(state, unpack(body, createAlbumBody).epoch)]],
  ["album.add", ["organise", (state, body) => checkAdded(state, unpack(body, addToAlbumBody))]],
  ["album.show", ["organise", (state, body, entry) => checkShown(state, entry, unpack(body, showInAlbumBody))]],
  ["album.remove", [undefined, (state, body, entry) => checkRemoved(state, entry, unpack(body, removeFromAlbumBody))]],
  ["album.rename", [undefined, (state, body, entry) => checkRenamed(state, entry, unpack(body, renameAlbumBody))]],
  ["album.rules", [undefined, (state, body, entry) => checkAlbumRules(state, entry, unpack(body, albumRulesBody))]],
  ["asset.approve", ["approve", (_, body) => checkApprovals(unpack(body, approveAssetsBody))]],
  ["link.publish", ["link", (state, body) => checkLink(state, unpack(body, publishLinkBody))]],
  ["link.revoke", ["revoke-link", (_, body) => void unpack(body, revokeLinkBody)]],
  ["link.inbox", ["link", (state, body, entry) => checkInbox(state, entry, unpack(body, publishInboxBody))]],
  ["asset.trash", ["trash", (_, body) => checkEachOnce(unpack(body, trashAssetsBody).assetIds)]],
  ["asset.restore", ["trash", (_, body) => checkEachOnce(unpack(body, restoreAssetsBody).assetIds)]],
  ["deletion.propose", ["propose-deletion", (state, body) => checkProposal(state, unpack(body, proposeDeletionBody))]],
  [
    "deletion.decide",
    ["approve", (state, body, entry) => checkDecision(state, entry, unpack(body, decideDeletionBody))],
  ],
]);

/** Judge a record by the ledger at its slot; whether this version knows its kind.
 *
 * ENTRY_UNKNOWN_CRITICAL, ENTRY_MALFORMED, SIGNER_UNKNOWN, SIGNATURE_INVALID, RIGHT_MISSING, EPOCH_OLD,
 * GENERATION_OLD, ALBUM_STALE, POLICY_FORBIDS, ASSET_CONFLICT, UPLOAD_LINK_OVER or MANIFEST_INVALID otherwise.
 */
export async function checkRecord(state: LedgerState, entry: Entry): Promise<boolean> {
  const found = entry.header.version === ENTRY_VERSION ? RULES.get(entry.header.kind) : undefined;
  // *A space stopped by garbage*: only who stands in it, and signed this, can ask everyone for an update.
  await authorise(state, entry, found?.[0]);
  checkGuest(state, entry, found !== undefined);
  if (!found && entry.header.critical) throw newer(entry);
  if (!found) return false;
  await found[1](state, entry.body, entry);
  return true;
}

function newer({ header }: Entry): Refused {
  return new Refused(Code.ENTRY_UNKNOWN_CRITICAL, `${header.kind}, version ${header.version}`);
}

function checkEpoch(state: LedgerState, epoch: number): void {
  const current = epochOf(state).number;
  if (epoch !== current) throw new Refused(Code.EPOCH_OLD, `epoch ${epoch}, now ${current}`);
}

function checkAdded(state: LedgerState, body: AddToAlbumBody): void {
  if (state.albums.has(toHex(body.albumId))) {
    // What only members open would be missing in what grantees see.
    throw new Refused(Code.GENERATION_OLD, "the album is shared by now");
  }
}

function checkAlbumRoll(state: LedgerState, entry: Entry, body: OpenAlbumRollBody): void {
  checkAdds(state, entry, body);
  checkEpoch(state, body.epoch);
  checkGeneration(state, entry, body);
}

function checkAlbumAssets(state: LedgerState, entry: Entry, body: AddAlbumAssetsBody): void {
  checkAdds(state, entry, body);
  checkGeneration(state, entry, body);
  checkNew(state, entry, body.assets);
}

function checkAdds(state: LedgerState, { header }: Entry, { albumId }: OpenAlbumRollBody | AddAlbumAssetsBody): void {
  if (!mayAddTo(state, header.authorId, albumId, header.signedMs)) {
    throw new Refused(Code.RIGHT_MISSING, "to add to this album");
  }
}

function checkRemoved(state: LedgerState, entry: Entry, body: Shaped<typeof removeFromAlbumBody>): void {
  checkOrganises(state, entry, body);
  checkEachOnce(body.assetIds);
}

function checkRenamed(state: LedgerState, entry: Entry, body: RenameAlbumBody): void {
  const isShared = checkOrganises(state, entry, body);
  if (isShared || body.generation !== FIRST_SHARED_GENERATION - 1) checkGeneration(state, entry, body);
}

/** Who takes pictures out of an album, or renames it, organises, or was let by a grant of this very album.
 *
 * An album that is not shared has no log of its own. Returns whether it is shared.
 */
function checkOrganises(
  state: LedgerState,
  { header }: Entry,
  { albumId, log }: Pick<RenameAlbumBody, "albumId" | "log">,
): boolean {
  if (!mayOrganise(state, header.authorId, albumId, header.signedMs)) {
    throw new Refused(Code.RIGHT_MISSING, "to organise this album");
  }
  const isShared = state.albums.has(toHex(albumId));
  if (!isShared && (log.number || log.hash.length)) throw new Refused(Code.ALBUM_STALE, "the album is not shared");
  return isShared;
}

/** *An ended grant reads what is added later*: not under keys that it, or whoever left the space, still has.
 *
 * When a grant has expired the signer says by its own clock, so that everyone judges alike.
 */
function checkGeneration(
  state: LedgerState,
  entry: Entry,
  body: OpenAlbumRollBody | AddAlbumAssetsBody | ShowInAlbumBody | RenameAlbumBody,
): void {
  const album = state.albums.get(toHex(body.albumId));
  if (!album) throw new Refused(Code.GENERATION_OLD, "the album is not shared");
  const stands = generationStands(state, album, entry.header.signedMs);
  if (body.generation !== generationOf(album).number || !stands) {
    throw new Refused(Code.GENERATION_OLD, `generation ${body.generation}`);
  }
}

/** *A poisoned fingerprint makes a phone skip a photograph*: who cannot make one has it from somebody else. */
function checkNew(state: LedgerState, { header }: Entry, assets: readonly AssetBody[]): void {
  checkAssets(assets);
  if (assets.some(({ fingerprint }) => fingerprint.length) && !holdsDedupeKey(state, header.authorId)) {
    throw new Refused(Code.ENTRY_MALFORMED, "who holds no dedupe key names no fingerprint");
  }
}

function checkShown(state: LedgerState, entry: Entry, body: ShowInAlbumBody): void {
  checkGeneration(state, entry, body);
  checkAssets(body.items.map((item) => item.asset));
  if (body.items.some((item) => item.asset.fingerprint.length)) {
    throw new Refused(Code.ENTRY_MALFORMED, "a fingerprint is nothing to who reads the album alone");
  }
}

const isWholeOrAbsent = (hashBytes: Uint8Array) => hashBytes.length === 0 || hashBytes.length === HASH_SIZE_BYTES;

/** Each asset once, each rendition's name and id once, a whole fingerprint or none, and an original first.
 *
 * The original is the one file that is never left out.
 */
function checkAssets(assets: readonly AssetBody[]): void {
  checkEachOnce(assets.map((asset) => asset.assetId));
  for (const { renditions, fingerprint } of assets) {
    if (renditions[0]?.name !== "original") {
      throw new Refused(Code.ENTRY_MALFORMED, "an asset's first rendition is its original");
    }
    if (!isWholeOrAbsent(fingerprint)) throw new Refused(Code.ENTRY_MALFORMED, "a fingerprint is whole or absent");
    if (new Set(renditions.map((rendition) => rendition.name)).size !== renditions.length) {
      // Of two previews one reader would take the first and another the last.
      throw new Refused(Code.ENTRY_MALFORMED, "a rendition's name stands twice in one asset");
    }
    if (new Set(renditions.map((rendition) => toHex(rendition.renditionId))).size !== renditions.length) {
      throw new Refused(Code.ENTRY_MALFORMED, "a rendition id stands twice in one asset");
    }
  }
}

function checkProposal(state: LedgerState, body: Shaped<typeof proposeDeletionBody>): void {
  checkEpoch(state, body.epoch);
  checkEachOnce(body.assetIds);
}

function checkDecision(state: LedgerState, { header }: Entry, body: Shaped<typeof decideDeletionBody>): void {
  if (!rightsOf(state, header.authorId).has("trash")) throw new Refused(Code.RIGHT_MISSING, "trash");
  checkEachOnce(body.assetIds);
}

function checkEachOnce(ids: readonly Uint8Array[]): void {
  if (new Set(ids.map(toHex)).size !== ids.length) {
    throw new Refused(Code.ASSET_CONFLICT, "an asset stands twice in one record");
  }
}

function checkLink(state: LedgerState, body: PublishLinkBody): void {
  checkEpoch(state, body.epoch);
  if (!isWholeOrAbsent(body.proofHash)) {
    throw new Refused(Code.ENTRY_MALFORMED, "a password proof's hash is whole or absent");
  }
  const allowed = state.policy.links;
  if (allowed === "none" || (allowed === "view" && body.tier === "full")) {
    throw new Refused(Code.POLICY_FORBIDS, `links of the ${body.tier} tier are not allowed in this space`);
  }
  if (body.tier === "view" && (body.fullBlobs.length || body.policy.originals)) {
    throw new Refused(Code.ENTRY_MALFORMED, "a link of the view tier names no blob of the full tier");
  }
  if (body.madeBlobs.length && (body.tier === "full" || body.viewBlobs.length)) {
    // *The clean preview asked for through a watermarked link*: it is not among what the link may fetch.
    throw new Refused(Code.ENTRY_MALFORMED, "a link shows pictures made for it or the assets' own, never both");
  }
}
