/** Records about upload links, and of their guests, as sync_protocol/record_rules.py judges them. */

import { toHex } from "./bytes.ts";
import { guestLink, uploadLinkStands, type LedgerState } from "./ledger_state.ts";
import { isSameHead, signatureBytes, type Entry } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { checkUploadHead, readUploadHead } from "./upload_links.ts";
import { bytes, id, signed, type Shaped } from "./wire.ts";

const MAX_UPLOAD_HEAD_SIZE_BYTES = 16 * 1024;

/** An upload link's head, as its guests are given it: a packed `uploadHead`, and its signature. */
export const publishInboxBody = signed({
  linkId: id,
  head: bytes(0, MAX_UPLOAD_HEAD_SIZE_BYTES),
  headSignature: signatureBytes,
});
type PublishInboxBody = Shaped<typeof publishInboxBody>;

/** What came by an upload link was signed while the link stood: *a guest who adds for ever*. */
export function checkGuest(state: LedgerState, { header }: Entry, isKnown: boolean): void {
  const link = guestLink(state, header.authorId);
  // *A space stopped by garbage* of whoever was sent an address.
  if (link && !isKnown) throw new Refused(Code.RIGHT_MISSING, "a guest adds, and nothing else");
  if (link && !uploadLinkStands(state, link, header.signedMs)) throw new Refused(Code.UPLOAD_LINK_OVER);
}

/** What guests are told to seal to is what the ledger says, and where both logs end what its signer knew. */
export async function checkInbox(state: LedgerState, { header }: Entry, body: PublishInboxBody): Promise<void> {
  const link = state.uploadLinks.get(toHex(body.linkId));
  if (!link || !uploadLinkStands(state, link, header.signedMs)) throw new Refused(Code.UPLOAD_LINK_OVER);
  const told = await readUploadHead(body.linkId, body.head, body.headSignature, link.publishingKey);
  if (!isSameHead(told.ledger, header.ledger) || !isSameHead(told.log, header.log)) {
    throw new Refused(Code.MANIFEST_INVALID, "it names other heads than its record");
  }
  checkUploadHead(state, link, told);
}
