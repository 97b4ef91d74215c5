// A row of the list as an element: drawn once, then only what changed is drawn again.

import { h, setText } from "./dom.js";
import { fillMessage, fillReactions } from "./message-view.js";
import { dayTitle, sentence } from "./text.js";

/**
 * Brings `row.item` in line with its row; makes it where there is none. `details`: `quoted(message)`, the message that it
 * answers, if loaded; `self`, the viewer; `canReact`; `words`, the language.
 */
export function drawRow(row, { quoted, self, canReact, words }) {
  const { kind, message } = row;
  if (!row.item) {
    const item = kind === "message" || kind === "pending";
    row.item = h("li", { tabindex: item ? "-1" : null, class: item ? null : kind, "data-id": row.key });
    row.shown = null;
  }
  if (kind === "day") setText(row.item, dayTitle(row.timestamp, words));
  else if (kind === "message") drawMessage(row, { first: row.first, quoted: quoted(message), me: self?.user_id ?? null, canReact, words });
  else if (kind === "pending") drawPending(row, self, words);
  else setText(row.item, row.text);
}

function drawMessage(row, details) {
  const { item, message, shown: was } = row;
  row.shown = { message, ...details };
  if (was && Object.keys(details).every((name) => was[name] === details[name])) {
    if (was.message === message) return;
    if (onlyReactions(was.message, message)) {
      fillReactions(item.querySelector(".reactions"), message, details.canReact, details.words);
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

function drawPending(row, self, words) {
  const { item, message } = row;
  if (row.shown === message && row.words === words) return;
  Object.assign(row, { shown: message, words });
  fillMessage(item, { ...message, user: { ...self, roles: [] }, type: "text" }, { first: true, me: self?.user_id, canReact: false, words });
  item.classList.add("pending");
  // Not faint where there is something to read about it.
  item.classList.toggle("told", message.state !== "sending" && message.state !== "sent");
  const word = pendingWord(message, words);
  if (word) item.querySelector(".body").append(word);
}

/** What is to be said of one's own message that is not in the room yet; null while it is on its way. */
function pendingWord({ state, error, outcome, reason }, words) {
  const button = (act) => h("button", { type: "button", "data-act": act }, words.t(`pending.${act}`));
  if (state === "failed") return h("p", { class: "failure" }, words.t("pending.failed", { why: sentence(error, words) }), button("retry"), button("discard"));
  if (state === "held") return h("p", { class: "waiting" }, words.t("pending.held"));
  if (state !== "denied") return null;
  const why = words.t(outcome === "expired" ? "pending.expired" : "pending.denied");
  return h("p", { class: "failure" }, reason ? `${why} ${reason}` : why, button("discard"));
}

const onlyReactions = (a, b) =>
  Object.keys({ ...a, ...b }).every((name) => name === "reactions" || name === "mine" || a[name] === b[name]);
