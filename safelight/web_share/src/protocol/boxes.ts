/** Boxes: small values under XChaCha20-Poly1305, padded, bound to their exact place; mirror of sealing/boxes.py. */

import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";

import { concat, randomBytes, type Bytes } from "./bytes.ts";
import { pad, unpad } from "./padding.ts";
import { Code, Refused } from "./refusals.ts";
import { requireKey, requireSize } from "./sizes.ts";

export const NONCE_SIZE_BYTES = 24;
const TAG_SIZE_BYTES = 16;

export function randomNonce(): Bytes {
  return randomBytes(NONCE_SIZE_BYTES);
}

/** nonce(24) ‖ ciphertext of the padded `plaintext`; `nonce` must never have been used with `key` before. */
export function sealBox(key: Bytes, associatedData: Bytes, plaintext: Uint8Array, nonce: Bytes = randomNonce()): Bytes {
  requireKey(key);
  requireSize(nonce, NONCE_SIZE_BYTES, "a nonce");
  return concat(nonce, xchacha20poly1305(key, nonce, associatedData).encrypt(pad(plaintext)));
}

/** What `sealBox` sealed; OPEN_FAILED if key, place or bytes are others, PADDING_INVALID if it was not padded so. */
export function openBox(key: Bytes, associatedData: Bytes, sealed: Uint8Array): Bytes {
  requireKey(key);
  if (sealed.length < NONCE_SIZE_BYTES + TAG_SIZE_BYTES) throw new Refused(Code.OPEN_FAILED, "shorter than a box");
  const nonce = sealed.subarray(0, NONCE_SIZE_BYTES);
  let padded: Uint8Array;
  try {
    padded = xchacha20poly1305(key, nonce, associatedData).decrypt(sealed.subarray(NONCE_SIZE_BYTES));
  } catch {
    throw new Refused(Code.OPEN_FAILED);
  }
  return unpad(padded);
}
