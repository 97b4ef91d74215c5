// All that the package offers, as a program uses it; where an error is expected, a wrong name or type is refused.

import { ChatError, connect, RoomModel, type Chat, type Message, type RoomEvents, type Sent } from "@edge-chat/client";
import { EdgeChat } from "@edge-chat/client/element";
import { MemoryStore, openPrivate, type KeyStore } from "@edge-chat/client/private";

const chat: Chat = connect({ room: "video_123", url: "https://chat.example.org", getToken: async ({ reason }) => (reason === "refused" ? "newer" : "token") });
connect({ room: "video_123", token: null, storage: localStorage, tabStorage: null, WebSocket, fetch });
// @ts-expect-error a room is needed
connect({ url: "https://chat.example.org" });
// @ts-expect-error no such option
connect({ room: "video_123", tokn: "t" });
// @ts-expect-error no such reason
connect({ room: "video_123", getToken: ({ reason }) => (reason === "bored" ? "a" : "b") });

const stop: () => void = chat.on("new_message", (message, envelope) => {
  const text: string = message.text ?? message.content;
  const seq: number | undefined = envelope.seq;
  const name: "new_message" = envelope.event;
  console.log(message.user.username, text, seq, name, message.reactions["👍"]?.toFixed());
  // @ts-expect-error no such field
  message.sender;
  // @ts-expect-error not a number
  message.message_id.toFixed();
  // @ts-expect-error another event's field
  envelope.data.pinned;
});
stop();
chat.on("message_released", ({ message_id, by }) => [message_id.length, by?.length]);
chat.on("message_denied", ({ outcome, reason }) => outcome === "expired" || reason === undefined);
chat.on("user_typing", ({ is_typing }) => !is_typing);
chat.on("user_banned", ({ ends_at }) => ends_at === null || Date.parse(ends_at));
chat.on("message_held", ({ reasons }) => {
  for (const why of reasons) if (why.code === "term") console.log(why.term, why.sentence);
});
// @ts-expect-error no such event
chat.on("new_mesage", () => {});
// @ts-expect-error no such field of that event
chat.on("user_left", ({ is_gone }) => is_gone);
chat.on("room_stats", ({ online_users, left_out = [] }) => online_users + left_out.length);
chat.on("goodbye", ({ code, retry, after_ms }) => [code === "elsewhere", !retry, after_ms.toFixed()]);
chat.on("state", ({ state, error, retry_in_ms, away_ms, moving }) => {
  if (state === "ended" && error?.code === "banned") console.log(error.ends_at, retry_in_ms, away_ms, moving);
  // @ts-expect-error no such state
  if (state === "closed") console.log("never");
});
chat.on("joined", ({ room, self, members }) => [room.settings.slow_s, self.can.includes("ban"), members?.map(({ role }) => role)]);
chat.on("snapshot", ({ messages, my_reactions }) => messages.map(({ message_id }) => my_reactions[message_id]?.length));
chat.on("unsent", ({ late, reply, client_id }) => (late ? chat.forget(client_id) : reply?.then(({ message_id }) => message_id)));
chat.on("left_out", ({ count }) => count.toFixed());
chat.on("event", (envelope) => {
  // The name tells which data it is.
  if (envelope.event === "message_deleted") console.log(envelope.data.deleted_at, envelope.data.by.role);
  if (envelope.event === "role_set") console.log(envelope.data.role ?? "none");
});

