// What a client saw of a room, as it has to be compared with the room's log.
import WebSocket from "ws";

/**
 * `entries`, in the order of their arrival: `{snapshot, from, messages}` where a join or `catch_up` began anew at
 * `{epoch, seq}`, `from` being what was asked for; `{resumed, from}` where it brought what was missed after `from`;
 * `{seq, event, data}` what the client took. `absences`: `{at, wait, back}` in ms, for each time the socket was lost:
 * when, the first wait, and after how long the client was in again. `refused`: the status of each upgrade that HTTP answered; `unreached`: connections
 * that nobody took; `wait`: the last absence's; `goodbyes`: `{at, code, retry}` of each, also of a refused upgrade, which to who offered
 * chat.v1 is an opened socket.
 */
export class Record {
  entries = [];
  absences = [];
  refused = [];
  goodbyes = [];
  catchUps = 0;
  unreached = 0;
  #asked = new Map();
  #lost = null;

  took({ seq, event, data }) {
    if (seq !== undefined) this.entries.push({ seq, event, data });
  }

  get wait() {
    return this.#lost?.wait ?? this.absences.at(-1)?.wait ?? 0;
  }

  lost(wait) {
    this.#lost ??= { at: performance.now(), wait };
  }

  joined() {
    if (this.#lost) this.absences.push({ ...this.#lost, back: performance.now() - this.#lost.at });
    this.#lost = null;
  }

  sent(text) {
    if (!text.includes('"join_room"') && !text.includes('"catch_up"')) return;
    const { id, event, data } = JSON.parse(text);
    if (event === "catch_up") this.catchUps += 1;
    if (event === "join_room") this.#asked.set(id, data.resume ?? null);
    if (event === "catch_up") this.#asked.set(id, { epoch: data.epoch, seq: data.seq });
  }

  came(text) {
    if (text.includes('"goodbye"')) {
      for (const { event, data } of text.split("\n").map((line) => JSON.parse(line))) {
        if (event === "goodbye") this.goodbyes.push({ at: performance.now(), code: data.code, retry: data.retry });
      }
    }
    if (!text.startsWith('{"reply"') || !text.includes('"resumed":')) return;
    for (const line of text.split("\n")) {
      const { reply, data } = JSON.parse(line);
      if (!this.#asked.has(reply) || data?.resumed === undefined) continue;
      const from = this.#asked.get(reply);
      const { epoch, seq, resumed, messages } = data;
      this.entries.push(resumed ? { resumed: { epoch, seq }, from } : { snapshot: { epoch, seq }, from, messages });
    }
  }

  /** A WebSocket class whose sockets are watched for this record. */
  socket(headers) {
    const record = this;
    return class extends WebSocket {
      constructor(url, protocols) {
        super(url, protocols, { headers, perMessageDeflate: false });
        this.on("error", ({ code }) => (record.unreached += code === "ECONNREFUSED" ? 1 : 0));
        this.on("unexpected-response", (_, { statusCode }) => {
          record.refused.push(statusCode);
          this.terminate();
        });
        // What still comes on a socket that the client gave up is not for it.
        this.on("message", (data) => this.readyState === WebSocket.OPEN && record.came(data.toString()));
      }

      send(text) {
        if (this.readyState !== WebSocket.OPEN) return;
        record.sent(text);
        super.send(text);
      }
    };
  }
}
