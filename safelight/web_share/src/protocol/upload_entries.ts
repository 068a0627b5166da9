/** The shapes of ledger entries about upload links, under the names of sync_protocol/upload_entries.py. */

import { publicKey } from "./account_ledger.ts";
import { MAX_UPLOAD_LINK_FILES, MAX_UPLOAD_LINK_GUESTS } from "./limits.ts";
import { signatureBytes } from "./log.ts";
import { sealedField } from "./records.ts";
import { count, id, optionalId, signed, within, type Shaped } from "./wire.ts";

/** How much a link takes: until when, how many files and bytes of all guests together, and from how many guests. */
export const uploadTerms = signed({
  expiresMs: count,
  maxFiles: within(1, MAX_UPLOAD_LINK_FILES),
  quotaBytes: count,
  maxGuests: within(1, MAX_UPLOAD_LINK_GUESTS),
});
export type UploadTerms = Shaped<typeof uploadTerms>;

/** An upload link. Its secret makes the private half of `guestKey`; `publishingKey` is its maker's alone.
 *
 * What is added is in the shared album `albumId` as well, unless that is empty.
 */
export const openUploadLinkBody = signed({
  linkId: id,
  guestKey: publicKey,
  publishingKey: publicKey,
  terms: uploadTerms,
  albumId: optionalId,
  epoch: count,
  makers: sealedField,
});
export type OpenUploadLinkBody = Shaped<typeof openUploadLinkBody>;

/** A guest's own key, signed by the link's guest key. */
export const bindGuestBody = signed({
  linkId: id,
  guestId: id,
  deviceKey: publicKey,
  guestSignature: signatureBytes,
});
export type BindGuestBody = Shaped<typeof bindGuestBody>;

/** The link takes nothing more, and its guests add nothing more. */
export const closeUploadLinkBody = signed({ linkId: id });
export type CloseUploadLinkBody = Shaped<typeof closeUploadLinkBody>;
