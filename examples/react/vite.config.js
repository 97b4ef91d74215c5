import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { tokenFor } from "../token.mjs";

const { CHAT_URL = "http://localhost:3004", ROOM = "video_123" } = process.env;

// What your own server does: it hands out tokens.
const tokens = ({ middlewares }) => {
  middlewares.use("/token", (request, response) => response.end(tokenFor(request)));
};

export default defineConfig({
  plugins: [react(), { name: "tokens", configureServer: tokens, configurePreviewServer: tokens }],
  define: { CHAT_URL: JSON.stringify(CHAT_URL), ROOM: JSON.stringify(ROOM) },
  // The client lies outside of this folder.
  server: { fs: { allow: ["../.."] } },
});
