// How <edge-chat> looks. Colours, font and radius can be set from outside by --edge-chat-* properties.

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
  display: block;
  min-block-size: 20rem;
  font: 400 0.9375rem/1.45 var(--edge-chat-font, Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", sans-serif);
  color: var(--text);
}
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
:host([hidden]) { display: none; }

*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
h2, p, ol, ul { margin: 0; padding: 0; list-style: none; font-size: inherit; }
button, input, textarea { font: inherit; color: inherit; }
button { border: 0; background: none; padding: 0; cursor: pointer; -webkit-tap-highlight-color: transparent; }
button:disabled { cursor: default; opacity: 0.5; }
:focus { outline: none; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.icon { inline-size: 1.15rem; block-size: 1.15rem; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.quiet { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.chat {
  position: relative; display: flex; flex-direction: column; block-size: 100%; overflow: hidden;
  background: var(--bg); border: 1px solid var(--line); border-radius: var(--radius);
}
.head { display: flex; align-items: center; gap: 0.6rem; padding: 0.75rem 0.75rem 0.75rem 1rem; border-block-end: 1px solid var(--line); }
.title { flex: 1; min-inline-size: 0; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.people-button { display: inline-flex; align-items: center; gap: 0.4rem; padding: 0.3rem 0.6rem; border-radius: 99px; color: var(--muted); font-size: 0.8125rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.people-button:hover, .people-button[aria-expanded="true"] { background: var(--soft); color: var(--text); }
.people-button .icon { inline-size: 1rem; block-size: 1rem; }

.state { display: flex; align-items: center; gap: 0.75rem; padding: 0.4rem 1rem; font-size: 0.8125rem; color: var(--muted); background: var(--soft); border-block-end: 1px solid var(--line); }
.state.ended { color: var(--danger); }
.state span { flex: 1; min-inline-size: 0; font-variant-numeric: tabular-nums; }
.retry { padding: 0.1rem 0.5rem; border-radius: 6px; color: var(--accent); font-weight: 600; white-space: nowrap; }
.retry:hover { background: var(--tint); }
.retry[aria-disabled="true"] { opacity: 0.5; cursor: default; }

.people { position: absolute; inset-inline-end: 0.75rem; inset-block-start: 3.4rem; z-index: 3; inline-size: min(17rem, calc(100% - 1.5rem)); max-block-size: 60%; overflow: auto; padding: 0.5rem; background: var(--bg); border: 1px solid var(--line); border-radius: 12px; box-shadow: 0 12px 32px rgb(0 0 0 / 0.16); }
.person { display: flex; align-items: center; gap: 0.6rem; padding: 0.3rem 0.4rem; }
.person .role { margin-inline-start: auto; }
.people-note { padding: 0.4rem; font-size: 0.8125rem; color: var(--muted); }

.middle { position: relative; flex: 1; min-block-size: 0; }
.scroller { block-size: 100%; overflow: hidden auto; overscroll-behavior: contain; overflow-anchor: none; padding: 0.5rem 0 0.25rem; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
.scroller:focus-visible { outline-offset: -3px; }
.top { padding: 0.5rem 1rem; text-align: center; font-size: 0.8125rem; color: var(--muted); }
.empty { position: absolute; inset: 0; display: grid; place-content: center; gap: 0.25rem; padding: 2rem; text-align: center; color: var(--muted); pointer-events: none; }
.empty b { color: var(--text); font-weight: 600; }

.messages { display: flow-root; }
.day, .gap { display: flex; align-items: center; gap: 0.75rem; margin: 0.9rem 1rem 0.4rem; font-size: 0.75rem; color: var(--muted); }
:is(.day, .gap)::before, :is(.day, .gap)::after { content: ""; flex: 1; border-block-start: 1px solid var(--line); }
.missed { display: flex; align-items: center; gap: 0.75rem; margin: 0.9rem 1rem 0.4rem; font-size: 0.75rem; font-weight: 600; text-align: center; color: var(--accent); scroll-margin-block: 3rem; }
.missed::before, .missed::after { content: ""; flex: 1; min-inline-size: 1rem; border-block-start: 1px solid var(--accent); }

.message { position: relative; display: grid; grid-template-columns: 2rem minmax(0, 1fr); column-gap: 0.7rem; padding: 0.12rem 1rem; scroll-margin-block: 3rem; }
.message.first { margin-block-start: 0.6rem; }
.message:hover, .message.active { background: var(--soft); }
.message:focus-visible { outline-offset: -2px; }
.message.for-me { background: var(--tint); box-shadow: inset 3px 0 var(--accent); }
.message.flash { animation: flash 1.6s ease-out; }
@keyframes flash { from { background: color-mix(in oklab, var(--accent) 28%, var(--bg)); } }
.avatar { display: grid; place-items: center; inline-size: 2rem; block-size: 2rem; margin-block-start: 0.15rem; border-radius: 50%; overflow: hidden; font-size: 0.8125rem; font-weight: 600; color: light-dark(oklch(0.4 0.09 var(--hue)), oklch(0.9 0.06 var(--hue))); background: light-dark(oklch(0.92 0.045 var(--hue)), oklch(0.37 0.06 var(--hue))); }
.avatar img { inline-size: 100%; block-size: 100%; object-fit: cover; }
.by { display: flex; align-items: baseline; gap: 0.5rem; min-inline-size: 0; }
.name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: light-dark(oklch(0.45 0.11 var(--hue)), oklch(0.82 0.09 var(--hue))); }
.role { padding: 0 0.4rem; border: 1px solid var(--line); border-radius: 99px; font-size: 0.6875rem; color: var(--muted); }
.time { font-size: 0.75rem; color: var(--muted); font-variant-numeric: tabular-nums; white-space: nowrap; }
.message:not(.first) .time { grid-column: 1; grid-row: 1; justify-self: center; align-self: start; padding-block-start: 0.2rem; font-size: 0.625rem; opacity: 0; }
.message:not(.first):is(:hover, :focus, .active) .time { opacity: 1; }
.body { grid-column: 2; min-inline-size: 0; }
.content { overflow-wrap: anywhere; white-space: pre-wrap; unicode-bidi: plaintext; }
.content.emote { font-size: 2rem; line-height: 1.25; }
.content a { color: var(--accent); text-underline-offset: 2px; }
.message.system .content:not(.gone) { margin-block: 0.2rem; padding: 0.4rem 0.75rem; border-inline-start: 3px solid var(--accent); border-radius: 4px 10px 10px 4px; background: var(--tint); font-weight: 500; }
.gone { color: var(--muted); font-style: italic; }
.mention { padding: 0.05em 0.3em; border-radius: 0.35em; background: color-mix(in oklab, var(--accent) 14%, var(--bg)); color: var(--accent); font-weight: 500; }
.mention.me { background: var(--accent); color: var(--on-accent); }
.original { margin: 0; font-size: 0.8rem; color: var(--muted); overflow-wrap: anywhere; white-space: pre-wrap; }
.edited { margin-inline-start: 0.4rem; font-size: 0.75rem; color: var(--muted); }
.quote { display: block; max-inline-size: 100%; margin-block: 0.1rem 0.2rem; padding: 0.05rem 0.6rem; border-inline-start: 2px solid var(--accent); font-size: 0.8125rem; color: var(--muted); text-align: start; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.quote:hover { color: var(--text); }
.quote b { font-weight: 600; }

.reactions { display: flex; flex-wrap: wrap; gap: 0.3rem; }
.reactions:not(:empty) { padding-block: 0.25rem; }
.chip { display: inline-flex; align-items: center; gap: 0.35rem; padding: 0.05rem 0.5rem; border: 1px solid var(--line); border-radius: 99px; background: var(--bg); font-size: 0.8125rem; font-variant-numeric: tabular-nums; }
.chip[aria-pressed="true"] { border-color: var(--accent); background: color-mix(in oklab, var(--accent) 14%, var(--bg)); }
.chip:not(:disabled):hover { border-color: var(--muted); }
.chip:disabled { opacity: 1; }

.pending { opacity: 0.65; }
.pending.told { opacity: 1; }
.failure { display: flex; flex-wrap: wrap; gap: 0.2rem 0.75rem; font-size: 0.8125rem; color: var(--danger); }
.failure button, .notice button { font-weight: 600; text-decoration: underline; text-underline-offset: 2px; }

.tools { position: absolute; inset-inline-end: 0.75rem; z-index: 1; display: flex; padding: 0.15rem; background: var(--bg); border: 1px solid var(--line); border-radius: 10px; box-shadow: 0 4px 14px rgb(0 0 0 / 0.1); }
.tools button { display: grid; place-items: center; min-inline-size: 1.9rem; block-size: 1.9rem; border-radius: 7px; color: var(--muted); }
.tools button:hover { background: var(--soft); color: var(--text); }
.tools button.sure { padding-inline: 0.6rem; background: var(--danger); color: var(--bg); font-size: 0.8125rem; font-weight: 600; }

.picker { position: fixed; inset: auto; margin: 0; padding: 0.5rem; inline-size: 15.5rem; background: var(--bg); color: inherit; border: 1px solid var(--line); border-radius: 12px; box-shadow: 0 12px 32px rgb(0 0 0 / 0.18); }
.emoji { display: grid; grid-template-columns: repeat(6, 1fr); }
.emoji button { padding: 0.25rem 0; border-radius: 8px; font-size: 1.25rem; line-height: 1.4; }
.emoji button:hover { background: var(--soft); }
.other { display: flex; gap: 0.4rem; margin-block-start: 0.4rem; }
.other input { flex: 1; min-inline-size: 0; padding: 0.3rem 0.6rem; border: 1px solid var(--line); border-radius: 8px; background: var(--bg); }
.other button { padding: 0.3rem 0.6rem; border-radius: 8px; background: var(--soft); }

.jump { position: absolute; white-space: nowrap; inset-block-end: 0.6rem; inset-inline-start: 50%; translate: -50% 0; display: inline-flex; align-items: center; gap: 0.4rem; padding: 0.35rem 0.8rem; border-radius: 99px; background: var(--accent); color: var(--on-accent); font-size: 0.8125rem; font-weight: 600; box-shadow: 0 6px 18px rgb(0 0 0 / 0.2); }
.jump .icon { inline-size: 0.95rem; block-size: 0.95rem; }
.missed-pill { position: absolute; inset-block-start: 0.6rem; inset-inline: 0.75rem; z-index: 2; display: flex; inline-size: fit-content; max-inline-size: calc(100% - 1.5rem); margin-inline: auto; border-radius: 1rem; background: var(--accent); color: var(--on-accent); font-size: 0.75rem; font-weight: 600; box-shadow: 0 6px 18px rgb(0 0 0 / 0.2); }
.missed-jump { display: inline-flex; align-items: center; gap: 0.4rem; min-inline-size: 0; padding: 0.35rem 0.3rem 0.35rem 0.8rem; border-radius: 1rem 0 0 1rem; text-align: start; text-wrap: balance; }
.missed-close { display: grid; place-items: center; padding: 0.35rem 0.7rem 0.35rem 0.4rem; border-radius: 0 1rem 1rem 0; }
.missed-pill .icon { flex: none; inline-size: 0.95rem; block-size: 0.95rem; }
.missed-pill :focus-visible { outline-color: var(--on-accent); outline-offset: -4px; }

.typing { block-size: 1.4rem; padding-inline: 1rem; font-size: 0.75rem; line-height: 1.4rem; color: var(--muted); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.not-shown { padding: 0.1rem 1rem; font-size: 0.75rem; line-height: 1.4rem; color: var(--muted); font-variant-numeric: tabular-nums; }
.foot { padding: 0 0.75rem 0.75rem; }
.notice { padding: 0.35rem 0.4rem; font-size: 0.8125rem; color: var(--danger); }
.about { display: flex; align-items: center; gap: 0.5rem; padding: 0.35rem 0.35rem 0.35rem 0.75rem; border: 1px solid var(--line); border-block-end: 0; border-radius: 12px 12px 0 0; font-size: 0.8125rem; color: var(--muted); background: var(--soft); }
.about span { flex: 1; min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.about button { display: grid; padding: 0.25rem; border-radius: 6px; }
.about .icon { inline-size: 0.9rem; block-size: 0.9rem; }
.write { display: flex; align-items: flex-end; gap: 0.4rem; padding: 0.3rem; border: 1px solid light-dark(#8b9592, #66706d); border-radius: 12px; background: var(--bg); }
.about:not([hidden]) + .write { border-start-start-radius: 0; border-start-end-radius: 0; }
.write:focus-within { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
.write textarea { flex: 1; min-inline-size: 0; max-block-size: 9rem; padding: 0.4rem 0.6rem; border: 0; background: none; resize: none; field-sizing: content; outline: none; }
.write textarea::placeholder { color: var(--muted); opacity: 1; }
.write button { display: grid; place-items: center; inline-size: 2.2rem; block-size: 2.2rem; border-radius: 9px; background: var(--accent); color: var(--on-accent); }
.write button:disabled { background: var(--soft); color: var(--muted); opacity: 1; }
.watching { padding: 0.6rem 0.75rem; border-radius: 12px; background: var(--soft); color: var(--muted); font-size: 0.875rem; text-align: center; }

@media (pointer: coarse) {
  .tools button, .emoji button, .about button { min-inline-size: 2.6rem; min-block-size: 2.6rem; }
  .retry, .missed-pill button { min-block-size: 2.4rem; }
  .picker { inline-size: 18rem; }
  .chip { padding: 0.25rem 0.7rem; }
  .write textarea { font-size: 1rem; }
}
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .avatar, .chip[aria-pressed="true"], .mention { border: 1px solid; } }
`);

// Hues at even steps, so that neighbours in a room differ.
for (let hue = 0; hue < 12; hue += 1) sheet.insertRule(`.hue-${hue} { --hue: ${hue * 30 + 15}; }`, sheet.cssRules.length);

export default sheet;
