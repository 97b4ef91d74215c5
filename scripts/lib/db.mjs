// The embedded PostgreSQL: PGlite behind its socket server, data in .data/pg (or below DATA).
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { announceEmbedded, data, embeddedPort, embeddedUrl, portOf } from "./database.mjs";
import { Stop, accepts, atEnd, say, script } from "./process.mjs";

await script(async () => {
  const port = portOf("PGLITE_PORT", 5433);
  const running = await embeddedPort();
  if (running) throw new Stop(`This clone's embedded PostgreSQL runs already, on port ${running}.`);
  if (await accepts(port)) throw new Stop(`Port ${port} is in use. Set PGLITE_PORT to a free one.`);

  const folder = join(data, "pg");
  mkdirSync(folder, { recursive: true });
  const db = await PGlite.create(folder);
  const server = new PGLiteSocketServer({ db, port, host: "127.0.0.1", maxConnections: 100 });
  await server.start();
  announceEmbedded(port);
  atEnd(async () => {
    await server.stop();
    await db.close();
  });
  if (!process.send) say(`• embedded PostgreSQL: ${embeddedUrl(port)} (Ctrl-C ends it)`);
  // As another script's child it ends with that script, however that ends: the channel between them closes.
  await new Promise((resolve) => process.once("disconnect", resolve));
});
