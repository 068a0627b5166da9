/** Shapes take what Python's Structs take, and nothing else. */

import { encode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";

import { linkOpened, refusalOf } from "../src/protocol/messages.ts";
import { fullPart, pageRef, tierOfRendition, viewPart } from "../src/protocol/records.ts";
import { Code } from "../src/protocol/refusals.ts";
import { concat, equal, randomBytes } from "../src/protocol/bytes.ts";
import { count, takeAnswer, unpack, unpackContent } from "../src/protocol/wire.ts";
import { fromBase64, fromLetters, toBase64, toLetters } from "../src/protocol/codes.ts";

const hash = new Uint8Array(32).fill(7);

test("a signed value is exactly its fields in order", () => {
  expect(unpack(encode([hash, 2 ** 40]), pageRef)).toEqual({ blob: hash, sizeBytes: 2 ** 40 });
});

test.each([
  ["one field less", [hash]],
  ["one field more", [hash, 1, 2]],
  ["a map", { blob: hash, size_bytes: 1 }],
  ["text for bytes", ["7".repeat(32), 1]],
  ["a short hash", [hash.subarray(1), 1]],
  ["a negative size", [hash, -1]],
  ["a fraction", [hash, 1.5]],
  ["a flag for a number", [hash, true]],
  ["nothing", null],
])("a signed value with %s is refused", (_, value) => {
  expect(() => unpack(encode(value), pageRef)).toThrow(expect.objectContaining({ code: Code.ENTRY_MALFORMED }));
});

test.each([
  ["a longer array head", [0xdc, 0, 2, 0xc4, 32, ...hash, 1]],
  ["longer bytes", [0x92, 0xc5, 0, 32, ...hash, 1]],
  ["a longer number", [0x92, 0xc4, 32, ...hash, 0xcc, 1]],
  ["a number in eight bytes", [0x92, 0xc4, 32, ...hash, 0xcf, 0, 0, 0, 0, 255, 255, 255, 255]],
  ["a signed number type", [0x92, 0xc4, 32, ...hash, 0xd0, 1]],
  ["a whole fraction", [0x92, 0xc4, 32, ...hash, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]],
  ["a cut number", [0x92, 0xc4, 32, ...hash, 0xcd, 1]],
])("a signed value in another encoding than the shortest is refused: %s", (_, data) => {
  expect(() => unpack(Uint8Array.from(data), pageRef)).toThrow(
    expect.objectContaining({ code: Code.ENTRY_MALFORMED }),
  );
});

test("a signed value of each size of number passes", () => {
  for (const size of [0, 127, 128, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    expect(unpack(encode([hash, size]), pageRef).sizeBytes).toBe(size);
  }
});

test.each([
  ["an array of two in three bytes", [0xdc, 0, 2], [0xc4, 32, ...hash], [5]],
  ["bytes under a length of two bytes", [0x92], [0xc5, 0, 32, ...hash], [5]],
  ["a small number in two bytes", [0x92], [0xc4, 32, ...hash], [0xcc, 5]],
  ["a number of two bytes in eight", [0x92], [0xc4, 32, ...hash], [0xcf, 0, 0, 0, 0, 0, 0, 1, 0]],
  ["a number with a sign", [0x92], [0xc4, 32, ...hash], [0xd0, 5]],
  ["a whole number as a fraction", [0x92], [0xc4, 32, ...hash], [0xca, 0x40, 0xa0, 0, 0]],
])("%s is not how a signed value is written", (_, ...pieces) => {
  const packed = Uint8Array.from(pieces.flat());
  expect(() => unpack(packed, pageRef)).toThrow(expect.objectContaining({ code: Code.ENTRY_MALFORMED }));
});

test("the shortest encoding is taken at each of its borders", () => {
  for (const sizeBytes of [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    expect(unpack(encode([hash, sizeBytes]), pageRef).sizeBytes).toBe(sizeBytes);
  }
});

test("integers of 2^53 or more are refused as counts and kept as nanoseconds", () => {
  const wide = encode([hash, 2n ** 53n], { useBigInt64: true });
  expect(() => unpack(wide, pageRef)).toThrow(expect.objectContaining({ code: Code.ENTRY_MALFORMED }));
  const part = { name: "a", sha256: hash, size_bytes: 1, media_type: "x/y", modified_ns: 1_795_000_000_123_456_789n };
  const full = unpack(encode(part, { useBigInt64: true }), fullPart);
  expect(full.modifiedNs).toBe(1_795_000_000_123_456_789n);
  expect(full.place).toBeNull();
  expect(full.keywords).toEqual([]);
});

test("a sealed value takes its defaults, and passes over keys that a later version added", () => {
  const renditions = { preview: { length_bytes: 5, media_type: "image/webp", new_key: 1 } };
  const view = unpack(encode({ kind: "photo", width: 4000, renditions, later: true }), viewPart);
  expect(view).toMatchObject({ kind: "photo", width: 4000, height: 0, caption: "", takenOffsetMin: null });
  expect(view.renditions.get("preview")).toEqual({ lengthBytes: 5, mediaType: "image/webp", width: 0, height: 0 });
  expect(() => unpack(encode({ kind: "painting" }), viewPart)).toThrow(/photo or video or file at kind/);
});

describe("answers", () => {
  const answer = {
    head: toBase64(hash),
    head_signature: toBase64(new Uint8Array(64)),
    publishing_key: toBase64(hash),
    expires_ms: 5,
    handover: "",
    later: 1,
  };

  test("bytes stand in them as base64", () => {
    expect(takeAnswer(answer, linkOpened)).toMatchObject({ head: hash, expiresMs: 5, handover: new Uint8Array(0) });
    const broken = { ...answer, head: "%" };
    expect(() => takeAnswer(broken, linkOpened)).toThrow(expect.objectContaining({ code: Code.BAD_REQUEST }));
  });

  test("a problem gives its refusal, anything else a server's fault", () => {
    expect(refusalOf({ code: "link-expired", status: 410 })).toMatchObject({ code: Code.LINK_EXPIRED, detail: "" });
    for (const other of [{ code: "from-the-future" }, {}, null, "<html>", []]) {
      expect(refusalOf(other).code).toBe(Code.SERVER_FAULT);
    }
  });
});

test("letters and base64 are canonical", () => {
  for (let size = 0; size < 12; size++) {
    const data = new Uint8Array(size).map((_, i) => 37 * i + 200);
    expect(fromLetters(toLetters(data))).toEqual(data);
    expect(fromLetters(toLetters(data).toUpperCase())).toEqual(data);
    expect(fromBase64(toBase64(data))).toEqual(data);
  }
  for (const broken of ["a", "ab", "abc", "a1", "ä2", "aa aa"]) expect(fromLetters(broken)).toBeUndefined();
});

test("the tier of a rendition", () => {
  expect(tierOfRendition("preview")).toBe("view");
  expect(tierOfRendition("thumbnail")).toBe("view");
  expect(tierOfRendition("original")).toBe("full");
  expect(tierOfRendition("sidecar")).toBe("full");
});

describe("an entry's content", () => {
  const BODIES: readonly unknown[] = [
    0, -1, -33, 127, 128, 300, 70_000, 2 ** 40, -200, -70_000, -(2 ** 40), 1.5, true, false, null,
    "", "short", "x".repeat(40), "x".repeat(300), "x".repeat(70_000),
    new Uint8Array(3), new Uint8Array(300), new Uint8Array(70_000),
    [], [1, [2, [3]]], Array(20).fill("a"), Array(70_000).fill(1),
    {}, { a: 1, b: { c: [1, 2] } }, Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, i])),
    Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i])),
    new Date(5), new Date(2 ** 35), new Date(-1),
  ];

  test("keeps its body's exact bytes, whatever they hold", () => {
    for (const value of BODIES) {
      const body = encode(value);
      const content = unpackContent(concat(Uint8Array.of(0x92), encode(7), body), count);
      expect(content.header).toBe(7);
      expect(equal(content.body, body)).toBe(true);
    }
  });

  test.each([
    ["nothing", []],
    ["no array", [7]],
    ["no body", [0x92, 7]],
    ["one field less", [0x91, 7]],
    ["one field more", [0x93, 7, 7, 7]],
    ["a byte behind", [0x92, 7, 7, 7]],
    ["a body cut short", [0x92, 7, 0xc4, 2, 0]],
    ["a body whose length is cut", [0x92, 7, 0xdd, 0]],
    ["a list that promises more than there is", [0x92, 7, 0xdd, 0xff, 0xff, 0xff, 0xff]],
    ["a type that is none", [0x92, 7, 0xc1]],
    ["another header", [0x92, 0xa1, 0x61, 7]],
  ])("%s is refused", (_, content) => {
    const unpacked = () => unpackContent(Uint8Array.from(content), count);
    expect(unpacked).toThrow(expect.objectContaining({ code: Code.ENTRY_MALFORMED }));
  });

  test("random bytes give a content or a refusal, and no other error", () => {
    for (let i = 0; i < 2000; i++) {
      try {
        unpackContent(concat(Uint8Array.of(0x92), randomBytes(i % 40)), count);
      } catch (error) {
        expect(error).toMatchObject({ code: Code.ENTRY_MALFORMED });
      }
    }
  });
});
