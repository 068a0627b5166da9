/** Content fingerprints: tell that a file was uploaded before, and say nothing outside the space; mirror of
 * sealing/fingerprints.py.
 */

import { blake2b } from "@noble/hashes/blake2.js";

import { own, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import { HASH_SIZE_BYTES } from "./limits.ts";
import { requireKey, requireSize } from "./sizes.ts";

/** Keyed BLAKE2b-256 over context(FINGERPRINT, space id, digest of the original). */
export function contentFingerprint(dedupeKey: Bytes, spaceId: Bytes, sha256: Bytes): Bytes {
  requireKey(dedupeKey);
  requireSize(spaceId, HASH_SIZE_BYTES, "a space id");
  requireSize(sha256, HASH_SIZE_BYTES, "a digest");
  return own(blake2b(context(Label.FINGERPRINT, spaceId, sha256), { key: dedupeKey, dkLen: HASH_SIZE_BYTES }));
}
