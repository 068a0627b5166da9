/** Brings the lists that only name things (labels, refusals) up to Python's: `npm run mirror`.
 *
 * Python's files are where they are edited; a test fails where the mirror is behind.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOM = fileURLToPath(new URL("../", import.meta.url));

/** The body of an enumeration, members and comments, as the body of an object. */
function members(source: string, className: string): string {
  const body = source.split(`class ${className}(StrEnum):`)[1]?.split(/\n(?=[^\s])/)[0] ?? "";
  const lines = body.split("\n").flatMap((line) => {
    const member = /^ {4}([A-Z0-9_]+) = ("[^"]*")$/.exec(line);
    if (member) return [`  ${member[1]}: ${member[2]},`];
    const comment = /^ {4}# (.*)$/.exec(line);
    if (comment) return [`  // ${comment[1]}`];
    return line.trim() ? [] : [""];
  });
  return lines.join("\n").trim();
}

function renew(python: string, className: string, typescript: string): void {
  const source = readFileSync(`${ROOM}../sync_protocol/${python}`, "utf8");
  const path = `${ROOM}src/protocol/${typescript}`;
  const renewed = readFileSync(path, "utf8").replace(
    new RegExp(`(export const ${className} = \\{\\n)[^}]*(\\n\\} as const;)`),
    (_, start: string, end: string) => `${start}  ${members(source, className)}${end}`,
  );
  writeFileSync(path, renewed);
}

export function main(): number {
  renew("contexts.py", "Label", "contexts.ts");
  renew("refusals.py", "Code", "refusals.ts");
  return 0;
}
