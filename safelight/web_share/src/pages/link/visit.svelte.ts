/** A visit to a link: from the address in the bar to an open gallery, one scene at a time. */

import type { Bytes } from "../../protocol/bytes.ts";
import {
  linkKeys,
  openHead,
  parseAddress,
  parseFragment,
  verifyHead,
  type HeadContent,
  type LinkAddress,
  type LinkKeys,
  type ManifestHead,
} from "../../protocol/links.ts";
import type { LinkOpened } from "../../protocol/messages.ts";
import { fromHex, toHex } from "../../protocol/bytes.ts";
import * as keytree from "../../protocol/keytree.ts";
import { Code, Refused } from "../../protocol/refusals.ts";
import { buildPlace, foreignOrigin, placeOf, readPlace } from "./address.ts";
import { Gallery, type BlobSource } from "./gallery.svelte.ts";
import { pasteReason, sceneBefore, sceneOf, type PasteReason, type Scene } from "./scenes.ts";
import { LinkServer, type BlobRef } from "./server.ts";
import { forget, recall, remember, sweep, type Remembered } from "./tab.ts";

type Keys = Pick<LinkKeys, "accessToken" | "linkKey"> & { readonly proof?: Bytes };

export class Visit implements BlobSource {
  scene = $state.raw<Scene>({ at: "checking" });
  #address: LinkAddress | undefined;
  #server: LinkServer | undefined;
  #keys: Keys | undefined;
  #lastTry: (() => Promise<void>) | undefined;
  #renewing: Promise<void> | undefined;
  /** The highest manifest number that this tab saw. */
  #manifestNumber = 0;
  /** Path and fragment of the gallery, with the newest hand-over token. */
  #galleryAddress = "";

