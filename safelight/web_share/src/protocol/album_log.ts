/** An album's own log: what its grantees follow, entry by entry, and nothing else of the space; mirror of
 * sync_protocol/album_log.py.
 *
 * Its entries are those of the space's log that are about the album, numbered anew. Every one of them names the place
 * after which it was signed.
 */

import { equal, sha256, type Bytes } from "./bytes.ts";
import { Label, context, uint } from "./contexts.ts";
import { isSameHead, type Head } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { bytes, count, hash, signed, type Shaped } from "./wire.ts";

/** One entry as the album's log carries it: its number there, its slot in the space's log, and the chain here. */
export const albumFrame = signed({
  number: count,
  slot: count,
  timeMs: count,
  chain: hash,
  entryId: hash,
  envelope: bytes(),
});
export type AlbumFrame = Shaped<typeof albumFrame>;

/** The place after `head` of an album's log, where the space's entry at `slot` is its next. */
export async function nextAlbumHead(
  spaceId: Bytes,
  albumId: Bytes,
  head: Head,
  slot: number,
  entryId: Bytes,
): Promise<Head> {
  const number = head.number + 1;
  const parts = [spaceId, albumId, head.hash, uint(number), uint(slot), entryId];
  return { number, hash: await sha256(context(Label.ALBUM_CHAIN, ...parts)) };
}

/** Take one frame after `head`, whose slot was `slotBefore`, and return the place reached.
 *
 * CHAIN_BROKEN if it was dropped, reordered or changed.
 */
export async function checkAlbumFrame(
  spaceId: Bytes,
  albumId: Bytes,
  head: Head,
  slotBefore: number,
  frame: AlbumFrame,
): Promise<Head> {
  if (!equal(await sha256(frame.envelope), frame.entryId)) {
    throw new Refused(Code.CHAIN_BROKEN, `entry ${frame.number} of the album is not the one it is named for`);
  }
  const reached = await nextAlbumHead(spaceId, albumId, head, frame.slot, frame.entryId);
  if (frame.slot <= slotBefore || !isSameHead({ number: frame.number, hash: frame.chain }, reached)) {
    throw new Refused(Code.CHAIN_BROKEN, `entry ${frame.number} of the album does not follow entry ${head.number}`);
  }
  return reached;
}