async function talks() {
  const sent: Sent = await chat.send("hello", { reply_to: "01a209e5-0000-7000-8000-000000000000", mentions: ["ada"], metadata: { mood: 1 } });
  if (sent.held) console.log("waits", sent.client_id, sent.seq);
  // @ts-expect-error no such option
  await chat.send("hello", { replyTo: sent.message_id });
  // @ts-expect-error no such type
  await chat.send("hello", { type: "shout" });
  const { edited_at } = await chat.edit(sent.message_id, "hello!");
  const { reactions } = await chat.react(sent.message_id, "👍", { remove: false });
  const { deleted_at } = await chat.remove(sent.message_id);
  chat.typing(true);
  console.log(edited_at, reactions["👍"], deleted_at, chat.state, chat.position.seq, chat.self?.username, chat.leftOut, chat.room, chat.origin);
  const { messages, has_more } = await chat.history({ before: 100, limit: 20 });
  // @ts-expect-error no such query
  await chat.history({ page: 2 });
  const { members, next } = await chat.members({ cursor: 0 });
  const found: Message | undefined = await chat.find(messages[0]!.message_id);
  console.log(has_more, members[0]?.last_seen, next, found?.no);
  const { expires_at } = await chat.request("refresh_token", { user_token: "t" });
  // @ts-expect-error a field is missing
  await chat.request("refresh_token", {});
  // @ts-expect-error no such command
  await chat.request("shout", {});
  await chat.renew();
  chat.rejoin();
  const tries: boolean = chat.retry();
  console.log(expires_at, tries);
}

async function keepsOrder(id: string) {
  const { pinned } = await chat.pin(id);
  await chat.unpin(pinned[0]!);
  await chat.announce("Five minutes.");
  const { report_id } = await chat.report(id, { reason: "spam", details: "links" });
  // @ts-expect-error no such reason
  await chat.report(id, { reason: "boring" });
  const { ends_at } = await chat.ban("bob", { duration_s: 600, reason: "calm down", delete_messages_s: 60, shadow: false });
  await chat.unban("bob");
  const { deleted } = await chat.removeAllOf("bob", { reason: "spam" });
  const { role } = await chat.setRole("bob", "moderator");
  // @ts-expect-error no such role
  await chat.setRole("bob", "king");
  await chat.block("bob");
  await chat.unblock("bob");
  await chat.clear();
  await chat.setModes({ slow_s: 30, links: "moderators", read_only: null, profanity: { action: "mask", severity: "mild" } });
  // @ts-expect-error no mode, but a setting of the owner's
  await chat.setModes({ guests: false });
  // @ts-expect-error a number of seconds
  await chat.setModes({ slow_s: "30" });
  const { held } = await chat.held();
  const { message_id } = await chat.allow(held[0]!.held_id);
  await chat.deny(held[1]!.held_id, { reason: "no" });
  const { blocked, action } = await chat.setTerms({ blocked: ["heron"], action: "hold" });
  const { verdict } = await chat.testTerms("a heron", { blocked });
  const { status } = await chat.resolveReport(report_id, { status: "resolved", resolution: "banned" });
  // @ts-expect-error no decision
  await chat.resolveReport(report_id, { status: "open" });
  const { bans } = await chat.bans();
  const { reports } = await chat.reports({ status: "open", limit: 10 });
  const { context } = await chat.reported(reports[0]!.report_id);
  const { blocks } = await chat.blocks();
  console.log(ends_at, deleted, role, message_id, action, verdict, status, bans[0]?.by, context.message?.no, blocks[0]?.user_id, (await chat.terms()).allowed);
}

async function fails() {
  try {
    await chat.send("hello");
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    if (error.code === "rate_limited") console.log(error.retry_after_ms?.toFixed(), error.field, error.cause);
    if (error.code === "closed" || error.code === "crypto_unavailable") console.log(error.message);
    // @ts-expect-error no such code
    if (error.code === "to_fast") console.log("never");
  }
}

