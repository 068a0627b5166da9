/** FLOE (c2sp.org/FLOE): files, and everything under a password-derived key; mirror of sealing/floe.py.
 *
 * AES-256-GCM under keys from HKDF-Expand-SHA-384, in encrypted segments of 256 KiB that open in any order. Every check
 * that the specification asks of a decryptor is made here: parameters, header tag, segment length, position, finality.
 *
 * What fails how: other parameters are FORMAT_UNSUPPORTED; a total size that sealing never makes is LENGTH_MISMATCH;
 * everything else (another key, place or position, changed, cut or added bytes) is OPEN_FAILED.
 */

import { bigEndian, concat, equal, own, randomBytes, utf8, type Bytes, type Random } from "./bytes.ts";
import { KEY_SIZE_BYTES, MAX_BLOB_SIZE_BYTES } from "./limits.ts";
import { Code, Refused } from "./refusals.ts";
import { requireKey, requireSize } from "./sizes.ts";

const IV_SIZE_BYTES = 32;
const PARAMETERS_SIZE_BYTES = 10;
const HEADER_TAG_SIZE_BYTES = 32;
const MESSAGE_KEY_SIZE_BYTES = 48;
const LENGTH_SIZE_BYTES = 4;
const AEAD_IV_SIZE_BYTES = 12;
const AEAD_TAG_SIZE_BYTES = 16;
const NOT_FINAL = 0xffffffff;

export const HEADER_SIZE_BYTES = PARAMETERS_SIZE_BYTES + IV_SIZE_BYTES + HEADER_TAG_SIZE_BYTES;
export const SEGMENT_OVERHEAD_BYTES = LENGTH_SIZE_BYTES + AEAD_IV_SIZE_BYTES + AEAD_TAG_SIZE_BYTES;
export const SEGMENT_SIZE_BYTES = 262_144;
export const PLAINTEXT_SEGMENT_SIZE_BYTES = SEGMENT_SIZE_BYTES - SEGMENT_OVERHEAD_BYTES;
const MAX_SEGMENTS = MAX_BLOB_SIZE_BYTES / SEGMENT_SIZE_BYTES;

/** Only the public known-answer tests use other parameters than those of Safelight. */
export interface Parameters {
  readonly segmentSizeBytes: number;
  /** 2^this many segments share one AES key. */
  readonly rotationBits: number;
}

interface SealOptions {
  /** Gives the IV of 32 bytes and then 12 bytes a segment. */
  readonly random?: Random;
  readonly parameters?: Parameters;
}

const SAFELIGHT: Parameters = { segmentSizeBytes: SEGMENT_SIZE_BYTES, rotationBits: 20 };

function encodeParameters(parameters: Parameters): Bytes {
  return concat(Uint8Array.of(0, 0), bigEndian(parameters.segmentSizeBytes, 4), bigEndian(IV_SIZE_BYTES, 4));
}

/** The size of what `plaintextSizeBytes` become, header included; TOO_LARGE for what exceeds a blob's limit. */
export function sealedSizeBytes(plaintextSizeBytes: number, parameters = SAFELIGHT): number {
  const perSegment = parameters.segmentSizeBytes - SEGMENT_OVERHEAD_BYTES;
  const segments = Math.max(1, Math.ceil(plaintextSizeBytes / perSegment));
  if (plaintextSizeBytes < 0 || segments > MAX_SEGMENTS) throw new Refused(Code.TOO_LARGE, "not a size to seal");
  return HEADER_SIZE_BYTES + plaintextSizeBytes + segments * SEGMENT_OVERHEAD_BYTES;
}

/** How many segments a blob of `sealedSize` bytes has; LENGTH_MISMATCH if no blob has that size. */
export function segmentCount(sealedSize: number, parameters = SAFELIGHT): number {
  const body = sealedSize - HEADER_SIZE_BYTES;
  const segments = Math.ceil(body / parameters.segmentSizeBytes);
  const last = body - (segments - 1) * parameters.segmentSizeBytes;
  if (body < SEGMENT_OVERHEAD_BYTES || last < SEGMENT_OVERHEAD_BYTES) {
    throw new Refused(Code.LENGTH_MISMATCH, "not a size that sealing makes");
  }
  if (segments > MAX_SEGMENTS) throw new Refused(Code.TOO_LARGE, "more segments than are ever sealed");
  return segments;
}

/** The size of the plaintext in a blob of `sealedSize` bytes; refuses as `segmentCount` does. */
export function plaintextSizeBytes(sealedSize: number): number {
  return sealedSize - HEADER_SIZE_BYTES - segmentCount(sealedSize) * SEGMENT_OVERHEAD_BYTES;
}

/** The keys of one message: derived once from key, IV and associated data, then one AES key per rotation. */
class MessageKeys {
  readonly #prefix: Bytes;
  readonly #associatedData: Bytes;
  readonly #messageKey: CryptoKey;
  readonly #rotationBits: number;
  readonly #segmentKeys = new Map<number, Promise<CryptoKey>>();

