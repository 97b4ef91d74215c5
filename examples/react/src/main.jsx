// The same room twice: a chat made of the hook, and the element.

import "@edge-chat/client/element";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Chat } from "./Chat.jsx";

const room = new URLSearchParams(location.search).get("room") ?? ROOM;
const getToken = async () => (await fetch(`/token${location.search}`)).text();

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <main>
      <section>
        <h2>The hook</h2>
        <Chat url={CHAT_URL} room={room} getToken={getToken} />
      </section>
      <section>
        <h2>The element</h2>
        <edge-chat url={CHAT_URL} room={room} getToken={getToken} />
      </section>
    </main>
  </StrictMode>,
);
