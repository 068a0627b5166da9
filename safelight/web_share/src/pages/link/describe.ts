/** What is said of an asset, in words. */

import type { LinkAsset } from "../../protocol/links.ts";
import type { Language } from "../../words/language.ts";

const FALLBACK_RATIO = 1;

/** The width of an asset by its height, as far as the manifest tells. */
export function ratioOf(asset: LinkAsset): number {
  if (asset.width && asset.height) return asset.width / asset.height;
  const shown = asset.renditions.find(({ width, height }) => width && height);
  return shown ? shown.width / shown.height : FALLBACK_RATIO;
}

/** What a screen reader says: the caption where there is one, else kind, number and day. */
export function labelOf(asset: LinkAsset, language: Language): string {
  const kind = language.words.asset[asset.kind](language.number(asset.number));
  const taken = language.taken(asset.takenLocal);
  return [asset.caption || kind, taken].filter(Boolean).join(", ");
}

/** "Video · 0:12 · 4.2 MB", for what has no preview. */
export function factsOf(asset: LinkAsset, language: Language): string {
  const { asset: words } = language.words;
  const kind = { photo: words.photoKind, video: words.videoKind, file: words.fileKind }[asset.kind];
  const main = asset.renditions.find(({ name }) => name === "original") ?? asset.renditions[0];
  const pieces = [kind, asset.durationMs ? language.duration(asset.durationMs) : "", main ? language.size(main.lengthBytes) : ""];
  return pieces.filter(Boolean).join(" · ");
}

export function countOf(count: number, onlyPhotos: boolean, language: Language): string {
  const { gallery } = language.words;
  return (onlyPhotos ? gallery.photos : gallery.items)(count, language.number(count));
}
