import { describe, expect, test } from "vitest";

import { randomBytes, toHex } from "../../protocol/bytes.ts";
import { newId } from "../../protocol/ids.ts";
import { parseAddress, parseFragment } from "../../protocol/links.ts";
import { buildPlace, foreignOrigin, isSameLink, placeOf, readPlace } from "./address.ts";

async function anAddress(handover = new Uint8Array(0), isUpload = false) {
  const linkId = newId();
  const [secret, publisherFingerprint] = [randomBytes(16), randomBytes(16)];
  const address = { linkId, hasPassword: !isUpload, secret, publisherFingerprint, handover, isUpload };
  const [path = "", letters = ""] = (await buildPlace(address)).split("#");
  return { address, path, letters };
}

describe("the page's address", () => {
  test("is read back as it was built, with and without a picture and a hand-over token", async () => {
    for (const handover of [new Uint8Array(0), randomBytes(16)]) {
      const { address, path, letters } = await anAddress(handover);
      expect(readPlace(path, `#${letters}`)).toEqual({ linkId: toHex(address.linkId), letters, picture: 0 });
      expect(readPlace(path, `#${letters}/12`)).toEqual({ linkId: toHex(address.linkId), letters, picture: 12 });
      expect(await parseFragment(address.linkId, letters)).toEqual(address);
    }
  });

  test("of an upload link says so, also when it stands in the bar again", async () => {
    const { address, letters } = await anAddress(new Uint8Array(0), true);
    expect(await parseFragment(address.linkId, letters)).toEqual(address);
    expect((await parseAddress(`https://photos.example${await buildPlace(address)}`)).isUpload).toBe(true);
  });

  test("of one picture still opens the link in a reader that knows of no pictures", async () => {
    const { address } = await anAddress();
    const whole = await parseAddress(`https://photos.example${await buildPlace(address)}/7`);
    expect(whole.secret).toEqual(address.secret);
  });

  test("is repaired where a program wrote the # as %23", async () => {
    const { address, path, letters } = await anAddress();
    const place = readPlace(`${path}%23${letters}`, "");
    expect(place).toEqual({ linkId: toHex(address.linkId), letters, picture: 0 });
    expect(await buildPlace(await parseFragment(address.linkId, place.letters))).toBe(placeOf(place.linkId, letters));
  });

  test("without a link in its path has none", () => {
    expect(readPlace("/s/nothing", "#abc").linkId).toBe("");
    expect(readPlace("/", "").letters).toBe("");
  });

  test("means the same link with a hand-over token or a picture more, and another with another secret", async () => {
    const { letters } = await anAddress();
    const other = await anAddress();
    expect(isSameLink(`${letters}aaaaaaaaaaaaaaaaaaaaaaaaaa`, letters)).toBe(true);
    expect(isSameLink(letters.toUpperCase(), letters)).toBe(true);
    expect(isSameLink(other.letters, letters)).toBe(false);
  });

  test("names another host only where the pasted link does", () => {
    expect(foreignOrigin("look: https://a.example/s/00#x", "https://a.example")).toBeUndefined();
    expect(foreignOrigin("look: https://b.example/s/00#x", "https://a.example")).toBe("https://b.example");
    expect(foreignOrigin("javascript:alert(1)", "https://a.example")).toBeUndefined();
  });
});
