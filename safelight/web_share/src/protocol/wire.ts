/** How values become bytes and back: MessagePack for what is signed or sealed, JSON for answers; mirror of
 * sync_protocol/wire.py.
 *
 * Signed bytes are kept and verified exactly as they came; nothing here is ever used to re-encode before verifying. A
 * shape is a function that returns the value it was given, typed, or throws a ShapeError.
 */

import { decode, encode } from "@msgpack/msgpack";

import { own, type Bytes } from "./bytes.ts";
import { fromBase64 } from "./codes.ts";
import { HASH_SIZE_BYTES, ID_SIZE_BYTES } from "./limits.ts";
import { Code, Refused } from "./refusals.ts";

export type Shape<T> = (value: unknown) => T;
export type Shaped<S> = S extends Shape<infer T> ? T : never;
type Fields = Readonly<Record<string, Shape<unknown>>>;
export type Struct<F extends Fields> = { readonly [K in keyof F]: Shaped<F[K]> };

class ShapeError extends Error {}

function expected(what: string): never {
  throw new ShapeError(`expected ${what}`);
}

/** A whole number from 0 to 2^53 − 1. */
export const count: Shape<number> = (value) => {
  const number = typeof value === "bigint" ? Number(value) : value;
  return Number.isSafeInteger(number) && (number as number) >= 0 ? (number as number) : expected("a count");
};

/** A whole number of 64 bits with its sign: nanoseconds need it. */
export const wideInteger: Shape<bigint> = (value) => {
  const wide = Number.isSafeInteger(value) ? BigInt(value as number) : value;
  return typeof wide === "bigint" && BigInt.asIntN(64, wide) === wide ? wide : expected("an integer of 64 bits");
};

/** A whole number from `lowest` to `highest`. */
export function within(lowest: number, highest: number): Shape<number> {
  return (value) =>
    count(value) >= lowest && count(value) <= highest ? count(value) : expected(`${lowest} to ${highest}`);
}

/** A count from 1 on. */
export const ordinal = within(1, Number.MAX_SAFE_INTEGER);

/** A number, whole or not, from `lowest` to `highest`. */
export function real(lowest: number, highest: number): Shape<number> {
  return (value) => {
    const number = typeof value === "bigint" ? Number(value) : value;
    return typeof number === "number" && number >= lowest && number <= highest
      ? number
      : expected(`${lowest} to ${highest}`);
  };
}

/** A whole number from `lowest` to `highest`, below zero too. */
export function integer(lowest: number, highest: number): Shape<number> {
  const inRange = real(lowest, highest);
  return (value) => (Number.isSafeInteger(inRange(value)) ? inRange(value) : expected("a whole number"));
}

export const flag: Shape<boolean> = (value) => (typeof value === "boolean" ? value : expected("true or false"));
export const text: Shape<string> = (value) => (typeof value === "string" ? value : expected("text"));

/** Text of at most so many characters that matches `form`. */
export function pattern(form: RegExp, maxLength: number): Shape<string> {
  return (value) => (text(value).length <= maxLength && form.test(text(value)) ? text(value) : expected(`${form}`));
}

/** Bytes of at least and at most so many; copied, so that no value keeps a whole message alive. */
export function bytes(minSizeBytes = 0, maxSizeBytes = Number.MAX_SAFE_INTEGER): Shape<Bytes> {
  return (value) =>
    value instanceof Uint8Array && value.length >= minSizeBytes && value.length <= maxSizeBytes
      ? own(value.slice())
      : expected(`${minSizeBytes} to ${maxSizeBytes} bytes`);
}

export const id = bytes(ID_SIZE_BYTES, ID_SIZE_BYTES);
export const hash = bytes(HASH_SIZE_BYTES, HASH_SIZE_BYTES);
export const optionalId = bytes(0, ID_SIZE_BYTES);
export const optionalHash = bytes(0, HASH_SIZE_BYTES);

export function oneOf<const T extends string>(...allowed: readonly T[]): Shape<T> {
  return (value) => (allowed.includes(value as T) ? (value as T) : expected(allowed.join(" or ")));
}

