/** The log: signed entries, the chain that holds them in order, and the checks that find a dropped or forked history;
 * mirror of the reader's side of sync_protocol/log.py (docs/spec/log.md).
 */

import { equal, own, sha256, toHex, type Bytes } from "./bytes.ts";
import { Label, context, uint } from "./contexts.ts";
import { HASH_SIZE_BYTES, MAX_ENTRY_SIZE_BYTES, SIGNATURE_SIZE_BYTES } from "./limits.ts";
import { Code, Refused } from "./refusals.ts";
import { verify } from "./signatures.ts";
import {
  bytes,
  count,
  flag,
  hash,
  id,
  optionalHash,
  ordinal,
  pattern,
  signed,
  unpack,
  unpackContent,
  type Shape,
  type Shaped,
} from "./wire.ts";

export const ENTRY_VERSION = 1;
const FRAME_LENGTH_SIZE_BYTES = 4;

/** A place in a log or ledger: its number and the hash there; (0, empty) before the first entry. */
export const head = signed({ number: count, hash: optionalHash });
export type Head = Shaped<typeof head>;

export const kind = pattern(/^[a-z]+(\.[a-z-]+)+$/, 40);

/** What every entry says of itself, under its signature. */
export const header = signed({
  version: count,
  critical: flag,
  kind,
  spaceId: optionalHash,
  authorId: id,
  deviceId: id,
  counter: ordinal,
  previousId: optionalHash,
  ledger: head,
  log: head,
  signedMs: count,
});
export type Header = Shaped<typeof header>;

export const signatureBytes = bytes(SIGNATURE_SIZE_BYTES, SIGNATURE_SIZE_BYTES);
/** What every signed entry is: its content's exact bytes, and the signature over them. */
export const envelopeShape = signed({ content: bytes(), signature: signatureBytes });

/** One parsed entry. Its signature is not verified by parsing: see `verifyEntry`. */
export interface Entry {
  readonly id: Bytes;
  readonly envelope: Bytes;
  readonly content: Bytes;
  readonly signature: Bytes;
  readonly header: Header;
  readonly body: Bytes;
}

/** One entry as the feed carries it; of a purged one the envelope is empty, and its id keeps the chain verifiable. */
export const frame = signed({
  number: count,
  timeMs: count,
  chain: hash,
  entryId: hash,
  envelope: bytes(),
  signature: bytes(),
});
export type Frame = Shaped<typeof frame>;

export function isSameHead(a: Head, b: Head): boolean {
  return a.number === b.number && equal(a.hash, b.hash);
}

/** The last entry of one device in one space. */
export interface DevicePosition {
  readonly counter: number;
  readonly entryId: Bytes;
}

/** How far a reader has verified a log.
 *
 * The keys of `devices` are author id ‖ device id in hexadecimal: accounts choose their devices' ids, and nobody moves
 * another's counter by choosing the same.
 */
export interface LogState {
  readonly number: number;
  readonly chain: Bytes;
  readonly devices: ReadonlyMap<string, DevicePosition>;
}

export const NO_HEAD: Head = { number: 0, hash: new Uint8Array(0) };
export const START: LogState = { number: 0, chain: new Uint8Array(0), devices: new Map() };

/** Parse an envelope's bytes, of whatever version: ENTRY_MALFORMED or TOO_LARGE. */
export async function parseEntry(envelopeBytes: Uint8Array): Promise<Entry> {
  if (envelopeBytes.length > MAX_ENTRY_SIZE_BYTES) {
    throw new Refused(Code.TOO_LARGE, `an entry has at most ${MAX_ENTRY_SIZE_BYTES} bytes`);
  }
  const outer = unpack(envelopeBytes, envelopeShape);
  const inner = unpackContent(outer.content, header);
  return { id: await sha256(envelopeBytes), envelope: own(envelopeBytes), ...outer, ...inner };
}

/** Returns if `deviceKey` signed the entry; SIGNATURE_INVALID otherwise. */
export function verifyEntry(entry: Entry, deviceKey: Bytes): Promise<void> {
  return verify(deviceKey, entry.signature, context(Label.SIGN_ENTRY, entry.content));
}

