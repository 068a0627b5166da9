/** Where WebCrypto knows no Ed25519, the script takes its place and decides the same. */

import { readFileSync } from "node:fs";

import { afterEach, expect, test, vi } from "vitest";

import { Code } from "../src/protocol/refusals.ts";
import type { VectorFile } from "../tools/vector_values.ts";
import { REPOSITORY, hex } from "./public.ts";

const path = `${REPOSITORY}safelight/sync_protocol/vectors/signatures.json`;
const file = JSON.parse(readFileSync(path, "utf8")) as VectorFile;
const cases = file.cases.filter((vector) => vector.operation === "signature.verify");

afterEach(() => {
  vi.restoreAllMocks();
  vi.resetModules();
});

test.each([true, false])("every vector, WebCrypto knowing Ed25519: %s", async (isNative) => {
  const { importKey } = crypto.subtle;
  const asked = vi.spyOn(crypto.subtle, "importKey").mockImplementation((...args: unknown[]) => {
    if (args[2] === "Ed25519" && !isNative) return Promise.reject(new DOMException("unknown", "NotSupportedError"));
    return Reflect.apply(importKey, crypto.subtle, args) as Promise<CryptoKey>;
  });
  const { verify } = await import("../src/protocol/signatures.ts");
  for (const { name, inputs, expect: expected } of cases) {
    const [key, signature, message] = ["public_key", "signature", "message"].map((field) => hex(inputs[field] as string));
    const verified = verify(key!, signature!, message!);
    if (expected === "success") await expect(verified, name).resolves.toBeUndefined();
    else await expect(verified, name).rejects.toMatchObject({ code: Code.SIGNATURE_INVALID });
  }
  expect(asked.mock.calls.filter((args) => (args as unknown[])[2] === "Ed25519").length > 1).toBe(isNative);
});
