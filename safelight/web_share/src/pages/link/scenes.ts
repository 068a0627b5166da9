/** The scenes of a visit, and which of them a refusal leads to. */

import type { LinkAddress } from "../../protocol/links.ts";
import { Code, Refused } from "../../protocol/refusals.ts";
import type { Gallery } from "./gallery.svelte.ts";

export type PasteReason = "missing" | "cut" | "mangled" | "version" | "again";
export type RefusedReason = "expired" | "revoked" | "exhausted" | "unknown" | "substituted";
export type TroubleReason = "network" | "busy" | "server";

export type Scene =
  | { readonly at: "checking" }
  | { readonly at: "paste"; readonly why: PasteReason }
  | { readonly at: "insecure"; readonly httpsAddress: string }
  | { readonly at: "old" }
  | { readonly at: "upload" }
  | { readonly at: "door"; readonly hasPassword: boolean; readonly isWrong: boolean }
  | { readonly at: "opening"; readonly stretching: boolean; readonly estimateMs: number }
  | { readonly at: "refused"; readonly why: RefusedReason }
  | { readonly at: "trouble"; readonly why: TroubleReason }
  | { readonly at: "gallery"; readonly gallery: Gallery };

const PASTE_REASONS: Partial<Record<Code, PasteReason>> = {
  [Code.LINK_ADDRESS_CUT]: "cut",
  [Code.LINK_ADDRESS_MANGLED]: "mangled",
  [Code.LINK_ADDRESS_VERSION]: "version",
};

const REFUSED_REASONS: Partial<Record<Code, RefusedReason>> = {
  [Code.LINK_EXPIRED]: "expired",
  [Code.LINK_REVOKED]: "revoked",
  [Code.LINK_EXHAUSTED]: "exhausted",
  [Code.LINK_NOT_OPENED]: "unknown",
  [Code.NOT_FOUND]: "unknown",
  [Code.MANIFEST_INVALID]: "substituted",
  [Code.OPEN_FAILED]: "substituted",
  [Code.PADDING_INVALID]: "substituted",
  [Code.FORMAT_UNSUPPORTED]: "substituted",
  [Code.LENGTH_MISMATCH]: "substituted",
};

/** What an address leads to without a question to the server: a link that takes pictures has none to show. */
export function sceneBefore(address: LinkAddress): Scene | undefined {
  return address.isUpload ? { at: "upload" } : undefined;
}

/** Where an attempt to open ends that was refused; a wrong password and an unknown link look alike. */
export function sceneOf(error: unknown, hasPassword: boolean): Scene {
  const code = error instanceof Refused ? error.code : Code.SERVER_FAULT;
  if (code === Code.UPDATE_REQUIRED) return { at: "old" };
  if (code === Code.LINK_NOT_OPENED && hasPassword) return { at: "door", hasPassword, isWrong: true };
  const why = REFUSED_REASONS[code];
  if (why) return { at: "refused", why };
  if (code === Code.SERVER_UNREACHABLE || code === Code.TIMED_OUT) return { at: "trouble", why: "network" };
  return { at: "trouble", why: code === Code.RATE_LIMITED ? "busy" : "server" };
}

/** What is wrong with an address that did not parse. */
export function pasteReason(error: unknown): PasteReason {
  return (error instanceof Refused && PASTE_REASONS[error.code]) || "mangled";
}
