// Builds the runner of vectors for browsers as one module: `node tools/build_vectors_page.mjs FOLDER` makes FOLDER/vectors.js.
import { fileURLToPath } from "node:url";

import { build } from "vite";

const room = fileURLToPath(new URL("../", import.meta.url));
await build({
  configFile: false,
  root: room,
  logLevel: "error",
  build: {
    outDir: process.argv[2],
    emptyOutDir: false,
    lib: { entry: `${room}tools/vectors_page.ts`, formats: ["es"], fileName: () => "vectors.js" },
  },
});
