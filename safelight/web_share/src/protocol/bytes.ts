/** Bytes: the few operations on them that the protocol needs, in one place. */

/** Bytes of our own, never a view on shared memory: what WebCrypto takes. */
export type Bytes = Uint8Array<ArrayBuffer>;

const HEX = /^(?:[0-9a-f]{2})*$/;

export function concat(...pieces: readonly Uint8Array[]): Bytes {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  const joined = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    joined.set(piece, offset);
    offset += piece.length;
  }
  return joined;
}

/** Whether two byte strings are equal, in a time that says nothing about where they differ. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** The bytes of lower-case hexadecimal `text`; undefined if it is anything else. */
export function fromHex(text: string): Bytes | undefined {
  if (!HEX.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** `value` as `sizeBytes` big-endian bytes; RangeError if it does not fit or is not a whole number that is exact. */
export function bigEndian(value: number, sizeBytes: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a whole number: ${value}`);
  const bytes = new Uint8Array(sizeBytes);
  let rest = value;
  for (let i = sizeBytes - 1; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  if (rest !== 0) throw new RangeError(`${value} does not fit into ${sizeBytes} bytes`);
  return bytes;
}

/** Where randomness comes in; tests of known answers bring their own. */
export type Random = (sizeBytes: number) => Bytes;

export function randomBytes(sizeBytes: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(sizeBytes));
}

/** The same bytes where they already are our own, a copy where they lie in shared memory. */
export function own(bytes: Uint8Array): Bytes {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Bytes) : new Uint8Array(bytes);
}

export async function sha256(...pieces: readonly Uint8Array[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...pieces)));
}
