// The page at "/": a name, a room, and the chat beside a stream.

import "./edge-chat.js";

const $ = (id) => document.getElementById(id);
const chat = $("chat");
const address = new URL(location.href);
const OTHERS = ["Grace", "Alan", "Mary", "Linus", "Joan"];
const THEMES = ["system", "light", "dark"];
const ROOM = /^[A-Za-z0-9_.:-]{1,200}$/;

// The room goes into a snippet that people copy into their pages, so an address may not bring anything else.
const asked = address.searchParams.get("room") ?? "";
// A development token gives whatever role is asked for; a real one is signed by one's own server.
const role = address.searchParams.get("role") ?? undefined;

let state = { name: address.searchParams.get("name") ?? "", room: ROOM.test(asked) ? asked : "" };

/** A person of this name, as the development token names them: two tabs of one name are one person. */
const userOf = (name) => name.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-") || "someone";

async function developmentToken({ name, room }) {
  const response = await fetch("/dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: userOf(name), name, role, room: role && room }),
  });
  if (response.status === 404) {
    say("This server hands out no development tokens, so you are here as a guest and can only read. Put a token that your own server signed into the element to write.");
    return null;
  }
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(said.detail ?? "The server did not hand out a token.");
  return said.token;
}

function enter({ name, room }) {
  state = { name, room };
  chat.getToken = name ? () => developmentToken(state) : null;
  chat.setAttribute("room", room);
  chat.hidden = false;
  $("join").hidden = true;
  const next = new URL(location.pathname, location.href);
  next.searchParams.set("room", room);
  const share = next.href;
  if (name) next.searchParams.set("name", name);
  if (role) next.searchParams.set("role", role);
  history.replaceState(null, "", next);
  const other = new URL(share);
  other.searchParams.set("name", OTHERS.find((one) => userOf(one) !== userOf(name)));
  $("second").href = other.href;
  other.searchParams.set("name", "Mo");
  other.searchParams.set("role", "moderator");
  $("moderate").href = other.href;
  $("share").dataset.link = share;
  $("you").textContent = name ? `You are ${name}` : "You are watching";
  for (const id of ["second", "moderate", "share", "leave", "you"]) $(id).hidden = false;
  $("heading").textContent = room;
  snippet();
}

function leave() {
  chat.removeAttribute("room");
  chat.hidden = true;
  $("join").hidden = false;
  for (const id of ["second", "moderate", "share", "leave", "you", "viewers", "note"]) $(id).hidden = true;
  $("heading").textContent = "A stream with a chat beside it";
  history.replaceState(null, "", location.pathname);
  document.title = "edge-chat";
  $("name").focus();
}

function say(sentence) {
  $("note").textContent = sentence;
  $("note").hidden = false;
}

function snippet() {
  const room = state.room || "video_123";
  $("snippet").textContent = `<script type="module" src="${location.origin}/edge-chat.js"></script>\n<edge-chat room="${room}" token="…"></edge-chat>`;
}

async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copying is not allowed here";
  }
  setTimeout(() => {
    button.textContent = label;
  }, 1_500);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  if (theme === "system") chat.removeAttribute("theme");
  else chat.setAttribute("theme", theme);
  $("theme").textContent = `Theme: ${theme}`;
  localStorage.setItem("edge-chat.theme", theme);
}

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  const room = $("room").value.trim();
  const problem = name === "" ? "Please pick a name." : /^dm:|~/.test(room) ? "Rooms of this form are private. Please pick another one." : "";
  $("problem").textContent = problem;
  $("problem").hidden = problem === "";
  if (problem === "") enter({ name, room });
});
$("watch").addEventListener("click", () => {
  if ($("room").reportValidity()) enter({ name: "", room: $("room").value.trim() });
});
$("leave").addEventListener("click", leave);
$("share").addEventListener("click", () => copy($("share"), $("share").dataset.link));
$("copy").addEventListener("click", () => copy($("copy"), $("snippet").textContent));
$("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]));

chat.addEventListener("edge-chat-stats", ({ detail }) => {
  const watching = detail.online_users + detail.online_guests;
  $("viewers").textContent = `· ${watching} watching`;
  $("viewers").hidden = false;
});
chat.addEventListener("edge-chat-unread", ({ detail }) => {
  document.title = detail.unread > 0 ? `(${detail.unread}) ${state.room}` : `${state.room || "edge-chat"}`;
});

const theme = localStorage.getItem("edge-chat.theme");
setTheme(THEMES.includes(theme) ? theme : "system");
snippet();
if (state.room) $("room").value = state.room;
if (state.room && state.name) enter(state);
