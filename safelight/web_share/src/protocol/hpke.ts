/** Sealing to a public key: HPKE base mode, hybrid post-quantum; mirror of sealing/hpke.py.
 *
 * X-Wing (MLKEM768-X25519), HKDF-SHA-256, ChaCha20-Poly1305, empty associated data: everything is bound in `info`. It is
 * the heaviest file here and a guest's page needs none of it: import it dynamically.
 */

import { Chacha20Poly1305 } from "@hpke/chacha20poly1305";
import { CipherSuite, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";

import { concat, own, type Bytes } from "./bytes.ts";
import { INBOX_KEY_SIZE_BYTES } from "./limits.ts";
import { Code, Refused } from "./refusals.ts";
import { requireKey } from "./sizes.ts";

export const ENCAPSULATION_SIZE_BYTES = 1120;
const TAG_SIZE_BYTES = 16;

const suite = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Chacha20Poly1305() });

/** The public key (1216 bytes) of `seed`: 32 bytes of HKDF output, expanded by X-Wing itself, never by DeriveKeyPair. */
export async function publicKeyOf(seed: Bytes): Promise<Bytes> {
  return new Uint8Array(await suite.kem.serializePublicKey((await keyPair(seed)).publicKey));
}

/** enc(1120) ‖ ciphertext of `plaintext` for whoever has the seed of `publicKey`.
 *
 * FORMAT_UNSUPPORTED for what is not a public key of this kind, or one that anybody could open for.
 */
export async function seal(publicKey: Bytes, info: Bytes, plaintext: Bytes): Promise<Bytes> {
  if (publicKey.length !== INBOX_KEY_SIZE_BYTES) throw new Refused(Code.FORMAT_UNSUPPORTED, "not an inbox key");
  const sender = await startSealing(publicKey, info);
  const ciphertext = new Uint8Array(await sender.seal(plaintext));
  return concat(new Uint8Array(sender.enc), ciphertext);
}

async function startSealing(publicKey: Bytes, info: Bytes) {
  try {
    const recipientPublicKey = await suite.kem.deserializePublicKey(publicKey);
    return await suite.createSenderContext({ recipientPublicKey, info });
  } catch {
    // A coefficient out of range, or an X25519 point of small order, whose shared secret anyone knows.
    throw new Refused(Code.FORMAT_UNSUPPORTED, "this is not a public key to seal to");
  }
}

/** What `seal` sealed; OPEN_FAILED if seed, info or bytes are others. */
export async function openSealed(seed: Bytes, info: Bytes, sealed: Uint8Array): Promise<Bytes> {
  const { privateKey } = await keyPair(seed);
  if (sealed.length < ENCAPSULATION_SIZE_BYTES + TAG_SIZE_BYTES) throw new Refused(Code.OPEN_FAILED, "too short");
  const enc = own(sealed.slice(0, ENCAPSULATION_SIZE_BYTES));
  const ciphertext = own(sealed.slice(ENCAPSULATION_SIZE_BYTES));
  try {
    const recipient = await suite.createRecipientContext({ recipientKey: privateKey, enc, info });
    return new Uint8Array(await recipient.open(ciphertext));
  } catch {
    throw new Refused(Code.OPEN_FAILED);
  }
}

async function keyPair(seed: Bytes): Promise<CryptoKeyPair> {
  requireKey(seed, "a sealing seed");
  const privateKey = await suite.kem.deserializePrivateKey(seed);
  const kem = suite.kem as XWing;
  return { privateKey, publicKey: (await kem.generateKeyPairDerand(seed)).publicKey };
}
