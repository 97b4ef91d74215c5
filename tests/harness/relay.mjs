// A way to PostgreSQL that can be cut.
import { connect, createServer } from "node:net";

/** A TCP relay to `to`'s server that can be cut and opened again; `url` leads through it. */
export async function relay(to) {
  const target = new URL(to);
  const pipes = new Set();
  const server = createServer((inside) => {
    const outside = connect(Number(target.port || 5432), target.hostname);
    for (const [a, b] of [[inside, outside], [outside, inside]]) {
      pipes.add(a);
      a.pipe(b);
      a.on("error", () => b.destroy()).on("close", () => (pipes.delete(a), b.destroy()));
    }
  });
  const listen = (port) => new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address();
  return {
    url: Object.assign(new URL(to), { hostname: "127.0.0.1", port }).href,
    cut: () => new Promise((resolve) => {
      server.close(resolve);
      for (const pipe of pipes) pipe.destroy();
    }),
    open: () => listen(port),
  };
}
