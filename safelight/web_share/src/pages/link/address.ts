/** The page's own address: which link, its letters behind the `#`, and which picture is open.
 *
 * `/s/<link id>#<letters>` is the gallery and `/s/<link id>#<letters>/<number>` one picture in it. A program that wrote
 * the `#` as `%23` put it all into the path; the server then answers with the same page, and this repairs it.
 */

import { toHex } from "../../protocol/bytes.ts";
import { buildFragment, type LinkAddress } from "../../protocol/links.ts";

/** An address taken apart, before anything of it was checked. */
export interface Place {
  /** 32 hexadecimal letters; empty where the path holds none. */
  readonly linkId: string;
  readonly letters: string;
  /** The number of the picture that is open; 0 for the gallery. */
  readonly picture: number;
}

const PATH = /^\/s\/([0-9a-f]{32})(?:(?:%23|#)(.*))?\/?$/is;
const FRAGMENT_LENGTH = 61;
const PICTURE = /\/(\d{1,9})$/;

export function readPlace(path: string, hash: string): Place {
  const found = PATH.exec(path);
  const whole = hash.replace(/^#/, "") || (found?.[2] ?? "");
  const picture = PICTURE.exec(whole);
  return {
    linkId: found?.[1]?.toLowerCase() ?? "",
    letters: picture ? whole.slice(0, picture.index) : whole,
    picture: picture ? Number(picture[1]) : 0,
  };
}

/** The path and fragment of the gallery. */
export async function buildPlace(address: LinkAddress): Promise<string> {
  return placeOf(toHex(address.linkId), await buildFragment(address));
}

export function placeOf(linkId: string, letters: string): string {
  return `/s/${linkId}#${letters}`;
}

/** Whether two fragments open the same link: a hand-over token more or less makes no other. */
export function isSameLink(letters: string, other: string): boolean {
  return letters.slice(0, FRAGMENT_LENGTH).toLowerCase() === other.slice(0, FRAGMENT_LENGTH).toLowerCase();
}

/** The host that a pasted link names, where that is not this one. */
export function foreignOrigin(pasted: string, own: string): string | undefined {
  const found = /https?:\/\/[^\s/?#"'<>]+/i.exec(pasted);
  if (!found) return undefined;
  try {
    const { origin } = new URL(found[0]);
    return origin === own ? undefined : origin;
  } catch {
    return undefined;
  }
}
