/** What the gallery and its viewer say to each other; apart, so that the viewer's code is fetched only when needed. */

import type { Language } from "../../../words/language.ts";
import type { Gallery } from "../gallery.svelte.ts";

export interface ViewerProps extends Record<string, unknown> {
  gallery: Gallery;
  language: Language;
  /** The index to open at. */
  start: number;
  tileOf: (index: number) => HTMLElement | undefined;
  onmove: (index: number) => void;
  /** It begins to close, whoever asked. */
  onclosing: () => void;
  /** It is gone; the index that was seen last. */
  onclosed: (index: number) => void;
}

export interface ViewerHandle extends Record<string, unknown> {
  close(): void;
  goTo(index: number): void;
}
