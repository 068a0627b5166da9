/** Exact sizes of what goes into the primitives; mirror of sealing/sizes.py. */

import { KEY_SIZE_BYTES } from "./limits.ts";
import { Code, Refused } from "./refusals.ts";

/** LENGTH_MISMATCH unless `value` has exactly `sizeBytes`; `what` names it in the detail. */
export function requireSize(value: Uint8Array, sizeBytes: number, what: string): void {
  if (value.length !== sizeBytes) {
    throw new Refused(Code.LENGTH_MISMATCH, `${what} has ${sizeBytes} bytes, not ${value.length}`);
  }
}

/** LENGTH_MISMATCH unless `key` has 32 bytes. */
export function requireKey(key: Uint8Array, what = "a key"): void {
  requireSize(key, KEY_SIZE_BYTES, what);
}