const model = new RoomModel();
chat.on("joined", (reply) => model.joined(reply));
chat.on("snapshot", (snapshot) => model.snapshot(snapshot));
chat.on("event", (envelope) => model.apply(envelope, Date.now()));
chat.on("left_out", (said) => model.sampled(said));
model.prepend(await chat.history({ before: model.messages[0]?.no }), model.messages[0]?.no);
model.present(await chat.members());
model.queues({ ...(await chat.held()), ...(await chat.reports()) });
model.addPending({ client_id: "c", content: "hello" });
model.settlePending("c", "failed", new ChatError({ code: "closed" }));
model.setMine("m", "👍", true);
model.trim(200);
model.shed(7, 200);
console.log(model.gaps.get("m"));
console.log(model.shown[0]?.mine, model.typing(0)[0]?.until, model.can("ban"), model.hides("bob"), model.find("m")?.edited_at, model.members?.get("ada")?.role);
console.log(model.pending.get("c")?.state, model.held.size, model.reports.size, model.blocked, model.leftOut, model.notShown, model.hasMore, model.room?.name, model.self?.role, model.stats);
// @ts-expect-error nobody may that
model.can("fly");

const element = document.createElement("edge-chat");
EdgeChat.translate("de", { "chat.empty": "Noch hat niemand etwas gesagt." });
EdgeChat.translate("de", async () => ({ "chat.empty": "Noch hat niemand etwas gesagt." }));
// @ts-expect-error a catalogue, or what returns one
EdgeChat.translate("de", "de.json");
const same: EdgeChat = element;
element.getToken = async () => "token";
element.addEventListener("edge-chat-state", ({ detail }) => detail.error?.code);
element.addEventListener("edge-chat-stats", ({ detail }) => detail.online_users.toFixed());
element.addEventListener("edge-chat-unread", ({ detail }) => detail.unread.toFixed());
element.addEventListener("click", ({ clientX }) => clientX);
// @ts-expect-error no such detail
element.addEventListener("edge-chat-unread", ({ detail }) => detail.count);
element.focus();
await element.loadOlder(20);
console.log(same.unread, document.querySelector("edge-chat")?.chat?.state, element.model.messages.length);

const store: KeyStore = new MemoryStore();
const mine = await openPrivate({ getToken: () => "token", deviceName: "Laptop", store, wasm: new Uint8Array(), renew: false });
mine.on("keys", () => {});
mine.on("device_added", ({ user_id, device_id }) => [user_id, device_id]);
mine.on("safety_number_changed", ({ safety_number }) => safety_number.length);
mine.on("backup", ({ left_out }) => left_out.toFixed());
mine.on("backup_failed", ({ code }) => code);
// @ts-expect-error no such event
mine.on("key", () => {});
const { devices } = await mine.devices("bob");
await mine.renameDevice(devices[0]!.device_id, "Phone");
await mine.removeDevice(devices[0]!.device_id);
mine.devicesChanged("bob");
const number: string = await mine.safetyNumber("bob");
const { recovery_key } = await mine.backup({ replace: true });
const { sessions } = await mine.restore(recovery_key);
console.log(number, sessions, mine.user_id, mine.device_id, mine.origin);

const direct = await mine.openDirect("bob");
direct.on("new_message", ({ body, unreadable, encrypted, user }, { seq }) => [body ?? unreadable?.message, encrypted, user.username, seq]);
direct.on("message_edited", ({ body }) => body);
direct.on("snapshot", ({ messages }) => messages.map(({ body, device_id }) => [body, device_id]));
direct.on("reaction_updated", ({ reactions }) => reactions);
direct.on("state", ({ state }) => state);
direct.on("unsent", ({ body, late }) => [body, late]);
// @ts-expect-error no such field
direct.on("new_message", ({ plaintext }) => plaintext);
const { message_id } = await direct.send("hello", { reply_to: "m" });
await direct.edit(message_id, "hello!");
const page = await direct.history({ limit: 10 });
const again = await direct.read(page.messages[0]!);
if (again.unreadable?.code === "no_key") await direct.report(again, { reason: "abuse" });
await direct.remove(message_id);
console.log(direct.room, direct.other, direct.chat.state);
direct.close();
mine.close();
chat.close();

/** Every event has a name and data. */
export const names: { [Name in keyof RoomEvents]?: (data: RoomEvents[Name]) => void } = { probe: ({ nonce }) => nonce };
void [talks, keepsOrder, fails];
