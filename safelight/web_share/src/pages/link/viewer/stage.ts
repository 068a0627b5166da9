/** The stage of the viewer: PhotoSwipe moves, zooms and swipes; what it shows comes decrypted from `Pictures`.
 *
 * None of PhotoSwipe's own controls are used, and every slide is made here: so none of its HTML strings meets Trusted
 * Types.
 */

import PhotoSwipe from "photoswipe";
import "photoswipe/style.css";
import { thumbHashToDataURL } from "thumbhash";

import { fromBase64 } from "../../../protocol/codes.ts";
import type { LinkAsset } from "../../../protocol/links.ts";
import { ratioOf } from "../describe.ts";
import { pictureOf, type Lease, type Pictures } from "../pictures.ts";

type ZoomLevels = NonNullable<PhotoSwipe["currSlide"]>["zoomLevels"];
type Content = NonNullable<PhotoSwipe["currSlide"]>["content"];

/** A slide as PhotoSwipe knows it; its picture is asked of `Pictures` when it is near. */
interface Slide {
  readonly type: "image" | "card";
  readonly asset: LinkAsset;
  readonly width: number;
  readonly height: number;
  readonly thumbCropped: true;
}

export interface StageOptions {
  readonly element: HTMLElement;
  readonly pictures: Pictures;
  readonly start: number;
  readonly isStill: boolean;
  readonly tileOf: (index: number) => HTMLElement | undefined;
  readonly alternativeOf: (asset: LinkAsset) => string;
  /** What stands in place of a picture that is not to be had: no preview, not arrived, damaged. */
  readonly cardOf: (asset: LinkAsset, error?: unknown) => HTMLElement;
  readonly onmove: (index: number) => void;
  readonly onopened: () => void;
  readonly ontap: () => void;
  readonly onclosing: () => void;
  readonly onclosed: (index: number) => void;
}

const WIDE_PX = 760;
/** The room that the details take at the side of a wide screen. */
const BESIDE_PX = 360;
const MAX_ENLARGED = 1.6;
/** An option that PhotoSwipe reads and its types do not know. */
const WITHOUT_PRELOADER: object = { preloader: false };

export class Stage {
  readonly #options: StageOptions;
  readonly #slides: Slide[] = [];
  readonly #leases = new Map<Content, Lease>();
  readonly #errors = new Map<Content, unknown>();
  readonly #blurs = new Map<LinkAsset, string>();
  readonly #pswp: PhotoSwipe;
  #closesWhenOpen = false;
  #isGone = false;
  #isBeside = false;

