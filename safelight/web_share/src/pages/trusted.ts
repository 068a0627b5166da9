/** The one Trusted Types policy of our own; Svelte brings `svelte-trusted-html` for its compiled templates.
 *
 * The pages need this Content-Security-Policy, and nothing beyond it:
 *
 *     default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';
 *     worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';
 *     require-trusted-types-for 'script'; trusted-types svelte-trusted-html safelight-worker
 *
 * and the response that carries `argon2-<hash>.js`, `script-src 'self' 'wasm-unsafe-eval'` in its place.
 */

import argon2Url from "../workers/argon2.ts?worker&url";

const WORKERS: ReadonlySet<string> = new Set([argon2Url]);

interface ScriptUrlPolicy {
  createScriptURL(url: string): unknown;
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): ScriptUrlPolicy;
}

/** Refuses every script that is not one of our workers. */
function onlyWorkers(url: string): string {
  if (!WORKERS.has(url)) throw new TypeError("not a worker of this page");
  return url;
}

let policy: ScriptUrlPolicy | undefined;

function workerUrl(url: string): unknown {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  policy ??= trustedTypes?.createPolicy("safelight-worker", { createScriptURL: onlyWorkers }) ?? {
    createScriptURL: onlyWorkers,
  };
  return policy.createScriptURL(url);
}

export function startArgon2Worker(): Worker {
  // The DOM's types know no TrustedScriptURL: to them it is a URL.
  return new Worker(workerUrl(argon2Url) as URL, { type: "module", name: "argon2" });
}
