/** Known answers that no one here made: FLOE's own, the IETF's for hybrid HPKE, and Wycheproof. */

import { Chacha20Poly1305 } from "@hpke/chacha20poly1305";
import { CipherSuite, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { describe, expect, test } from "vitest";

import { equal, own, type Bytes } from "../src/protocol/bytes.ts";
import { openBytes, sealBytes } from "../src/protocol/floe.ts";
import * as hpke from "../src/protocol/hpke.ts";
import { Code } from "../src/protocol/refusals.ts";
import { isAcceptable, verify } from "../src/protocol/signatures.ts";
import { isEquationTrueInScript } from "../src/protocol/signatures_script.ts";
import { hasPublicVectors, hex, publicNames, publicText, wycheproof } from "./public.ts";

const FLOE_NAMES = publicNames("floe").filter((name) => name.endsWith("_ct.txt"));

describe.skipIf(!hasPublicVectors)("FLOE known answers", () => {
  const key = new Uint8Array(32);
  const associatedData = new TextEncoder().encode("This is AAD");

  test.each(FLOE_NAMES)("%s opens, and a damaged one does not", async (name) => {
    const sealed = hex(publicText(`floe/${name}`).trim());
    const plaintext = hex(publicText(`floe/${name.replace("_ct.", "_pt.")}`).trim());
    const parameters = {
      segmentSizeBytes: new DataView(sealed.buffer).getUint32(2),
      rotationBits: name.includes("rotation") ? 2 : 20,
    };
    expect(await openBytes(key, associatedData, sealed, { parameters })).toEqual(plaintext);
    const resealed = await sealBytes(key, associatedData, plaintext, { parameters });
    expect(await openBytes(key, associatedData, resealed, { parameters })).toEqual(plaintext);
    for (const offset of [10, 50, 80, sealed.length - 1]) {
      const damaged = sealed.slice();
      damaged[offset]! ^= 1;
      await expect(openBytes(key, associatedData, damaged, { parameters })).rejects.toMatchObject({
        code: Code.OPEN_FAILED,
      });
    }
  });

  test("other parameters than ours are refused", async () => {
    const sealed = hex(publicText("floe/rust_GCM256_IV256_64_ct.txt").trim());
    await expect(openBytes(key, associatedData, sealed)).rejects.toMatchObject({ code: Code.FORMAT_UNSUPPORTED });
  });
});

describe.skipIf(!hasPublicVectors)("HPKE with X-Wing", () => {
  interface HpkeVector {
    readonly mode: number;
    readonly kem_id: number;
    readonly kdf_id: number;
    readonly aead_id: number;
    readonly info: string;
    readonly skRm: string;
    readonly pkRm: string;
    readonly enc: string;
    readonly encryptions: readonly { aad: string; ct: string; pt: string }[];
  }
  const all = hasPublicVectors ? (JSON.parse(publicText("hpke-pq.json")) as readonly HpkeVector[]) : [];
  const ours = all.filter((v) => v.mode === 0 && v.kem_id === 0x647a && v.kdf_id === 1 && v.aead_id === 3);

  test("there is one for our suite", () => expect(ours.length).toBeGreaterThan(0));

  test.each(ours)("the seed gives the key, and every message opens", async (vector) => {
    const seed = hex(vector.skRm);
    expect(await hpke.publicKeyOf(seed)).toEqual(hex(vector.pkRm));
    const suite = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Chacha20Poly1305() });
    const recipientKey = await suite.kem.deserializePrivateKey(seed);
    const recipient = await suite.createRecipientContext({ recipientKey, enc: hex(vector.enc), info: hex(vector.info) });
    for (const { aad, ct, pt } of vector.encryptions) {
      expect(new Uint8Array(await recipient.open(hex(ct), hex(aad)))).toEqual(hex(pt));
    }
  });
});

describe.skipIf(!hasPublicVectors)("Wycheproof", () => {
  interface Aead {
    readonly key: string;
    readonly iv: string;
    readonly aad: string;
    readonly msg: string;
    readonly ct: string;
    readonly tag: string;
  }
  interface AeadGroup {
    readonly keySize: number;
    readonly ivSize: number;
  }

  test("XChaCha20-Poly1305", () => {
    for (const { test: vector } of wycheproof<Aead>("xchacha20_poly1305")) {
      const open = () =>
        xchacha20poly1305(hex(vector.key), hex(vector.iv), hex(vector.aad)).decrypt(hex(vector.ct + vector.tag));
      if (vector.result === "valid") expect(own(open()), vector.comment).toEqual(hex(vector.msg));
      else expect(open, `${vector.tcId} ${vector.comment}`).toThrow();
    }
  });

  test("AES-256-GCM with IVs of 12 bytes, all that FLOE uses", async () => {
    const ours = wycheproof<Aead, AeadGroup>("aes_gcm").filter(
      ({ group }) => group.keySize === 256 && group.ivSize === 96,
    );
    expect(ours.length).toBeGreaterThan(50);
    for (const { test: vector } of ours) {
      const key = await crypto.subtle.importKey("raw", hex(vector.key), "AES-GCM", false, ["decrypt"]);
      const algorithm = { name: "AES-GCM", iv: hex(vector.iv), additionalData: hex(vector.aad) };
      const opened = crypto.subtle.decrypt(algorithm, key, hex(vector.ct + vector.tag));
      if (vector.result === "valid") expect(new Uint8Array(await opened), vector.comment).toEqual(hex(vector.msg));
      else await expect(opened, `${vector.tcId} ${vector.comment}`).rejects.toThrow();
    }
  });

  interface Hkdf {
    readonly ikm: string;
    readonly salt: string;
    readonly info: string;
    readonly size: number;
    readonly okm: string;
  }

  test.each([
    ["hkdf_sha256", "SHA-256"],
    ["hkdf_sha384", "SHA-384"],
  ])("%s", async (name, hash) => {
    for (const { test: vector } of wycheproof<Hkdf>(name)) {
      const material = await crypto.subtle.importKey("raw", hex(vector.ikm), "HKDF", false, ["deriveBits"]);
      const algorithm = { name: "HKDF", hash, salt: hex(vector.salt), info: hex(vector.info) };
      const derived = crypto.subtle.deriveBits(algorithm, material, 8 * vector.size);
      if (vector.result === "valid") expect(new Uint8Array(await derived), vector.comment).toEqual(hex(vector.okm));
      else await expect(derived, `${vector.tcId} ${vector.comment}`).rejects.toThrow();
    }
  });

  interface Ed25519Group {
    readonly publicKey: { readonly pk: string };
  }

  test("Ed25519, by WebCrypto and in script alike", async () => {
    for (const { group, test: vector } of wycheproof<{ msg: string; sig: string }, Ed25519Group>("ed25519")) {
      const [key, signature, message] = [hex(group.publicKey.pk), hex(vector.sig), hex(vector.msg)];
      const where = `${vector.tcId} ${vector.comment}`;
      const isValid = vector.result === "valid";
      if (isValid) await verify(key, signature, message);
      else await expect(verify(key, signature, message), where).rejects.toMatchObject({ code: Code.SIGNATURE_INVALID });
      expect(isValidInScript(key, signature, message), where).toBe(isValid);
    }
  });
});

function isValidInScript(key: Bytes, signature: Bytes, message: Bytes): boolean {
  return isAcceptable(key, signature) && isEquationTrueInScript(key, signature, message);
}

test("bytes compare equal only to themselves", () => {
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(equal(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false);
});
