/** The worker that turns a password into key material: Argon2id, a second of work and 64 MiB, off the page's thread.
 *
 * It alone may compile WebAssembly: the response that carries this script has `'wasm-unsafe-eval'` in its own policy, and
 * no other response has.
 */

import { argon2id } from "hash-wasm";

import type { Bytes } from "../protocol/bytes.ts";
import { LINK_COSTS, stretch } from "../protocol/passwords.ts";
import type { Answer, Question } from "./stretching.ts";

const TRIAL_MEMORY_KIB = 2048;

/** How long the whole will take here, from a trial of a hundredth of it. */
async function estimateMs(salt: Bytes): Promise<number> {
  const trial = { password: "trial", salt, parallelism: 1, iterations: 1, hashLength: 32, outputType: "binary" } as const;
  await argon2id({ ...trial, memorySize: 64 }); // compiles
  const start = performance.now();
  await argon2id({ ...trial, memorySize: TRIAL_MEMORY_KIB });
  return ((performance.now() - start) * LINK_COSTS.memoryKib * LINK_COSTS.passes) / TRIAL_MEMORY_KIB;
}

function answer(message: Answer): void {
  self.postMessage(message);
}

self.addEventListener("message", async ({ data }: MessageEvent<Question>) => {
  try {
    answer({ kind: "estimate", estimateMs: await estimateMs(data.salt) });
    answer({ kind: "stretched", stretched: await stretch(data.password, data.salt, LINK_COSTS) });
  } catch (error) {
    answer({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
});
