/** The shapes of ledger entries about albums that are shared by grants, under the names of
 * sync_protocol/grant_entries.py.
 */

import { inboxKey } from "./account_ledger.ts";
import { MAX_GRANT_BOX_SIZE_BYTES, MAX_GRANTS, MAX_INTEGER } from "./limits.ts";
import { sealedField } from "./records.ts";
import { bytes, count, flag, id, list, oneOf, signed, within, type Shaped } from "./wire.ts";

/** Generation 1 is that of the album's own record, which members alone open. */
export const FIRST_SHARED_GENERATION = 2;

/** The album key (`full`) or the album view key (`view`), sealed to one grantee's identity (HPKE). */
export const grantBox = signed({ accountId: id, tier: oneOf("view", "full"), box: bytes(0, MAX_GRANT_BOX_SIZE_BYTES) });
export type GrantBox = Shaped<typeof grantBox>;

/** A generation of an album's keys: its public inboxes, a box a grant, and the keys before it under its own. */
export const generation = signed({
  number: within(FIRST_SHARED_GENERATION, MAX_INTEGER),
  epoch: count,
  fullInbox: inboxKey,
  viewInbox: inboxKey,
  boxes: list(grantBox, 0, MAX_GRANTS),
  keyFull: sealedField,
  keyView: sealedField,
  fullHistory: sealedField,
  viewHistory: sealedField,
  title: sealedField,
});
export type Generation = Shaped<typeof generation>;

/** A generation begins: the album's first that is shared, or the one after a grant or an epoch that ended. */
export const openGenerationBody = signed({ albumId: id, generation });
export type OpenGenerationBody = Shaped<typeof openGenerationBody>;

/** A grant: the box's account reads the album at the box's tier until `expiresMs`; 0 means until it is ended.
 *
 * With `canAdd` it adds to the album, too, and so to the space, of which it reads no more by that. With `canOrganise` it
 * takes pictures out of the album, and renames it.
 */
export const giveGrantBody = signed({
  albumId: id,
  generation: count,
  expiresMs: count,
  canAdd: flag,
  canOrganise: flag,
  box: grantBox,
});
export type GiveGrantBody = Shaped<typeof giveGrantBody>;

/** The grant ends, and a new generation begins: what is added from now on is sealed to keys that it never had. */
export const endGrantBody = signed({ albumId: id, accountId: id, generation });
export type EndGrantBody = Shaped<typeof endGrantBody>;
