/** Asks the Argon2 worker, and ends it when it has answered. */

import type { Bytes } from "../protocol/bytes.ts";
import { Code, Refused } from "../protocol/refusals.ts";
import { startArgon2Worker } from "../pages/trusted.ts";

export interface Question {
  readonly password: string;
  readonly salt: Bytes;
}

export type Answer =
  | { readonly kind: "estimate"; readonly estimateMs: number }
  | { readonly kind: "stretched"; readonly stretched: Bytes }
  | { readonly kind: "failed"; readonly reason: string };

/** The 32 bytes that Argon2id makes of `password`; `onEstimate` hears early on how many milliseconds it will take.
 *
 * SERVER_UNREACHABLE if the worker's script did not arrive; UPDATE_REQUIRED if this browser cannot run it.
 */
export function stretchInWorker(
  password: string,
  salt: Bytes,
  onEstimate: (estimateMs: number) => void,
): Promise<Bytes> {
  return new Promise<Bytes>((resolve, reject) => {
    const worker = startArgon2Worker();
    const end = (finish: () => void) => {
      worker.terminate();
      finish();
    };
    worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      if (data.kind === "estimate") onEstimate(data.estimateMs);
      else if (data.kind === "stretched") end(() => resolve(data.stretched));
      else end(() => reject(new Refused(Code.UPDATE_REQUIRED, data.reason)));
    });
    worker.addEventListener("error", () => end(() => reject(new Refused(Code.SERVER_UNREACHABLE, "Argon2 worker"))));
    worker.postMessage({ password, salt } satisfies Question);
  });
}
