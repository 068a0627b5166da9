/** The project's own vectors, failures by class: the very files that Python's tests read. */

import { readFileSync, readdirSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { FORMAT, type VectorFile } from "../tools/vector_values.ts";
import { runCase } from "../tools/vectors.ts";
import { REPOSITORY } from "./public.ts";

const FOLDER = `${REPOSITORY}safelight/sync_protocol/vectors/`;
const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));

test("there are vectors", () => expect(names.length).toBeGreaterThan(0));

describe.each(names)("%s", (name) => {
  const file = JSON.parse(readFileSync(FOLDER + name, "utf8")) as VectorFile;
  test("is in the format that this reads", () => expect(file.format).toBe(FORMAT));
  test.each(file.cases)("$operation: $name", runCase);
});
