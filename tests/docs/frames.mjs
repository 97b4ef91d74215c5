// Frames as the documents show them, and the types that they are to have.

/** What is left out stands as `…`: gone where it is the rest of something, else a value of nothing. */
const whole = (text) =>
  text.replaceAll(/,\s*…(?=[}\]])/g, "").replaceAll("{…}", "{}").replaceAll("[…]", "[]").replaceAll(/: …(?=[,}])/g, ": 0");

/** The JSON of a line, without what is said beside it. */
function parsed(line) {
  const text = whole(line);
  for (let end = text.length; end > 0; end = text.lastIndexOf("}", end - 1)) {
    try {
      return JSON.parse(text.slice(0, end + 1));
    } catch {}
  }
  throw new Error(`no JSON: ${line}`);
}

/**
 * The frames of a block, in order: `{from, frame, cut}`, `from` being ">" for a client, `cut` whether something is left
 * out of it that a type would miss.
 */
export function frames(text) {
  let from;
  return text.split("\n").flatMap((line) => {
    const [, sign, rest] = line.match(/^(>|<|client|server)? +(.*)$/) ?? [];
    from = sign ?? from;
    if (!rest?.startsWith("{")) return [];
    return [{ from: /client|>/.test(from) ? ">" : "<", frame: parsed(rest), cut: rest.replaceAll(/"settings":\{…\}|"eyJ…"|"token":"…"/g, "").includes("…"), line }];
  });
}

/** Each with its declared type; `settings` stands in for those that are left out. */
export function typed(all, settings) {
  const asked = new Map();
  return all.flatMap(({ from, frame, cut }) => {
    if (from === ">" && frame.id !== undefined) asked.set(frame.id, frame.event);
    if (cut) return [];
    const filled = JSON.parse(JSON.stringify(frame), (name, value) => (name === "settings" && !Object.keys(value).length ? settings : value));
    if (from === ">") return frame.data && frame.event !== "shout" && typeof (frame.data.content ?? "") === "string" ? [[`RoomCommands["${frame.event}"]["data"]`, filled.data]] : [];
    if (frame.error) return [["ErrorData", filled.error]];
    if (frame.reply !== undefined) return [[`RoomCommands["${asked.get(frame.reply)}"]["reply"]`, filled.data]];
    if (!frame.event || frame.event === "pong") return [];
    return [[`Envelope<"${frame.event}">`, filled]];
  });
}
