/** Which language a page speaks, and how it writes numbers, dates and sizes in it. */

import { de } from "./de.ts";
import { en, type Words } from "./en.ts";

const LANGUAGES: Readonly<Record<string, Words>> = { en, de };
const RIGHT_TO_LEFT = new Set(["ar", "fa", "he", "ur", "yi", "ckb", "dv", "ps", "sd", "ug"]);

/** A language, its words, and its ways of writing. */
export class Language {
  readonly tag: string;
  readonly words: Words;

  constructor(tag: string, words: Words) {
    this.tag = tag;
    this.words = words;
  }

  get direction(): "ltr" | "rtl" {
    return RIGHT_TO_LEFT.has(primary(this.tag)) ? "rtl" : "ltr";
  }

  number(value: number): string {
    return new Intl.NumberFormat(this.tag).format(value);
  }

  percent(fraction: number): string {
    return new Intl.NumberFormat(this.tag, { style: "percent" }).format(fraction);
  }

  /** A size as people read it, in powers of a thousand. */
  size(sizeBytes: number): string {
    const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
    const exponent = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, sizeBytes)) / 3));
    const value = sizeBytes / 1000 ** exponent;
    const unit = units[exponent]!;
    const maximumFractionDigits = exponent > 0 && value < 10 ? 1 : 0;
    return new Intl.NumberFormat(this.tag, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits }).format(value);
  }

  /** Minutes and seconds, hours where there are any. */
  duration(durationMs: number): string {
    const seconds = Math.round(durationMs / 1000);
    const pieces = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const shown = pieces[0] ? pieces : pieces.slice(1);
    return shown.map((piece, i) => (i ? String(piece).padStart(2, "0") : String(piece))).join(":");
  }

  /** The last day before *timeMs*; with the time of day, when that is within two days from *nowMs*. */
  until(timeMs: number, nowMs: number): string {
    if (timeMs - nowMs < 2 * 86_400_000)
      return new Intl.DateTimeFormat(this.tag, { dateStyle: "medium", timeStyle: "short" }).format(timeMs);
    return new Intl.DateTimeFormat(this.tag, { dateStyle: "long" }).format(timeMs - 1);
  }

  /** A time without zone ("2024-05-03T10:12:00"), as the camera's clock showed it; empty if it is none. */
  taken(takenLocal: string): string {
    const found = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d))?/.exec(takenLocal);
    if (!found) return "";
    const [year, month, day, hour, minute] = found.slice(1).map((piece) => Number(piece ?? 0));
    const clock = new Date(Date.UTC(year!, month! - 1, day!, hour!, minute!));
    if (Number.isNaN(clock.getTime())) return "";
    const time = found[4] ? ({ timeStyle: "short" } as const) : {};
    return new Intl.DateTimeFormat(this.tag, { dateStyle: "long", ...time, timeZone: "UTC" }).format(clock);
  }
}

function primary(tag: string): string {
  return tag.toLowerCase().split("-", 1)[0]!;
}

/** The first of `preferred` (as `navigator.languages` lists them) that pages speak, else English. */
export function chooseLanguage(preferred: readonly string[]): Language {
  for (const tag of preferred) {
    const words = LANGUAGES[primary(tag)];
    if (words) return new Language(tag, words);
  }
  return new Language("en", en);
}
