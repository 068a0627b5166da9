/** Recovery words: 24 of BIP-39's English list for 32 bytes; the word list's part of sealing/passwords.py, apart because
 * of the list's size.
 */

import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english.js";

import { own, randomBytes, type Bytes } from "./bytes.ts";
import { KEY_SIZE_BYTES } from "./limits.ts";
import { Code, Refused } from "./refusals.ts";
import { requireKey } from "./sizes.ts";

const WORD_COUNT = 24;

/** The 24 words of 32 bytes of `entropy`, fresh ones if none are given. */
export function newRecoveryWords(entropy: Bytes = randomBytes(KEY_SIZE_BYTES)): readonly string[] {
  requireKey(entropy, "recovery entropy");
  return entropyToMnemonic(entropy, wordlist).split(" ");
}

/** The 32 bytes that 24 words stand for; case, commas, numbers and line breaks do not matter. Else WORDS_INVALID. */
export function wordsToEntropy(typed: string): Bytes {
  const words = (typed.match(/[A-Za-z]+/g) ?? []).map((word) => word.toLowerCase());
  if (words.length !== WORD_COUNT) {
    throw new Refused(Code.WORDS_INVALID, `${words.length} words instead of ${WORD_COUNT}`);
  }
  // Positions, not words: what was typed may be nearly right.
  const unknown = words.flatMap((word, i) => (wordlist.includes(word) ? [] : [i + 1]));
  if (unknown.length) throw new Refused(Code.WORDS_INVALID, `not in the list: word ${unknown.join(", ")}`);
  try {
    return own(mnemonicToEntropy(words.join(" "), wordlist));
  } catch {
    throw new Refused(Code.WORDS_INVALID, "the checksum does not fit: a word is wrong or in another place");
  }
}
