// A TCP relay between a page and the server, as a network that fails: it is cut, it swallows, or it loses the answers.

import { connect, createServer } from "node:net";

/**
 * `url` leads to `to` through it. `set(how)`: "open"; "cut", which ends the sockets (not what else the page loads) and
 * takes no new ones; "hole", where nothing comes through and nothing is closed; "deaf", where what the page sends arrives
 * and no answer does. What was swallowed does not come later. `close()` ends it.
 */
export async function relay(to) {
  const target = new URL(to);
  const pairs = new Set();
  let how = "open";
  const server = createServer((page) => {
    const pair = { page, there: connect(Number(target.port), target.hostname), socket: false, spoilt: false };
    pairs.add(pair);
    pair.page.on("data", (data) => {
      pair.socket ||= /\r\nupgrade: websocket\r\n/i.test(data.toString("latin1"));
      if (how === "cut" && pair.socket) pair.page.destroy();
      else if (how === "hole" || pair.spoilt) pair.spoilt = true;
      else pair.there.write(data);
    });
    pair.there.on("data", (data) => {
      if (how === "hole" || how === "deaf" || pair.spoilt) pair.spoilt = true;
      else pair.page.write(data);
    });
    for (const [one, other] of [[pair.page, pair.there], [pair.there, pair.page]]) {
      one.on("error", () => {});
      one.on("close", () => {
        pairs.delete(pair);
        // A hole hides also that the other side has gone.
        if (!pair.spoilt || one === pair.page) other.destroy();
      });
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    set(next) {
      how = next;
      if (how === "cut") for (const { page, socket } of pairs) if (socket) page.destroy();
    },
    close: () => new Promise((resolve) => {
      server.close(resolve);
      for (const { page, there } of pairs) {
        page.destroy();
        there.destroy();
      }
    }),
  };
}