/** The chain hash at slot `number` after `chain`, the hash at the slot before (empty at the first). */
export function nextChain(chain: Bytes, number: number, entryId: Bytes): Promise<Bytes> {
  return sha256(context(Label.LOG_CHAIN, chain, uint(number), entryId));
}

/** Take one frame into the chain; CHAIN_BROKEN if it was dropped, reordered, changed or blanked.
 *
 * An empty envelope keeps the chain whole, so a server could hide a revocation behind one: it passes only where the
 * caller knows, from a signed entry, that this slot may be purged.
 */
export async function step(state: LogState, next: Frame, { mayBePurged = false } = {}): Promise<LogState> {
  if (next.number !== state.number + 1) {
    throw new Refused(Code.CHAIN_BROKEN, `slot ${next.number} follows slot ${state.number}`);
  }
  if (!next.envelope.length && !mayBePurged) {
    throw new Refused(Code.CHAIN_BROKEN, `the entry at slot ${next.number} is withheld`);
  }
  if (next.envelope.length && !equal(await sha256(next.envelope), next.entryId)) {
    throw new Refused(Code.CHAIN_BROKEN, `the entry at slot ${next.number} is not the one it is named for`);
  }
  const chain = await nextChain(state.chain, next.number, next.entryId);
  if (!equal(chain, next.chain)) {
    throw new Refused(Code.CHAIN_BROKEN, `the chain at slot ${next.number} does not follow`);
  }
  return { ...state, number: next.number, chain };
}

function signerOf(entry: Entry): string {
  return toHex(entry.header.authorId) + toHex(entry.header.deviceId);
}

/** COUNTER_CONFLICT unless the entry follows its device's last one: else a record was dropped or repeated. */
export function checkPosition(state: LogState, entry: Entry): void {
  const last = state.devices.get(signerOf(entry));
  const follows =
    entry.header.counter === (last?.counter ?? 0) + 1 &&
    equal(entry.header.previousId, last?.entryId ?? new Uint8Array(0));
  if (!follows) {
    throw new Refused(
      Code.COUNTER_CONFLICT,
      `entry ${entry.header.counter} follows entry ${last?.counter ?? 0} of its device`,
    );
  }
}

/** Remember the entry as its device's last one. */
export function place(state: LogState, entry: Entry): LogState {
  const position = { counter: entry.header.counter, entryId: entry.id };
  return { ...state, devices: new Map([...state.devices, [signerOf(entry), position]]) };
}

/** HISTORY_FORKED where the heads that the signer knew contradict mine.
 *
 * `chainAt` and `ledgerAt` give the hash that this reader verified at a slot, or undefined where it kept none.
 */
export function checkHeads(
  entry: Entry,
  number: number,
  chainAt: (slot: number) => Bytes | undefined,
  ledgerAt: (slot: number) => Bytes | undefined,
): void {
  for (const [name, stated, known] of [
    ["log", entry.header.log, chainAt(entry.header.log.number)],
    ["ledger", entry.header.ledger, ledgerAt(entry.header.ledger.number)],
  ] as const) {
    if (stated.number >= number) {
      throw new Refused(Code.HISTORY_FORKED, `the signer knew a ${name} beyond its own slot`);
    }
    if (stated.hash.length !== (stated.number ? HASH_SIZE_BYTES : 0)) {
      throw new Refused(Code.HISTORY_FORKED, `the signer names no place of a ${name}`);
    }
    if (known && !equal(known, stated.hash)) {
      throw new Refused(Code.HISTORY_FORKED, `the signer was shown another ${name} at slot ${stated.number}`);
    }
  }
}

/** Split the feed's bytes into frames; ENTRY_MALFORMED at a cut or damaged one. */
export function framesFromBytes(data: Uint8Array): Generator<Frame> {
  return splitFrames(data, frame);
}

/** The same for frames of another `shape`. */
export function* splitFrames<T>(data: Uint8Array, shape: Shape<T>): Generator<T> {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let offset = 0;
  while (offset < data.length) {
    const start = offset + FRAME_LENGTH_SIZE_BYTES;
    const end = start > data.length ? Infinity : start + view.getUint32(offset);
    if (end > data.length) throw new Refused(Code.ENTRY_MALFORMED, "the feed's page is cut short");
    yield unpack(data.subarray(start, end), shape);
    offset = end;
  }
}
