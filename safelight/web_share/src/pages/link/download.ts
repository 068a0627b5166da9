/** Downloads of one file: opened segment by segment as it arrives, checked against its name, then saved. */

import { equal, type Bytes } from "../../protocol/bytes.ts";
import { FileReader } from "../../protocol/files.ts";
import { HEADER_SIZE_BYTES } from "../../protocol/floe.ts";
import type { LinkAsset, LinkRendition } from "../../protocol/links.ts";
import { Code, Refused } from "../../protocol/refusals.ts";
import type { BlobSource } from "./gallery.svelte.ts";

const SAVED_URL_LIFETIME_MS = 60_000;

/** What a media type's files end in, where an asset's name does not say. */
const ENDINGS: Readonly<Record<string, string>> = {
  "image/jpeg": "jpg",
  "image/heic": "heic",
  "image/heif": "heif",
  "image/png": "png",
  "image/webp": "webp",
  "image/avif": "avif",
  "image/gif": "gif",
  "image/tiff": "tif",
  "video/mp4": "mp4",
  "video/quicktime": "mov",
  "application/rdf+xml": "xmp",
};

/** What of an asset may be saved; a link without originals carries the keys of none. */
export function downloadsOf(asset: LinkAsset, originals: boolean): readonly LinkRendition[] {
  if (!originals) return [];
  return asset.renditions.filter(({ name }) => name !== "preview" && name !== "thumbnail");
}

/** The name to save under: the asset's own for its original, the same with another ending for its other parts. */
export function fileName(asset: LinkAsset, rendition: LinkRendition): string {
  const own = safeName(asset.name) || `safelight-${asset.number}`;
  const ending = ENDINGS[rendition.mediaType];
  if (rendition.name === "original") return asset.name || !ending ? own : `${own}.${ending}`;
  return `${own.replace(/\.[^.]{1,5}$/, "")}.${ending ?? rendition.name}`;
}

/** `name` without what could lead out of a folder, or show another ending than it has. */
function safeName(name: string): string {
  return name.replace(/[\u0000-\u001f\u007f/\\:*?"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "_").replace(/^\.+/, "_").trim();
}

/** Fetch, open, check and save; `onProgress` hears fractions. Nothing is saved unless all of it is what was signed. */
export async function download(
  source: BlobSource,
  asset: LinkAsset,
  rendition: LinkRendition,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (fraction: number) => void },
): Promise<string> {
  const name = fileName(asset, rendition);
  save(await openToBlob(source, asset, rendition, signal, onProgress), name);
  return name;
}

async function openToBlob(
  source: BlobSource,
  asset: LinkAsset,
  rendition: LinkRendition,
  signal: AbortSignal,
  onProgress: (fraction: number) => void,
): Promise<Blob> {
  const { sha256 } = await import("@noble/hashes/sha2.js");
  const digest = sha256.create();
  let received = 0;
  async function* segments(): AsyncGenerator<Bytes, void, void> {
    for await (const piece of source.stream(rendition, signal)) {
      digest.update(piece);
      const start = Math.max(0, HEADER_SIZE_BYTES - received);
      received += piece.length;
      onProgress(received / rendition.sizeBytes);
      if (start < piece.length) yield piece.subarray(start);
    }
  }
  const reader = await FileReader.start(asset.assetId, rendition);
  const pieces: Blob[] = [];
  for await (const opened of reader.open(segments())) {
    // A Blob of its own each: the browser may move it out of memory.
    if (opened.length) pieces.push(new Blob([opened]));
  }
  if (!equal(digest.digest(), rendition.blob)) throw new Refused(Code.OPEN_FAILED, "other bytes than its name says");
  // Never a type that a browser would show: what is inside is someone's file.
  return new Blob(pieces, { type: "application/octet-stream" });
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), SAVED_URL_LIFETIME_MS);
}
