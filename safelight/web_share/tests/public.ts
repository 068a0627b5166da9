/** Where the public vectors lie: beside the repository; without them, our own vectors alone are run. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { fromHex, type Bytes } from "../src/protocol/bytes.ts";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const FOLDER = `${REPOSITORY}../shared/vectors/`;
export const hasPublicVectors = existsSync(FOLDER);

export function publicNames(folder: string): readonly string[] {
  return hasPublicVectors ? readdirSync(FOLDER + folder) : [];
}

export function publicText(path: string): string {
  return readFileSync(FOLDER + path, "utf8");
}

export function hex(text: string): Bytes {
  const bytes = fromHex(text.toLowerCase());
  if (!bytes) throw new Error(`not hexadecimal: ${text.slice(0, 20)}`);
  return bytes;
}

interface Wycheproof<G, T> {
  readonly testGroups: readonly (G & { readonly tests: readonly (T & WycheproofTest)[] })[];
}

interface WycheproofTest {
  readonly tcId: number;
  readonly comment: string;
  readonly result: "valid" | "invalid";
}

/** Every test of a Wycheproof file with its group; none where the file is absent. */
export function wycheproof<T, G = unknown>(name: string): readonly { group: G; test: T & WycheproofTest }[] {
  if (!hasPublicVectors) return [];
  const file = JSON.parse(publicText(`wycheproof/${name}.json`)) as Wycheproof<G, T>;
  return file.testGroups.flatMap((group) => group.tests.map((test) => ({ group, test })));
}
