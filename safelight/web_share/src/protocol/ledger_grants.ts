/** Grants in the space ledger: who reads one album and not its space, and under which keys; mirror of
 * sync_protocol/ledger_grants.py.
 *
 * An album's generation is to its grants what an epoch is to members: no reach is lost without a new one. It stands only
 * within its epoch, so whoever leaves the space loses its albums with it.
 */

import { equal, toHex, type Bytes } from "./bytes.ts";
import {
  FIRST_SHARED_GENERATION,
  endGrantBody,
  giveGrantBody,
  openGenerationBody,
  type EndGrantBody,
  type Generation,
  type GiveGrantBody,
  type OpenGenerationBody,
} from "./grant_entries.ts";
import {
  addsToAlbums,
  authorise,
  epochOf,
  generationOf,
  generationStands,
  grantStands,
  mayManage,
  rightsOf,
  standingGrants,
  tierOf,
  type Change,
  type Grant,
  type LedgerState,
  type SharedAlbum,
} from "./ledger_state.ts";
import { MAX_GRANTS, MAX_SHARED_ALBUMS } from "./limits.ts";
import type { Entry } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { reads } from "./roles.ts";
import { unpack } from "./wire.ts";

export const GRANT_CHANGES: readonly (readonly [string, (body: Bytes) => Change])[] = [
  ["grant.open", (body) => openGeneration(unpack(body, openGenerationBody))],
  ["grant.give", (body) => giveGrant(unpack(body, giveGrantBody))],
  ["grant.end", (body) => endGrant(unpack(body, endGrantBody))],
];

/** What a generation follows: those before it, none if the album was not shared yet, and the grants that go on. */
interface Before {
  readonly generations: readonly Generation[];
  readonly grants: ReadonlyMap<string, Grant>;
}

/** Begin an album's generation. Only who reads all does: its keys are its maker's, and so are those before it. */
function openGeneration(body: OpenGenerationBody): Change {
  return async (state, entry) => {
    await authorise(state, entry, "organise");
    checkMaker(state, entry);
    if (state.kind === "vault") throw new Refused(Code.POLICY_FORBIDS, "a vault's albums are not shared by grants");
    const album = state.albums.get(toHex(body.albumId));
    if (!album && state.albums.size >= MAX_SHARED_ALBUMS) {
      throw new Refused(Code.LEDGER_RULE, "there are too many shared albums");
    }
    const before = album ?? { generations: [], grants: new Map() };
    return withGeneration(state, body.albumId, before, body.generation, entry.header.signedMs);
  };
}

/** Give a member an album's keys, under the generation in force. A grant that stands is only ever widened. */
function giveGrant(body: GiveGrantBody): Change {
  return async (state, entry) => {
    await authorise(state, entry, "members");
    const album = sharedAlbum(state, body.albumId);
    const { authorId, signedMs } = entry.header;
    const { accountId, tier } = body.box;
    const member = state.members.get(toHex(accountId));
    if (!member) throw new Refused(Code.LEDGER_RULE, "there is no such member");
    if (!mayManage(state, authorId, member.role)) {
      throw new Refused(Code.RIGHT_MISSING, `to give a ${member.role} a grant`);
    }
    const { expiresMs, canAdd, canOrganise } = body;
    const grant: Grant = { tier, expiresMs, givenBy: authorId, givenMs: signedMs, canAdd, canOrganise };
    checkGives(state, accountId, grant);
    const newest = generationOf(album);
    if (body.generation !== newest.number || !generationStands(state, album, signedMs)) {
      throw new Refused(Code.GENERATION_OLD);
    }
    if (!grantStands(grant, signedMs)) {
      throw new Refused(Code.LEDGER_RULE, "a grant that is given has not expired");
    }
    const before = album.grants.get(toHex(accountId));
    if (before && !widens(before, grant)) {
      throw new Refused(Code.LEDGER_RULE, "end the grant first: another that gives less comes with new keys");
    }
    if (!before && album.grants.size >= MAX_GRANTS) {
      throw new Refused(Code.LEDGER_RULE, `an album has at most ${MAX_GRANTS} grants`);
    }
    const others = newest.boxes.filter((box) => !equal(box.accountId, accountId));
    const boxed = { ...newest, boxes: [...others, body.box] };
    const grants = new Map([...album.grants, [toHex(accountId), grant]]);
    return withAlbum(state, body.albumId, album.generations.slice(0, -1), boxed, grants);
  };
}

/** A grant gives something that its member has not, and nothing that its giver has not. */
function checkGives(state: LedgerState, accountId: Bytes, grant: Grant): void {
  if (grant.canAdd && !addsToAlbums(state, grant.givenBy)) throw new Refused(Code.RIGHT_MISSING, "to let others add");
  if (grant.canOrganise && !rightsOf(state, grant.givenBy).has("organise")) {
    throw new Refused(Code.RIGHT_MISSING, "to let others organise");
  }
  const letsAdd = grant.canAdd && !addsToAlbums(state, accountId);
  const letsOrganise = grant.canOrganise && !rightsOf(state, accountId).has("organise");
  if (!letsAdd && !letsOrganise && reads(tierOf(state, accountId), grant.tier)) {
    throw new Refused(Code.LEDGER_RULE, "that member has all that the grant would give");
  }
}

