/** A guest's page loads nothing heavy before the first picture: what it imports at once does not reach these files. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const PROTOCOL = fileURLToPath(new URL("../src/protocol/", import.meta.url));
const HEAVY = ["hpke.ts", "passwords.ts", "recovery_words.ts", "verify_words.ts", "signatures_script.ts", "fingerprints.ts"];
const HEAVY_PACKAGES = /^(@hpke\/|@noble\/curves|hash-wasm|@scure\/)/;

/** Files and packages that are loaded together with `name`; imports made while running do not count. */
function loadedWith(name: string, seen = new Set<string>()): Set<string> {
  if (seen.has(name)) return seen;
  seen.add(name);
  const source = readFileSync(PROTOCOL + name, "utf8");
  for (const [, imported] of source.matchAll(/^(?:import|export) (?!type)[^;]*? from "([^"]+)";/gms)) {
    if (imported!.startsWith("./")) loadedWith(imported!.slice(2), seen);
    else seen.add(imported!);
  }
  return seen;
}

test.each(["links.ts", "files.ts", "messages.ts"])("%s is light", (name) => {
  const loaded = [...loadedWith(name)];
  expect(loaded).toContain("refusals.ts");
  expect(loaded.filter((part) => HEAVY.includes(part) || HEAVY_PACKAGES.test(part))).toEqual([]);
});
