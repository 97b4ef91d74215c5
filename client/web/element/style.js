// How <edge-chat> looks. What can be set from outside by --edge-chat-* properties is told in docs/element.md.

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host {
  color-scheme: light dark;
  --bg: var(--edge-chat-background, light-dark(#ffffff, #17191c));
  --soft: var(--edge-chat-soft, light-dark(#f3f5f4, #202327));
  --line: var(--edge-chat-line, light-dark(#e1e5e3, #2c3035));
  --text: var(--edge-chat-text, light-dark(#1c2321, #e8ebea));
  --muted: var(--edge-chat-muted, light-dark(#5a6663, #9aa5a2));
  --accent: var(--edge-chat-accent, light-dark(#0b6b61, #62cdbc));
  --on-accent: var(--edge-chat-on-accent, light-dark(#ffffff, #08211d));
  --tint: color-mix(in oklab, var(--accent) 10%, var(--bg));
  --danger: var(--edge-chat-danger, light-dark(#ad2f2f, #ff9d94));
  --radius: var(--edge-chat-radius, 14px);
  --round: var(--edge-chat-control-radius, 12px);
  --size: var(--edge-chat-font-size, 1rem);
  --space: var(--edge-chat-space, 1rem);
  --density: var(--edge-chat-density, 1);
  display: block;
  min-block-size: 20rem;
  font: 400 calc(0.9375 * var(--size)) / var(--edge-chat-line-height, 1.45) var(--edge-chat-font, Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", sans-serif);
  color: var(--text);
}
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
:host([hidden]) { display: none; }

*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
.wordless { visibility: hidden; }
h2, p, ol, ul { margin: 0; padding: 0; list-style: none; font-size: inherit; }
button, input, textarea { font: inherit; color: inherit; }
button { border: 0; background: none; padding: 0; cursor: pointer; -webkit-tap-highlight-color: transparent; }
button:disabled { cursor: default; opacity: 0.5; }
:focus { outline: none; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
[dir="rtl"] :is([data-act="reply"], .send) .icon { scale: -1 1; }
.icon { inline-size: 1.15rem; block-size: 1.15rem; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.quiet { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.chat {
  position: relative; display: flex; flex-direction: column; block-size: 100%; overflow: hidden;
  background: var(--bg); border: 1px solid var(--line); border-radius: var(--radius);
}
.head { display: flex; align-items: center; gap: 0.6rem; padding-block: 0.75rem; padding-inline: var(--space) 0.75rem; border-block-end: 1px solid var(--line); }
.title { flex: 1; min-inline-size: 0; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.people-button { display: inline-flex; align-items: center; gap: 0.4rem; padding: 0.3rem 0.6rem; border-radius: 99px; color: var(--muted); font-size: calc(0.8125 * var(--size)); font-variant-numeric: tabular-nums; white-space: nowrap; }
.people-button:hover, .people-button[aria-expanded="true"] { background: var(--soft); color: var(--text); }
.people-button .icon { inline-size: 1rem; block-size: 1rem; }

.state { display: flex; align-items: center; gap: 0.75rem; padding: 0.4rem var(--space); font-size: calc(0.8125 * var(--size)); color: var(--muted); background: var(--soft); border-block-end: 1px solid var(--line); }
.state.ended { color: var(--danger); }
.state span { flex: 1; min-inline-size: 0; font-variant-numeric: tabular-nums; }
.retry { padding: 0.1rem 0.5rem; border-radius: 6px; color: var(--accent); font-weight: 600; white-space: nowrap; }
.retry:hover { background: var(--tint); }
.retry[aria-disabled="true"] { opacity: 0.5; cursor: default; }

.people { position: absolute; inset-inline-end: 0.75rem; inset-block-start: 3.4rem; z-index: 3; inline-size: min(17rem, calc(100% - 1.5rem)); max-block-size: 60%; overflow: auto; padding: 0.5rem; background: var(--bg); border: 1px solid var(--line); border-radius: var(--round); box-shadow: 0 12px 32px rgb(0 0 0 / 0.16); }
.person { display: flex; align-items: center; gap: 0.6rem; padding: 0.3rem 0.4rem; }
.person .role { margin-inline-start: auto; }
.people-note { padding: 0.4rem; font-size: calc(0.8125 * var(--size)); color: var(--muted); }

.middle { position: relative; flex: 1; min-block-size: 0; }
.scroller { block-size: 100%; overflow: hidden auto; overscroll-behavior: contain; overflow-anchor: none; padding: 0.5rem 0 0.25rem; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
.scroller:focus-visible { outline-offset: -3px; }
.top { padding: 0.5rem 1rem; text-align: center; font-size: calc(0.8125 * var(--size)); color: var(--muted); }
.empty { position: absolute; inset: 0; display: grid; place-content: center; gap: 0.25rem; padding: 2rem; text-align: center; color: var(--muted); pointer-events: none; }
.empty b { color: var(--text); font-weight: 600; }

.messages { display: flow-root; }
.day, .gap { display: flex; align-items: center; gap: 0.75rem; margin: calc(0.9rem * var(--density)) var(--space) calc(0.4rem * var(--density)); font-size: calc(0.75 * var(--size)); color: var(--muted); }
:is(.day, .gap)::before, :is(.day, .gap)::after { content: ""; flex: 1; border-block-start: 1px solid var(--line); }
.missed { display: flex; align-items: center; gap: 0.75rem; margin: calc(0.9rem * var(--density)) var(--space) calc(0.4rem * var(--density)); font-size: calc(0.75 * var(--size)); font-weight: 600; text-align: center; color: var(--accent); scroll-margin-block: 3rem; }
.missed::before, .missed::after { content: ""; flex: 1; min-inline-size: 1rem; border-block-start: 1px solid var(--accent); }

.message { position: relative; display: grid; grid-template-columns: 2rem minmax(0, 1fr); column-gap: 0.7rem; padding: calc(0.12rem * var(--density)) var(--space); scroll-margin-block: 3rem; }
.message.first { margin-block-start: calc(0.6rem * var(--density)); }
.message:hover, .message.active { background: var(--soft); }
.message:focus-visible { outline-offset: -2px; }
.message.for-me { background: var(--tint); border-inline-start: 3px solid var(--accent); padding-inline-start: calc(var(--space) - 3px); }
.message.flash { animation: flash 1.6s ease-out; }
@keyframes flash { from { background: color-mix(in oklab, var(--accent) 28%, var(--bg)); } }
.avatar { display: grid; place-items: center; inline-size: 2rem; block-size: 2rem; margin-block-start: 0.15rem; border-radius: 50%; overflow: hidden; font-size: calc(0.8125 * var(--size)); font-weight: 600; color: light-dark(oklch(0.4 0.09 var(--hue)), oklch(0.9 0.06 var(--hue))); background: light-dark(oklch(0.92 0.045 var(--hue)), oklch(0.37 0.06 var(--hue))); }
.avatar img { inline-size: 100%; block-size: 100%; object-fit: cover; }
.by { display: flex; align-items: baseline; gap: 0.5rem; min-inline-size: 0; }
.name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: light-dark(oklch(0.45 0.11 var(--hue)), oklch(0.82 0.09 var(--hue))); }
.role { padding: 0 0.4rem; border: 1px solid var(--line); border-radius: 99px; font-size: calc(0.6875 * var(--size)); color: var(--muted); }
.time { font-size: calc(0.75 * var(--size)); color: var(--muted); font-variant-numeric: tabular-nums; white-space: nowrap; }
.message:not(.first) .time { grid-column: 1; grid-row: 1; justify-self: center; align-self: start; padding-block-start: 0.2rem; font-size: calc(0.625 * var(--size)); opacity: 0; }
.message:not(.first):is(:hover, :focus, .active) .time { opacity: 1; }
.body { grid-column: 2; min-inline-size: 0; }
.content { overflow-wrap: anywhere; white-space: pre-wrap; unicode-bidi: plaintext; }
.content.emote { font-size: calc(2 * var(--size)); line-height: 1.25; }
.content a { color: var(--accent); text-underline-offset: 2px; }
.message.system .content:not(.gone) { margin-block: 0.2rem; padding: 0.4rem 0.75rem; border-inline-start: 3px solid var(--accent); border-start-start-radius: 4px; border-end-start-radius: 4px; border-start-end-radius: 10px; border-end-end-radius: 10px; background: var(--tint); font-weight: 500; }
.gone { color: var(--muted); font-style: italic; }
.mention { padding: 0.05em 0.3em; border-radius: 0.35em; background: color-mix(in oklab, var(--accent) 14%, var(--bg)); color: var(--accent); font-weight: 500; }
.mention.me { background: var(--accent); color: var(--on-accent); }
.original { margin: 0; font-size: calc(0.8 * var(--size)); color: var(--muted); overflow-wrap: anywhere; white-space: pre-wrap; }
.edited { margin-inline-start: 0.4rem; font-size: calc(0.75 * var(--size)); color: var(--muted); }
.quote { display: block; max-inline-size: 100%; margin-block: 0.1rem 0.2rem; padding: 0.05rem 0.6rem; border-inline-start: 2px solid var(--accent); font-size: calc(0.8125 * var(--size)); color: var(--muted); text-align: start; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.quote:hover { color: var(--text); }
.quote b { font-weight: 600; }

.reactions { display: flex; flex-wrap: wrap; gap: 0.3rem; }
.reactions:not(:empty) { padding-block: 0.25rem; }
.chip { display: inline-flex; align-items: center; gap: 0.35rem; padding: 0.05rem 0.5rem; border: 1px solid var(--line); border-radius: 99px; background: var(--bg); font-size: calc(0.8125 * var(--size)); font-variant-numeric: tabular-nums; }
.chip[aria-pressed="true"] { border-color: var(--accent); background: color-mix(in oklab, var(--accent) 14%, var(--bg)); }
.chip:not(:disabled):hover { border-color: var(--muted); }
.chip:disabled { opacity: 1; }

.pending { opacity: 0.65; }
.pending.told { opacity: 1; }
.failure { display: flex; flex-wrap: wrap; gap: 0.2rem 0.75rem; font-size: calc(0.8125 * var(--size)); color: var(--danger); }
.failure button, .notice button { font-weight: 600; text-decoration: underline; text-underline-offset: 2px; }

.tools { position: absolute; inset-inline-end: 0.75rem; z-index: 1; display: flex; padding: 0.15rem; background: var(--bg); border: 1px solid var(--line); border-radius: 10px; box-shadow: 0 4px 14px rgb(0 0 0 / 0.1); }
.tools button { display: grid; place-items: center; min-inline-size: 1.9rem; block-size: 1.9rem; border-radius: 7px; color: var(--muted); }
.tools button:hover { background: var(--soft); color: var(--text); }
.tools button.sure { padding-inline: 0.6rem; background: var(--danger); color: var(--bg); font-size: calc(0.8125 * var(--size)); font-weight: 600; }

.picker { position: fixed; inset: auto; margin: 0; padding: 0.5rem; inline-size: 15.5rem; background: var(--bg); color: inherit; border: 1px solid var(--line); border-radius: var(--round); box-shadow: 0 12px 32px rgb(0 0 0 / 0.18); }
.emoji { display: grid; grid-template-columns: repeat(6, 1fr); }
.emoji button { padding: 0.25rem 0; border-radius: 8px; font-size: calc(1.25 * var(--size)); line-height: 1.4; }
.emoji button:hover { background: var(--soft); }
.other { display: flex; gap: 0.4rem; margin-block-start: 0.4rem; }
.other input { flex: 1; min-inline-size: 0; padding: 0.3rem 0.6rem; border: 1px solid var(--line); border-radius: 8px; background: var(--bg); }
.other button { padding: 0.3rem 0.6rem; border-radius: 8px; background: var(--soft); }

.jump { position: absolute; white-space: nowrap; inset-block-end: 0.6rem; inset-inline: 0; inline-size: fit-content; margin-inline: auto; display: inline-flex; align-items: center; gap: 0.4rem; padding: 0.35rem 0.8rem; border-radius: 99px; background: var(--accent); color: var(--on-accent); font-size: calc(0.8125 * var(--size)); font-weight: 600; box-shadow: 0 6px 18px rgb(0 0 0 / 0.2); }
.jump .icon { inline-size: 0.95rem; block-size: 0.95rem; }
.missed-pill { position: absolute; inset-block-start: 0.6rem; inset-inline: 0.75rem; z-index: 2; display: flex; inline-size: fit-content; max-inline-size: calc(100% - 1.5rem); margin-inline: auto; border-radius: 1rem; background: var(--accent); color: var(--on-accent); font-size: calc(0.75 * var(--size)); font-weight: 600; box-shadow: 0 6px 18px rgb(0 0 0 / 0.2); }
.missed-jump { display: inline-flex; align-items: center; gap: 0.4rem; min-inline-size: 0; padding-block: 0.35rem; padding-inline: 0.8rem 0.3rem; border-start-start-radius: 1rem; border-end-start-radius: 1rem; text-align: start; text-wrap: balance; }
.missed-close { display: grid; place-items: center; padding-block: 0.35rem; padding-inline: 0.4rem 0.7rem; border-start-end-radius: 1rem; border-end-end-radius: 1rem; }
.missed-pill .icon { flex: none; inline-size: 0.95rem; block-size: 0.95rem; }
.missed-pill :focus-visible { outline-color: var(--on-accent); outline-offset: -4px; }

.typing { block-size: 1.4rem; padding-inline: var(--space); font-size: calc(0.75 * var(--size)); line-height: 1.4rem; color: var(--muted); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.not-shown { padding: 0.1rem var(--space); font-size: calc(0.75 * var(--size)); line-height: 1.4rem; color: var(--muted); font-variant-numeric: tabular-nums; }
.foot { position: relative; padding: 0 0.75rem 0.75rem; }
.notice { padding: 0.35rem 0.4rem; font-size: calc(0.8125 * var(--size)); color: var(--danger); }
.about { display: flex; align-items: center; gap: 0.5rem; padding-block: 0.35rem; padding-inline: 0.75rem 0.35rem; border: 1px solid var(--line); border-block-end: 0; border-start-start-radius: var(--round); border-start-end-radius: var(--round); font-size: calc(0.8125 * var(--size)); color: var(--muted); background: var(--soft); }
.about span { flex: 1; min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.about button { display: grid; padding: 0.25rem; border-radius: 6px; }
.about .icon { inline-size: 0.9rem; block-size: 0.9rem; }
.write { display: flex; align-items: flex-end; gap: 0.4rem; padding: 0.3rem; border: 1px solid light-dark(#8b9592, #66706d); border-radius: var(--round); background: var(--bg); }
.about:not([hidden]) + .write { border-start-start-radius: 0; border-start-end-radius: 0; }
.write:focus-within { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
.write textarea { unicode-bidi: plaintext; flex: 1; min-inline-size: 0; max-block-size: 9rem; padding: 0.4rem 0.6rem; border: 0; background: none; resize: none; field-sizing: content; outline: none; }
.write textarea::placeholder { color: var(--muted); opacity: 1; }
.write button { flex: none; display: grid; place-items: center; inline-size: 2.2rem; block-size: 2.2rem; border-radius: calc(var(--round) * 0.75); background: var(--accent); color: var(--on-accent); }
.write button:disabled { background: var(--soft); color: var(--muted); opacity: 1; }
.write .emoji-button { background: none; color: var(--muted); }
.write .emoji-button:hover, .write .emoji-button[aria-expanded="true"] { background: var(--soft); color: var(--text); }
.watching { padding: 0.6rem 0.75rem; border-radius: var(--round); background: var(--soft); color: var(--muted); font-size: calc(0.875 * var(--size)); text-align: center; }

.all { display: block; inline-size: 100%; margin-block-start: 0.4rem; padding: 0.3rem; border-radius: 8px; color: var(--accent); font-size: calc(0.8125 * var(--size)); font-weight: 600; }
.all:hover { background: var(--soft); }

.emoji-picker { position: fixed; inset: auto; margin: 0; padding: 0.6rem; inline-size: min(21rem, calc(100vw - 1rem)); background: var(--bg); color: inherit; border: 1px solid var(--line); border-radius: var(--round); box-shadow: 0 12px 32px rgb(0 0 0 / 0.18); }
.emoji-picker input { inline-size: 100%; padding: 0.4rem 0.65rem; border: 1px solid light-dark(#8b9592, #66706d); border-radius: 8px; background: var(--bg); font-size: calc(0.875 * var(--size)); }
.emoji-tabs { display: flex; justify-content: space-between; margin-block: 0.45rem; padding-block-end: 0.3rem; border-block-end: 1px solid var(--line); }
.emoji-tabs button { flex: 1; padding: 0.2rem 0; border-radius: 8px; font-size: calc(1.0625 * var(--size)); line-height: 1.4; filter: grayscale(1); opacity: 0.75; }
.emoji-tabs button:hover, .emoji-tabs button[aria-selected="true"] { background: var(--soft); filter: none; opacity: 1; }
.emoji-picker .emoji-panel { block-size: 14rem; min-block-size: 0; padding: 0; overflow: hidden auto; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
.emoji-grid { display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); padding: 2px; }
.emoji-grid button { padding: 0.2rem 0; border-radius: 8px; font-size: calc(1.375 * var(--size)); line-height: 1.4; }
.emoji-grid button:hover { background: var(--soft); }
.emoji-told { min-block-size: 1.2rem; padding-inline: 0.2rem; font-size: calc(0.75 * var(--size)); line-height: 1.2rem; color: var(--muted); }
.mentions { position: absolute; inset-inline: 0.75rem; inset-block-end: calc(100% - 0.25rem); z-index: 3; max-block-size: 16rem; overflow: auto; padding: 0.3rem; background: var(--bg); border: 1px solid var(--line); border-radius: var(--round); box-shadow: 0 12px 32px rgb(0 0 0 / 0.16); }
.mentions li { display: flex; align-items: center; gap: 0.6rem; padding: 0.3rem 0.5rem; border-radius: 8px; cursor: pointer; font-size: calc(0.875 * var(--size)); }
.mentions li[aria-selected="true"] { background: var(--soft); box-shadow: inset 0 0 0 1px var(--line); }
.mentions bdi { min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }

@media (pointer: coarse) {
  .tools button, .emoji button, .about button, .all, .mentions li { min-inline-size: 2.6rem; min-block-size: 2.6rem; }
  .retry, .missed-pill button { min-block-size: 2.4rem; }
  .picker { inline-size: 18rem; }
  .chip { padding: 0.25rem 0.7rem; }
  .write textarea, .emoji-picker input { font-size: max(1rem, var(--size)); }
  .emoji-grid { grid-template-columns: repeat(7, minmax(0, 1fr)); }
}
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .avatar, .chip[aria-pressed="true"], .mention { border: 1px solid; } }
`);

// Hues at even steps, so that neighbours in a room differ.
for (let hue = 0; hue < 12; hue += 1) sheet.insertRule(`.hue-${hue} { --hue: ${hue * 30 + 15}; }`, sheet.cssRules.length);

export default sheet;
