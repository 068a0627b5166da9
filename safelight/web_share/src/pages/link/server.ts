/** What the page asks of the server: to open the link, and for its blobs. Every failure is a refusal with a code. */

import { equal, sha256, toHex, type Bytes } from "../../protocol/bytes.ts";
import { toBase64 } from "../../protocol/codes.ts";
import { linkOpened, refusalOf, type LinkOpened } from "../../protocol/messages.ts";
import { Code, Refused } from "../../protocol/refusals.ts";
import { takeAnswer } from "../../protocol/wire.ts";

const OPEN_TIMEOUT_MS = 30_000;
const STALL_TIMEOUT_MS = 30_000;

/** What opening takes: the access token, the password's proof where there is one, and a hand-over token where one is held. */
export interface OpenRequest {
  readonly token: Bytes;
  readonly proof?: Bytes | undefined;
  readonly handover: Bytes;
}

/** A stored blob as the signed manifest names it. */
export interface BlobRef {
  readonly blob: Bytes;
  readonly sizeBytes: number;
}

export class LinkServer {
  readonly #base: string;

  constructor(linkId: string) {
    this.#base = `/v1/links/${linkId}`;
  }

  /** POST open: counts one opening, or none where this browser holds a session or a hand-over token already. */
  async open({ token, proof, handover }: OpenRequest): Promise<LinkOpened> {
    const body: Record<string, string> = { token: toBase64(token) };
    if (proof) body["proof"] = toBase64(proof);
    if (handover.length) body["handover"] = toBase64(handover);
    const watch = new Watch(OPEN_TIMEOUT_MS);
    try {
      const response = await ask(`${this.#base}/open`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: watch.signal,
      });
      return takeAnswer(await response.json().catch(() => undefined), linkOpened);
    } catch (error) {
      throw watch.explain(error);
    } finally {
      watch.end();
    }
  }

  /** The bytes of a blob as they arrive; never more than were signed. */
  async *stream({ blob, sizeBytes }: BlobRef, signal?: AbortSignal): AsyncGenerator<Bytes, void, void> {
    const watch = new Watch(STALL_TIMEOUT_MS, signal);
    try {
      const response = await ask(`${this.#base}/blobs/${toHex(blob)}`, { signal: watch.signal });
      const reader = response.body?.getReader();
      if (!reader) throw new Refused(Code.SERVER_UNREACHABLE, "no body");
      let received = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        watch.touch();
        received += value.length;
        if (received > sizeBytes) throw new Refused(Code.LENGTH_MISMATCH, "more than was signed");
        yield value;
      }
      // A connection that is cut throws; this is a whole answer that is too short.
      if (received < sizeBytes) throw new Refused(Code.LENGTH_MISMATCH, "less than was signed");
    } catch (error) {
      throw watch.explain(error);
    } finally {
      watch.end();
    }
  }

  /** A whole blob, checked against its name. */
  async blob(reference: BlobRef, signal?: AbortSignal): Promise<Bytes> {
    const whole = new Uint8Array(reference.sizeBytes);
    let filled = 0;
    for await (const piece of this.stream(reference, signal)) {
      whole.set(piece, filled);
      filled += piece.length;
    }
    if (!equal(await sha256(whole), reference.blob)) throw new Refused(Code.OPEN_FAILED, "other bytes than its name says");
    return whole;
  }
}

async function ask(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...options, credentials: "same-origin", referrerPolicy: "no-referrer" });
  if (!response.ok) throw refusalOf(await response.json().catch(() => undefined));
  return response;
}

/** Ends a request that makes no progress for a while, or when its asker no longer wants it. */
class Watch {
  readonly #controller = new AbortController();
  readonly #timeoutMs: number;
  readonly #asker: AbortSignal | undefined;
  readonly #follow = () => this.#controller.abort();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timedOut = false;

  constructor(timeoutMs: number, asker?: AbortSignal) {
    this.#timeoutMs = timeoutMs;
    this.#asker = asker;
    if (asker?.aborted) this.#controller.abort();
    asker?.addEventListener("abort", this.#follow);
    this.touch();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  touch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timedOut = true;
      this.#controller.abort();
    }, this.#timeoutMs);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#asker?.removeEventListener("abort", this.#follow);
    this.#controller.abort();
  }

  /** A refusal for what `fetch` throws; an abort that the asker wanted stays one. */
  explain(error: unknown): unknown {
    if (error instanceof Refused || this.#asker?.aborted) return error;
    return new Refused(this.#timedOut ? Code.TIMED_OUT : Code.SERVER_UNREACHABLE, String(error));
  }
}
