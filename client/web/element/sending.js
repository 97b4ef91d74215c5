// One's own messages on their way: shown at once, and what became of them.

import { ChatError } from "../chat.js";
import { randomName } from "../sdk/guest.js";
import { LONGEST_MS } from "../sdk/unsent.js";

const MOST_MENTIONS = 20;

export class Sending {
  #host;

  /** `host` has `chat`, `model`, `redraw()` and `failed(error)`. */
  constructor(host) {
    this.#host = host;
  }

  /** `item`: `client_id`, `content`, `timestamp`, `reply_to?` `mentions?` `[{user_id, username}]` or `mention_ids?`; also one that failed before. */
  send(item) {
    const { chat, model } = this.#host;
    model.addPending(item);
    this.#settle(item.client_id, chat.send(item.content, { client_id: item.client_id, reply_to: item.reply_to, mentions: idsOf(item) }));
  }

  /** An `unsent` of the connection: what was on its way when the page was loaded anew. */
  takeUp({ client_id, content, reply_to, mentions, at, reply }) {
    const { model } = this.#host;
    if (model.pending.has(client_id)) return;
    model.addPending({ client_id, content, reply_to, mention_ids: mentions, timestamp: new Date(at).toISOString() });
    this.#settle(client_id, reply ?? Promise.reject(new ChatError({ code: "timeout" })));
  }

  /** One that failed, as it is to be sent again: a day later the server might not know a repeat, so it is a new one. */
  again(item) {
    if (Date.now() - Date.parse(item.timestamp) < LONGEST_MS) return item;
    this.discard(item.client_id);
    return { ...item, client_id: randomName(), timestamp: new Date().toISOString() };
  }

  discard(client_id) {
    const { chat, model } = this.#host;
    model.pending.delete(client_id);
    chat?.forget(client_id);
    this.#host.redraw();
  }

  async #settle(client_id, reply) {
    const { chat, model } = this.#host;
    this.#host.redraw();
    try {
      const { held, message_id, seq } = await reply;
      if (held) model.settlePending(client_id, "held", null, message_id);
      else model.settlePending(client_id, "sent");
      // The first one's reply to a repeat: its event has been here, or stands above what is loaded.
      if (!held && seq <= chat.position.seq) model.pending.delete(client_id);
    } catch (error) {
      model.settlePending(client_id, "failed", error);
      if (error.retry_after_ms) this.#host.failed(error);
    }
    this.#host.redraw();
  }
}

/** None where there are none: the field is left away. */
function idsOf({ mentions = [], mention_ids = mentions.map(({ user_id }) => user_id) }) {
  return mention_ids.length > 0 ? mention_ids.slice(0, MOST_MENTIONS) : undefined;
}
