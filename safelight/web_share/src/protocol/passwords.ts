/** Passwords: Argon2id with floors and ceilings, and what derives from it; mirror of sealing/passwords.py.
 *
 * `stretch` takes 64 MiB and about a second, and WebAssembly, which only the Argon2 worker's own policy allows: call it
 * there.
 */

import { argon2id } from "hash-wasm";

import { own, randomBytes, utf8, type Bytes, type Random } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import { openBytes, sealBytes } from "./floe.ts";
import { derive } from "./keytree.ts";
import {
  ARGON2_MAX_MEMORY_KIB,
  ARGON2_MAX_PASSES,
  ARGON2_MIN_MEMORY_KIB,
  ARGON2_MIN_PASSES,
  ARGON2_SALT_SIZE_BYTES,
  HASH_SIZE_BYTES,
  ID_SIZE_BYTES,
  KEY_SIZE_BYTES,
} from "./limits.ts";
import { Code, Refused } from "./refusals.ts";
import { requireKey, requireSize } from "./sizes.ts";

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

/** 32 bytes of Argon2id over the password's UTF-8 in NFC, one lane.
 *
 * Refuses costs as `checkCosts`, a salt of another size than 16 bytes with LENGTH_MISMATCH, and what is no text or empty
 * with BAD_REQUEST.
 */
export async function stretch(password: string, salt: Bytes, costs: Costs): Promise<Bytes> {
  checkCosts(costs);
  requireSize(salt, ARGON2_SALT_SIZE_BYTES, "a salt");
  if (!password) throw new Refused(Code.BAD_REQUEST, "the password is empty");
  if (/\p{Surrogate}/u.test(password)) throw new Refused(Code.BAD_REQUEST, "the password is not valid text");
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
  requireKey(stretched, "a stretched password");
  return {
    authKey: await derive(stretched, Label.PASSWORD_AUTH),
    wrapKey: await derive(stretched, Label.PASSWORD_WRAP),
  };
}

export async function recoveryKeys(entropy: Bytes): Promise<UnlockKeys & { readonly signingSeed: Bytes }> {
  requireKey(entropy, "recovery entropy");
  return {
    authKey: await derive(entropy, Label.RECOVERY_AUTH),
    wrapKey: await derive(entropy, Label.RECOVERY_WRAP),
    signingSeed: await derive(entropy, Label.RECOVERY_SIGNING),
  };
}

/** The account secret sealed for one unlocker of one account.
 *
 * FLOE commits to the key: a server cannot make one wrapped secret that opens under many guessed passwords.
 */
export async function wrapAccountSecret(
  wrapKey: Bytes,
  accountId: Bytes,
  unlockerKind: string,
  secret: Bytes,
  random: Random = randomBytes,
): Promise<Bytes> {
  requireKey(secret, "an account secret");
  return sealBytes(wrapKey, unlockerContext(accountId, unlockerKind), secret, { random });
}

/** The reverse; LENGTH_MISMATCH if what was wrapped is no account secret. */
export async function unwrapAccountSecret(
  wrapKey: Bytes,
  accountId: Bytes,
  unlockerKind: string,
  wrapped: Uint8Array,
): Promise<Bytes> {
  const secret = await openBytes(wrapKey, unlockerContext(accountId, unlockerKind), wrapped);
  requireKey(secret, "an account secret");
  return secret;
}

/** An account's secret of the vault with the genesis `nonce`, sealed under `keytree.vaultWrapKey`. */
export async function wrapVaultSecret(
  wrapKey: Bytes,
  accountId: Bytes,
  nonce: Bytes,
  secret: Bytes,
  random: Random = randomBytes,
): Promise<Bytes> {
  requireKey(secret, "a vault secret");
  return sealBytes(wrapKey, vaultContext(accountId, nonce), secret, { random });
}

/** The reverse; LENGTH_MISMATCH if what was wrapped is no vault secret. */
export async function unwrapVaultSecret(
  wrapKey: Bytes,
  accountId: Bytes,
  nonce: Bytes,
  wrapped: Uint8Array,
): Promise<Bytes> {
  const secret = await openBytes(wrapKey, vaultContext(accountId, nonce), wrapped);
  requireKey(secret, "a vault secret");
  return secret;
}

function vaultContext(accountId: Bytes, nonce: Bytes): Bytes {
  requireSize(accountId, ID_SIZE_BYTES, "an account id");
  requireSize(nonce, HASH_SIZE_BYTES, "a space's nonce");
  return context(Label.VAULT_SECRET, accountId, nonce);
}

function unlockerContext(accountId: Bytes, unlockerKind: string): Bytes {
  requireSize(accountId, ID_SIZE_BYTES, "an account id");
  return context(Label.ACCOUNT_SECRET, accountId, utf8(unlockerKind));
}