/** End a grant: who gave it may, and who may manage its member. A new generation begins with it. */
function endGrant(body: EndGrantBody): Change {
  return async (state, entry) => {
    await authorise(state, entry);
    checkMaker(state, entry);
    const album = sharedAlbum(state, body.albumId);
    const grant = album.grants.get(toHex(body.accountId));
    const member = state.members.get(toHex(body.accountId));
    if (!grant || !member) throw new Refused(Code.LEDGER_RULE, "there is no such grant, or it is over");
    const { authorId, signedMs } = entry.header;
    if (!equal(authorId, grant.givenBy) && !mayManage(state, authorId, member.role)) {
      throw new Refused(Code.RIGHT_MISSING, "members");
    }
    const ended = { ...album, grants: without(album.grants, body.accountId) };
    return withGeneration(state, body.albumId, ended, body.generation, signedMs);
  };
}

/** End every grant of a member that leaves; its epoch ends with it, and so do the generations of its albums. */
export function withoutGrantsOf(state: LedgerState, accountId: Bytes): LedgerState {
  const albums = [...state.albums].map(([key, album]): [string, SharedAlbum] => [
    key,
    { ...album, grants: without(album.grants, accountId) },
  ]);
  return { ...state, albums: new Map(albums) };
}

function without(grants: ReadonlyMap<string, Grant>, accountId: Bytes): ReadonlyMap<string, Grant> {
  return new Map([...grants].filter(([key]) => key !== toHex(accountId)));
}

function sharedAlbum(state: LedgerState, albumId: Bytes): SharedAlbum {
  const album = state.albums.get(toHex(albumId));
  if (!album) throw new Refused(Code.LEDGER_RULE, "that album is not shared");
  return album;
}

function checkMaker(state: LedgerState, entry: Entry): void {
  if (tierOf(state, entry.header.authorId) !== "full") {
    throw new Refused(Code.RIGHT_MISSING, "to begin an album's keys");
  }
}

function widens(before: Grant, after: Grant): boolean {
  const isAsLong = !after.expiresMs || (before.expiresMs > 0 && after.expiresMs >= before.expiresMs);
  const mayAsMuch = after.canAdd >= before.canAdd && after.canOrganise >= before.canOrganise;
  return isAsLong && reads(after.tier, before.tier) && mayAsMuch;
}

/** The next number, of the epoch in force, new inboxes, and exactly one box for each grant that stands. */
function withGeneration(
  state: LedgerState,
  albumId: Bytes,
  before: Before,
  generation: Generation,
  signedMs: number,
): LedgerState {
  const newest = before.generations.at(-1);
  const expected = newest ? newest.number + 1 : FIRST_SHARED_GENERATION;
  if (generation.number !== expected) {
    throw new Refused(Code.GENERATION_OLD, `the album's next generation is ${expected}`);
  }
  const current = epochOf(state).number;
  if (generation.epoch !== current) throw new Refused(Code.EPOCH_OLD, `epoch ${generation.epoch}, now ${current}`);
  const carries = newest !== undefined;
  if (generation.fullHistory.length > 0 !== carries || generation.viewHistory.length > 0 !== carries) {
    throw new Refused(Code.LEDGER_RULE, "a generation carries the one before it, and the first carries none");
  }
  if (repeatsInbox(before.generations, generation)) {
    // Under an old inbox, whose grant ended would read on.
    throw new Refused(Code.LEDGER_RULE, "a generation has new inboxes, one for each tier");
  }
  const standing = standingGrants(before, signedMs);
  const granted = [...standing].map(([key, grant]) => `${key} ${grant.tier}`).sort();
  const boxed = generation.boxes.map((box) => `${toHex(box.accountId)} ${box.tier}`).sort();
  if (boxed.join() !== granted.join()) {
    throw new Refused(Code.LEDGER_RULE, "a generation has exactly one box for each grant that stands, at its tier");
  }
  const earlier = before.generations.map((old) => ({ ...old, boxes: [] }));
  return withAlbum(state, albumId, earlier, generation, standing);
}

function repeatsInbox(earlier: readonly Generation[], generation: Generation): boolean {
  const { fullInbox, viewInbox } = generation;
  const used = earlier.flatMap((old) => [old.fullInbox, old.viewInbox]);
  return equal(fullInbox, viewInbox) || used.some((inbox) => equal(inbox, fullInbox) || equal(inbox, viewInbox));
}

function withAlbum(
  state: LedgerState,
  albumId: Bytes,
  earlier: readonly Generation[],
  newest: Generation,
  grants: ReadonlyMap<string, Grant>,
): LedgerState {
  const [first, ...later] = [...earlier, newest];
  const album: SharedAlbum = { generations: [first ?? newest, ...later], grants };
  return { ...state, albums: new Map([...state.albums, [toHex(albumId), album]]) };
}
