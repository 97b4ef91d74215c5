// One room as React sees it: the connection lives as long as the component, and each change of the room's model draws it.

import { connect, RoomModel } from "@edge-chat/client";
import { useCallback, useEffect, useRef, useState } from "react";

const NOTHING = { state: "connecting", error: null, messages: [], pending: [], members: null, stats: null, typing: [], canSend: false };

/**
 * `url`, `room` and `getToken` are options of `connect`; another `getToken` connects anew, so let it be the same function
 * from one render to the next.
 *
 * Gives `state` and `error` of the connection; `messages`, `pending`, `stats` of `RoomModel`; `members`, a list, or null
 * where the room is too large for one; `typing`, those who do; `canSend`; `send(content)` and `type(isTyping)`.
 */
export function useRoom({ url, room, getToken }) {
  const [view, setView] = useState(NOTHING);
  const here = useRef(null);

  useEffect(() => {
    const model = new RoomModel();
    const chat = connect({ url, room, getToken });
    let connection = { state: "connecting", error: null };
    let [gone, lapse] = [false, undefined];

    const draw = () => {
      if (gone) return;
      clearTimeout(lapse);
      const now = Date.now();
      const typing = model.typing(now);
      // The first of them lapses without a word.
      if (typing.length > 0) lapse = setTimeout(draw, Math.min(...typing.map(({ until }) => until)) - now);
      const members = model.members && [...model.members.values()];
      setView({ ...connection, messages: model.messages, pending: [...model.pending.values()], members, stats: model.stats, typing, canSend: model.can("send") });
    };
    const draws = (event, fold) => chat.on(event, (said) => {
      fold(said);
      draw();
    });
    draws("state", ({ state, error }) => (connection = { state, error }));
    draws("joined", (reply) => model.joined(reply));
    draws("snapshot", (snapshot) => model.snapshot(snapshot));
    draws("left_out", (left) => model.sampled(left));
    draws("event", (envelope) => model.apply(envelope, Date.now()));
    here.current = { chat, model, draw };

    return () => {
      gone = true;
      clearTimeout(lapse);
      chat.close();
      setView(NOTHING);
    };
  }, [url, room, getToken]);

  const send = useCallback(async (content) => {
    const { chat, model, draw } = here.current;
    const client_id = crypto.randomUUID();
    model.addPending({ client_id, content });
    draw();
    try {
      const { held, message_id } = await chat.send(content, { client_id });
      model.settlePending(client_id, held ? "held" : "sent", null, held && message_id);
    } catch (error) {
      model.settlePending(client_id, "failed", error);
    }
    draw();
  }, []);
  const type = useCallback((isTyping) => here.current.chat.typing(isTyping), []);

  return { ...view, send, type };
}