  private constructor(prefix: Bytes, associatedData: Bytes, messageKey: CryptoKey, rotationBits: number) {
    this.#prefix = prefix;
    this.#associatedData = associatedData;
    this.#messageKey = messageKey;
    this.#rotationBits = rotationBits;
  }

  /** `prefix` is the header without its tag: parameters ‖ IV. Returns that tag, too. */
  static async derive(key: Bytes, prefix: Bytes, associatedData: Bytes, rotationBits: number) {
    requireKey(key);
    const hmac = await importHmac(key);
    const headerTag = await expand(hmac, prefix, utf8("HEADER_TAG:"), associatedData, HEADER_TAG_SIZE_BYTES);
    const messageKey = await expand(hmac, prefix, utf8("MESSAGE_KEY:"), associatedData, MESSAGE_KEY_SIZE_BYTES);
    const keys = new MessageKeys(prefix, associatedData, await importHmac(messageKey), rotationBits);
    return { headerTag, keys };
  }

  segmentKey(segmentIndex: number): Promise<CryptoKey> {
    const rotation = 2 ** this.#rotationBits;
    const first = Math.floor(segmentIndex / rotation) * rotation;
    let known = this.#segmentKeys.get(first);
    if (!known) {
      known = this.#deriveSegmentKey(first);
      this.#segmentKeys.set(first, known);
    }
    return known;
  }

  async #deriveSegmentKey(first: number): Promise<CryptoKey> {
    const purpose = concat(utf8("DEK:"), bigEndian(first, 8));
    const bytes = await expand(this.#messageKey, this.#prefix, purpose, this.#associatedData, KEY_SIZE_BYTES);
    return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
  }
}

function importHmac(key: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-384" }, false, ["sign"]);
}

/** HKDF-Expand for at most one block of SHA-384; WebCrypto's HKDF would extract first, which FLOE does not. */
async function expand(
  hmac: CryptoKey,
  prefix: Bytes,
  purpose: Bytes,
  associatedData: Bytes,
  sizeBytes: number,
): Promise<Bytes> {
  const block = await crypto.subtle.sign("HMAC", hmac, concat(prefix, purpose, associatedData, Uint8Array.of(1)));
  return new Uint8Array(block, 0, sizeBytes).slice();
}

function segmentAlgorithm(iv: Bytes, segmentIndex: number, final: boolean): AesGcmParams {
  const additionalData = concat(bigEndian(segmentIndex, 8), Uint8Array.of(final ? 1 : 0));
  return { name: "AES-GCM", iv, additionalData, tagLength: 8 * AEAD_TAG_SIZE_BYTES };
}

/** Seals one message, segment after segment. */
export class FloeEncryptor {
  readonly header: Bytes;
  readonly #keys: MessageKeys;
  readonly #parameters: Parameters;
  readonly #random: Random;
  #nextSegment = 0;
  #closed = false;

  private constructor(header: Bytes, keys: MessageKeys, parameters: Parameters, random: Random) {
    this.header = header;
    this.#keys = keys;
    this.#parameters = parameters;
    this.#random = random;
  }

  static async start(
    key: Bytes,
    associatedData: Bytes,
    { random = randomBytes, parameters = SAFELIGHT }: SealOptions = {},
  ): Promise<FloeEncryptor> {
    const iv = random(IV_SIZE_BYTES);
    requireSize(iv, IV_SIZE_BYTES, "an iv");
    const prefix = concat(encodeParameters(parameters), iv);
    const { headerTag, keys } = await MessageKeys.derive(key, prefix, associatedData, parameters.rotationBits);
    return new FloeEncryptor(concat(prefix, headerTag), keys, parameters, random);
  }

  /** The next sealed segment; every one but the final takes exactly the plaintext segment size. */
  async encryptSegment(plaintext: Uint8Array, { final }: { final: boolean }): Promise<Bytes> {
    const room = this.#parameters.segmentSizeBytes - SEGMENT_OVERHEAD_BYTES;
    if (final ? plaintext.length > room : plaintext.length !== room) {
      throw new Refused(Code.LENGTH_MISMATCH, "all segments but the last are full");
    }
    if (this.#closed) throw new Refused(Code.LENGTH_MISMATCH, "the last segment was sealed already");
    if (this.#nextSegment >= MAX_SEGMENTS - (final ? 0 : 1)) {
      throw new Refused(Code.TOO_LARGE, "more segments than are ever sealed");
    }
    const segmentIndex = this.#nextSegment++;
    this.#closed = final;
    const iv = this.#random(AEAD_IV_SIZE_BYTES);
    const segmentKey = await this.#keys.segmentKey(segmentIndex);
    const algorithm = segmentAlgorithm(iv, segmentIndex, final);
    const sealed = new Uint8Array(await crypto.subtle.encrypt(algorithm, segmentKey, own(plaintext)));
    const length = final ? SEGMENT_OVERHEAD_BYTES + plaintext.length : NOT_FINAL;
    return concat(bigEndian(length, LENGTH_SIZE_BYTES), iv, sealed);
  }
}

/** Opens one message, its segments in any order. */
export class FloeDecryptor {
  readonly #keys: MessageKeys;
  readonly #parameters: Parameters;

