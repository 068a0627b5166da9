import { describe, expect, test } from "vitest";

import { de } from "./de.ts";
import { en } from "./en.ts";
import { chooseLanguage } from "./language.ts";

function leaves(words: object, path = ""): [string, unknown][] {
  return Object.entries(words).flatMap(([key, value]: [string, unknown]) =>
    typeof value === "object" && value ? leaves(value, `${path}${key}.`) : [[path + key, value] as [string, unknown]],
  );
}

describe("languages", () => {
  test("all say the same things, and none leaves one unsaid", () => {
    expect(leaves(de).map(([key]) => key)).toEqual(leaves(en).map(([key]) => key));
    for (const [, value] of [...leaves(en), ...leaves(de)]) {
      expect(typeof value === "function" || (typeof value === "string" && value.trim() !== "")).toBe(true);
    }
  });

  test("are chosen by what the reader prefers, English where none is known", () => {
    expect(chooseLanguage(["fr-FR", "de-AT", "en"]).words).toBe(de);
    expect(chooseLanguage(["de-AT"]).tag).toBe("de-AT");
    expect(chooseLanguage(["EN-gb", "de"]).words).toBe(en);
    expect(chooseLanguage(["fr"]).tag).toBe("en");
    expect(chooseLanguage([]).direction).toBe("ltr");
  });

  test("write sizes, lengths and the camera's own clock", () => {
    const english = chooseLanguage(["en-GB"]);
    expect(english.size(94_321)).toBe("94 kB");
    expect(english.size(3_240_000)).toBe("3.2 MB");
    expect(english.duration(12_300)).toBe("0:12");
    expect(english.duration(3_725_000)).toBe("1:02:05");
    expect(english.taken("2024-05-03T23:59:00")).toContain("3 May 2024");
    expect(english.taken("2024-05-03T23:59:00")).toContain("23:59");
    expect(english.taken("yesterday")).toBe("");
    expect(english.taken("2024-05-03")).toBe("3 May 2024");
    const end = new Date(2027, 1, 1).getTime();
    expect(english.until(end, end - 9 * 86_400_000)).toBe("31 January 2027");
    expect(english.until(end, end - 3_600_000)).toBe("1 Feb 2027, 00:00");
    expect(chooseLanguage(["de"]).size(3_240_000)).toBe("3,2 MB");
  });
});
