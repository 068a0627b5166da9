import { describe, expect, test } from "vitest";

import { newId } from "../../protocol/ids.ts";
import { Code, Refused } from "../../protocol/refusals.ts";
import { pasteReason, sceneBefore, sceneOf } from "./scenes.ts";

describe("an address leads to its scene", () => {
  const bytes = { linkId: newId(), secret: newId(), publisherFingerprint: newId(), handover: new Uint8Array(0) };

  test("a link that takes pictures shows none, and the server is not asked", () => {
    expect(sceneBefore({ ...bytes, hasPassword: false, isUpload: true })).toEqual({ at: "upload" });
  });

  test("any other link goes on to its door", () => {
    for (const hasPassword of [false, true]) {
      expect(sceneBefore({ ...bytes, hasPassword, isUpload: false })).toBeUndefined();
    }
  });
});

describe("a refusal leads to its scene", () => {
  test.each([
    [Code.LINK_EXPIRED, "expired"],
    [Code.LINK_REVOKED, "revoked"],
    [Code.LINK_EXHAUSTED, "exhausted"],
    [Code.MANIFEST_INVALID, "substituted"],
    [Code.OPEN_FAILED, "substituted"],
    [Code.LINK_NOT_OPENED, "unknown"],
  ] as const)("%s: refused as %s", (code, why) => {
    expect(sceneOf(new Refused(code), false)).toEqual({ at: "refused", why });
  });

  test("a wrong password leads back to the door, and so does a link that nobody knows", () => {
    const door = { at: "door", hasPassword: true, isWrong: true };
    expect(sceneOf(new Refused(Code.LINK_NOT_OPENED), true)).toEqual(door);
  });

  test("what passes may be tried again", () => {
    expect(sceneOf(new Refused(Code.SERVER_UNREACHABLE), false)).toEqual({ at: "trouble", why: "network" });
    expect(sceneOf(new Refused(Code.TIMED_OUT), false)).toEqual({ at: "trouble", why: "network" });
    expect(sceneOf(new Refused(Code.RATE_LIMITED), true)).toEqual({ at: "trouble", why: "busy" });
    expect(sceneOf(new Error("a mistake of ours"), false)).toEqual({ at: "trouble", why: "server" });
  });

  test("a browser that cannot run Argon2 is too old", () => {
    expect(sceneOf(new Refused(Code.UPDATE_REQUIRED), true)).toEqual({ at: "old" });
  });

  test("an address that is not whole is cut, mangled or too new", () => {
    expect(pasteReason(new Refused(Code.LINK_ADDRESS_CUT))).toBe("cut");
    expect(pasteReason(new Refused(Code.LINK_ADDRESS_VERSION))).toBe("version");
    expect(pasteReason(new Error("anything else"))).toBe("mangled");
  });
});
