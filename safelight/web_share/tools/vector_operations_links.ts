/** The operations on links, manifests and files that vectors name. */

import { openFile } from "../src/protocol/files.ts";
import * as links from "../src/protocol/links.ts";
import { Code } from "../src/protocol/refusals.ts";
import { verifyUploadHead } from "../src/protocol/upload_links.ts";
import { unpack } from "../src/protocol/wire.ts";
import type { Inputs, Operation, Result } from "./vector_values.ts";

function addressResult(address: links.LinkAddress): Result {
  return {
    link_id: address.linkId,
    has_password: address.hasPassword,
    secret: address.secret,
    publisher_fingerprint: address.publisherFingerprint,
    handover: address.handover,
    is_upload: address.isUpload,
  };
}

async function verifyHead(inputs: Inputs): Promise<Result> {
  const address = await links.parseAddress(inputs.text("address"));
  const signed = [inputs.bytes("content"), inputs.bytes("signature"), inputs.bytes("publishing_key")] as const;
  const head = await links.verifyHead(address, ...signed);
  return {
    manifest_number: head.number,
    created_number: head.createdMs,
    page_blobs: head.pages.map((page) => page.blob),
    page_sizes_bytes: head.pages.map((page) => page.sizeBytes),
  };
}

function headOf(inputs: Inputs): links.ManifestHead {
  return unpack(inputs.bytes("content"), links.manifestHead, Code.MANIFEST_INVALID);
}

async function openHead(inputs: Inputs): Promise<Result> {
  const content = await links.openHead(inputs.bytes("link_key"), headOf(inputs));
  return {
    title_text: content.title,
    asset_count: content.assetCount,
    tier_text: content.tier,
    originals: content.originals,
    label_text: content.label,
    expires_number: content.expiresMs,
  };
}

async function openPage(inputs: Inputs): Promise<Result> {
  const [key, page, blob] = [inputs.bytes("link_key"), inputs.number("page_index"), inputs.bytes("blob")];
  const assets = await links.openPage(key, headOf(inputs), page, blob);
  const renditions = assets.flatMap((asset) => asset.renditions);
  return {
    asset_ids: assets.map((asset) => asset.assetId),
    asset_kinds_text: assets.map((asset) => asset.kind),
    asset_names_text: assets.map((asset) => asset.name),
    captions_text: assets.map((asset) => asset.caption),
    taken_text: assets.map((asset) => asset.takenLocal),
    thumbhashes: assets.map((asset) => asset.thumbhash),
    rendition_names_text: renditions.map((rendition) => rendition.name),
    rendition_ids: renditions.map((rendition) => rendition.renditionId),
    rendition_keys: renditions.map((rendition) => rendition.key),
    rendition_headers: renditions.map((rendition) => rendition.header),
    lengths_bytes: renditions.map((rendition) => rendition.lengthBytes),
    media_types_text: renditions.map((rendition) => rendition.mediaType),
  };
}

async function readUploadHead(inputs: Inputs): Promise<Result> {
  const address = {
    linkId: inputs.bytes("link_id"),
    hasPassword: false,
    secret: inputs.bytes("secret"),
    publisherFingerprint: inputs.bytes("publisher_fingerprint"),
    handover: new Uint8Array(),
    isUpload: true,
  };
  const signed = [inputs.bytes("content"), inputs.bytes("signature"), inputs.bytes("publishing_key")] as const;
  const head = await verifyUploadHead(address, ...signed);
  return {
    space_id: head.spaceId,
    server_key: head.serverKey,
    epoch_number: head.epoch,
    full_inbox: head.fullInbox,
    view_inbox: head.viewInbox,
    log_number: head.log.number,
    max_files_number: head.terms.maxFiles,
  };
}

async function openFileCase(inputs: Inputs): Promise<Result> {
  const sealed = inputs.bytes("sealed");
  const file = {
    name: inputs.text("name"),
    renditionId: inputs.bytes("rendition_id"),
    key: inputs.bytes("key"),
    sizeBytes: sealed.length,
    header: inputs.bytes("header"),
    lengthBytes: inputs.number("length_bytes"),
  };
  return { plaintext: await openFile(inputs.bytes("asset_id"), file, sealed) };
}

export const LINK_OPERATIONS: Readonly<Record<string, Operation>> = {
  "link.fragment": async (i) => ({
    fragment_text: await links.buildFragment({
      linkId: i.bytes("link_id"),
      hasPassword: i.flag("has_password"),
      secret: i.bytes("secret"),
      publisherFingerprint: i.bytes("publisher_fingerprint"),
      handover: i.bytes("handover"),
      isUpload: i.flag("is_upload"),
    }),
  }),
  "link.parse-fragment": async (i) =>
    addressResult(await links.parseFragment(i.bytes("link_id"), i.text("fragment"))),
  "link.parse-address": async (i) => addressResult(await links.parseAddress(i.text("address"))),
  "link.verify-head": verifyHead,
  "link.open-head": openHead,
  "link.open-page": openPage,
  "upload.head": readUploadHead,
  "file.open": openFileCase,
};
