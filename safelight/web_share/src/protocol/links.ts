/** Links: the address that carries the secret, and the signed manifest that carries the keys; mirror of
 * sync_protocol/links.py (docs/spec/link.md). The fragment never reaches the server.
 */

import { concat, equal, fromHex, sha256, type Bytes } from "./bytes.ts";
import { fromLetters, toLetters } from "./codes.ts";
import { Label, context, uint } from "./contexts.ts";
import { openBytes } from "./floe.ts";
import { keyFingerprint } from "./ids.ts";
import * as keytree from "./keytree.ts";
import { KEY_SIZE_BYTES, MANIFEST_PAGE_ASSETS, MAX_MANIFEST_PAGES } from "./limits.ts";
import { unpad } from "./padding.ts";
import { assetKind, floeHeader, pageRef, renditionName, sealedField } from "./records.ts";
import { Code, Refused } from "./refusals.ts";
import { verify } from "./signatures.ts";
import {
  bytes,
  count,
  flag,
  hash,
  id,
  list,
  oneOf,
  optional,
  sealed,
  signed,
  text,
  unpack,
  type Shape,
  type Shaped,
} from "./wire.ts";

export const LINK_VERSION = 1;
const FLAG_PASSWORD = 1;
const FLAG_UPLOAD = 2;
const FRAGMENT_LENGTH = 61;
const HANDOVER_LENGTH = 26;
const ADDRESS = /\/s\/([0-9a-f]{32})(?:#|%23)?(.*)$/is;
/** What chat programs and mail scanners put around an address. */
const STRAY = new Set(" \t\r\n.,;:!?'\"()<>[]{}*_~\u00ab\u00bb\u2018\u2019\u201c\u201d\u200b\ufeff");

/** What a link's address says: the link, whether it has a password, its secret and who publishes it.
 *
 * An upload link takes pictures and shows none.
 */
export interface LinkAddress {
  readonly linkId: Bytes;
  readonly hasPassword: boolean;
  readonly secret: Bytes;
  readonly publisherFingerprint: Bytes;
  /** Empty, or the 16 bytes that let another browser of the same person in. */
  readonly handover: Bytes;
  readonly isUpload: boolean;
}

function stripStray(address: string): string {
  let start = 0;
  let end = address.length;
  while (start < end && STRAY.has(address[start]!)) start++;
  while (end > start && STRAY.has(address[end - 1]!)) end--;
  return address.slice(start, end);
}

async function checksum(linkId: Bytes, body: Bytes): Promise<Bytes> {
  return (await sha256(context(Label.LINK_CHECKSUM, linkId, body))).slice(0, 4);
}

/** The 61 letters and digits after the `#` (87 with a hand-over token). */
export async function buildFragment(address: LinkAddress): Promise<string> {
  const flags = (address.hasPassword ? FLAG_PASSWORD : 0) | (address.isUpload ? FLAG_UPLOAD : 0);
  const start = Uint8Array.of(LINK_VERSION, flags);
  const body = concat(start, address.secret, address.publisherFingerprint);
  return toLetters(concat(body, await checksum(address.linkId, body))) + toLetters(address.handover);
}

/** Read a fragment, after repairing what is put around addresses on their way.
 *
 * LINK_ADDRESS_CUT for a short one, LINK_ADDRESS_VERSION for a newer one, LINK_ADDRESS_MANGLED for any other.
 */
export async function parseFragment(linkId: Bytes, fragmentText: string): Promise<LinkAddress> {
  const fragment = stripStray(stripStray(fragmentText).replace(/^(?:#|%23)+/i, ""));
  if (fragment.length < FRAGMENT_LENGTH) throw new Refused(Code.LINK_ADDRESS_CUT);
  const whole = fromLetters(fragment.slice(0, FRAGMENT_LENGTH));
  if (!whole || !equal(whole.subarray(34), await checksum(linkId, whole.slice(0, 34)))) {
    throw new Refused(Code.LINK_ADDRESS_MANGLED);
  }
  const flags = whole[1]!;
  const isKnown = [0, FLAG_PASSWORD, FLAG_UPLOAD].includes(flags);
  if (whole[0] !== LINK_VERSION || !isKnown) throw new Refused(Code.LINK_ADDRESS_VERSION);
  return {
    linkId,
    hasPassword: flags === FLAG_PASSWORD,
    secret: whole.slice(2, 18),
    publisherFingerprint: whole.slice(18, 34),
    handover: parseHandover(fragment.slice(FRAGMENT_LENGTH)),
    isUpload: flags === FLAG_UPLOAD,
  };
}

/** Read a whole link, pasted with whatever stands around it; refuses as `parseFragment` does. */
export async function parseAddress(address: string): Promise<LinkAddress> {
  const found = ADDRESS.exec(stripStray(address));
  const linkId = found && fromHex(found[1]!.toLowerCase());
  if (!linkId) throw new Refused(Code.LINK_ADDRESS_CUT);
  return parseFragment(linkId, found[2]!);
}

/** A token that is not whole is passed over: without it the link still opens, at the price of an opening. */
function parseHandover(letters: string): Bytes {
  return (letters.length === HANDOVER_LENGTH && fromLetters(letters)) || new Uint8Array(0);
}

/** What the link's secret gives: the keys to ask with and, once the password is known, to open with. */
export interface LinkKeys {
  readonly accessToken: Bytes;
  readonly linkKey: Bytes;
  /** Only where the link has a password. */
  readonly proof?: Bytes;
}

/** Derive a link's keys. `stretch` is Argon2id in its worker; it is asked only if the link has a password. */
export async function linkKeys(
  address: LinkAddress,
  stretch: (salt: Bytes) => Promise<Bytes>,
): Promise<LinkKeys> {
  const [accessToken, base] = await Promise.all([
    keytree.linkAccessToken(address.secret),
    keytree.linkBase(address.secret),
  ]);
  if (!address.hasPassword) return { accessToken, linkKey: await keytree.linkKey(base) };
  const material = concat(base, await stretch(await keytree.linkPasswordSalt(address.secret)));
  return {
    accessToken,
    linkKey: await keytree.linkKeyWithPassword(material),
    proof: await keytree.linkPasswordProof(material),
  };
}

/** What the publishing key signs: the manifest's number, its pages in order, and the sealed `HeadContent`. */
export const manifestHead = signed({
  version: count,
  linkId: id,
  number: count,
  createdMs: count,
  pages: list(pageRef, 1, MAX_MANIFEST_PAGES),
  sealed: sealedField,
});
export type ManifestHead = Shaped<typeof manifestHead>;

/** What a guest sees first: the title, how many assets there are, and what may be fetched. */
export const headContent = sealed({
  title: text,
  assetCount: count,
  tier: oneOf("view", "full"),
  originals: optional(flag, false),
  label: optional(text, ""),
  expiresMs: optional(count, 0),
});
export type HeadContent = Shaped<typeof headContent>;

/** A rendition that the link shows, with its own key: never the asset's, which would open the others too. */
export const linkRendition = sealed({
  name: renditionName,
  renditionId: id,
  key: bytes(KEY_SIZE_BYTES, KEY_SIZE_BYTES),
  blob: hash,
  sizeBytes: count,
  header: floeHeader,
  lengthBytes: count,
  mediaType: text,
  width: optional(count, 0),
  height: optional(count, 0),
});
export type LinkRendition = Shaped<typeof linkRendition>;

const noBytes: Shape<Bytes> = optional(bytes(), new Uint8Array(0));

/** An asset as the link shows it; `number` is short and stays. The file name is there only with the original. */
export const linkAsset = sealed({
  number: count,
  assetId: id,
  kind: assetKind,
  renditions: list(linkRendition),
  width: optional(count, 0),
  height: optional(count, 0),
  durationMs: optional(count, 0),
  thumbhash: noBytes,
  caption: optional(text, ""),
  takenLocal: optional(text, ""),
  name: optional(text, ""),
});
export type LinkAsset = Shaped<typeof linkAsset>;

const pageContent = sealed({ assets: list(linkAsset, 0, MANIFEST_PAGE_ASSETS) });

/** Verify a manifest's head against the address alone; MANIFEST_INVALID for a substituted one. */
export async function verifyHead(
  address: LinkAddress,
  content: Bytes,
  signature: Bytes,
  publishingKey: Bytes,
): Promise<ManifestHead> {
  if (!equal(await keyFingerprint(publishingKey), address.publisherFingerprint)) {
    throw new Refused(Code.MANIFEST_INVALID, "another key published it");
  }
  try {
    await verify(publishingKey, signature, context(Label.SIGN_MANIFEST, address.linkId, content));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new Refused(Code.MANIFEST_INVALID, "its signature does not match");
  }
  const head = unpack(content, manifestHead, Code.MANIFEST_INVALID);
  if (head.version !== LINK_VERSION || !equal(head.linkId, address.linkId)) {
    throw new Refused(Code.MANIFEST_INVALID, "it belongs to another link");
  }
  return head;
}

/** Check that `blob` is the page that the head names; MANIFEST_INVALID otherwise. */
export async function checkPage(head: ManifestHead, page: number, blob: Uint8Array): Promise<void> {
  const reference = head.pages[page];
  if (!reference || !equal(await sha256(blob), reference.blob)) {
    throw new Refused(Code.MANIFEST_INVALID, `page ${page} is not the one that was signed`);
  }
}

/** Open the sealed content of a verified head. */
export async function openHead(linkKey: Bytes, head: ManifestHead): Promise<HeadContent> {
  const key = await keytree.linkHeadKey(linkKey);
  const packed = unpad(await openBytes(key, context(Label.LINK_HEAD, head.linkId, uint(head.number)), head.sealed));
  return unpack(packed, headContent, Code.MANIFEST_INVALID);
}

/** Check page number `page` (from 0) against the head, open it, and return its assets. */
export async function openPage(
  linkKey: Bytes,
  head: ManifestHead,
  page: number,
  blob: Uint8Array,
): Promise<readonly LinkAsset[]> {
  await checkPage(head, page, blob);
  const key = await keytree.linkPageKey(linkKey, page);
  const place = context(Label.LINK_PAGE, head.linkId, uint(head.number), uint(page));
  return unpack(unpad(await openBytes(key, place, blob)), pageContent, Code.MANIFEST_INVALID).assets;
}
