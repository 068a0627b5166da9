/** Identifiers: 16 random bytes, or the SHA-256 that names what it is of; mirror of sync_protocol/ids.py. */

import { randomBytes, sha256, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import { ID_SIZE_BYTES } from "./limits.ts";

/** 16 random bytes: an account, device, asset, rendition, roll, album, link or camera id. */
export function newId(): Bytes {
  return randomBytes(ID_SIZE_BYTES);
}

/** The id of the space that `genesisEntry` (the exact envelope bytes) creates. */
export function spaceId(genesisEntry: Uint8Array): Promise<Bytes> {
  return sha256(context(Label.SPACE_ID, genesisEntry));
}

/** The 16-byte fingerprint of `publicKey` that pairing codes and link addresses carry. */
export async function keyFingerprint(publicKey: Uint8Array): Promise<Bytes> {
  return (await sha256(context(Label.KEY_FINGERPRINT, publicKey))).slice(0, 16);
}
