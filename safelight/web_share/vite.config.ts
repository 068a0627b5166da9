import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Every page is one HTML file beside this one: `link.html` becomes `dist/link.html`. */
function pages(): string[] {
  return readdirSync(here)
    .filter((name) => name.endsWith(".html"))
    .map((name) => here + name);
}

export default defineConfig({
  root: here,
  // The server answers pages at /s/<link id> and everything they load at /s/-/…
  base: "/s/-/",
  plugins: [svelte()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: ["chrome109", "firefox115", "safari16.4"],
    // `default-src 'none'` allows neither data: URLs nor the inline polyfill.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: "manifest.json",
    license: { fileName: "licenses.md" },
    sourcemap: false,
    rolldownOptions: {
      input: pages(),
      output: {
        entryFileNames: "[name]-[hash].js",
        chunkFileNames: "[name]-[hash].js",
        assetFileNames: "[name]-[hash][extname]",
      },
    },
  },
  worker: {
    format: "es",
    rolldownOptions: { output: { entryFileNames: "[name]-[hash].js", chunkFileNames: "[name]-[hash].js" } },
  },
  test: {
    environment: "node",
    include: ["tests/**/*.test.ts", "src/**/*.test.ts"],
  },
});
