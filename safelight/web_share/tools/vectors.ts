/** Runs cases of the format in sync_protocol/vectors/README.md: one function an operation, results compared as written. */

import { concat, sha256, toHex, type Bytes } from "../src/protocol/bytes.ts";
import * as boxes from "../src/protocol/boxes.ts";
import { context, uint, type Label } from "../src/protocol/contexts.ts";
import { contentFingerprint } from "../src/protocol/fingerprints.ts";
import * as floe from "../src/protocol/floe.ts";
import * as hpke from "../src/protocol/hpke.ts";
import { keyFingerprint } from "../src/protocol/ids.ts";
import * as keytree from "../src/protocol/keytree.ts";
import { pad, padme, unpad } from "../src/protocol/padding.ts";
import * as passwords from "../src/protocol/passwords.ts";
import * as recoveryWords from "../src/protocol/recovery_words.ts";
import { Refused } from "../src/protocol/refusals.ts";
import { verify } from "../src/protocol/signatures.ts";
import * as script from "../src/protocol/signatures_script.ts";
import { LEDGER_OPERATIONS } from "./vector_operations_ledgers.ts";
import { LINK_OPERATIONS } from "./vector_operations_links.ts";
import {
  Inputs,
  asWritten,
  fail,
  toBytes,
  type Case,
  type Json,
  type Operation,
  type Result,
  type Value,
} from "./vector_values.ts";

/** Gives out known bytes as if they were random. */
function dealer(bytes: Bytes): (sizeBytes: number) => Bytes {
  let dealt = 0;
  return (sizeBytes) => bytes.slice(dealt, (dealt += sizeBytes));
}

function edit(sealed: Bytes, change: Json): Bytes {
  const [kind, value] = Object.entries(change as Record<string, Json>)[0]!;
  const segmentAt = (i: number) => floe.HEADER_SIZE_BYTES + i * floe.SEGMENT_SIZE_BYTES;
  const segment = (i: number) => sealed.slice(segmentAt(i), segmentAt(i + 1));
  const edited = sealed.slice();
  switch (kind) {
    case "cut_to_bytes":
      return sealed.slice(0, value as number);
    case "append":
      return concat(sealed, toBytes(value, kind));
    case "flip_at":
      edited[(value as number) < 0 ? sealed.length + (value as number) : (value as number)]! ^= 1;
      return edited;
    case "swap_segments": {
      const [i, j] = value as readonly [number, number];
      edited.set(segment(i), segmentAt(j));
      edited.set(segment(j), segmentAt(i));
      return edited;
    }
    case "drop_segment":
      return concat(sealed.slice(0, segmentAt(value as number)), sealed.slice(segmentAt((value as number) + 1)));
    default:
      return fail(`no such edit: ${kind}`);
  }
}

async function openEdited(inputs: Inputs): Promise<Result> {
  const key = inputs.bytes("key");
  const associatedData = inputs.bytes("associated_data");
  let sealed = await floe.sealBytes(key, associatedData, inputs.bytes("plaintext"));
  for (const change of inputs.array("edits")) sealed = edit(sealed, change);
  return { plaintext: await floe.openBytes(key, associatedData, sealed) };
}

async function openSegment(inputs: Inputs): Promise<Result> {
  const decryptor = await floe.FloeDecryptor.start(
    inputs.bytes("key"),
    inputs.bytes("associated_data"),
    inputs.bytes("header"),
  );
  const final = inputs.flag("final");
  const segmentIndex = inputs.number("segment_index");
  return { plaintext: await decryptor.decryptSegment(segmentIndex, inputs.bytes("ciphertext"), { final }) };
}

type Derivation = (key: Bytes, ...parts: readonly unknown[]) => Promise<Bytes>;

/** The derivation with the Python name `link_page_key` is `linkPageKey` here. */
async function deriveByName(inputs: Inputs): Promise<Result> {
  const name = inputs.text("derivation");
  const key = inputs.bytes("key");
  if (name === "rendition_key") {
    return { derived: await keytree.renditionKey(key, inputs.text("name"), inputs.bytes("rendition_id")) };
  }
  if (name === "link_page_key") return { derived: await keytree.linkPageKey(key, inputs.number("page_number")) };
  const here = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const derivation = (keytree as unknown as Record<string, Derivation>)[here] ?? fail(`no derivation ${name}`);
  return { derived: await derivation(key) };
}

const pair = ({ authKey, wrapKey }: passwords.UnlockKeys) => ({ auth_key: authKey, wrap_key: wrapKey });

