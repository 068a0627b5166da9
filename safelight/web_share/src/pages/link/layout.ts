/** The justified grid: rows of equal height that fill the width, from aspect ratios alone, so that nothing ever jumps.
 *
 * A row depends only on what stands before its end: pages that arrive later never move what is already there, but for an
 * unfinished last row.
 */

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Consecutive rows that are shown, or not, together. */
export interface Band {
  /** Index of its first item, and one past its last. */
  readonly first: number;
  readonly end: number;
  readonly top: number;
  readonly height: number;
}

export interface Grid {
  readonly boxes: readonly Box[];
  readonly bands: readonly Band[];
  readonly height: number;
}

export interface GridOptions {
  readonly width: number;
  readonly targetHeight: number;
  readonly gap: number;
  readonly bandHeight: number;
}

/** Panoramas and long screenshots are shown cropped in the grid, whole in the viewer. */
const NARROWEST = 0.45;
const WIDEST = 3.2;
/** A last row at least so full is stretched like the others. */
const NEARLY_FULL = 0.78;
const FEW = 4;
const NARROW = 600;

/** The height to aim at for rows: a few pictures alone are shown large, in one row or, on a phone, one below the other. */
export function rowHeightFor(
  ratios: readonly number[],
  { width, gap, viewportHeight }: { width: number; gap: number; viewportHeight: number },
): number {
  const usual = Math.min(330, Math.max(150, 96 + width * 0.185));
  if (!ratios.length || ratios.length > FEW) return usual;
  const tallest = Math.max(usual, Math.min(620, viewportHeight * 0.62));
  if (width < NARROW) return tallest;
  const sum = ratios.reduce((total, ratio) => total + clamp(ratio), 0);
  return Math.min(tallest, Math.max(usual, heightOf(sum, ratios.length, width, gap)));
}

export function layOut(ratios: readonly number[], options: GridOptions): Grid {
  const boxes: Box[] = [];
  const bands: Band[] = [];
  let bandFirst = 0;
  let bandTop = 0;
  let top = 0;
  for (let first = 0; first < ratios.length; ) {
    const { end, height } = nextRow(ratios, first, options);
    let left = 0;
    for (let i = first; i < end; i++) {
      // Edges are rounded, not widths, so that gaps stay even and the row ends flush.
      const right = left + clamp(ratios[i]!) * height;
      boxes.push({ left: Math.round(left), top, width: Math.round(right) - Math.round(left), height: Math.round(height) });
      left = right + options.gap;
    }
    top += Math.round(height) + options.gap;
    first = end;
    if (top - bandTop >= options.bandHeight || end === ratios.length) {
      bands.push({ first: bandFirst, end, top: bandTop, height: top - bandTop });
      bandFirst = end;
      bandTop = top;
    }
  }
  return { boxes, bands, height: Math.max(0, top - options.gap) };
}

/** The row from `first` on: it ends where its height comes nearest to the one aimed at. */
function nextRow(ratios: readonly number[], first: number, options: GridOptions): { end: number; height: number } {
  const { width, targetHeight, gap } = options;
  let sum = 0;
  for (let i = first; i < ratios.length; i++) {
    const before = heightOf(sum, i - first, width, gap);
    sum += clamp(ratios[i]!);
    const height = heightOf(sum, i - first + 1, width, gap);
    if (height > targetHeight) continue;
    const endsBefore = i > first && before / targetHeight < targetHeight / height;
    return endsBefore ? { end: i, height: before } : { end: i + 1, height };
  }
  const count = ratios.length - first;
  const full = heightOf(sum, count, width, gap);
  return { end: ratios.length, height: targetHeight / full >= NEARLY_FULL ? full : targetHeight };
}

function heightOf(ratioSum: number, count: number, width: number, gap: number): number {
  return count ? (width - gap * (count - 1)) / ratioSum : Number.POSITIVE_INFINITY;
}

function clamp(ratio: number): number {
  return Math.min(WIDEST, Math.max(NARROWEST, ratio));
}
