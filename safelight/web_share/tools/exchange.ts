/** Fresh values, both ways: what one language seals today opens in the other (sync_protocol/vectors/README.md).
 *
 *     npm run exchange -- write DIR     writes DIR/exchange-typescript.json
 *     npm run exchange -- read FILE     runs every case of FILE; exit 1 at the first that differs
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as boxes from "../src/protocol/boxes.ts";
import { concat, randomBytes, utf8, type Bytes } from "../src/protocol/bytes.ts";
import { Label, context } from "../src/protocol/contexts.ts";
import * as floe from "../src/protocol/floe.ts";
import * as hpke from "../src/protocol/hpke.ts";
import { newId } from "../src/protocol/ids.ts";
import { wrapAccountSecret } from "../src/protocol/passwords.ts";
import { publicKeyOf, sign } from "../src/protocol/signatures_script.ts";
import { FORMAT, asWritten, type Case, type VectorFile } from "./vector_values.ts";
import { runCase } from "./vectors.ts";

type Values = Readonly<Record<string, Bytes | string>>;

function success(name: string, operation: string, inputs: Values, output: Values = {}): Case {
  const written = (values: Values) =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [key, asWritten(value)]));
  return { name, operation, inputs: written(inputs), expect: "success", output: written(output) };
}

/** More than crypto.getRandomValues gives at once. */
function manyRandomBytes(sizeBytes: number): Bytes {
  const block = 65_536;
  const pieces = Array.from({ length: Math.ceil(sizeBytes / block) }, () => randomBytes(block));
  return concat(...pieces).slice(0, sizeBytes);
}

function boxCase(sizeBytes: number): Case {
  const [key, plaintext] = [randomBytes(32), randomBytes(sizeBytes)];
  const place = context(Label.ASSET_FIELD, randomBytes(32), newId(), newId(), utf8("view"));
  const sealed = boxes.sealBox(key, place, plaintext);
  return success(`a box of ${sizeBytes} bytes`, "box.open", { key, associated_data: place, sealed }, { plaintext });
}

async function hpkeCase(sizeBytes: number): Promise<Case> {
  const [seed, plaintext] = [randomBytes(32), randomBytes(sizeBytes)];
  const info = context(Label.ROLL_FULL, randomBytes(32), newId());
  const sealed = await hpke.seal(await hpke.publicKeyOf(seed), info, plaintext);
  return success(`${sizeBytes} bytes sealed to a key`, "hpke.open", { seed, info, sealed }, { plaintext });
}

async function floeCase(sizeBytes: number): Promise<Case> {
  const [key, plaintext] = [randomBytes(32), manyRandomBytes(sizeBytes)];
  const place = context(Label.FILE, newId(), utf8("original"), newId());
  const sealed = await floe.sealBytes(key, place, plaintext);
  return success(`a file of ${sizeBytes} bytes`, "floe.open", { key, associated_data: place, sealed }, { plaintext });
}

function signatureCase(sizeBytes: number): Case {
  const [seed, message] = [randomBytes(32), context(Label.SIGN_ENTRY, randomBytes(sizeBytes))];
  const signature = sign(seed, message);
  return success(`a signature over ${sizeBytes} bytes`, "signature.verify", {
    public_key: publicKeyOf(seed),
    signature,
    message,
  });
}

async function accountSecretCase(unlocker: string): Promise<Case> {
  const [wrapKey, accountId, secret] = [randomBytes(32), newId(), randomBytes(32)];
  const wrapped = await wrapAccountSecret(wrapKey, accountId, unlocker, secret);
  return success(
    `an account secret under ${unlocker}`,
    "account-secret.unwrap",
    { wrap_key: wrapKey, account_id: accountId, unlocker_text: unlocker, wrapped },
    { secret },
  );
}

async function write(folder: string): Promise<void> {
  const cases = [
    boxCase(0),
    boxCase(1),
    boxCase(5000),
    await hpkeCase(0),
    await hpkeCase(32),
    await floeCase(0),
    await floeCase(100),
    await floeCase(2 * floe.PLAINTEXT_SEGMENT_SIZE_BYTES),
    await floeCase(2 * floe.PLAINTEXT_SEGMENT_SIZE_BYTES + 1),
    signatureCase(0),
    signatureCase(300),
    await accountSecretCase("password"),
    await accountSecretCase("recovery"),
  ];
  const file: VectorFile = { format: FORMAT, about: "Fresh values, sealed and signed by TypeScript.", cases };
  writeFileSync(join(folder, "exchange-typescript.json"), JSON.stringify(file));
}

async function read(path: string): Promise<void> {
  const file = JSON.parse(readFileSync(path, "utf8")) as VectorFile;
  if (file.format !== FORMAT) throw new Error(`${path} is not in the format ${FORMAT}`);
  for (const vector of file.cases) {
    try {
      await runCase(vector);
    } catch (error) {
      throw new Error(`${vector.name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  console.log(`${file.cases.length} cases read`);
}

export async function main([command, argument]: readonly string[]): Promise<number> {
  if (!argument || (command !== "write" && command !== "read")) {
    console.error("usage: exchange write DIR | read FILE");
    return 2;
  }
  try {
    await (command === "write" ? write(argument) : read(argument));
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}