  private constructor(keys: MessageKeys, parameters: Parameters) {
    this.#keys = keys;
    this.#parameters = parameters;
  }

  /** FORMAT_UNSUPPORTED for any parameters but ours; OPEN_FAILED if key, associated data or header are others. */
  static async start(
    key: Bytes,
    associatedData: Bytes,
    header: Uint8Array,
    { parameters = SAFELIGHT }: { parameters?: Parameters } = {},
  ): Promise<FloeDecryptor> {
    if (header.length !== HEADER_SIZE_BYTES) throw new Refused(Code.OPEN_FAILED, "not a whole header");
    const prefix = concat(header.subarray(0, PARAMETERS_SIZE_BYTES + IV_SIZE_BYTES));
    if (!equal(prefix.subarray(0, PARAMETERS_SIZE_BYTES), encodeParameters(parameters))) {
      throw new Refused(Code.FORMAT_UNSUPPORTED, "other FLOE parameters");
    }
    const { headerTag, keys } = await MessageKeys.derive(key, prefix, associatedData, parameters.rotationBits);
    if (!equal(headerTag, header.subarray(prefix.length))) throw new Refused(Code.OPEN_FAILED, "header");
    return new FloeDecryptor(keys, parameters);
  }

  /** The plaintext of one segment.
   *
   * `final` comes from the size that the signed record states, never from the wire: a segment that calls itself
   * final elsewhere, or does not at the end, is OPEN_FAILED (truncation).
   */
  async decryptSegment(segmentIndex: number, segment: Uint8Array, { final }: { final: boolean }): Promise<Bytes> {
    const size = this.#parameters.segmentSizeBytes;
    const sizeFits = final ? segment.length >= SEGMENT_OVERHEAD_BYTES && segment.length <= size : segment.length === size;
    if (!sizeFits || segmentIndex < 0 || segmentIndex >= MAX_SEGMENTS) throw new Refused(Code.OPEN_FAILED, "segment size");
    const length = new DataView(segment.buffer, segment.byteOffset).getUint32(0);
    if (length !== (final ? segment.length : NOT_FINAL)) throw new Refused(Code.OPEN_FAILED, "segment length");
    const iv = own(segment.subarray(LENGTH_SIZE_BYTES, LENGTH_SIZE_BYTES + AEAD_IV_SIZE_BYTES));
    const sealed = own(segment.subarray(LENGTH_SIZE_BYTES + AEAD_IV_SIZE_BYTES));
    const segmentKey = await this.#keys.segmentKey(segmentIndex);
    try {
      return new Uint8Array(await crypto.subtle.decrypt(segmentAlgorithm(iv, segmentIndex, final), segmentKey, sealed));
    } catch {
      throw new Refused(Code.OPEN_FAILED, "segment");
    }
  }
}

/** Header and segments of `plaintext`. */
export async function sealBytes(
  key: Bytes,
  associatedData: Bytes,
  plaintext: Uint8Array,
  options: SealOptions = {},
): Promise<Bytes> {
  const encryptor = await FloeEncryptor.start(key, associatedData, options);
  const room = (options.parameters ?? SAFELIGHT).segmentSizeBytes - SEGMENT_OVERHEAD_BYTES;
  const pieces = [encryptor.header];
  let offset = 0;
  for (; plaintext.length - offset > room; offset += room) {
    pieces.push(await encryptor.encryptSegment(plaintext.subarray(offset, offset + room), { final: false }));
  }
  pieces.push(await encryptor.encryptSegment(plaintext.subarray(offset), { final: true }));
  return concat(...pieces);
}

/** What `sealBytes` sealed. */
export async function openBytes(
  key: Bytes,
  associatedData: Bytes,
  sealed: Uint8Array,
  { parameters = SAFELIGHT }: { parameters?: Parameters } = {},
): Promise<Bytes> {
  const header = sealed.subarray(0, HEADER_SIZE_BYTES);
  const decryptor = await FloeDecryptor.start(key, associatedData, header, { parameters });
  const segments = segmentCount(sealed.length, parameters);
  const pieces: Bytes[] = [];
  for (let i = 0; i < segments; i++) {
    const start = HEADER_SIZE_BYTES + i * parameters.segmentSizeBytes;
    const segment = sealed.subarray(start, start + parameters.segmentSizeBytes);
    pieces.push(await decryptor.decryptSegment(i, segment, { final: i === segments - 1 }));
  }
  return concat(...pieces);
}
