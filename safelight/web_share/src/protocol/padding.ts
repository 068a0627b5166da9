/** Padding: Padmé sizes, zeros, checked when opened; mirror of sync_protocol/padding.py. */

import { bigEndian, concat, type Bytes } from "./bytes.ts";
import { Code, Refused } from "./refusals.ts";

const LENGTH_SIZE_BYTES = 4;

/** The exponent of the highest power of two in `value`, exact for every whole number below 2^53 as Math.log2 is not. */
function exponentOf(value: number): number {
  return value < 2 ** 32 ? 31 - Math.clz32(value) : 32 + exponentOf(Math.floor(value / 2 ** 32));
}

/** The Padmé size of `sizeBytes`: at most 12 % more, and few sizes left to tell apart (Nikitin et al., PoPETs 2019). */
export function padme(sizeBytes: number): number {
  if (sizeBytes < 2) return sizeBytes;
  const exponent = exponentOf(sizeBytes);
  const exponentBits = exponentOf(exponent) + 1;
  const step = 2 ** Math.max(0, exponent - exponentBits);
  return Math.ceil(sizeBytes / step) * step;
}

/** u32 big-endian length ‖ `data` ‖ zeros, up to the Padmé size of the first two. */
export function pad(data: Uint8Array): Bytes {
  const padded = new Uint8Array(padme(LENGTH_SIZE_BYTES + data.length));
  padded.set(bigEndian(data.length, LENGTH_SIZE_BYTES));
  padded.set(data, LENGTH_SIZE_BYTES);
  return padded;
}

/** What `pad` padded; PADDING_INVALID if length, zeros or size are not exactly what it makes. */
export function unpad(padded: Uint8Array): Bytes {
  if (padded.length < LENGTH_SIZE_BYTES) throw new Refused(Code.PADDING_INVALID, "shorter than its length field");
  const size = new DataView(padded.buffer, padded.byteOffset).getUint32(0);
  const end = LENGTH_SIZE_BYTES + size;
  if (end > padded.length || padme(end) !== padded.length) throw new Refused(Code.PADDING_INVALID, "not of its Padmé size");
  checkZeros(padded.subarray(end));
  return concat(padded.subarray(LENGTH_SIZE_BYTES, end));
}

/** PADDING_INVALID if any byte of `tail`, the padding of a value or of a file, is not zero. */
export function checkZeros(tail: Uint8Array): void {
  if (tail.some((byte) => byte !== 0)) throw new Refused(Code.PADDING_INVALID, "the padding is not zero");
}

/** PADDING_INVALID for a file whose plaintext is not exactly the Padmé size of its real size. */
export function checkFileSize(sizeBytes: number, paddedSizeBytes: number): void {
  if (padme(sizeBytes) !== paddedSizeBytes) {
    throw new Refused(Code.PADDING_INVALID, "the file's padded size does not belong to its size");
  }
}
