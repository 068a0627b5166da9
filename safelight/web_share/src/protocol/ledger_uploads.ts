/** Upload links in the space ledger: opened, joined by guests who only add, closed; mirror of
 * sync_protocol/ledger_uploads.py.
 *
 * A guest is a camera, but for three things: its key is bound by a secret that many know, it has no dedupe key, and it
 * never reads the ledger. So nobody's reach is lost with it, and a link is closed without a new epoch.
 */

import { equal, toHex, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import {
  authorise,
  epochOf,
  mayAdd,
  rightsOf,
  tierOf,
  uploadLinkStands,
  type Camera,
  type Change,
  type LedgerState,
  type UploadLink,
} from "./ledger_state.ts";
import { MAX_OPEN_UPLOAD_LINKS, UPLOAD_LINK_MAX_AGE_S } from "./limits.ts";
import { verifyEntry } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { verify } from "./signatures.ts";
import {
  bindGuestBody,
  closeUploadLinkBody,
  openUploadLinkBody,
  type BindGuestBody,
  type CloseUploadLinkBody,
  type OpenUploadLinkBody,
} from "./upload_entries.ts";
import { unpack } from "./wire.ts";

export const UPLOAD_CHANGES: readonly (readonly [string, (body: Bytes) => Change])[] = [
  ["upload.open", (body) => openLink(unpack(body, openUploadLinkBody))],
  ["upload.bind", (body) => bindGuest(unpack(body, bindGuestBody))],
  ["upload.close", (body) => closeLink(unpack(body, closeUploadLinkBody))],
];

/** Who may add and make links hands the right to add on. It reads all: the link's keys are kept for such members. */
function openLink(body: OpenUploadLinkBody): Change {
  return async (state, entry) => {
    await authorise(state, entry, "link");
    const { authorId, signedMs } = entry.header;
    if (!mayAdd(state, authorId) || tierOf(state, authorId) !== "full") throw new Refused(Code.RIGHT_MISSING, "add");
    if (state.policy.links === "none") {
      throw new Refused(Code.POLICY_FORBIDS, "links are not allowed in this space");
    }
    if (state.uploadLinks.has(toHex(body.linkId))) throw new Refused(Code.LEDGER_RULE, "the link's id is taken");
    const open = [...state.uploadLinks.values()].filter(({ closed, terms }) => !closed && signedMs < terms.expiresMs);
    if (open.length >= MAX_OPEN_UPLOAD_LINKS) {
      throw new Refused(Code.LEDGER_RULE, `a space has at most ${MAX_OPEN_UPLOAD_LINKS} upload links`);
    }
    const ageMs = body.terms.expiresMs - signedMs;
    if (ageMs <= 0 || ageMs > UPLOAD_LINK_MAX_AGE_S * 1000) {
      throw new Refused(Code.LEDGER_RULE, "an upload link expires within a year");
    }
    if (body.epoch !== epochOf(state).number) throw new Refused(Code.EPOCH_OLD);
    checkAlbum(state, authorId, body.albumId);
    const { linkId: id, guestKey, publishingKey, terms, albumId, makers, epoch: makersEpoch } = body;
    const opened = { id, madeBy: authorId, guestKey, publishingKey, terms, albumId, makers, makersEpoch };
    return withLink(state, { ...opened, guests: 0, closed: false });
  };
}

function checkAlbum(state: LedgerState, authorId: Bytes, albumId: Bytes): void {
  if (!albumId.length) return;
  if (!state.albums.has(toHex(albumId))) throw new Refused(Code.LEDGER_RULE, "that album is not shared");
  if (!rightsOf(state, authorId).has("organise")) throw new Refused(Code.RIGHT_MISSING, "organise");
}

/** The expiry is judged by the signed time, the same for everyone; the server judges by its own clock besides. */
function bindGuest(body: BindGuestBody): Change {
  return async (state, entry) => {
    const { authorId, deviceId, signedMs } = entry.header;
    const { linkId, guestId, deviceKey } = body;
    const link = state.uploadLinks.get(toHex(linkId));
    if (!link || !equal(authorId, guestId) || !equal(deviceId, guestId)) throw new Refused(Code.SIGNER_UNKNOWN);
    const message = context(Label.SIGN_GUEST_BIND, state.spaceId, linkId, guestId, deviceKey);
    await verify(link.guestKey, body.guestSignature, message);
    await verifyEntry(entry, deviceKey);
    if (!uploadLinkStands(state, link, signedMs)) throw new Refused(Code.UPLOAD_LINK_OVER);
    // *A guest who adds under the name of somebody who left*: an id stays whose it was.
    const taken = [state.cameras, state.members, state.removed].some((known) => known.has(toHex(guestId)));
    if (taken) {
      throw new Refused(Code.LEDGER_RULE, "the guest's id is taken");
    }
    if (link.guests >= link.terms.maxGuests) {
      throw new Refused(Code.UPLOAD_LINK_FULL, `it takes ${link.terms.maxGuests} guests`);
    }
    const cameras = new Map([...state.cameras, [toHex(guestId), guestOf(link, guestId, deviceKey)]]);
    return withLink({ ...state, cameras }, { ...link, guests: link.guests + 1 });
  };
}

function guestOf(link: UploadLink, id: Bytes, deviceKey: Bytes): Camera {
  const none = new Uint8Array();
  const unnamed = { quotaBytes: 0, name: none, nameEpoch: 0, dedupe: none, revoked: false };
  const { id: linkId, madeBy: certifiedBy, guestKey: pairingKey, albumId } = link;
  return { ...unnamed, id, certifiedBy, pairingKey, expiresMs: link.terms.expiresMs, deviceKey, albumId, linkId };
}

/** Its maker may, and who may revoke links. */
function closeLink(body: CloseUploadLinkBody): Change {
  return async (state, entry) => {
    await authorise(state, entry);
    const link = state.uploadLinks.get(toHex(body.linkId));
    if (!link || link.closed) throw new Refused(Code.LEDGER_RULE, "there is no such upload link to close");
    const { authorId } = entry.header;
    if (!equal(authorId, link.madeBy) && !rightsOf(state, authorId).has("revoke-link")) {
      throw new Refused(Code.RIGHT_MISSING, "revoke-link");
    }
    const cameras = [...state.cameras].map(([key, camera]): [string, Camera] => [
      key,
      equal(camera.linkId, link.id) ? { ...camera, revoked: true } : camera,
    ]);
    return withLink({ ...state, cameras: new Map(cameras) }, { ...link, closed: true });
  };
}

function withLink(state: LedgerState, link: UploadLink): LedgerState {
  return { ...state, uploadLinks: new Map([...state.uploadLinks, [toHex(link.id), link]]) };
}
