/** Upload links as their guests know them: the head that its maker signs; mirror of sync_protocol/upload_links.py
 * (docs/spec/upload-links.md).
 *
 * A guest reads neither log nor ledger: what it seals to, and whose receipts count, it believes the publishing key alone,
 * whose fingerprint is in the link's address.
 */

import { inboxKey, publicKey } from "./account_ledger.ts";
import { equal, toHex, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import { keyFingerprint } from "./ids.ts";
import { epochOf, generationOf, type LedgerState, type UploadLink } from "./ledger_state.ts";
import type { LinkAddress } from "./links.ts";
import { head } from "./log.ts";
import { sealedField } from "./records.ts";
import { Code, Refused } from "./refusals.ts";
import { verify } from "./signatures.ts";
import { uploadTerms, type UploadTerms } from "./upload_entries.ts";
import { count, hash, id, nullable, sealed, signed, text, unpack, type Shaped } from "./wire.ts";

export const UPLOAD_HEAD_VERSION = 1;

/** The shared album that is added to as well: the public inboxes of its newest generation. */
export const albumInboxes = signed({ albumId: id, generation: count, fullInbox: inboxKey, viewInbox: inboxKey });
export type AlbumInboxes = Shaped<typeof albumInboxes>;

/** What the publishing key signs: where a link's guests seal to.
 *
 * `serverKey` is whose receipts count, `ledger` and `log` where both ended for who signed. `sealed` boxes the packed
 * `headContent` under the link's head key.
 */
export const uploadHead = signed({
  version: count,
  linkId: id,
  spaceId: hash,
  serverKey: publicKey,
  epoch: count,
  fullInbox: inboxKey,
  viewInbox: inboxKey,
  album: nullable(albumInboxes),
  ledger: head,
  log: head,
  terms: uploadTerms,
  signedMs: count,
  sealed: sealedField,
});
export type UploadHead = Shaped<typeof uploadHead>;

/** What a guest is told of what it adds to. */
export const headContent = sealed({ title: text });

/** Verify a head against the link's address alone; MANIFEST_INVALID for a substituted one. */
export async function verifyUploadHead(
  address: LinkAddress,
  content: Bytes,
  signature: Bytes,
  publishingKey: Bytes,
): Promise<UploadHead> {
  if (!equal(await keyFingerprint(publishingKey), address.publisherFingerprint)) {
    throw new Refused(Code.MANIFEST_INVALID, "another key signed it");
  }
  return readUploadHead(address.linkId, content, signature, publishingKey);
}

/** Verify a head under a publishing key that is known to be the link's; MANIFEST_INVALID otherwise. */
export async function readUploadHead(
  linkId: Bytes,
  content: Bytes,
  signature: Bytes,
  publishingKey: Bytes,
): Promise<UploadHead> {
  try {
    await verify(publishingKey, signature, context(Label.SIGN_UPLOAD_HEAD, linkId, content));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new Refused(Code.MANIFEST_INVALID, "its signature does not match");
  }
  const told = unpack(content, uploadHead, Code.MANIFEST_INVALID);
  if (told.version !== UPLOAD_HEAD_VERSION || !equal(told.linkId, linkId)) {
    throw new Refused(Code.MANIFEST_INVALID, "it belongs to another link");
  }
  return told;
}

/** Check a head against the ledger; MANIFEST_INVALID, EPOCH_OLD or GENERATION_OLD otherwise.
 *
 * *An insider's own inbox*: who may make links, and knows the publishing key, would alone open what guests add.
 */
export function checkUploadHead(state: LedgerState, link: UploadLink, told: UploadHead): void {
  const epoch = epochOf(state);
  if (!equal(told.spaceId, state.spaceId) || !isSameTerms(told.terms, link.terms)) {
    throw new Refused(Code.MANIFEST_INVALID, "its terms, or its space, are not what the ledger says");
  }
  if (told.epoch !== epoch.number) throw new Refused(Code.EPOCH_OLD, `epoch ${told.epoch}, now ${epoch.number}`);
  if (!equal(told.fullInbox, epoch.fullInbox) || !equal(told.viewInbox, epoch.viewInbox)) {
    throw new Refused(Code.MANIFEST_INVALID, "its inboxes are not the epoch's");
  }
  const album = inboxesOf(state, link.albumId);
  if (isSameAlbum(told.album, album)) return;
  if (!told.album || !equal(told.album.albumId, link.albumId)) {
    throw new Refused(Code.MANIFEST_INVALID, "its album is not the link's");
  }
  if (told.album.generation !== album?.generation) {
    throw new Refused(Code.GENERATION_OLD, "its album has other keys by now");
  }
  throw new Refused(Code.MANIFEST_INVALID, "its album's inboxes are not the generation's");
}

/** The inboxes of a shared album's newest generation; null for no album. */
export function inboxesOf(state: LedgerState, albumId: Bytes): AlbumInboxes | null {
  const album = state.albums.get(toHex(albumId));
  if (!album) return null;
  const { number: generation, fullInbox, viewInbox } = generationOf(album);
  return { albumId, generation, fullInbox, viewInbox };
}

function isSameTerms(one: UploadTerms, other: UploadTerms): boolean {
  const isAsMany = one.maxFiles === other.maxFiles && one.maxGuests === other.maxGuests;
  return isAsMany && one.expiresMs === other.expiresMs && one.quotaBytes === other.quotaBytes;
}

function isSameAlbum(one: AlbumInboxes | null, other: AlbumInboxes | null): boolean {
  if (!one || !other) return one === other;
  const isOfAlbum = equal(one.albumId, other.albumId) && one.generation === other.generation;
  return isOfAlbum && equal(one.fullInbox, other.fullInbox) && equal(one.viewInbox, other.viewInbox);
}
