/** The operations on logs, ledgers, receipts and pairing codes that vectors name. */

import { applyAccountEntries } from "../src/protocol/account_ledger.ts";
import { contentOf } from "../src/protocol/approvals.ts";
import { albumFrame, checkAlbumFrame } from "../src/protocol/album_log.ts";
import { fromHex, toHex, type Bytes } from "../src/protocol/bytes.ts";
import * as ledger from "../src/protocol/ledger.ts";
import { epochOf, generationOf, rightsOf, type LedgerState, type Member } from "../src/protocol/ledger_state.ts";
import * as log from "../src/protocol/log.ts";
import { parsePairingUri } from "../src/protocol/pairing.ts";
import { verifyReceipt } from "../src/protocol/receipts.ts";
import { checkRecord } from "../src/protocol/record_rules.ts";
import { Code, Refused } from "../src/protocol/refusals.ts";
import { verifyWords } from "../src/protocol/verify_words.ts";
import { fail, type Inputs, type Operation, type Result } from "./vector_values.ts";

/** Ids that stand as keys of maps, sorted, as bytes. */
function sortedIds(keys: Iterable<string>): readonly Bytes[] {
  return [...keys].sort().map((key) => fromHex(key) ?? fail(`no id: ${key}`));
}

async function replayAccount(inputs: Inputs): Promise<Result> {
  const state = await applyAccountEntries(undefined, inputs.list("entries"));
  const idsWhere = (revoked: boolean) =>
    sortedIds([...state.devices].filter(([, device]) => device.revoked === revoked).map(([id]) => id));
  return {
    account_id: state.accountId,
    head_number: state.head.number,
    head_hash: state.head.hash,
    signing_key: state.identity.signing,
    standing_devices: idsWhere(false),
    revoked_devices: idsWhere(true),
  };
}

async function readChain(inputs: Inputs): Promise<Result> {
  let state = log.START;
  for (const frame of log.framesFromBytes(inputs.bytes("frames"))) state = await log.step(state, frame);
  return { head_number: state.number, chain: state.chain };
}

async function readAlbumChain(inputs: Inputs): Promise<Result> {
  const [spaceId, albumId] = [inputs.bytes("space_id"), inputs.bytes("album_id")];
  let head = log.NO_HEAD;
  let slot = 0;
  for (const frame of log.splitFrames(inputs.bytes("frames"), albumFrame)) {
    head = await checkAlbumFrame(spaceId, albumId, head, slot, frame);
    slot = frame.slot;
  }
  return { head_number: head.number, head_hash: head.hash, slot_number: slot };
}

/** Reads a log as a member's client does: a bad ledger entry stops it, a bad record is set aside. */
class Reader {
  log = log.START;
  ledger: LedgerState | undefined;
  readonly setAside: string[] = [];
  readonly #chains = new Map<number, Bytes>([[0, new Uint8Array(0)]]);
  readonly #ledgers = new Map<number, Bytes>([[0, new Uint8Array(0)]]);

  async take(frame: log.Frame): Promise<void> {
    this.log = await log.step(this.log, frame);
    this.#chains.set(frame.number, frame.chain);
    const entry = await log.parseEntry(frame.envelope);
    log.checkHeads(
      entry,
      frame.number,
      (slot) => this.#chains.get(slot),
      (slot) => this.#ledgers.get(slot),
    );
    if (ledger.isLedgerKind(entry.header.kind)) {
      log.checkPosition(this.log, entry);
      this.ledger = await ledger.apply(this.ledger, entry, frame.number);
      this.#ledgers.set(frame.number, entry.id);
    } else {
      await this.#takeRecord(entry);
    }
    this.log = log.place(this.log, entry);
  }

  async #takeRecord(entry: log.Entry): Promise<void> {
    const state = this.ledger ?? fail("a record before the genesis");
    try {
      log.checkPosition(this.log, entry);
      await checkRecord(state, entry);
    } catch (error) {
      if (!(error instanceof Refused) || error.code === Code.ENTRY_UNKNOWN_CRITICAL) throw error;
      this.setAside.push(error.code);
    }
  }
}

