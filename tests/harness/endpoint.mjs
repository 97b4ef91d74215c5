// A back end that webhooks are posted to, and what it checks of each request.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";

/**
 * A server that takes posts; every one has to be signed with `secret`. `answer(body, n)` is asked of the nth request of
 * a room: a status, `{status, headers}`, or "hang", which never answers; without it all are taken.
 *
 * `requests`: each as `{id, at, body, status}`, in the order of their arrival; `bodies(room)`: those that were taken;
 * `events(room)`: theirs, as a receiver has them that drops doubles, which fails where a body leaves a hole; `most`, how many
 * requests of one room were under way at once; `faults`: what was wrong with a request; `stop()`, `start()`.
 */
export async function endpoint({ secret, answer = () => 204 }) {
  const webhook = new Webhook(secret);
  const under_way = new Map();
  const it = { requests: [], faults: [], most: 0, answer };
  let server;

  async function handle(request, response) {
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    const body = webhook.verify(text, request.headers);
    assert.deepEqual([request.method, request.url, request.headers["content-type"]], ["POST", "/hooks", "application/json"]);
    const { room_id: room } = body;
    under_way.set(room, (under_way.get(room) ?? 0) + 1);
    it.most = Math.max(it.most, under_way.get(room));
    const entry = { id: request.headers["webhook-id"], at: Date.now(), body, status: null };
    const n = it.requests.filter(({ body }) => body.room_id === room).length;
    it.requests.push(entry);
    response.once("close", () => under_way.set(room, under_way.get(room) - 1));
    const said = await it.answer(body, n);
    if (said === "hang") return;
    const { status, headers } = typeof said === "number" ? { status: said } : said;
    response.writeHead(status, headers).end(status === 204 ? undefined : "what it says is of no interest");
    entry.status = status;
  }

  it.start = async (port = it.port ?? 0) => {
    server = createServer((request, response) => {
      handle(request, response).catch((error) => {
        it.faults.push(`${error}`);
        response.writeHead(400).end();
      });
    });
    for (let tries = 0; ; tries++) {
      try {
        await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
        break;
      } catch (error) {
        if (tries > 50) throw error;
        await sleep(100);
      }
    }
    it.port = server.address().port;
  };
  it.stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  it.bodies = (room) => it.requests.filter(({ body, status }) => body.room_id === room && status >= 200 && status < 300).map(({ body }) => body);
  it.events = (room) => {
    const all = [];
    let [epoch, had] = [0, 0];
    for (const body of it.bodies(room)) {
      if (body.epoch !== epoch) [epoch, had] = [body.epoch, 0];
      assert.ok(body.from <= had + 1 && body.to >= body.from, `a hole between ${had} and ${body.from} of ${room}`);
      const seqs = body.events.map(({ seq }) => seq);
      assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b));
      assert.ok(seqs.every((seq) => seq >= body.from && seq <= body.to), JSON.stringify(body));
      all.push(...body.events.filter(({ seq }) => seq > had));
      had = Math.max(had, body.to);
    }
    return all;
  };
  it.said = (room) => it.events(room).filter(({ event }) => event === "new_message").map(({ data }) => data.content);
  await it.start();
  it.url = `http://127.0.0.1:${it.port}/hooks`;
  return it;
}
