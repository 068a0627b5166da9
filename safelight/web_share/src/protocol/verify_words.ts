/** Verify words: twelve words that fix a space's ledger up to one entry, for two members to compare by voice; mirror of
 * sync_protocol/verify_words.py. docs/spec/log.md §5.
 */

import { wordlist } from "@scure/bip39/wordlists/english.js";

import { sha256 } from "./bytes.ts";
import { Label, context, uint } from "./contexts.ts";
import type { Head } from "./log.ts";

export const VERIFY_WORD_COUNT = 12;
const BITS_PER_WORD = 11;

/** The words of a space's ledger at `head`: the first 132 bits of a SHA-256, 11 a word of BIP-39's list. They are no
 * BIP-39 phrase, and open nothing.
 */
export async function verifyWords(spaceId: Uint8Array, head: Head): Promise<readonly string[]> {
  const digest = await sha256(context(Label.VERIFY_WORDS, spaceId, uint(head.number), head.hash));
  const bits = Array.from(digest, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return Array.from({ length: VERIFY_WORD_COUNT }, (_, i) => {
    const place = bits.slice(i * BITS_PER_WORD, (i + 1) * BITS_PER_WORD);
    return wordlist[parseInt(place, 2)]!;
  });
}
