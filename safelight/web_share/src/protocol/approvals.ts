/** Approvals: what an album's links may show where it requires them; mirror of sync_protocol/approvals.py. */

import { sha256, toHex, utf8, type Bytes } from "./bytes.ts";
import { context, Label } from "./contexts.ts";
import { rightsOf, type LedgerState } from "./ledger_state.ts";
import { HASH_SIZE_BYTES, MAX_ASSETS_PER_RECORD } from "./limits.ts";
import type { Entry } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { flag, id, list, optionalHash, signed, type Shaped } from "./wire.ts";

/** What an album's links are held to from now on; the newest in the log counts. */
export const albumRulesBody = signed({ albumId: id, requiresApproval: flag });

/** An asset that is approved, by its content, or whose approval is withdrawn, with none. */
const approvalItem = signed({ assetId: id, content: optionalHash });
/** Assets of an album that its links may show, or may show no more. */
export const approveAssetsBody = signed({
  albumId: id,
  approved: flag,
  items: list(approvalItem, 1, MAX_ASSETS_PER_RECORD),
});

/** What an approval names: all files of an asset, by rendition and blob, in the order of its record. */
export async function contentOf(assetId: Bytes, files: readonly (readonly [string, Bytes])[]): Promise<Bytes> {
  return await sha256(context(Label.ASSET_CONTENT, assetId, ...files.flatMap(([name, blob]) => [utf8(name), blob])));
}

/** Who organises or approves switches approval on; off only who approves (RIGHT_MISSING).
 *
 * *An organiser who goes round the approver*: they could switch it off, make a link, and switch it on again.
 */
export function checkAlbumRules(
  state: LedgerState,
  { header }: Entry,
  { requiresApproval }: Shaped<typeof albumRulesBody>,
): void {
  const rights = rightsOf(state, header.authorId);
  if (!rights.has("approve") && !(requiresApproval && rights.has("organise"))) {
    throw new Refused(Code.RIGHT_MISSING, "approve");
  }
}

/** Each asset once (ASSET_CONFLICT), with its content where it is approved, without where it is not (ENTRY_MALFORMED). */
export function checkApprovals({ approved, items }: Shaped<typeof approveAssetsBody>): void {
  if (new Set(items.map(({ assetId }) => toHex(assetId))).size !== items.length) {
    throw new Refused(Code.ASSET_CONFLICT, "an asset stands twice in one record");
  }
  const size = approved ? HASH_SIZE_BYTES : 0;
  if (items.some(({ content }) => content.length !== size)) {
    throw new Refused(Code.ENTRY_MALFORMED, "an approval names the content, a withdrawal none");
  }
}
