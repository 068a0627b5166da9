// Runs a TypeScript tool with the resolver and transforms that also build the pages: `node tools/run.mjs TOOL ARGUMENTS…`.
import { runnerImport } from "vite";

const [tool, ...tool_arguments] = process.argv.slice(2);
if (!tool) {
  console.error("usage: node tools/run.mjs TOOL ARGUMENTS…");
  process.exit(2);
}
const { module } = await runnerImport(tool.startsWith("/") ? tool : `./${tool}`, { logLevel: "error" });
process.exit(await module.main(tool_arguments));
