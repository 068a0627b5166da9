/** Passwords: Argon2id with floors and ceilings, and what derives from it; mirror of sealing/passwords.py.
 *
 * `stretch` takes 64 MiB and about a second, and WebAssembly, which only the Argon2 worker's own policy allows: call it
 * there.
 */

import { argon2id } from "hash-wasm";

import { concat, own, utf8, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import { openBytes, sealBytes } from "./floe.ts";
import { derive } from "./keytree.ts";
import {
  ARGON2_MAX_MEMORY_KIB,
  ARGON2_MAX_PASSES,
  ARGON2_MIN_MEMORY_KIB,
  ARGON2_MIN_PASSES,
  ARGON2_SALT_SIZE_BYTES,
  KEY_SIZE_BYTES,
} from "./limits.ts";
import { Code, Refused } from "./refusals.ts";

export interface Costs {
  readonly memoryKib: number;
  readonly passes: number;
}

export const DEFAULT_COSTS: Costs = { memoryKib: 64 * 1024, passes: 3 };
/** Fixed by the link's version, so that no server can lower them. */
export const LINK_COSTS: Costs = DEFAULT_COSTS;

/** PASSWORD_COST_REFUSED below the floors (a lowered cost) and above the ceilings (a memory bomb). */
export function checkCosts({ memoryKib, passes }: Costs): void {
  const within = (value: number, floor: number, ceiling: number) =>
    Number.isInteger(value) && value >= floor && value <= ceiling;
  if (!within(memoryKib, ARGON2_MIN_MEMORY_KIB, ARGON2_MAX_MEMORY_KIB)) {
    throw new Refused(Code.PASSWORD_COST_REFUSED, `${memoryKib} KiB`);
  }
  if (!within(passes, ARGON2_MIN_PASSES, ARGON2_MAX_PASSES)) {
    throw new Refused(Code.PASSWORD_COST_REFUSED, `${passes} passes`);
  }
}

/** 32 bytes of Argon2id over the password's UTF-8 in NFC, one lane. */
export async function stretch(password: string, salt: Bytes, costs: Costs): Promise<Bytes> {
  checkCosts(costs);
  if (salt.length !== ARGON2_SALT_SIZE_BYTES) throw new Refused(Code.PASSWORD_COST_REFUSED, "salt of another size");
  const stretched = await argon2id({
    password: utf8(password.normalize("NFC")),
    salt,
    parallelism: 1,
    iterations: costs.passes,
    memorySize: costs.memoryKib,
    hashLength: KEY_SIZE_BYTES,
    outputType: "binary",
  });
  return own(stretched);
}

export interface UnlockKeys {
  /** Proves to the server that the password is known. */
  readonly authKey: Bytes;
  /** Wraps the account secret; the server never sees it. */
  readonly wrapKey: Bytes;
}

export async function passwordKeys(stretched: Bytes): Promise<UnlockKeys> {
  return {
    authKey: await derive(stretched, Label.PASSWORD_AUTH),
    wrapKey: await derive(stretched, Label.PASSWORD_WRAP),
  };
}

export async function recoveryKeys(entropy: Bytes): Promise<UnlockKeys & { readonly signingSeed: Bytes }> {
  return {
    authKey: await derive(entropy, Label.RECOVERY_AUTH),
    wrapKey: await derive(entropy, Label.RECOVERY_WRAP),
    signingSeed: await derive(entropy, Label.RECOVERY_SIGNING),
  };
}

export function wrapAccountSecret(
  wrapKey: Bytes,
  accountId: Bytes,
  unlockerKind: string,
  secret: Bytes,
): Promise<Bytes> {
  return sealBytes(wrapKey, context(Label.ACCOUNT_SECRET, accountId, utf8(unlockerKind)), secret);
}

export function unwrapAccountSecret(
  wrapKey: Bytes,
  accountId: Bytes,
  unlockerKind: string,
  wrapped: Uint8Array,
): Promise<Bytes> {
  return openBytes(wrapKey, context(Label.ACCOUNT_SECRET, accountId, utf8(unlockerKind)), wrapped);
}

/** What the two keys of a link with a password derive from (keytree.linkKeyWithPassword, keytree.linkPasswordProof). */
export async function linkPasswordMaterial(base: Bytes, salt: Bytes, password: string): Promise<Bytes> {
  return concat(base, await stretch(password, salt, LINK_COSTS));
}