async function replaySpace(inputs: Inputs): Promise<Result> {
  const reader = new Reader();
  for (const frame of log.framesFromBytes(inputs.bytes("frames"))) await reader.take(frame);
  const state = reader.ledger ?? fail("a log without a genesis");
  const authors = [...state.members.values(), ...state.cameras.values()];
  const adding = authors.filter(({ id }) => rightsOf(state, id).has("add"));
  return {
    space_id: state.spaceId,
    head_number: state.head.number,
    head_hash: state.head.hash,
    chain: reader.log.chain,
    epoch_number: epochOf(state).number,
    member_ids: sortedIds(state.members.keys()),
    members_text: [...state.members.values()].map(described).sort(),
    boxes_text: epochOf(state)
      .boxes.map((box) => `${toHex(box.accountId)} ${box.tier}`)
      .sort(),
    open_invitation_ids: sortedIds([...state.invitations].filter(([, { over }]) => !over).map(([key]) => key)),
    epoch_due_text: state.isEpochDue ? "yes" : "no",
    ...describedAlbums(state),
    pointed_text: [...state.cameras.values()]
      .filter(({ albumId }) => albumId.length)
      .map(({ id, albumId }) => `${toHex(id)} ${toHex(albumId)}`)
      .sort(),
    upload_links_text: describedLinks(state),
    adding_ids: sortedIds(adding.map(({ id }) => toHex(id))),
    set_aside_count: reader.setAside.length,
    set_aside_codes_text: reader.setAside,
  };
}

function described({ id, role, rights }: Member): string {
  return [toHex(id), role, ...[...rights].sort()].join(" ");
}

function describedLinks({ uploadLinks }: LedgerState): readonly string[] {
  return [...uploadLinks.values()]
    .map(({ id, madeBy, guests, closed, albumId, terms }) => {
      const { expiresMs, maxFiles, quotaBytes, maxGuests } = terms;
      const album = albumId.length ? toHex(albumId) : "-";
      const isClosed = closed ? "yes" : "no";
      return [toHex(id), toHex(madeBy), guests, isClosed, album, expiresMs, maxFiles, quotaBytes, maxGuests].join(" ");
    })
    .sort();
}

function describedAlbums({ albums }: LedgerState): Result {
  const shared = [...albums].map(([key, album]) => ({ key, album, newest: generationOf(album) }));
  return {
    albums_text: shared.map(({ key, newest }) => `${key} ${newest.number} ${newest.epoch}`).sort(),
    grants_text: shared
      .flatMap(({ key, album }) =>
        [...album.grants].map(([accountId, grant]) =>
          [
            ...[key, accountId, grant.tier, grant.expiresMs, toHex(grant.givenBy), grant.givenMs],
            ...(grant.canAdd ? ["adds"] : []),
            ...(grant.canOrganise ? ["organises"] : []),
          ].join(" "),
        ),
      )
      .sort(),
    grant_boxes_text: shared
      .flatMap(({ key, album }) =>
        album.generations.flatMap(({ number, boxes }) =>
          boxes.map((box) => [key, number, toHex(box.accountId), box.tier].join(" ")),
        ),
      )
      .sort(),
  };
}

async function readReceipt(inputs: Inputs): Promise<Result> {
  const given = await verifyReceipt(inputs.bytes("content"), inputs.bytes("signature"), inputs.bytes("server_key"), {
    spaceId: inputs.bytes("space_id"),
    entryId: inputs.bytes("entry_id"),
    blobs: inputs.list("blobs"),
  });
  return { slot_number: given.number, chain: given.chain, time_number: given.timeMs };
}

async function parsePairing(inputs: Inputs): Promise<Result> {
  const code = await parsePairingUri(inputs.text("uri"));
  return {
    server_url_text: code.serverUrl,
    server_fingerprint: code.serverFingerprint,
    space_id: code.spaceId,
    head_number: code.head.number,
    head_hash: code.head.hash,
    camera_id: code.cameraId,
    secret: code.secret,
  };
}

async function assetContent(inputs: Inputs): Promise<Result> {
  const blobs = inputs.list("blobs");
  const files = inputs.array("renditions_text").map((name, place) => [name as string, blobs[place]!] as const);
  return { content: await contentOf(inputs.bytes("asset_id"), files) };
}

export const LEDGER_OPERATIONS: Readonly<Record<string, Operation>> = {
  "asset.content": assetContent,
  "account.replay": replayAccount,
  "log.chain": readChain,
  "album.chain": readAlbumChain,
  "space.replay": replaySpace,
  "receipt.verify": readReceipt,
  "pairing.parse": parsePairing,
  "verify.words": async (i) => ({
    words_text: (
      await verifyWords(i.bytes("space_id"), { number: i.number("head_number"), hash: i.bytes("head_hash") })
    ).join(" "),
  }),
};
