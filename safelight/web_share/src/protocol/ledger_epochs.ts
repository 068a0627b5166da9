/** Epochs in the space ledger: which one may follow, and who has a box in it; mirror of sync_protocol/ledger_epochs.py. */

import { equal, toHex, type Bytes } from "./bytes.ts";
import { type BoxRef, type Epoch } from "./ledger_entries.ts";
import { epochOf, tierOf, type LedgerState, type Member } from "./ledger_state.ts";
import { type Entry } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { TIERS, type Tier } from "./roles.ts";

/** Begin `epoch`; EPOCH_OLD where its number does not follow, LEDGER_RULE for inboxes or boxes. */
export function withEpoch(state: LedgerState, epoch: Epoch): LedgerState {
  checkEpoch(epoch, epochOf(state).number + 1, state.members);
  const used = state.epochs.flatMap((old) => [old.fullInbox, old.viewInbox]);
  if (used.some((inbox) => equal(inbox, epoch.fullInbox) || equal(inbox, epoch.viewInbox))) {
    // Under an old inbox, who was removed would read on.
    throw new Refused(Code.LEDGER_RULE, "an epoch has new inboxes");
  }
  return { ...state, epochs: [...state.epochs, epoch], isEpochDue: false };
}

/** Take reach away together with `epoch`; EPOCH_REQUIRED without.
 *
 * *A previewer, or a contributor, that makes itself a reader of everything*: the keys of an epoch are its maker's, so only
 * who reads all makes one. What others give up is noted, and whoever manages members begins an epoch for it.
 */
export function afterLoss(state: LedgerState, entry: Entry, epoch: Epoch | null): LedgerState {
  if (tierOf(state, entry.header.authorId) === "full") {
    if (!epoch) throw new Refused(Code.EPOCH_REQUIRED);
    return withEpoch(state, epoch);
  }
  if (epoch) throw new Refused(Code.RIGHT_MISSING, "to begin an epoch");
  return { ...state, isEpochDue: true };
}

/** Give a member that reads `tier` from now on its box of the epoch in force, in place of any that it had. */
export function withBox(state: LedgerState, accountId: Bytes, tier: Tier, box: BoxRef | null): LedgerState {
  const fits = box ? equal(box.accountId, accountId) && box.tier === tier : tier === "none";
  if (!fits) {
    throw new Refused(Code.LEDGER_RULE, "who reads more gets a box of the epoch in force, at its tier, and nobody else");
  }
  if (!box) return state;
  const others = epochOf(state).boxes.filter((other) => !equal(other.accountId, accountId));
  const epoch = { ...epochOf(state), boxes: [...others, box] };
  const [first, ...later] = [...state.epochs.slice(0, -1), epoch];
  return { ...state, epochs: [first ?? epoch, ...later] };
}

/** The next number, an inbox a tier, and exactly one box for each member that reads, at its tier. */
export function checkEpoch(epoch: Epoch, number: number, members: ReadonlyMap<string, Member>): void {
  if (epoch.number !== number) throw new Refused(Code.EPOCH_OLD, `the next epoch is ${number}`);
  const carries = number > 1;
  if (epoch.fullHistory.length > 0 !== carries || epoch.viewHistory.length > 0 !== carries) {
    throw new Refused(Code.LEDGER_RULE, "an epoch carries the one before it, and the first carries none");
  }
  if (equal(epoch.fullInbox, epoch.viewInbox)) {
    throw new Refused(Code.LEDGER_RULE, "an epoch has an inbox for each tier");
  }
  const readers = [...members.values()].filter((member) => TIERS[member.role] !== "none");
  const expected = readers.map((member) => `${toHex(member.id)} ${TIERS[member.role]}`).sort();
  const boxed = epoch.boxes.map((box) => `${toHex(box.accountId)} ${box.tier}`).sort();
  if (boxed.join() !== expected.join()) {
    throw new Refused(Code.LEDGER_RULE, "an epoch has exactly one box for each member that reads, at its tier");
  }
}
