/** Decrypted pictures as blob URLs: fetched when asked for, shared, and revoked when long unused. */

import { toHex, type Bytes } from "../../protocol/bytes.ts";
import { openFile } from "../../protocol/files.ts";
import type { LinkAsset, LinkRendition } from "../../protocol/links.ts";
import { Code, Refused } from "../../protocol/refusals.ts";
import { Queue, type Urgency } from "./queue.ts";
import type { BlobRef } from "./server.ts";

/** What `<img>` may be given: pictures that hold no script. */
const PICTURE_TYPES: ReadonlySet<string> = new Set(["image/webp", "image/jpeg", "image/png", "image/avif", "image/gif"]);
const CONCURRENT = 6;
/** How many bytes of pictures nobody shows are kept for coming back. */
const IDLE_SIZE_BYTES = 48 * 1024 * 1024;
const RETRY_AFTER_MS = [800, 3000];

/** One user's claim on a picture. */
export interface Lease {
  readonly url: Promise<string>;
  release(): void;
}

interface Entry {
  readonly sizeBytes: number;
  readonly controller: AbortController;
  readonly loading: Promise<string>;
  url?: string;
  users: number;
}

/** The asset's rendition of that name, if this browser may show it. */
export function pictureOf(asset: LinkAsset, name: "preview" | "thumbnail"): LinkRendition | undefined {
  return asset.renditions.find((rendition) => rendition.name === name && PICTURE_TYPES.has(rendition.mediaType));
}

export class Pictures {
  readonly #fetchBlob: (reference: BlobRef, signal: AbortSignal) => Promise<Bytes>;
  readonly #queue = new Queue(CONCURRENT);
  /** In the order of last use. */
  readonly #entries = new Map<string, Entry>();

  constructor(fetchBlob: (reference: BlobRef, signal: AbortSignal) => Promise<Bytes>) {
    this.#fetchBlob = fetchBlob;
  }

  /** The URL, if the picture is decrypted already. */
  ready(rendition: LinkRendition): string | undefined {
    return this.#entries.get(toHex(rendition.blob))?.url;
  }

  lease(asset: LinkAsset, rendition: LinkRendition, urgency: Urgency = "soon"): Lease {
    const name = toHex(rendition.blob);
    const entry = this.#entries.get(name) ?? this.#start(asset, rendition, urgency);
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    entry.users++;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      entry.users--;
      if (!entry.users && !entry.url) this.#drop(name, entry);
      this.#prune();
    };
    return { url: entry.loading, release };
  }

  /** Revoke everything: the link was closed. */
  clear(): void {
    for (const [name, entry] of this.#entries) this.#drop(name, entry);
  }

  #start(asset: LinkAsset, rendition: LinkRendition, urgency: Urgency): Entry {
    const name = toHex(rendition.blob);
    const controller = new AbortController();
    const { signal } = controller;
    const load = async (): Promise<string> => {
      const data = await this.#queue.run(() => this.#fetchOpened(asset, rendition, signal), { signal, urgency });
      signal.throwIfAborted();
      entry.url = URL.createObjectURL(new Blob([data], { type: rendition.mediaType }));
      return entry.url;
    };
    const entry: Entry = { sizeBytes: rendition.lengthBytes, controller, loading: Promise.resolve().then(load), users: 0 };
    // A failure is forgotten at once: who asks again gets another try.
    entry.loading.catch(() => this.#entries.get(name) === entry && this.#entries.delete(name));
    return entry;
  }

  async #fetchOpened(asset: LinkAsset, rendition: LinkRendition, signal: AbortSignal): Promise<Bytes> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await openFile(asset.assetId, rendition, await this.#fetchBlob(rendition, signal));
      } catch (error) {
        const waitMs = RETRY_AFTER_MS[attempt];
        if (signal.aborted || waitMs === undefined || !isPassing(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        signal.throwIfAborted();
      }
    }
  }

  #drop(name: string, entry: Entry): void {
    entry.controller.abort();
    if (entry.url) URL.revokeObjectURL(entry.url);
    this.#entries.delete(name);
  }

  #prune(): void {
    const idle = [...this.#entries].filter(([, entry]) => !entry.users);
    let kept = idle.reduce((sum, [, entry]) => sum + entry.sizeBytes, 0);
    for (const [name, entry] of idle) {
      if (kept <= IDLE_SIZE_BYTES) return;
      kept -= entry.sizeBytes;
      this.#drop(name, entry);
    }
  }
}

/** Whether the same request may succeed in a moment. */
export function isPassing(error: unknown): boolean {
  const passing: readonly Code[] = [Code.SERVER_UNREACHABLE, Code.TIMED_OUT, Code.SERVER_FAULT, Code.RATE_LIMITED];
  return error instanceof Refused && passing.includes(error.code);
}
