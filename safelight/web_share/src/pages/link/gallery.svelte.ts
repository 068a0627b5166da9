/** An opened link: what its manifest says, its assets as their pages arrive, and the way to their bytes. */

import type { Bytes } from "../../protocol/bytes.ts";
import { openPage, type HeadContent, type LinkAsset, type ManifestHead } from "../../protocol/links.ts";
import { Pictures } from "./pictures.ts";
import type { BlobRef } from "./server.ts";

/** Fetches blobs through the link's session, renewing it where it ran out, and knows the link's address as it is now. */
export interface BlobSource {
  addressOf(picture: number): string;
  blob(reference: BlobRef, signal?: AbortSignal): Promise<Bytes>;
  stream(reference: BlobRef, signal?: AbortSignal): AsyncGenerator<Bytes, void, void>;
}

export class Gallery {
  readonly content: HeadContent;
  readonly pictures: Pictures;
  readonly source: BlobSource;
  /** Whether the password is remembered in this tab, and so can be forgotten. */
  readonly canLock: boolean;
  assets = $state.raw<readonly LinkAsset[]>([]);
  pagesFailed = $state(false);
  readonly #head: ManifestHead;
  readonly #linkKey: Bytes;
  #pagesOpened = 0;

  constructor(head: ManifestHead, content: HeadContent, linkKey: Bytes, source: BlobSource, canLock: boolean) {
    this.#head = head;
    this.#linkKey = linkKey;
    this.content = content;
    this.source = source;
    this.canLock = canLock;
    this.pictures = new Pictures((reference, signal) => source.blob(reference, signal));
  }

  get isComplete(): boolean {
    return this.assets.length >= this.content.assetCount || this.#pagesOpened === this.#head.pages.length;
  }

  /** Fetch, check and open the next page of the manifest. */
  async openNextPage(): Promise<void> {
    const page = this.#pagesOpened;
    const blob = await this.source.blob(this.#head.pages[page]!);
    const assets = await openPage(this.#linkKey, this.#head, page, blob);
    this.#pagesOpened = page + 1;
    this.assets = [...this.assets, ...assets];
  }

  /** Fetch all other pages, one after the other; `pagesFailed` says that it may be tried again. */
  async openRest(): Promise<void> {
    this.pagesFailed = false;
    try {
      while (this.#pagesOpened < this.#head.pages.length) await this.openNextPage();
    } catch {
      this.pagesFailed = true;
    }
  }

  /** The position of the asset of that number; -1 if it is not here. */
  indexOf(number: number): number {
    return this.assets.findIndex((asset) => asset.number === number);
  }

  close(): void {
    this.pictures.clear();
  }
}
