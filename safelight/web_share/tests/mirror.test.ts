/** Labels, refusals and limits are those of Python, read from its source. */

import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { Label, PREFIX } from "../src/protocol/contexts.ts";
import * as limits from "../src/protocol/limits.ts";
import { Code, isCode } from "../src/protocol/refusals.ts";
import { REPOSITORY } from "./public.ts";

const python = (name: string) => readFileSync(`${REPOSITORY}safelight/sync_protocol/${name}.py`, "utf8");

/** The members of the string enumeration `className`. */
function members(source: string, className: string): Record<string, string> {
  const body = source.split(`class ${className}(StrEnum):`)[1]!.split(/\n(?=\S)/)[0]!;
  return Object.fromEntries([...body.matchAll(/^ {4}([A-Z0-9_]+) = "([^"]*)"$/gm)].map((found) => [found[1], found[2]]));
}

test("labels are those of contexts.py, each used once", () => {
  const source = python("contexts");
  expect(Label).toEqual(members(source, "Label"));
  expect(source).toContain(`PREFIX = "${PREFIX}"`);
  expect(new Set(Object.values(Label)).size).toBe(Object.keys(Label).length);
});

test("refusals are those of refusals.py", () => {
  expect(Code).toEqual(members(python("refusals"), "Code"));
  expect(isCode("open-failed")).toBe(true);
  expect(isCode("constructor")).toBe(false);
});

test("limits are those of limits.py", () => {
  const found = [...python("limits").matchAll(/^([A-Z0-9_]+) = ([0-9_ *]+)(?: *#.*)?$/gm)];
  const product = (text: string) =>
    text
      .replaceAll("_", "")
      .split(/(?<!\*)\*(?!\*)/)
      .map((factor) => factor.split("**").map(Number))
      .reduce((whole, [base, exponent = 1]) => whole * base! ** exponent, 1);
  const numbers = Object.fromEntries(found.map((match) => [match[1]!, product(match[2]!)]));
  expect({ ...limits, MAX_INTEGER: undefined }).toEqual({ ...numbers, MAX_INTEGER: undefined });
  expect(python("limits")).toContain("MAX_INTEGER = 2**53 - 1");
  expect(limits.MAX_INTEGER).toBe(Number.MAX_SAFE_INTEGER);
});
