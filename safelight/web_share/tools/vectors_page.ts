/** Runs vectors inside a browser: `runVectors(file)` gives one line for each case that differs. */

import type { VectorFile } from "./vector_values.ts";
import { runCase } from "./vectors.ts";

export async function runVectors(file: VectorFile): Promise<readonly string[]> {
  const differences: string[] = [];
  for (const vector of file.cases) {
    try {
      await runCase(vector);
    } catch (error) {
      differences.push(`${vector.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return differences;
}

Object.assign(globalThis, { runVectors });
