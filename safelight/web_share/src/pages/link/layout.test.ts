import { describe, expect, test } from "vitest";

import { layOut, rowHeightFor } from "./layout.ts";

const WIDTH = 1000;
const options = { width: WIDTH, targetHeight: 250, gap: 8, bandHeight: 900 };

/** Ratios as a camera roll has them, the same in every run. */
function ratios(count: number): number[] {
  const usual = [1.5, 0.75, 1.33, 0.5625, 1.778, 1, 0.667];
  return Array.from({ length: count }, (_, i) => usual[(i * 5 + (i >> 2)) % usual.length]!);
}

function rowsOf(boxes: readonly { top: number }[]): number[][] {
  const rows = new Map<number, number[]>();
  boxes.forEach(({ top }, i) => rows.set(top, [...(rows.get(top) ?? []), i]));
  return [...rows.values()];
}

describe("the justified grid", () => {
  test("fills every row but the last to the very edge, with even gaps", () => {
    const { boxes } = layOut(ratios(60), options);
    for (const row of rowsOf(boxes).slice(0, -1)) {
      const [first, last] = [boxes[row[0]!]!, boxes[row.at(-1)!]!];
      expect(first.left).toBe(0);
      expect(last.left + last.width).toBe(WIDTH);
      for (const i of row.slice(1)) {
        const before = boxes[i - 1]!;
        expect(Math.abs(boxes[i]!.left - before.left - before.width - options.gap)).toBeLessThanOrEqual(1);
      }
    }
  });

  test("keeps every picture's proportions within a pixel, and its row near the height aimed at", () => {
    const all = ratios(60);
    const { boxes } = layOut(all, options);
    boxes.forEach(({ width, height }, i) => {
      expect(Math.abs(width - all[i]! * height)).toBeLessThanOrEqual(2);
      expect(height).toBeGreaterThan(options.targetHeight * 0.5);
      expect(height).toBeLessThan(options.targetHeight * 2);
    });
  });

  test("does not move what is there when a later page arrives, but for an unfinished last row", () => {
    const few = layOut(ratios(500), options).boxes;
    const more = layOut(ratios(1000), options).boxes;
    const settled = rowsOf(few).slice(0, -1).flat();
    for (const i of settled) expect(more[i]).toEqual(few[i]);
  });

  test("shows a panorama and a long screenshot cropped, so that neither rules the page", () => {
    const { boxes } = layOut([20, 1.5, 1.5, 0.1, 1.5, 1.5], options);
    expect(boxes[0]!.height).toBeGreaterThan(100);
    for (const { height } of boxes) expect(height).toBeLessThan(500);
  });

  test("never makes a lonely last picture larger than a row", () => {
    const { boxes } = layOut([1.5, 1.5, 1.5, 1.5, 0.75], options);
    expect(boxes.at(-1)!.height).toBeLessThanOrEqual(options.targetHeight);
  });

  test("puts every item into exactly one band, and bands one below the other", () => {
    const { bands, height } = layOut(ratios(333), options);
    let [end, top] = [0, 0];
    for (const band of bands) {
      expect(band.first).toBe(end);
      expect(band.top).toBe(top);
      end = band.end;
      top += band.height;
    }
    expect(end).toBe(333);
    expect(top - options.gap).toBe(height);
  });

  test("lays out nothing for nothing", () => {
    expect(layOut([], options)).toEqual({ boxes: [], bands: [], height: 0 });
  });

  test("takes a phone's width", () => {
    const width = 312;
    const targetHeight = rowHeightFor(ratios(40), { width, gap: 4, viewportHeight: 640 });
    for (const { left, width: wide } of layOut(ratios(40), { width, targetHeight, gap: 4, bandHeight: 900 }).boxes) {
      expect(left + wide).toBeLessThanOrEqual(width);
      expect(wide).toBeGreaterThan(40);
    }
  });

  test("shows three pictures alone as large as they fit into one row, and on a phone one below the other", () => {
    const three = [1.5, 1.5, 1.5];
    const targetHeight = rowHeightFor(three, { width: 1376, gap: 8, viewportHeight: 900 });
    expect(rowsOf(layOut(three, { width: 1376, targetHeight, gap: 8, bandHeight: 900 }).boxes)).toHaveLength(1);
    const onPhone = { width: 382, targetHeight: rowHeightFor(three, { width: 382, gap: 4, viewportHeight: 844 }), gap: 4 };
    expect(rowsOf(layOut(three, { ...onPhone, bandHeight: 900 }).boxes)).toHaveLength(3);
  });
});
