/** Files: the renditions of an asset, opened whole, as a stream or by range.
 *
 * A blob is FLOE header ‖ segments of the file's bytes, padded with zeros to their Padmé size. Header, stored size and true
 * length come from what was signed, never from the wire.
 */

import { utf8, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import {
  FloeDecryptor,
  HEADER_SIZE_BYTES,
  PLAINTEXT_SEGMENT_SIZE_BYTES,
  SEGMENT_SIZE_BYTES,
  plaintextSizeBytes,
  segmentCount,
} from "./floe.ts";
import { checkFileSize, checkZeros } from "./padding.ts";
import { Code, Refused } from "./refusals.ts";

/** What a reader must know of a rendition; `links.LinkRendition` is one. */
export interface SealedFile {
  readonly name: string;
  readonly renditionId: Bytes;
  readonly key: Bytes;
  readonly sizeBytes: number;
  readonly header: Bytes;
  readonly lengthBytes: number;
}

/** The associated data of a file: ids are random and move with the asset, so that albums and mirrors never touch it. */
export function fileContext(assetId: Bytes, name: string, renditionId: Bytes): Bytes {
  return context(Label.FILE, assetId, utf8(name), renditionId);
}

/** Opens one rendition, segment by segment. */
export class FileReader {
  readonly lengthBytes: number;
  readonly segments: number;
  readonly #sizeBytes: number;
  readonly #decryptor: FloeDecryptor;

  private constructor(file: SealedFile, decryptor: FloeDecryptor) {
    this.lengthBytes = file.lengthBytes;
    this.segments = segmentCount(file.sizeBytes);
    this.#sizeBytes = file.sizeBytes;
    this.#decryptor = decryptor;
  }

  /** PADDING_INVALID if the stored size is not that of the true length; otherwise refuses as FLOE does. */
  static async start(assetId: Bytes, file: SealedFile): Promise<FileReader> {
    checkFileSize(file.lengthBytes, plaintextSizeBytes(file.sizeBytes));
    const place = fileContext(assetId, file.name, file.renditionId);
    return new FileReader(file, await FloeDecryptor.start(file.key, place, file.header));
  }

  /** The file's own bytes in one segment, padding checked and taken off. */
  async openSegment(segmentIndex: number, segment: Uint8Array): Promise<Bytes> {
    const final = segmentIndex === this.segments - 1;
    const plaintext = await this.#decryptor.decryptSegment(segmentIndex, segment, { final });
    const own = Math.max(0, this.lengthBytes - segmentIndex * PLAINTEXT_SEGMENT_SIZE_BYTES);
    if (own >= plaintext.length) return plaintext;
    checkZeros(plaintext.subarray(own));
    return plaintext.slice(0, own);
  }

  /** Which bytes of the blob hold bytes `start` to `end` (exclusive) of the file: whole segments. */
  blobRange(start: number, end: number): { firstSegment: number; endSegment: number; start: number; end: number } {
    const firstSegment = Math.floor(start / PLAINTEXT_SEGMENT_SIZE_BYTES);
    const endSegment = Math.ceil(end / PLAINTEXT_SEGMENT_SIZE_BYTES);
    return {
      firstSegment,
      endSegment,
      start: HEADER_SIZE_BYTES + firstSegment * SEGMENT_SIZE_BYTES,
      end: Math.min(this.#sizeBytes, HEADER_SIZE_BYTES + endSegment * SEGMENT_SIZE_BYTES),
    };
  }

  /** Open segments `firstSegment` to `endSegment` (exclusive) as their bytes arrive in `chunks` of any size.
   *
   * LENGTH_MISMATCH if fewer or more bytes arrive: a stream that stops early never looks complete.
   */
  async *open(
    chunks: AsyncIterable<Uint8Array>,
    firstSegment = 0,
    endSegment = this.segments,
  ): AsyncGenerator<Bytes, void, void> {
    let segmentIndex = firstSegment;
    let segment = new Uint8Array(this.#segmentSize(segmentIndex));
    let filled = 0;
    for await (const chunk of chunks) {
      for (let taken = 0; taken < chunk.length; ) {
        if (segmentIndex === endSegment) throw new Refused(Code.LENGTH_MISMATCH, "more than was signed");
        const piece = chunk.subarray(taken, taken + segment.length - filled);
        segment.set(piece, filled);
        taken += piece.length;
        filled += piece.length;
        if (filled < segment.length) continue;
        yield await this.openSegment(segmentIndex++, segment);
        segment = new Uint8Array(this.#segmentSize(segmentIndex));
        filled = 0;
      }
    }
    if (segmentIndex !== endSegment) throw new Refused(Code.LENGTH_MISMATCH, "less than was signed");
  }

  #segmentSize(segmentIndex: number): number {
    const body = this.#sizeBytes - HEADER_SIZE_BYTES;
    return Math.max(0, Math.min(SEGMENT_SIZE_BYTES, body - segmentIndex * SEGMENT_SIZE_BYTES));
  }
}

/** Open a whole blob that is in memory: a preview or a thumbnail. */
export async function openFile(assetId: Bytes, file: SealedFile, blob: Uint8Array): Promise<Bytes> {
  if (blob.length !== file.sizeBytes) throw new Refused(Code.LENGTH_MISMATCH, "not of the size that was signed");
  const reader = await FileReader.start(assetId, file);
  const whole = new Uint8Array(file.lengthBytes);
  for (let i = 0; i < reader.segments; i++) {
    const start = HEADER_SIZE_BYTES + i * SEGMENT_SIZE_BYTES;
    const piece = await reader.openSegment(i, blob.subarray(start, start + SEGMENT_SIZE_BYTES));
    if (piece.length) whole.set(piece, i * PLAINTEXT_SEGMENT_SIZE_BYTES);
  }
  return whole;
}