export function list<T>(item: Shape<T>, minLength = 0, maxLength = Number.MAX_SAFE_INTEGER): Shape<readonly T[]> {
  return (value) =>
    Array.isArray(value) && value.length >= minLength && value.length <= maxLength
      ? value.map((element) => item(element))
      : expected(`a list of ${minLength} to ${maxLength}`);
}

export function mapOf<T>(item: Shape<T>): Shape<ReadonlyMap<string, T>> {
  return (value) => new Map(Object.entries(object(value)).map(([key, element]) => [key, item(element)]));
}

/** A value that may be absent from a sealed map; `fallback` stands for it then. */
export function optional<T, U = T>(shape: Shape<T>, fallback: U): Shape<T | U> {
  return (value) => (value === undefined ? fallback : shape(value));
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value) => (value === null ? null : shape(value));
}

const object: Shape<Readonly<Record<string, unknown>>> = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
    ? (value as Record<string, unknown>)
    : expected("a map");

/** The shapes of what is signed. */
const SIGNED = new WeakSet<object>();

/** What is signed: an array of exactly these fields, so that no key can be repeated, added or reordered. */
export function signed<F extends Fields>(fields: F): Shape<Struct<F>> {
  const shapes = Object.entries(fields);
  const shape: Shape<Struct<F>> = (value) => {
    if (!Array.isArray(value) || value.length !== shapes.length) expected(`an array of ${shapes.length}`);
    return Object.fromEntries(shapes.map(([name, field], i) => [name, at(name, field, value[i])])) as Struct<F>;
  };
  SIGNED.add(shape);
  return shape;
}

/** What stands inside a sealed part, or in an answer's JSON: a map, whose unknown keys a later version may add. */
export function sealed<F extends Fields>(fields: F): Shape<Struct<F>> {
  const shapes = Object.entries(fields).map(([name, shape]) => [name, wireName(name), shape] as const);
  return (value) => {
    const map = object(value);
    return Object.fromEntries(shapes.map(([name, key, shape]) => [name, at(key, shape, map[key])])) as Struct<F>;
  };
}

function at<T>(name: string, shape: Shape<T>, value: unknown): T {
  try {
    return shape(value);
  } catch (error) {
    throw error instanceof ShapeError ? new ShapeError(`${error.message} at ${name}`) : error;
  }
}

/** `lengthBytes` here is `length_bytes` on the wire. */
function wireName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Decode MessagePack `data` as `shape`; refuses with `code` if it is anything else.
 *
 * What is signed has one encoding, the shortest: decoders differ in what they take beside it, and so could readers.
 */
export function unpack<T>(data: Uint8Array, shape: Shape<T>, code: Code = Code.ENTRY_MALFORMED): T {
  try {
    if (SIGNED.has(shape)) valueEnd(data, 0, requireShortest);
    return shape(decode(data, { useBigInt64: true }));
  } catch (error) {
    throw new Refused(code, error instanceof Error ? error.message : "");
  }
}

/** The bytes of a value that `signed` shaped, in MessagePack's shortest encoding. */
export function packSigned(value: object): Bytes {
  return own(encode(Object.values(value)));
}

/** MessagePack's types of fixed size after the first byte, from 0xca on. */
const FIXED_SIZES_BYTES = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17];

/** The smallest value or length that each type of 1, 2, 4 or 8 bytes is the shortest encoding of. */
const SMALLEST: ReadonlyMap<number, number> = new Map([
  [0xc4, 0], [0xc5, 2 ** 8], [0xc6, 2 ** 16], // bytes
  [0xcc, 2 ** 7], [0xcd, 2 ** 8], [0xce, 2 ** 16], [0xcf, 2 ** 32], // whole numbers
  [0xd9, 2 ** 5], [0xda, 2 ** 8], [0xdb, 2 ** 16], // text
  [0xdc, 2 ** 4], [0xdd, 2 ** 16], // arrays
]);

