// A deployment that could not keep its promises refuses to serve, everywhere, and says why.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openSocket, startServer, token } from "./harness/index.mjs";

for (const [what, vars, named] of [
  ["without a key", { JWT_SECRET: null }, "JWT_SECRET"],
  ["with a short secret", { JWT_SECRET: "only-31-bytes-of-secret-sauce-x" }, "JWT_SECRET"],
  ["with a secret that stands in docs", { JWT_SECRET: "your-secret-key-your-secret-key-your-secret-key" }, "JWT_SECRET"],
  ["with a webhook whose secret is none", { WEBHOOK_SECRET: "whsec_c2hvcnQ=", WEBHOOK_URL: "https://hooks.example.org/" }, "WEBHOOK_SECRET"],
  ["with a webhook that goes over the internet in the clear", { WEBHOOK_URL: "http://hooks.example.org/", WEBHOOK_SECRET: `whsec_${"A".repeat(32)}` }, "WEBHOOK_URL"],
  ["with a number that is none", { RATE_LIMIT_WINDOW: "60s-0dd" }, "RATE_LIMIT_WINDOW"],
]) {
  test(what, async () => {
    const server = await startServer({ vars });
    try {
      for (const path of ["/healthz", "/api/rooms/video_1", "/api/rooms/video_1/messages", "/api/messages/x", "/api/rooms/video_1/ws"]) {
        const response = await fetch(server.url + path, path.endsWith("x") ? { method: "DELETE" } : {});
        const body = await response.json();
        assert.deepEqual([response.status, body.code], [503, "misconfigured"], path);
        assert.ok(body.detail.includes(named), body.detail);
      }
      await assert.rejects(openSocket(server.socketUrl("video_1"), []), ({ status }) => status === 503);
      const socket = await openSocket(server.socketUrl("video_1"), ["chat.v1", `bearer.${await token({ sub: "ada" })}`]);
      const { data } = await socket.next("goodbye");
      assert.deepEqual([data.code, data.reason.includes(named)], ["misconfigured", true]);
      assert.equal((await socket.closed).code, 4429);
      const { message } = await server.log(/^misconfigured: /);
      assert.ok(message.includes(named));
      const value = Object.values(vars)[0];
      if (value) assert.ok(!server.logs.some((line) => line.text.includes(value)), "not its value");
      // The docs of a problem stay.
      assert.equal((await fetch(`${server.url}/problems/misconfigured`)).status, 200);
    } finally {
      await server.stop();
    }
  });
}