  constructor(assets: readonly LinkAsset[], options: StageOptions) {
    this.#options = options;
    this.extend(assets);
    this.#pswp = new PhotoSwipe({
      dataSource: this.#slides as object[],
      index: options.start,
      appendToEl: options.element,
      showHideAnimationType: options.isStill ? "none" : "zoom",
      zoomAnimationDuration: options.isStill ? false : 300,
      bgOpacity: 1,
      loop: false,
      preload: [1, 2],
      wheelToZoom: true,
      returnFocus: false,
      trapFocus: false,
      escKey: false,
      arrowKeys: false,
      arrowPrev: false,
      arrowNext: false,
      close: false,
      zoom: false,
      counter: false,
      ...WITHOUT_PRELOADER,
      initialZoomLevel: fitLevel,
      maxZoomLevel: 4,
      secondaryZoomLevel: (level) => Math.max(fitLevel(level) * 2.5, 1),
      imageClickAction: "zoom",
      bgClickAction: "close",
      tapAction: () => options.ontap(),
      doubleTapAction: "zoom",
      paddingFn: (viewport) =>
        viewport.x < WIDE_PX
          ? { top: 0, bottom: 0, left: 0, right: 0 }
          : { top: 64, bottom: 72, left: 88, right: this.#isBeside ? BESIDE_PX : 88 },
    });
    this.#fill();
    this.#listen();
    this.#pswp.init();
  }

  get index(): number {
    return this.#pswp.currIndex;
  }

  /** Later pages of the manifest: more slides at the end. */
  extend(assets: readonly LinkAsset[]): void {
    for (const asset of assets.slice(this.#slides.length)) this.#slides.push(slideOf(asset));
  }

  goTo(index: number): void {
    this.#pswp.goTo(Math.min(this.#slides.length - 1, Math.max(0, index)));
  }

  step(by: 1 | -1): void {
    if (by > 0) this.#pswp.next();
    else this.#pswp.prev();
  }

  /** Load the slide anew, after it failed. */
  retry(): void {
    this.#pswp.refreshSlideContent(this.#pswp.currIndex);
  }

  /** Make room at the side for the details, where there is any. */
  makeRoom(isBeside: boolean): void {
    if (this.#isBeside === isBeside || this.#isGone) return;
    this.#isBeside = isBeside;
    this.#pswp.updateSize(true);
  }

  zoom(): void {
    this.#pswp.toggleZoom();
  }

  close(): void {
    // While it still opens, PhotoSwipe would not listen.
    if (this.#pswp.opener.isOpen) this.#pswp.close();
    else this.#closesWhenOpen = true;
  }

  /** Take it away at once, telling nobody, if it is not gone already. */
  abandon(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#pswp.destroy();
  }

  #fill(): void {
    const pswp = this.#pswp;
    pswp.on("contentLoad", (event) => {
      event.preventDefault();
      const content = event.content as Content;
      const { asset, type } = slideIn(content);
      if (type === "card") {
        content.element = this.#options.cardOf(asset) as HTMLDivElement;
        return;
      }
      const image = document.createElement("img");
      image.className = "pswp__img";
      image.draggable = false;
      content.element = image;
      if (content.displayedImageWidth) content.loadImage(event.isLazy);
    });
    pswp.on("contentLoadImage", (event) => {
      event.preventDefault();
      void this.#show(event.content as Content);
    });
    pswp.on("contentDestroy", ({ content }) => this.#release(content as Content));
    pswp.addFilter("thumbEl", (_element, _data, index) => this.#options.tileOf(index) as HTMLElement);
    pswp.addFilter("placeholderSrc", (_source, content) => this.#placeholderOf(slideIn(content as Content).asset) ?? false);
    pswp.addFilter("contentErrorElement", (_element, content) =>
      this.#options.cardOf(slideIn(content as Content).asset, this.#errors.get(content as Content)),
    );
  }

  #listen(): void {
    const { onmove, onopened, onclosing, onclosed } = this.#options;
    const pswp = this.#pswp;
    // The viewer around it is the dialog.
    pswp.on("afterInit", () => pswp.element?.setAttribute("role", "presentation"));
    pswp.on("change", () => onmove(pswp.currIndex));
    pswp.on("close", () => this.#isGone || onclosing());
    pswp.on("openingAnimationEnd", () => {
      if (this.#closesWhenOpen) pswp.close();
      else onopened();
    });
    pswp.on("destroy", () => {
      for (const content of [...this.#leases.keys()]) this.#release(content);
      for (const url of this.#blurs.values()) URL.revokeObjectURL(url);
      if (!this.#isGone) onclosed(pswp.currIndex);
      this.#isGone = true;
    });
  }

  async #show(content: Content): Promise<void> {
    const { asset } = slideIn(content);
    const rendition = shownOf(asset);
    if (!rendition) return;
    this.#release(content);
    const lease = this.#options.pictures.lease(asset, rendition, "now");
    this.#leases.set(content, lease);
    content.state = "loading";
    try {
      const image = content.element as HTMLImageElement;
      image.alt = this.#options.alternativeOf(asset);
      image.src = await lease.url;
      await image.decode();
      if (this.#leases.get(content) === lease) content.onLoaded();
    } catch (error) {
      if (this.#leases.get(content) !== lease) return;
      this.#errors.set(content, error);
      content.onError();
    }
  }

  #release(content: Content): void {
    this.#leases.get(content)?.release();
    this.#leases.delete(content);
    this.#errors.delete(content);
  }

  /** What the picture grows out of: its thumbnail if that is here, else its ThumbHash. */
  #placeholderOf(asset: LinkAsset): string | undefined {
    const { pictures } = this.#options;
    for (const name of ["preview", "thumbnail"] as const) {
      const rendition = pictureOf(asset, name);
      const ready = rendition && pictures.ready(rendition);
      if (ready) return ready;
    }
    const known = this.#blurs.get(asset);
    if (known || !asset.thumbhash.length) return known;
    const png = fromBase64(thumbHashToDataURL(asset.thumbhash).split(",", 2)[1] ?? "");
    if (!png) return undefined;
    const url = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    this.#blurs.set(asset, url);
    return url;
  }
}

/** The whole picture, as large as there is room; small ones a little larger than they are. */
function fitLevel({ panAreaSize, elementSize }: ZoomLevels): number {
  if (!panAreaSize || !elementSize) return 1;
  return Math.min(panAreaSize.x / elementSize.x, panAreaSize.y / elementSize.y, MAX_ENLARGED);
}

function slideIn(content: Content): Slide {
  return content.data as unknown as Slide;
}

function shownOf(asset: LinkAsset) {
  return pictureOf(asset, "preview") ?? pictureOf(asset, "thumbnail");
}

function slideOf(asset: LinkAsset): Slide {
  const rendition = shownOf(asset);
  if (!rendition) return { type: "card", asset, width: 0, height: 0, thumbCropped: true };
  const width = rendition.width || asset.width || 1600;
  const height = rendition.height || Math.round(width / ratioOf(asset));
  return { type: "image", asset, width, height, thumbCropped: true };
}
