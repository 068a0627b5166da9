/** The server's answers that pages read, and the refusals in them; mirror of sync_protocol/messages/. */

import { KEY_SIZE_BYTES, SIGNATURE_SIZE_BYTES } from "./limits.ts";
import { Code, Refused, isCode } from "./refusals.ts";
import { base64, count, optional, sealed, text, type Shaped } from "./wire.ts";

/** The signed manifest head; `handover` lets another browser of the same person in. */
export const linkOpened = sealed({
  head: base64(),
  headSignature: base64(SIGNATURE_SIZE_BYTES, SIGNATURE_SIZE_BYTES),
  publishingKey: base64(KEY_SIZE_BYTES, KEY_SIZE_BYTES),
  expiresMs: count,
  handover: base64(),
});
export type LinkOpened = Shaped<typeof linkOpened>;

const problem = sealed({ code: text, detail: optional(text, "") });

/** The refusal that a problem document (RFC 9457) carries; SERVER_FAULT if it carries none that this page knows. */
export function refusalOf(document: unknown): Refused {
  try {
    const { code, detail } = problem(document);
    if (isCode(code)) return new Refused(code, detail);
  } catch {
    // Not a problem document: a proxy's page, or an answer cut short.
  }
  return new Refused(Code.SERVER_FAULT);
}
