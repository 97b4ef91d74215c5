// The same room by Socket.IO with its Redis adapter, in one process: WebSocket only, messages acknowledged. Says its port
// on stdout. `REDIS_PORT` is where Redis is.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

// Overloaded, it is late with its commands too; the default gives up on them.
const publisher = createClient({
  socket: { host: "127.0.0.1", port: Number(process.env.REDIS_PORT) },
  commandOptions: { timeout: 120_000 },
});
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);

const server = createServer();
const io = new Server(server, { transports: ["websocket"], adapter: createAdapter(publisher, subscriber) });
io.on("connection", (socket) => {
  const { room } = socket.handshake.query;
  socket.join(room);
  socket.on("message", (message, acknowledge) => {
    acknowledge({ ok: true });
    io.to(room).emit("message", message);
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
