import { describe, expect, test } from "vitest";

import { randomBytes, sha256, type Bytes } from "../../protocol/bytes.ts";
import { fileContext } from "../../protocol/files.ts";
import { HEADER_SIZE_BYTES, sealBytes } from "../../protocol/floe.ts";
import { newId } from "../../protocol/ids.ts";
import type { LinkAsset, LinkRendition } from "../../protocol/links.ts";
import { padme } from "../../protocol/padding.ts";
import { Code, Refused } from "../../protocol/refusals.ts";
import { fileName } from "./download.ts";
import { Pictures, pictureOf } from "./pictures.ts";
import { Queue } from "./queue.ts";

async function anAsset(data: Bytes, changes: Partial<LinkAsset> = {}): Promise<{ asset: LinkAsset; blob: Bytes }> {
  const assetId = newId();
  const [renditionId, key] = [newId(), randomBytes(32)];
  const padded = new Uint8Array(padme(data.length));
  padded.set(data);
  const blob = await sealBytes(key, fileContext(assetId, "thumbnail", renditionId), padded);
  const rendition: LinkRendition = {
    name: "thumbnail",
    renditionId,
    key,
    blob: await sha256(blob),
    sizeBytes: blob.length,
    header: blob.slice(0, HEADER_SIZE_BYTES),
    lengthBytes: data.length,
    mediaType: "image/webp",
    width: 4,
    height: 3,
  };
  const asset: LinkAsset = {
    number: 1,
    assetId,
    kind: "photo",
    renditions: [rendition],
    width: 4,
    height: 3,
    durationMs: 0,
    thumbhash: new Uint8Array(0),
    caption: "",
    takenLocal: "",
    name: "",
    ...changes,
  };
  return { asset, blob };
}

const live = () => new AbortController().signal;

describe("decrypted pictures", () => {
  test("are fetched once for all who show them, and hold the very bytes", async () => {
    const { asset, blob } = await anAsset(randomBytes(5000));
    let asked = 0;
    const pictures = new Pictures(async () => (asked++, blob));
    const leases = [1, 2].map(() => pictures.lease(asset, asset.renditions[0]!));
    const [first, second] = await Promise.all(leases.map(({ url }) => url));
    expect(first).toBe(second);
    expect(asked).toBe(1);
    leases.forEach((lease) => lease.release());
    expect(pictures.ready(asset.renditions[0]!)).toBe(first);
    pictures.clear();
    expect(pictures.ready(asset.renditions[0]!)).toBeUndefined();
  });

  test("are not shown if the server swapped the blob for another asset's", async () => {
    const [one, other] = [await anAsset(randomBytes(5000)), await anAsset(randomBytes(5000))];
    const pictures = new Pictures(async () => other.blob);
    const lease = pictures.lease(one.asset, one.asset.renditions[0]!);
    await expect(lease.url).rejects.toThrow(Code.OPEN_FAILED);
  });

  test("may be asked for again after they failed", async () => {
    const { asset, blob } = await anAsset(randomBytes(5000));
    let isDown = true;
    const pictures = new Pictures(async () => {
      if (isDown) throw new Refused(Code.NOT_FOUND);
      return blob;
    });
    await expect(pictures.lease(asset, asset.renditions[0]!).url).rejects.toThrow(Code.NOT_FOUND);
    isDown = false;
    await expect(pictures.lease(asset, asset.renditions[0]!).url).resolves.toMatch(/^blob:/);
  });

  test("are no longer asked for once nobody waits for them", async () => {
    const { asset } = await anAsset(randomBytes(100));
    let signal: AbortSignal | undefined;
    const pictures = new Pictures((_reference, given) => ((signal = given), new Promise(() => undefined)));
    const lease = pictures.lease(asset, asset.renditions[0]!);
    await Promise.resolve().then(() => Promise.resolve());
    lease.release();
    expect(signal === undefined || signal.aborted).toBe(true);
  });

  test("are pictures: an SVG or HTML that calls itself a preview is not one", async () => {
    const { asset } = await anAsset(randomBytes(100));
    const posing = { ...asset, renditions: asset.renditions.map((r) => ({ ...r, mediaType: "image/svg+xml" })) };
    expect(pictureOf(asset, "thumbnail")).toBeDefined();
    expect(pictureOf(posing, "thumbnail")).toBeUndefined();
  });
});

describe("the queue", () => {
  test("runs only so many at once, and urgent ones before others that wait", async () => {
    const queue = new Queue(2);
    const order: string[] = [];
    const gates: (() => void)[] = [];
    const task = (name: string) => () => {
      order.push(name);
      return new Promise<void>((resolve) => gates.push(resolve));
    };
    const runs = [
      queue.run(task("a"), { signal: live(), urgency: "soon" }),
      queue.run(task("b"), { signal: live(), urgency: "soon" }),
      queue.run(task("c"), { signal: live(), urgency: "soon" }),
      queue.run(task("d"), { signal: live(), urgency: "now" }),
    ];
    await Promise.resolve();
    await Promise.resolve();
    expect(order).toEqual(["a", "b"]);
    gates[0]!();
    await runs[0];
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(["a", "b", "d"]);
    gates[1]!();
    gates[2]!();
    await Promise.all([runs[1], runs[3]]);
    await new Promise((resolve) => setImmediate(resolve));
    gates[3]!();
    await runs[2];
    expect(order).toEqual(["a", "b", "d", "c"]);
  });

  test("lets go of who no longer waits, and goes on after a failure", async () => {
    const queue = new Queue(1);
    const controller = new AbortController();
    const failing = queue.run(() => Promise.reject(new Error("no")), { signal: live(), urgency: "soon" });
    const leaving = queue.run(() => Promise.resolve(1), { signal: controller.signal, urgency: "soon" });
    const staying = queue.run(() => Promise.resolve(2), { signal: live(), urgency: "soon" });
    controller.abort();
    await expect(failing).rejects.toThrow("no");
    await expect(leaving).rejects.toThrow();
    await expect(staying).resolves.toBe(2);
  });
});

describe("the name a file is saved under", () => {
  test("is its own, made safe", async () => {
    const { asset } = await anAsset(randomBytes(10));
    const original: LinkRendition = { ...asset.renditions[0]!, name: "original", mediaType: "image/jpeg" };
    const named = (name: string) => fileName({ ...asset, name }, original);
    expect(named("IMG_0001.JPG")).toBe("IMG_0001.JPG");
    expect(named("../../etc/passwd")).toBe("__.._etc_passwd");
    expect(named("photo\u202egpj.exe")).toBe("photo_gpj.exe");
    expect(named("Sommer – Ähre 🌾.heic")).toBe("Sommer – Ähre 🌾.heic");
    expect(named("")).toBe("safelight-1.jpg");
  });

  test("keeps the parts of one asset together", async () => {
    const { asset } = await anAsset(randomBytes(10), { name: "IMG_0001.HEIC" });
    const motion: LinkRendition = { ...asset.renditions[0]!, name: "motion", mediaType: "video/quicktime" };
    expect(fileName(asset, motion)).toBe("IMG_0001.mov");
  });
});
