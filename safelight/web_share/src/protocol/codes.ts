/** Codes that people copy: RFC 4648 base32 in lower case without padding; mirror of sync_protocol/codes.py. */

import type { Bytes } from "./bytes.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

export function toLetters(data: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of data) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += LETTERS[(held >>> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
  }
  return bits ? text + LETTERS[(held << (5 - bits)) & 31] : text;
}

/** Decode `text` in either case; undefined if it is not canonical base32 of whole bytes. */
export function fromLetters(text: string): Bytes | undefined {
  const data = new Uint8Array(Math.floor((text.length * 5) / 8));
  let filled = 0;
  let bits = 0;
  let held = 0;
  for (const letter of text.toLowerCase()) {
    const value = LETTERS.indexOf(letter);
    if (value < 0) return undefined;
    held = (held << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    data[filled++] = held >>> bits;
    held &= (1 << bits) - 1;
  }
  return toLetters(data) === text.toLowerCase() ? data : undefined;
}

/** Decode the padded base64 in which bytes stand in JSON; undefined if it is anything else. */
export function fromBase64(text: string): Bytes | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

export function toBase64(data: Uint8Array): string {
  let text = "";
  for (const byte of data) text += String.fromCharCode(byte);
  return btoa(text);
}