/** What is signed holds whole numbers, text, bytes, arrays, nil, true and false, each in its shortest encoding. */
function requireShortest(type: number, following: DataView): void {
  const isShort = type < 0x80 || (type >= 0x90 && type < 0xc4 && type !== 0xc1);
  if (isShort) return;
  const smallest = SMALLEST.get(type) ?? expected("a type that is signed");
  const sizeBytes = { 0xc4: 1, 0xcc: 1, 0xd9: 1, 0xc5: 2, 0xcd: 2, 0xda: 2, 0xdc: 2, 0xcf: 8 }[type] ?? 4;
  let stated = 0;
  for (let i = 0; i < sizeBytes; i++) stated = stated * 256 + following.getUint8(i);
  if (stated < smallest) expected("the shortest encoding");
}

/** Where the MessagePack value that begins at `start` ends; RangeError if it does not end, or is none.
 *
 * `check` sees each type and what follows it.
 */
function valueEnd(data: Uint8Array, start: number, check?: (type: number, following: DataView) => void): number {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const lengthAt = (offset: number, sizeBytes: 1 | 2 | 4) =>
    sizeBytes === 1 ? view.getUint8(offset) : sizeBytes === 2 ? view.getUint16(offset) : view.getUint32(offset);
  let offset = start;
  for (let pending = 1; pending > 0; pending--) {
    const type = view.getUint8(offset++);
    check?.(type, new DataView(data.buffer, data.byteOffset + offset, data.length - offset));
    const sizeClass = [1, 2, 4] as const;
    if (type < 0x80 || type >= 0xe0) continue;
    if (type < 0x90) pending += 2 * (type & 15);
    else if (type < 0xa0) pending += type & 15;
    else if (type < 0xc0) offset += type & 31;
    else if (type === 0xc1) throw new RangeError("a type that is none");
    else if (type < 0xc4) continue;
    else if (type < 0xc7) offset += sizeClass[type - 0xc4]! + lengthAt(offset, sizeClass[type - 0xc4]!);
    else if (type < 0xca) offset += 1 + sizeClass[type - 0xc7]! + lengthAt(offset, sizeClass[type - 0xc7]!);
    else if (type < 0xd9) offset += FIXED_SIZES_BYTES[type - 0xca]!;
    else if (type < 0xdc) offset += sizeClass[type - 0xd9]! + lengthAt(offset, sizeClass[type - 0xd9]!);
    else {
      const sizeBytes = type % 2 ? 4 : 2;
      pending += lengthAt(offset, sizeBytes) * (type < 0xde ? 1 : 2);
      offset += sizeBytes;
    }
  }
  if (offset > data.length) throw new RangeError("cut short");
  return offset;
}

/** Read an entry's content, an array of header and body; the body stays bytes, for its shape depends on the header. */
export function unpackContent<T>(data: Uint8Array, header: Shape<T>): { readonly header: T; readonly body: Bytes } {
  const PAIR = 0x92;
  try {
    const headerEnd = valueEnd(data, 1);
    const body = own(data.slice(headerEnd));
    if (data[0] !== PAIR || valueEnd(body, 0) !== body.length) expected("an array of 2");
    return { header: unpack(data.subarray(1, headerEnd), header), body };
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(Code.ENTRY_MALFORMED, error instanceof Error ? error.message : "");
  }
}

/** Bytes as JSON carries them. */
export function base64(minSizeBytes = 0, maxSizeBytes = Number.MAX_SAFE_INTEGER): Shape<Bytes> {
  const sized = bytes(minSizeBytes, maxSizeBytes);
  return (value) => sized(fromBase64(text(value)));
}

/** Take an answer's JSON `document` as `shape`; BAD_REQUEST if the server sent anything else. */
export function takeAnswer<T>(document: unknown, shape: Shape<T>): T {
  try {
    return shape(document);
  } catch (error) {
    throw new Refused(Code.BAD_REQUEST, error instanceof Error ? `the server's answer: ${error.message}` : "");
  }
}
