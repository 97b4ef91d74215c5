// The REST half of the client: lists, and acts that the socket cannot do.

import { ChatError, toJson, within } from "./errors.js";

// Who waits for an answer may hold a lock that other pages wait for.
const ANSWER_WITHIN_MS = 30_000;

/** A part of a path; half a surrogate pair, which no path can have, becomes what is in no id. */
export const part = (text) => encodeURIComponent(String(text).replace(/\p{Surrogate}/gu, "\ufffd"));

/**
 * `base` is the server's origin (`https://chat.example`); `token` returns the token in use or
 * null. Every method throws a ChatError made from the problem document of the answer.
 */
export function createRest({ base, token, fetch = globalThis.fetch.bind(globalThis) }) {
  async function request(method, path, { query = {}, body } = {}) {
    const url = new URL(`/api${path}`, base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) url.searchParams.set(name, value);
    }
    const headers = { accept: "application/json" };
    const bearer = token();
    if (bearer) headers.authorization = `Bearer ${bearer}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const aborted = new AbortController();
    const options = { method, headers, body: body === undefined ? undefined : toJson(body), signal: aborted.signal };
    const ask = async () => {
      const response = await fetch(url, options);
      if (!response.ok) throw await problem(response);
      return response.status === 204 ? {} : await response.json();
    };
    try {
      return await within(ANSWER_WITHIN_MS, ask(), () => new ChatError({ code: "timeout", message: "the server did not answer" }));
    } catch (cause) {
      if (cause instanceof ChatError) throw cause;
      throw new ChatError({ code: "offline", message: "the server could not be reached", cause });
    } finally {
      aborted.abort();
    }
  }

  return {
    /** `request(method, path, {query, body})`, for paths that only a part of the clients asks for. */
    request,
    /** One page by number: `before` or `after` a `no`, or the newest. */
    history: (room, query) => request("GET", `/rooms/${part(room)}/messages`, { query }),
    members: (room, query) => request("GET", `/rooms/${part(room)}/members`, { query }),
    edit: (room, id, content, franking) => request("PATCH", `/messages/${part(id)}`, { body: { room_id: room, content, franking } }),
    remove: (room, id) => request("DELETE", `/messages/${part(id)}`, { query: { room_id: room } }),
    report: (room, id, report) => request("POST", `/messages/${part(id)}/report`, { body: { room_id: room, ...report } }),
    pin: (room, id) => request("PUT", `/rooms/${part(room)}/pins/${part(id)}`),
    announce: (room, content) => request("POST", `/rooms/${part(room)}/announce`, { body: { content } }),
    bans: (room) => request("GET", `/rooms/${part(room)}/bans`),
    held: (room) => request("GET", `/rooms/${part(room)}/held`),
    terms: (room) => request("GET", `/rooms/${part(room)}/terms`),
    testTerms: (room, trial) => request("POST", `/rooms/${part(room)}/terms/test`, { body: trial }),
    reports: (room, query) => request("GET", `/rooms/${part(room)}/reports`, { query }),
    reported: (room, id) => request("GET", `/rooms/${part(room)}/reports/${part(id)}`),
    blocks: () => request("GET", "/me/blocks"),
  };
}

/** What the socket refuses because the room's log holds the message no more, done over REST. */
export async function orOverRest(act, repeat) {
  try {
    return await act;
  } catch (error) {
    if (error.code !== "message_too_old") throw error;
    return repeat();
  }
}

async function problem(response) {
  const said = (await response.json().catch(() => null)) ?? {};
  const seconds = Number(response.headers.get("retry-after"));
  return new ChatError({
    code: said.code ?? (response.status === 401 ? "token_required" : "internal"),
    message: said.detail ?? said.title ?? `HTTP ${response.status}`,
    retry_after_ms: said.retry_after_ms ?? (seconds > 0 ? seconds * 1000 : undefined),
    field: said.errors?.[0]?.pointer,
  });
}
