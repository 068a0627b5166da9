/** Strict Ed25519: mirror of sync_protocol/signatures.py.
 *
 * What every implementation must agree on, or one insider splits the ledger: canonical encodings, no small-order points,
 * and the equation without a cofactor, R compared byte for byte. WebCrypto's implementations compute that equation but
 * differ in the checks before it, so these are made here.
 */

import { equal, own, type Bytes } from "./bytes.ts";
import { KEY_SIZE_BYTES, SIGNATURE_SIZE_BYTES } from "./limits.ts";
import { Code, Refused } from "./refusals.ts";

/** p = 2^255 − 19 and the group's order, little-endian as in signatures. */
const FIELD_PRIME = littleEndian("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
const GROUP_ORDER = littleEndian("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");

/** The y of the eight points of small order, sign bit cleared: 0, 1, −1 and those of order 8. */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(littleEndian);

function littleEndian(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function isBelow(value: Uint8Array, bound: Uint8Array): boolean {
  for (let i = value.length - 1; i >= 0; i--) {
    if (value[i] !== bound[i]) return value[i]! < bound[i]!;
  }
  return false;
}

function isAcceptablePoint(encoded: Uint8Array): boolean {
  const y = encoded.slice();
  y[31]! &= 0x7f;
  return isBelow(y, FIELD_PRIME) && !SMALL_ORDER.some((small) => equal(small, y));
}

/** Whether sizes and encodings are the ones that signing makes; what is left is the equation itself. */
export function isAcceptable(publicKey: Uint8Array, signature: Uint8Array): boolean {
  return (
    publicKey.length === KEY_SIZE_BYTES &&
    signature.length === SIGNATURE_SIZE_BYTES &&
    isAcceptablePoint(publicKey) &&
    isAcceptablePoint(signature.subarray(0, 32)) &&
    isBelow(signature.subarray(32), GROUP_ORDER)
  );
}

/** Returns if `signature` over `message` is that of `publicKey`; SIGNATURE_INVALID otherwise. */
export async function verify(publicKey: Uint8Array, signature: Uint8Array, message: Uint8Array): Promise<void> {
  if (
    !isAcceptable(publicKey, signature) ||
    !(await isEquationTrue(own(publicKey), own(signature), own(message)))
  ) {
    throw new Refused(Code.SIGNATURE_INVALID);
  }
}

async function isEquationTrue(publicKey: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  if (!(await hasNativeEd25519())) {
    const { isEquationTrueInScript } = await import("./signatures_script.ts");
    return isEquationTrueInScript(publicKey, signature, message);
  }
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
  } catch {
    return false; // not a point
  }
  return crypto.subtle.verify("Ed25519", key, signature, message);
}

let native: Promise<boolean> | undefined;

/** Whether WebCrypto knows Ed25519 here: Chromium since 137, Firefox since 129, Safari since 17. */
function hasNativeEd25519(): Promise<boolean> {
  const basePoint = new Uint8Array(32).fill(0x66);
  basePoint[0] = 0x58;
  native ??= crypto.subtle.importKey("raw", basePoint, "Ed25519", false, ["verify"]).then(
    () => true,
    () => false,
  );
  return native;
}
