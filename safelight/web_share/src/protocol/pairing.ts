/** Pairing codes: what a camera needs to find its space and to trust it; mirror of the reader's side of
 * sync_protocol/pairing.py (docs/spec/keys.md).
 */

import { equal, sha256, type Bytes } from "./bytes.ts";
import { fromLetters } from "./codes.ts";
import { Label, context } from "./contexts.ts";
import type { Head } from "./log.ts";
import { Code, Refused } from "./refusals.ts";

const PAIRING_VERSION = 1;
const PREFIX = "safelight:pair#";
const FIXED_SIZE_BYTES = 1 + 16 + 32 + 8 + 32 + 16 + 32;
const CHECKSUM_SIZE_BYTES = 4;
const MAX_URL_SIZE_BYTES = 1024;

/** What a pairing code says; `head` is the ledger's place at which the camera was certified. */
export interface Pairing {
  readonly serverUrl: string;
  readonly serverFingerprint: Bytes;
  readonly spaceId: Bytes;
  readonly head: Head;
  readonly cameraId: Bytes;
  readonly secret: Bytes;
}

/** Read a pairing code; PAIRING_INVALID for one that is cut, changed or of another version. */
export async function parsePairingUri(uri: string): Promise<Pairing> {
  const stripped = uri.trim();
  const whole = stripped.toLowerCase().startsWith(PREFIX) ? fromLetters(stripped.slice(PREFIX.length)) : undefined;
  const urlSize = (whole?.length ?? 0) - FIXED_SIZE_BYTES - CHECKSUM_SIZE_BYTES;
  if (!whole || urlSize <= 0 || urlSize > MAX_URL_SIZE_BYTES) throw new Refused(Code.PAIRING_INVALID);
  const body = whole.slice(0, -CHECKSUM_SIZE_BYTES);
  const checksum = (await sha256(context(Label.PAIRING_CHECKSUM, body))).slice(0, CHECKSUM_SIZE_BYTES);
  if (!equal(checksum, whole.subarray(body.length))) throw new Refused(Code.PAIRING_INVALID);
  const number = new DataView(body.buffer).getBigUint64(49);
  if (body[0] !== PAIRING_VERSION || number > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new Refused(Code.PAIRING_INVALID, "it was made by a newer Safelight");
  }
  return {
    serverUrl: decodeUrl(body.subarray(FIXED_SIZE_BYTES)),
    serverFingerprint: body.slice(1, 17),
    spaceId: body.slice(17, 49),
    head: { number: Number(number), hash: body.slice(57, 89) },
    cameraId: body.slice(89, 105),
    secret: body.slice(105, 137),
  };
}

function decodeUrl(encoded: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(encoded);
  } catch {
    throw new Refused(Code.PAIRING_INVALID);
  }
}
