/** The values of vectors and the form in which they stand in JSON (sync_protocol/vectors/README.md). */

import { fromHex, toHex, type Bytes } from "../src/protocol/bytes.ts";
import type { Costs } from "../src/protocol/passwords.ts";

export const FORMAT = "safelight-vectors/1";

export type Json = string | number | boolean | readonly Json[] | { readonly [name: string]: Json };

export interface Case {
  readonly name: string;
  readonly operation: string;
  readonly inputs: Readonly<Record<string, Json>>;
  readonly expect: string;
  readonly output?: Readonly<Record<string, Json>>;
}

export interface VectorFile {
  readonly format: typeof FORMAT;
  readonly about: string;
  readonly cases: readonly Case[];
}

export type Value = Bytes | number | string | boolean | readonly Value[];
export type Result = Readonly<Record<string, Value>>;
export type Operation = (inputs: Inputs) => Result | Promise<Result>;

/** A case's inputs, each asked for by the type that its name says. */
export class Inputs {
  readonly #values: Readonly<Record<string, Json>>;

  constructor(values: Readonly<Record<string, Json>>) {
    this.#values = values;
  }

  bytes(name: string): Bytes {
    return toBytes(this.#values[name], name);
  }

  list(name: string): readonly Bytes[] {
    return this.array(name).map((value) => toBytes(value, name));
  }

  array(name: string): readonly Json[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value : fail(`${name} is not a list`);
  }

  text(name: string): string {
    const value = this.#values[`${name}_text`];
    return typeof value === "string" ? value : fail(`${name}_text is not text`);
  }

  number(name: string): number {
    const value = this.#values[name];
    return typeof value === "number" ? value : fail(`${name} is not a number`);
  }

  flag(name: string): boolean {
    const value = this.#values[name];
    return typeof value === "boolean" ? value : fail(`${name} is neither true nor false`);
  }

  costs(): Costs {
    return { memoryKib: this.number("memory_kib"), passes: this.number("passes") };
  }
}

export function fail(message: string): never {
  throw new Error(message);
}

export function toBytes(value: Json | undefined, name: string): Bytes {
  if (typeof value === "string") return fromHex(value) ?? fail(`${name} is not hexadecimal`);
  if (typeof value !== "object" || !("repeat" in value)) return fail(`${name} is not bytes`);
  const pattern = toBytes(value["repeat"], name);
  return new Uint8Array(Number(value["size_bytes"])).map((_, i) => pattern[i % pattern.length]!);
}

/** A value as a file of vectors has it. */
export function asWritten(value: Value): Json {
  if (value instanceof Uint8Array) return toHex(value);
  return Array.isArray(value) ? value.map((element: Value) => asWritten(element)) : (value as Json);
}
