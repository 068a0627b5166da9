/** Ed25519 in script: signing, and verifying where WebCrypto does not know it; loaded only then. */

import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";

import { concat, equal, own, type Bytes } from "./bytes.ts";
import { requireKey } from "./sizes.ts";

const { Point } = ed25519;

function toScalar(littleEndian: Uint8Array): bigint {
  let value = 0n;
  for (let i = littleEndian.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(littleEndian[i]!);
  return value;
}

/** S·B − k·A, encoded, is R: the equation without a cofactor, which the library's own `verify` would multiply in.
 *
 * Only for encodings that `signatures.verify` found acceptable.
 */
export function isEquationTrueInScript(publicKey: Bytes, signature: Bytes, message: Bytes): boolean {
  let key: InstanceType<typeof Point>;
  try {
    key = Point.fromBytes(publicKey);
  } catch {
    return false; // not a point
  }
  const r = signature.subarray(0, 32);
  const s = toScalar(signature.subarray(32));
  const k = Point.Fn.create(toScalar(sha512(concat(r, publicKey, message))));
  const expected = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(k));
  return equal(expected.toBytes(), r);
}

/** The public key of a 32-byte seed. */
export function publicKeyOf(seed: Bytes): Bytes {
  requireKey(seed, "a signing seed");
  return own(ed25519.getPublicKey(seed));
}

/** The 64-byte signature over `message`. */
export function sign(seed: Bytes, message: Bytes): Bytes {
  requireKey(seed, "a signing seed");
  return own(ed25519.sign(message, seed));
}
