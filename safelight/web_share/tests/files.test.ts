/** Files: opened whole, as a stream of any chunks, and by range, against what was signed. */

import { describe, expect, test } from "vitest";

import { concat, equal, randomBytes, type Bytes } from "../src/protocol/bytes.ts";
import { FileReader, fileContext, openFile, type SealedFile } from "../src/protocol/files.ts";
import { HEADER_SIZE_BYTES, PLAINTEXT_SEGMENT_SIZE_BYTES, SEGMENT_SIZE_BYTES, sealBytes } from "../src/protocol/floe.ts";
import { newId } from "../src/protocol/ids.ts";
import { padme } from "../src/protocol/padding.ts";
import { Code } from "../src/protocol/refusals.ts";

const assetId = newId();

async function seal(lengthBytes: number): Promise<{ content: Bytes; file: SealedFile; blob: Bytes }> {
  const content = new Uint8Array(lengthBytes).map((_, i) => (i * 7919) >> 3);
  const [key, renditionId] = [randomBytes(32), newId()];
  const padded = new Uint8Array(padme(lengthBytes));
  padded.set(content);
  const blob = await sealBytes(key, fileContext(assetId, "original", renditionId), padded);
  const header = blob.slice(0, HEADER_SIZE_BYTES);
  return { content, blob, file: { name: "original", renditionId, key, sizeBytes: blob.length, header, lengthBytes } };
}

async function* chunks(body: Uint8Array, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < body.length; offset += sizeBytes) yield body.subarray(offset, offset + sizeBytes);
}

async function collect(pieces: AsyncIterable<Bytes>): Promise<Bytes> {
  const collected: Bytes[] = [];
  for await (const piece of pieces) collected.push(piece);
  return concat(...collected);
}

// Around a segment's end, and where the padding alone fills a segment.
const SIZES = [0, 1, 5000, PLAINTEXT_SEGMENT_SIZE_BYTES, PLAINTEXT_SEGMENT_SIZE_BYTES + 1, 600_000, 8_400_000];

describe.each(SIZES)("a file of %d bytes", (lengthBytes) => {
  test("opens whole and as a stream of any chunks", async () => {
    const { content, file, blob } = await seal(lengthBytes);
    expect(equal(await openFile(assetId, file, blob), content)).toBe(true);
    const reader = await FileReader.start(assetId, file);
    for (const sizeBytes of [65_536, 100_003, blob.length]) {
      const body = blob.subarray(HEADER_SIZE_BYTES);
      expect(equal(await collect(reader.open(chunks(body, sizeBytes))), content)).toBe(true);
    }
  });
});

test("a range opens from its own segments alone", async () => {
  const { content, file, blob } = await seal(1_000_000);
  const reader = await FileReader.start(assetId, file);
  for (const [start, end] of [[0, 1], [300_000, 700_000], [999_999, 1_000_000]] as const) {
    const range = reader.blobRange(start, end);
    const body = blob.subarray(range.start, range.end);
    const opened = await collect(reader.open(chunks(body, 10_000), range.firstSegment, range.endSegment));
    const skipped = range.firstSegment * PLAINTEXT_SEGMENT_SIZE_BYTES;
    expect(equal(opened.subarray(start - skipped, end - skipped), content.subarray(start, end))).toBe(true);
  }
});

describe("a stream that is not what was signed", () => {
  const refusal = async (change: (body: Bytes) => Bytes) => {
    const { file, blob } = await seal(600_000);
    const reader = await FileReader.start(assetId, file);
    return collect(reader.open(chunks(change(blob.slice(HEADER_SIZE_BYTES)), 50_000)));
  };

  test.each<[string, (body: Bytes) => Bytes, Code]>([
    ["cut inside a segment", (body) => body.slice(0, 300_000), Code.LENGTH_MISMATCH],
    ["cut at a segment's end", (body) => body.slice(0, SEGMENT_SIZE_BYTES), Code.LENGTH_MISMATCH],
    ["followed by one byte", (body) => concat(body, Uint8Array.of(0)), Code.LENGTH_MISMATCH],
    ["empty", () => new Uint8Array(0), Code.LENGTH_MISMATCH],
    [
      "in another order",
      (body) => {
        const [first, second] = [body.slice(0, SEGMENT_SIZE_BYTES), body.slice(SEGMENT_SIZE_BYTES, 2 * SEGMENT_SIZE_BYTES)];
        return concat(second, first, body.slice(2 * SEGMENT_SIZE_BYTES));
      },
      Code.OPEN_FAILED,
    ],
  ])("%s", async (_, change, code) => {
    await expect(refusal(change)).rejects.toMatchObject({ code });
  });

  test("of another size than signed, whole", async () => {
    const { file, blob } = await seal(1000);
    const opened = openFile(assetId, file, blob.slice(0, -1));
    await expect(opened).rejects.toMatchObject({ code: Code.LENGTH_MISMATCH });
  });
});
