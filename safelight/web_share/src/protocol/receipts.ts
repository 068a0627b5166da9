/** Receipts: the server's signed promise that an entry stands at a slot and its blobs are durable; mirror of
 * sync_protocol/receipts.py.
 */

import { equal, toHex, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import { Code, Refused } from "./refusals.ts";
import { verify } from "./signatures.ts";
import { count, hash, list, signed, unpack, type Shaped } from "./wire.ts";

const RECEIPT_VERSION = 1;
const MAX_BLOBS = 100_000;

/** What is promised: the entry, its slot and chain there, the server's time, and the blobs that it made durable. */
export const receipt = signed({
  version: count,
  spaceId: hash,
  entryId: hash,
  number: count,
  chain: hash,
  timeMs: count,
  blobs: list(hash, 0, MAX_BLOBS),
});
export type Receipt = Shaped<typeof receipt>;

/** Verify a receipt for exactly this entry and at least these `blobs`; RECEIPT_INVALID otherwise. */
export async function verifyReceipt(
  content: Bytes,
  signature: Bytes,
  serverKey: Bytes,
  expected: { readonly spaceId: Bytes; readonly entryId: Bytes; readonly blobs: readonly Bytes[] },
): Promise<Receipt> {
  try {
    await verify(serverKey, signature, context(Label.SIGN_RECEIPT, content));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new Refused(Code.RECEIPT_INVALID, "its signature is not the server's");
  }
  const given = unpack(content, receipt, Code.RECEIPT_INVALID);
  const isForThis = equal(given.spaceId, expected.spaceId) && equal(given.entryId, expected.entryId);
  if (given.version !== RECEIPT_VERSION || !isForThis) {
    throw new Refused(Code.RECEIPT_INVALID, "it is a receipt for something else");
  }
  const held = new Set(given.blobs.map(toHex));
  if (!expected.blobs.every((blob) => held.has(toHex(blob)))) {
    throw new Refused(Code.RECEIPT_INVALID, "it leaves out a blob");
  }
  return given;
}