  /** Read the address; nothing is asked of the server, unless this tab opened the link before. */
  async start(): Promise<void> {
    this.#leave();
    this.scene = { at: "checking" };
    const place = readPlace(location.pathname, location.hash);
    if (!isSecure()) {
      const host = location.host;
      const target = place.linkId ? placeOf(place.linkId, place.letters) : location.pathname;
      this.scene = { at: "insecure", httpsAddress: `https://${host}${target}` };
      return;
    }
    if (!isModern()) {
      this.scene = { at: "old" };
      return;
    }
    const linkId = fromHex(place.linkId);
    if (!linkId?.length || !place.letters) {
      this.scene = { at: "paste", why: "missing" };
      return;
    }
    try {
      this.#address = await parseFragment(linkId, place.letters);
    } catch (error) {
      this.scene = { at: "paste", why: pasteReason(error) };
      return;
    }
    await this.#showAddress(this.#address);
    const before = sceneBefore(this.#address);
    if (before) {
      this.scene = before;
      return;
    }
    this.#server = new LinkServer(place.linkId);
    await this.#resume(place.linkId);
  }

  /** Take the whole link from `pasted`: go there if it is whole, else say what is wrong with it. */
  async paste(pasted: string): Promise<PasteReason | "none"> {
    let address: LinkAddress;
    try {
      address = await parseAddress(pasted);
    } catch (error) {
      return /\/s\/[0-9a-f]{32}/i.test(pasted) ? pasteReason(error) : "none";
    }
    const target = await buildPlace(address);
    const elsewhere = foreignOrigin(pasted, location.origin);
    if (elsewhere) {
      location.assign(elsewhere + target);
    } else {
      history.replaceState(null, "", target);
      await this.start();
    }
    return "missing";
  }

  /** Open the link: what a person's click does. */
  async open(password = ""): Promise<void> {
    const address = this.#address;
    if (!address) return;
    await this.#attempt(async () => {
      this.scene = { at: "opening", stretching: address.hasPassword, estimateMs: 0 };
      this.#keys = await linkKeys(address, (salt) => this.#stretch(password, salt));
      this.scene = { at: "opening", stretching: false, estimateMs: 0 };
      await this.#enter(address, this.#keys);
    });
  }

  retry(): Promise<void> {
    return this.#lastTry ? this.#attempt(this.#lastTry) : this.start();
  }

  /** Forget the password in this tab, and everything that was decrypted. */
  async lock(): Promise<void> {
    if (!this.#address) return;
    await forget(toHex(this.#address.linkId));
    history.replaceState(null, "", await buildPlace(this.#address));
    await this.start();
  }

  askForLink(): void {
    this.scene = { at: "paste", why: "again" };
  }

  addressOf(picture: number): string {
    return picture ? `${this.#galleryAddress}/${picture}` : this.#galleryAddress;
  }

  /** BlobSource: renews the session once where it ran out; a link that no longer stands ends the visit. */
  async blob(reference: BlobRef, signal?: AbortSignal): Promise<Bytes> {
    return this.#renewed(() => this.#here().blob(reference, signal));
  }

  async *stream(reference: BlobRef, signal?: AbortSignal): AsyncGenerator<Bytes, void, void> {
    const start = async () => {
      const pieces = this.#here().stream(reference, signal);
      return { pieces, first: await pieces.next() };
    };
    const { pieces, first } = await this.#renewed(start);
    if (first.done) return;
    yield first.value;
    yield* pieces;
  }

  async #resume(linkId: string): Promise<void> {
    const address = this.#address!;
    const now = Date.now();
    void sweep(now);
    const remembered = await recall(linkId, now);
    this.#manifestNumber = remembered?.manifestNumber ?? 0;
    const keys = remembered && (await rememberedKeys(address, remembered));
    if (!keys) {
      this.scene = { at: "door", hasPassword: address.hasPassword, isWrong: false };
      return;
    }
    this.#keys = keys;
    await this.#attempt(async () => {
      this.scene = { at: "opening", stretching: false, estimateMs: 0 };
      await this.#enter(address, keys);
    });
  }

  async #stretch(password: string, salt: Bytes): Promise<Bytes> {
    const { stretchInWorker } = await import("../../workers/stretching.ts");
    return stretchInWorker(password, salt, (estimateMs) => {
      if (this.scene.at === "opening") this.scene = { at: "opening", stretching: true, estimateMs };
    });
  }

  /** Ask the server to open, verify what it sent against the address alone, and show it. */
  async #enter(address: LinkAddress, keys: Keys): Promise<void> {
    const { head, content } = await this.#ask(address, keys);
    const gallery = new Gallery(head, content, keys.linkKey, this, address.hasPassword);
    await gallery.openNextPage();
    this.scene = { at: "gallery", gallery };
    void gallery.openRest();
  }

  async #ask(address: LinkAddress, keys: Keys): Promise<{ head: ManifestHead; content: HeadContent }> {
    const request = { token: keys.accessToken, proof: keys.proof, handover: address.handover };
    const opened = await this.#here().open(request);
    const head = await verifyHead(address, opened.head, opened.headSignature, opened.publishingKey);
    if (head.number < this.#manifestNumber) throw new Refused(Code.MANIFEST_INVALID, "an older manifest");
    const content = await openHeadOrRefuse(address, keys, head);
    this.#manifestNumber = head.number;
    await this.#keep(address, keys, opened);
    return { head, content };
  }

  /** Let reloads, back and another browser of the same person cost nothing. */
  async #keep(address: LinkAddress, keys: Keys, opened: LinkOpened): Promise<void> {
    const { linkKey, proof } = keys;
    await remember(toHex(address.linkId), opened.expiresMs, {
      manifestNumber: this.#manifestNumber,
      ...(proof ? { keys: { linkKey, proof } } : {}),
    });
    this.#address = { ...address, handover: opened.handover };
    await this.#showAddress(this.#address);
  }

  /** Put the address into the bar, whole, and with the picture that was open there. */
  async #showAddress(address: LinkAddress): Promise<void> {
    this.#galleryAddress = await buildPlace(address);
    const { picture } = readPlace(location.pathname, location.hash);
    history.replaceState(history.state, "", this.addressOf(picture));
  }

  async #renewed<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.code !== Code.LINK_SESSION_REQUIRED) this.#endIfOver(error);
      if (error.code !== Code.LINK_SESSION_REQUIRED) throw error;
    }
    await this.#renew();
    return ask();
  }

  async #renew(): Promise<void> {
    const [address, keys] = [this.#address, this.#keys];
    if (!address || !keys) throw new Refused(Code.LINK_SESSION_REQUIRED);
    this.#renewing ??= this.#ask(address, keys)
      .then(() => undefined)
      .finally(() => (this.#renewing = undefined));
    try {
      await this.#renewing;
    } catch (error) {
      this.#endIfOver(error);
      throw error;
    }
  }

  /** A link that was revoked, or ran out, while it was open: nothing of it stays on the screen. */
  #endIfOver(error: unknown): void {
    const over: readonly Code[] = [Code.LINK_EXPIRED, Code.LINK_REVOKED, Code.LINK_EXHAUSTED, Code.LINK_NOT_OPENED];
    if (this.scene.at !== "gallery" || !(error instanceof Refused) || !over.includes(error.code)) return;
    this.#leave();
    this.#refuse(error);
  }

  async #attempt(attempt: () => Promise<void>): Promise<void> {
    this.#lastTry = attempt;
    try {
      await attempt();
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(error: unknown): void {
    const hasPassword = this.#address?.hasPassword ?? false;
    this.scene = sceneOf(error, hasPassword);
    if (this.#address && this.scene.at === "door") void forget(toHex(this.#address.linkId));
  }

  #here(): LinkServer {
    if (!this.#server) throw new Refused(Code.LINK_SESSION_REQUIRED);
    return this.#server;
  }

  #leave(): void {
    if (this.scene.at === "gallery") this.scene.gallery.close();
  }
}

/** Open the sealed head. The signature holds already, so what does not open under a password's key is a wrong password. */
async function openHeadOrRefuse(address: LinkAddress, keys: Keys, head: ManifestHead): Promise<HeadContent> {
  try {
    return await openHead(keys.linkKey, head);
  } catch (error) {
    const isWrongKey = address.hasPassword && error instanceof Refused && error.code === Code.OPEN_FAILED;
    throw isWrongKey ? new Refused(Code.LINK_NOT_OPENED) : error;
  }
}

async function rememberedKeys(address: LinkAddress, remembered: Remembered): Promise<Keys | undefined> {
  const accessToken = await keytree.linkAccessToken(address.secret);
  if (address.hasPassword) return remembered.keys && { accessToken, ...remembered.keys };
  return { accessToken, linkKey: await keytree.linkKey(await keytree.linkBase(address.secret)) };
}

function isSecure(): boolean {
  return globalThis.isSecureContext && typeof crypto.subtle === "object";
}

function isModern(): boolean {
  return typeof IntersectionObserver === "function" && typeof ReadableStream === "function" && typeof BigInt === "function";
}
