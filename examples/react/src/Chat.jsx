// A small chat: who is here, what was said, who is typing, and a line to write in.

import { useEffect, useRef, useState } from "react";
import { useRoom } from "./useRoom.js";

// Names come escaped for HTML; what is shown is only ever text.
const nameOf = ({ username }) => new DOMParser().parseFromString(username, "text/html").body.textContent;

export function Chat(options) {
  const { state, error, messages, pending, members, typing, canSend, send, type } = useRoom(options);
  const [text, setText] = useState("");
  const list = useRef(null);

  useEffect(() => {
    list.current.scrollTop = list.current.scrollHeight;
  }, [messages, pending]);

  const submit = (event) => {
    event.preventDefault();
    if (text.trim() === "") return;
    send(text);
    setText("");
  };

  return (
    <div className="chat" data-state={state}>
      <p role="status">{error ? error.message : members ? `Here: ${members.map(nameOf).join(", ")}` : state}</p>
      <ol className="messages" ref={list} role="log" aria-label="Messages" tabIndex={0}>
        {messages.map((message) => (
          <li key={message.message_id}>
            <b>{nameOf(message.user)}</b> {message.deleted_at ? <i>deleted</i> : (message.text ?? message.content)}
          </li>
        ))}
        {pending.map(({ client_id, content, state, error }) => (
          <li key={client_id} className="pending">
            {content} <i>{error ? error.message : state}</i>
          </li>
        ))}
      </ol>
      <p className="typing">{typing.map((user) => `${nameOf(user)} is typing…`).join(" ")}</p>
      <form onSubmit={submit}>
        <input
          aria-label="Message"
          value={text}
          maxLength={1000}
          disabled={!canSend}
          onChange={({ target }) => {
            setText(target.value);
            type(target.value !== "");
          }}
        />
        <button disabled={!canSend}>Send</button>
      </form>
    </div>
  );
}
