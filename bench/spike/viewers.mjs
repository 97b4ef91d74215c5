// A thread with some of the viewers: opens their sockets and counts what comes.
import { parentPort, workerData } from "node:worker_threads";
import WebSocket from "ws";

const AT_ONCE = 50;
const seen = { open: 0, failed: 0, closed: 0, frames: 0, bytes: 0, lags: [] };
let sockets = [];
let every = 1;

function open() {
  return new Promise((done) => {
    const socket = new WebSocket(workerData.url, { perMessageDeflate: false });
    socket.once("open", () => {
      seen.open++;
      sockets.push(socket);
      done();
    });
    socket.on("error", () => {
      if (socket.readyState !== WebSocket.OPEN) seen.failed++;
      done();
    });
    socket.on("close", () => seen.closed++);
    socket.on("message", (data) => {
      seen.frames++;
      seen.bytes += data.length;
      // The clocks of both ends differ: the quickest frame is taken off by who reads these.
      if (seen.frames % every === 0) seen.lags.push(Date.now() - Number(data.subarray(0, data.indexOf(32)).toString()));
    });
  });
}

parentPort.on("message", async ({ ask, count }) => {
  if (ask === "open") {
    every = Math.max(1, Math.floor(count / 100));
    for (let left = count; left > 0; left -= AT_ONCE) await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, open));
  }
  if (ask === "close") {
    for (const socket of sockets) socket.terminate();
    sockets = [];
  }
  parentPort.postMessage({ ...seen });
  if (ask === "reset") Object.assign(seen, { frames: 0, bytes: 0, lags: [] });
});
