// Serves the two pages, with the chat's address, the room and the token of who asks put in.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { tokenFor } from "../token.mjs";

const { CHAT_URL = "http://localhost:3004", ROOM = "video_123", HOST = "localhost", PORT = "8080" } = process.env;

const page = (file) =>
  readFileSync(new URL(file, import.meta.url), "utf8").replaceAll("http://localhost:3004", CHAT_URL).replaceAll("video_123", ROOM);
const pages = new Map([["/", page("index.html")], ["/client.html", page("client.html")]]);

createServer((request, response) => {
  const [path] = request.url.split("?");
  if (path === "/token") return response.end(tokenFor(request));
  response.writeHead(pages.has(path) ? 200 : 404, { "content-type": "text/html; charset=utf-8" });
  response.end(pages.get(path)?.replace('token=""', `token="${tokenFor(request)}"`));
}).listen(PORT, HOST, () => console.log(`ready: http://${HOST}:${PORT}/?name=Ada and /client.html?name=Bob`));
