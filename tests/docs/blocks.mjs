// The fenced blocks of the documents, and which test runs each. A block of language `text` is a drawing and no example;
// every other one is taken by a test of docs-examples.test.mjs, or has a comment before it that says who runs it:
//
//   <!-- run by tests/observe.test.mjs -->              the file names the document, which it reads
//   <!-- run by tests/deploy.test.mjs: --rollback -->   the file holds these words
//   <!-- not run: it needs an account of Cloudflare -->  for what only somebody else has
//
// `<!-- all run by … -->` before the first block of a document is for all of them that say nothing themselves.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { root } from "../../scripts/lib/database.mjs";

const under = (folder) => readdirSync(join(root, folder)).map((name) => join(folder, name));
const READMES = ["client", "examples", ...under("examples")].map((folder) => join(folder, "README.md"));
const documents = [...under(""), ...under("docs"), ...under("docs/decisions"), ...under("bench"), ...READMES]
  .map((path) => path.replace(/^\.?\//, ""))
  .filter((path) => path.endsWith(".md") && existsSync(join(root, path)));

function read(document) {
  const source = readFileSync(join(root, document), "utf8");
  const [head] = source.split(/^ *```/m);
  const [, all] = head.match(/^<!-- all (run by .*?) -->$/m) ?? [];
  return [...source.matchAll(/^( *)```([\w-]*)\n([\s\S]*?)^\1```$/gm)].map(({ index, 2: language, 3: text }) => {
    const before = source.slice(0, index);
    const [, mark = all] = before.match(/<!-- ((?:run by|not run).*?) -->\s*$/) ?? [];
    return { document, line: before.split("\n").length, language, text, mark };
  });
}

/** All of them, by document: where it stands, its language, its text, and what the comment says. */
export const blocks = documents.flatMap(read).filter(({ language }) => language !== "text");

const taken = new Set();

/** The blocks of a document that hold these words, which whoever calls this runs. */
export function takeAll(document, words) {
  const found = blocks.filter((block) => block.document === document && block.text.includes(words));
  if (!found.length) throw new Error(`${document} has no block with: ${words}`);
  for (const block of found) taken.add(block);
  return found.map(({ text }) => text);
}

/** The text of the only such block. */
export function take(document, words) {
  const [text, ...more] = takeAll(document, words);
  if (more.length) throw new Error(`${document} has ${more.length + 1} blocks with: ${words}`);
  return text;
}

/** What is wrong with how a block says who runs it; null where nothing is. */
function unmarked({ document, mark }) {
  const [, why] = mark.match(/^not run: (.*)$/) ?? [];
  if (mark.startsWith("not run")) return why?.length > 10 ? null : "does not say why it is not run";
  const [, file, words] = mark.match(/^run by ([\w./-]+)(?:: (.+))?$/) ?? [];
  if (!file || !existsSync(join(root, file))) return `is run by what is not there: ${mark}`;
  const source = readFileSync(join(root, file), "utf8");
  const name = /README/.test(document) ? document : basename(document);
  return source.includes(words ?? name) ? null : `is not run by ${file}, which has no \`${words ?? name}\``;
}

/** The blocks that nobody runs, each with what is wrong. */
export function unrun() {
  return blocks
    .map((block) => [block, taken.has(block) ? null : block.mark ? unmarked(block) : "is run by no test: see tests/docs/blocks.mjs"])
    .filter(([, fault]) => fault)
    .map(([{ document, line, language }, fault]) => `${document}:${line} (${language || "no language"}) ${fault}`);
}
