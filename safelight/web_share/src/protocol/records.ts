/** Records, as far as pages read them: the shapes of sync_protocol/records.py under the same names. */

import {
  MAX_ASSETS_PER_RECORD,
  MAX_BLOB_SIZE_BYTES,
  MAX_RENDITIONS_PER_ASSET,
  MAX_SEALED_FIELD_SIZE_BYTES,
} from "./limits.ts";
import {
  bytes,
  count,
  hash,
  id,
  integer,
  list,
  mapOf,
  nullable,
  oneOf,
  optional,
  optionalHash,
  real,
  sealed,
  signed,
  text,
  wideInteger,
  within,
  type Shape,
  type Shaped,
} from "./wire.ts";

export const sealedField = bytes(0, MAX_SEALED_FIELD_SIZE_BYTES);
export const floeHeader = bytes(74, 74);
const MINUTES_A_DAY = 1440;
const blobSize = within(1, MAX_BLOB_SIZE_BYTES);

export const renditionName = oneOf("original", "motion", "raw", "sidecar", "preview", "thumbnail");
export type RenditionName = Shaped<typeof renditionName>;

/** The tier whose key opens the rendition. */
export function tierOfRendition(name: RenditionName): "view" | "full" {
  return name === "preview" || name === "thumbnail" ? "view" : "full";
}

export const assetKind = oneOf("photo", "video", "file");

/** One page of a link's manifest: a blob by name and stored size. */
export const pageRef = signed({ blob: hash, sizeBytes: count });
export type PageRef = Shaped<typeof pageRef>;

/** A rendition's blob: name, stored size, and the FLOE header, which a reader takes from here. */
export const renditionRef = signed({
  name: renditionName,
  renditionId: id,
  blob: hash,
  sizeBytes: blobSize,
  header: floeHeader,
});
export type RenditionRef = Shaped<typeof renditionRef>;

export const assetBody = signed({
  assetId: id,
  fingerprint: optionalHash,
  renditions: list(renditionRef, 1, MAX_RENDITIONS_PER_ASSET),
  wrapFull: sealedField,
  wrapView: sealedField,
  view: sealedField,
  full: sealedField,
});
export type AssetBody = Shaped<typeof assetBody>;

const addedAssets = list(assetBody, 1, MAX_ASSETS_PER_RECORD);
export const addAssetsBody = signed({ rollId: id, assets: addedAssets });
/** Assets added under one roll of a shared album, to the space and to the album. */
export const addAlbumAssetsBody = signed({ rollId: id, albumId: id, generation: count, assets: addedAssets });

/** What only readers know of a rendition: its true length, media type and pixels. */
export const renditionInfo = sealed({
  lengthBytes: count,
  mediaType: text,
  width: optional(count, 0),
  height: optional(count, 0),
});
const renditionInfos: Shape<ReadonlyMap<string, Shaped<typeof renditionInfo>>> = optional(
  mapOf(renditionInfo),
  new Map(),
);

const noBytes: Shape<Uint8Array<ArrayBuffer>> = optional(bytes(), new Uint8Array(0));

/** Display metadata, open to the view tier; `takenLocal` is ISO 8601 without zone. */
export const viewPart = sealed({
  kind: assetKind,
  width: optional(count, 0),
  height: optional(count, 0),
  durationMs: optional(count, 0),
  thumbhash: noBytes,
  caption: optional(text, ""),
  takenLocal: optional(text, ""),
  takenOffsetMin: optional(nullable(integer(-MINUTES_A_DAY, MINUTES_A_DAY)), null),
  renditions: renditionInfos,
});
export type ViewPart = Shaped<typeof viewPart>;

/** Where a picture was taken: WGS 84 degrees, metres above the sea. */
export const place = sealed({
  latitude: real(-90, 90),
  longitude: real(-180, 180),
  altitudeM: optional(nullable(real(-1e6, 1e6)), null),
});

/** All other metadata, open to the full tier. */
export const fullPart = sealed({
  name: text,
  sha256: hash,
  sizeBytes: count,
  mediaType: text,
  modifiedNs: wideInteger,
  place: optional(nullable(place), null),
  make: optional(text, ""),
  model: optional(text, ""),
  lens: optional(text, ""),
  keywords: optional(list(text), []),
  rights: optional(text, ""),
  exif: optional(mapOf(text), new Map<string, string>()),
  renditions: renditionInfos,
});
export type FullPart = Shaped<typeof fullPart>;