const OPERATIONS: Readonly<Record<string, Operation>> = {
  context: (i) => ({ context: context(i.text("label") as Label, ...i.list("parts")) }),
  uint: (i) => ({ encoded: uint(i.number("value")) }),
  padme: (i) => ({ padded_size_bytes: padme(i.number("plain_size_bytes")) }),
  pad: (i) => ({ padded: pad(i.bytes("data")) }),
  unpad: (i) => ({ data: unpad(i.bytes("padded")) }),
  keytree: deriveByName,
  "box.seal": (i) => ({
    sealed: boxes.sealBox(i.bytes("key"), i.bytes("associated_data"), i.bytes("plaintext"), i.bytes("nonce")),
  }),
  "box.open": (i) => ({ plaintext: boxes.openBox(i.bytes("key"), i.bytes("associated_data"), i.bytes("sealed")) }),
  "hpke.public-key": async (i) => ({ public_key: await hpke.publicKeyOf(i.bytes("seed")) }),
  "hpke.seal": async (i) => ({ sealed: await hpke.seal(i.bytes("public_key"), i.bytes("info"), i.bytes("plaintext")) }),
  "hpke.open": async (i) => ({
    plaintext: await hpke.openSealed(i.bytes("seed"), i.bytes("info"), i.bytes("sealed")),
  }),
  "floe.seal": async (i) => ({
    sealed: await floe.sealBytes(i.bytes("key"), i.bytes("associated_data"), i.bytes("plaintext"), {
      random: dealer(i.bytes("random")),
    }),
  }),
  "floe.open": async (i) => ({
    plaintext: await floe.openBytes(i.bytes("key"), i.bytes("associated_data"), i.bytes("sealed")),
  }),
  "floe.open-segment": openSegment,
  "floe.open-edited": openEdited,
  "floe.sizes": (i) => {
    const sealed = floe.sealedSizeBytes(i.number("plaintext_size_bytes"));
    return { sealed_size_bytes: sealed, segment_count: floe.segmentCount(sealed) };
  },
  "floe.segment-count": (i) => ({ segment_count: floe.segmentCount(i.number("sealed_size_bytes")) }),
  "password.stretch": async (i) => ({
    stretched: await passwords.stretch(i.text("password"), i.bytes("salt"), i.costs()),
  }),
  "password.check-costs": (i) => {
    passwords.checkCosts(i.costs());
    return {};
  },
  "password.keys": async (i) => pair(await passwords.passwordKeys(i.bytes("stretched"))),
  "recovery.words": (i) => ({ words_text: recoveryWords.newRecoveryWords(i.bytes("entropy")).join(" ") }),
  "recovery.entropy": (i) => ({ entropy: recoveryWords.wordsToEntropy(i.text("words")) }),
  "recovery.keys": async (i) => {
    const keys = await passwords.recoveryKeys(i.bytes("entropy"));
    return { ...pair(keys), signing_seed: keys.signingSeed };
  },
  "account-secret.unwrap": async (i) => ({
    secret: await passwords.unwrapAccountSecret(
      i.bytes("wrap_key"),
      i.bytes("account_id"),
      i.text("unlocker"),
      i.bytes("wrapped"),
    ),
  }),
  "vault-secret.unwrap": async (i) => ({
    secret: await passwords.unwrapVaultSecret(
      i.bytes("wrap_key"),
      i.bytes("account_id"),
      i.bytes("nonce"),
      i.bytes("wrapped"),
    ),
  }),
  "signature.public-key": (i) => ({ public_key: script.publicKeyOf(i.bytes("seed")) }),
  "signature.sign": (i) => ({ signature: script.sign(i.bytes("seed"), i.bytes("message")) }),
  "signature.verify": async (i) => {
    await verify(i.bytes("public_key"), i.bytes("signature"), i.bytes("message"));
    return {};
  },
  "key-fingerprint": async (i) => ({ fingerprint: await keyFingerprint(i.bytes("public_key")) }),
  "content-fingerprint": (i) => ({
    fingerprint: contentFingerprint(i.bytes("dedupe_key"), i.bytes("space_id"), i.bytes("sha256")),
  }),
  ...LINK_OPERATIONS,
  ...LEDGER_OPERATIONS,
};

/** Run one case; throws an Error that says what differs. An operation that has no function here fails, too. */
export async function runCase(vector: Case): Promise<void> {
  const operation = OPERATIONS[vector.operation] ?? fail(`no operation ${vector.operation}`);
  let result: Result;
  try {
    result = await operation(new Inputs(vector.inputs));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code !== vector.expect) fail(`refused with ${error.message} instead of ${vector.expect}`);
    return;
  }
  if (vector.expect !== "success") fail(`succeeded instead of ${vector.expect}`);
  const output = vector.output ?? {};
  if (Object.keys(output).sort().join() !== Object.keys(result).sort().join()) {
    fail(`gave ${Object.keys(result).join()} instead of ${Object.keys(output).join()}`);
  }
  for (const [name, value] of Object.entries(result)) await compare(name, value, output[name]!);
}

async function compare(name: string, value: Value, expected: Json): Promise<void> {
  if (value instanceof Uint8Array && typeof expected === "object" && "sha256" in expected) {
    const digest = toHex(await sha256(value));
    if (digest !== expected["sha256"] || value.length !== expected["size_bytes"]) fail(`${name} differs`);
  } else if (JSON.stringify(asWritten(value)) !== JSON.stringify(expected)) {
    fail(`${name} is ${JSON.stringify(asWritten(value))} instead of ${JSON.stringify(expected)}`);
  }
}
