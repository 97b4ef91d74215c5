// A row of the list as an element: drawn once, then only what changed is drawn again.

import { h, setText } from "./dom.js";
import { fillMessage, fillReactions } from "./message-view.js";
import { dayTitle, sentence } from "./text.js";

/**
 * Brings `row.item` in line with its row; makes it where there is none. `details`: `quoted(message)`, the message that it
 * answers, if loaded; `self`, the viewer; `canReact`.
 */
export function drawRow(row, { quoted, self, canReact }) {
  const { kind, message } = row;
  if (!row.item) {
    const item = kind === "message" || kind === "pending";
    row.item = h("li", { tabindex: item ? "-1" : null, class: item ? null : kind, "data-id": row.key });
    row.shown = null;
  }
  if (kind === "day") setText(row.item, dayTitle(row.timestamp));
  else if (kind === "message") drawMessage(row, { first: row.first, quoted: quoted(message), me: self?.user_id ?? null, canReact });
  else if (kind === "pending") drawPending(row, self);
  else setText(row.item, row.text);
}

function drawMessage(row, details) {
  const { item, message, shown: was } = row;
  row.shown = { message, ...details };
  if (was && Object.keys(details).every((name) => was[name] === details[name])) {
    if (was.message === message) return;
    if (onlyReactions(was.message, message)) {
      fillReactions(item.querySelector(".reactions"), message, details.canReact);
      return;
    }
  }
  const tools = item.querySelector(".tools");
  fillMessage(item, message, details);
  // Of how many nobody can say: older ones are paged in, newer ones come.
  item.setAttribute("aria-posinset", message.no);
  item.setAttribute("aria-setsize", "-1");
  if (tools) {
    item.classList.add("active");
    item.append(tools);
  }
}

function drawPending(row, self) {
  const { item, message } = row;
  if (row.shown === message) return;
  row.shown = message;
  fillMessage(item, { ...message, user: { ...self, roles: [] }, type: "text" }, { first: true, me: self?.user_id, canReact: false });
  item.classList.add("pending");
  // Not faint where there is something to read about it.
  item.classList.toggle("told", message.state !== "sending" && message.state !== "sent");
  const word = pendingWord(message);
  if (word) item.querySelector(".body").append(word);
}

/** What is to be said of one's own message that is not in the room yet; null while it is on its way. */
function pendingWord({ state, error, outcome, reason }) {
  const button = (act, text) => h("button", { type: "button", "data-act": act }, text);
  if (state === "failed") return h("p", { class: "failure" }, `Not sent. ${sentence(error)}`, button("retry", "Try again"), button("discard", "Discard"));
  if (state === "held") return h("p", { class: "waiting" }, "Waiting for a moderator");
  if (state !== "denied") return null;
  const why = outcome === "expired" ? "No moderator decided in time, so this was not allowed." : "This was not allowed.";
  return h("p", { class: "failure" }, reason ? `${why} ${reason}` : why, button("discard", "Discard"));
}

const onlyReactions = (a, b) =>
  Object.keys({ ...a, ...b }).every((name) => name === "reactions" || name === "mine" || a[name] === b[name]);
