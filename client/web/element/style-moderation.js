// How menus, dialogs, pins, modes and the moderators' desk look; the colours are those of style.js.

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
h3, blockquote, fieldset, legend { margin: 0; padding: 0; border: 0; font-size: inherit; }
select { font: inherit; color: inherit; }
.hint { font-size: calc(0.8125 * var(--size)); color: var(--muted); }
.problem { font-size: calc(0.8125 * var(--size)); color: var(--danger); }
.buttons { display: flex; justify-content: flex-end; align-items: center; gap: 0.5rem; }
.button { padding: 0.45rem 0.9rem; border: 1px solid var(--line); border-radius: calc(var(--round) * 0.75); background: var(--bg); font-size: calc(0.875 * var(--size)); font-weight: 550; white-space: nowrap; }
.button:not(:disabled):hover { border-color: var(--muted); }
.button.small { padding: 0.25rem 0.7rem; font-size: calc(0.8125 * var(--size)); }
.button.go { border-color: transparent; background: var(--accent); color: var(--on-accent); }
.button.danger { border-color: transparent; background: var(--danger); color: var(--bg); }
.button.danger-line { color: var(--danger); }
.button[aria-busy="true"] { opacity: 0.6; cursor: progress; }
.more { display: grid; place-items: center; inline-size: 1.9rem; block-size: 1.9rem; border-radius: 7px; color: var(--muted); }
.more:hover { background: var(--soft); color: var(--text); }
.more .icon, [data-act="more"] .icon { stroke-width: 3; }
.tag { padding: 0.05rem 0.5rem; border-radius: 99px; background: var(--soft); font-size: calc(0.75 * var(--size)); color: var(--muted); white-space: nowrap; }

.menu { position: fixed; inset: auto; margin: 0; padding: 0.3rem; inline-size: 19.5rem; max-inline-size: calc(100vw - 1rem); background: var(--bg); color: inherit; border: 1px solid var(--line); border-radius: var(--round); box-shadow: 0 12px 32px rgb(0 0 0 / 0.18); font-size: calc(0.875 * var(--size)); }
.group + .group { margin-block-start: 0.3rem; padding-block-start: 0.3rem; border-block-start: 1px solid var(--line); }
.group > button { display: block; inline-size: 100%; padding: 0.4rem 0.65rem; border-radius: 8px; text-align: start; }
.menu button:hover, .menu button:focus { background: var(--soft); }
.menu button:focus-visible { outline-offset: -2px; }
.menu .danger { color: var(--danger); }
.menu .row { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem; padding-block: 0.25rem; padding-inline: 0.65rem 0.3rem; white-space: nowrap; }
.menu .row span { flex: 1; }
.menu .row button { padding: 0.2rem 0.5rem; border: 1px solid var(--line); border-radius: 99px; font-size: calc(0.8125 * var(--size)); font-variant-numeric: tabular-nums; }

.dialog { inline-size: min(24rem, calc(100vw - 2rem)); max-block-size: calc(100dvh - 2rem); padding: 1.25rem; overflow: auto; border: 1px solid var(--line); border-radius: 16px; background: var(--bg); color: var(--text); font: inherit; box-shadow: 0 24px 64px rgb(0 0 0 / 0.28); }
.dialog::backdrop { background: rgb(9 16 18 / 0.5); }
.dialog form { display: grid; gap: 0.9rem; }
.dialog h3 { font-size: calc(1.0625 * var(--size)); line-height: 1.3; overflow-wrap: anywhere; }
.dialog .hint { font-size: calc(0.875 * var(--size)); }
.field { display: grid; gap: 0.3rem; font-size: calc(0.8125 * var(--size)); font-weight: 550; }
.field input, .field textarea { inline-size: 100%; padding: 0.45rem 0.65rem; border: 1px solid light-dark(#8b9592, #66706d); border-radius: calc(var(--round) * 0.75); background: var(--bg); font-size: calc(0.9375 * var(--size)); font-weight: 400; }
.field textarea { resize: vertical; }
.check { display: flex; align-items: baseline; gap: 0.55rem; padding-block: 0.15rem; font-size: calc(0.875 * var(--size)); }
.check input, .mode input { flex: none; inline-size: 1rem; block-size: 1rem; margin: 0; accent-color: var(--accent); translate: 0 0.12rem; }
legend { margin-block-end: 0.25rem; font-size: calc(0.8125 * var(--size)); font-weight: 550; }
.quoted { padding-inline-start: 0.7rem; border-inline-start: 2px solid var(--accent); font-size: calc(0.875 * var(--size)); color: var(--muted); overflow-wrap: anywhere; max-block-size: 6rem; overflow: auto; }

.pins { display: flex; align-items: flex-start; gap: 0.55rem; padding-block: 0.4rem; padding-inline: var(--space) 0.6rem; border-block-end: 1px solid var(--line); background: var(--tint); font-size: calc(0.8125 * var(--size)); }
.pins > .icon { flex: none; inline-size: 0.95rem; block-size: 0.95rem; margin-block-start: 0.28rem; color: var(--accent); }
.pins ul { flex: 1; min-inline-size: 0; max-block-size: 12rem; overflow: auto; }
.pins li { display: flex; align-items: flex-start; gap: 0.25rem; }
.pinned { flex: 1; min-inline-size: 0; padding-block: 0.15rem; border-radius: 6px; text-align: start; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.pins.open .pinned { white-space: normal; overflow-wrap: anywhere; }
.pinned b { font-weight: 600; }
.unpin, .pins-more { flex: none; min-inline-size: 1.6rem; block-size: 1.6rem; border-radius: 6px; color: var(--muted); }
.unpin { display: grid; place-items: center; }
.pins-more { padding-inline: 0.4rem; font-weight: 600; color: var(--accent); }
.unpin:hover, .pins-more:hover { background: color-mix(in oklab, var(--accent) 12%, var(--bg)); }
.unpin .icon { inline-size: 0.85rem; block-size: 0.85rem; }

.modes { display: flex; flex-wrap: wrap; gap: 0.3rem; padding: 0 0.9rem 0.45rem; }
.modes li { padding: 0.05rem 0.55rem; border-radius: 99px; background: var(--soft); font-size: calc(0.75 * var(--size)); color: var(--muted); }
.notice.done { color: var(--muted); }
.notice.done button { color: var(--accent); }
.waiting { font-size: calc(0.8125 * var(--size)); color: var(--muted); }
.waiting::before { content: ""; display: inline-block; inline-size: 0.45rem; block-size: 0.45rem; margin-inline-end: 0.4rem; border-radius: 50%; background: var(--accent); translate: 0 -0.08rem; }
.write .announce { background: none; color: var(--muted); }
.write .announce:hover { background: var(--soft); color: var(--text); }

.desk-button, .private-button { position: relative; display: inline-flex; align-items: center; gap: 0.3rem; padding: 0.3rem 0.5rem; border-radius: 99px; color: var(--muted); }
:is(.desk-button, .private-button):is(:hover, [aria-expanded="true"]) { background: var(--soft); color: var(--text); }
:is(.desk-button, .private-button) .icon { inline-size: 1.1rem; block-size: 1.1rem; }
.badge, .number { min-inline-size: 1.15rem; padding-inline: 0.3rem; border-radius: 99px; background: var(--accent); color: var(--on-accent); font-size: calc(0.6875 * var(--size)); font-weight: 650; line-height: 1.15rem; text-align: center; font-variant-numeric: tabular-nums; }
.desk { container-type: inline-size; position: absolute; inset: 3.15rem 0 0; z-index: 2; display: flex; flex-direction: column; background: var(--bg); border-block-start: 1px solid var(--line); }
.desk-head { display: flex; align-items: center; border-block-end: 1px solid var(--line); }
.tabs { flex: 1; display: flex; min-inline-size: 0; overflow-x: auto; scrollbar-width: none; padding-inline: 0.6rem 1rem; mask-image: linear-gradient(to left, transparent, #000 1rem); }
[dir="rtl"] .tabs { mask-image: linear-gradient(to right, transparent, #000 1rem); }
.tabs button { display: inline-flex; align-items: center; gap: 0.25rem; padding: 0.6rem 0.4rem; color: var(--muted); font-size: calc(0.8125 * var(--size)); font-weight: 550; white-space: nowrap; box-shadow: inset 0 -2px transparent; }
.tabs button:hover { color: var(--text); }
.tabs button[aria-selected="true"] { color: var(--text); box-shadow: inset 0 -2px var(--accent); }
.tabs button:focus-visible { outline-offset: -3px; border-radius: 6px; }
.desk .close { display: grid; place-items: center; flex: none; inline-size: 2rem; block-size: 2rem; margin-inline-end: 0.4rem; border-radius: 7px; color: var(--muted); }
.desk .close:hover { background: var(--soft); color: var(--text); }
.desk-body { flex: 1; min-block-size: 0; overflow: hidden auto; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
[role="tabpanel"] { min-block-size: 100%; padding: 0.25rem 1rem 1rem; }
[role="tabpanel"]:focus-visible { outline-offset: -3px; }
.desk-note { padding-block: 1.25rem; text-align: center; font-size: calc(0.875 * var(--size)); color: var(--muted); }
.rows > li { display: grid; gap: 0.4rem; padding-block: 0.9rem; }
.rows > li + li { border-block-start: 1px solid var(--line); }
.row-head { display: flex; align-items: center; gap: 0.5rem; min-inline-size: 0; }
.row-head .avatar { flex: none; inline-size: 1.6rem; block-size: 1.6rem; margin: 0; font-size: calc(0.75 * var(--size)); }
.row-head .name { color: inherit; }
.row-head > :last-child { margin-inline-start: auto; flex: none; }
.row-head time { font-size: calc(0.75 * var(--size)); color: var(--muted); font-variant-numeric: tabular-nums; white-space: nowrap; }
.said { padding: 0.45rem 0.7rem; border-radius: calc(var(--round) * 0.75); background: var(--soft); overflow-wrap: anywhere; white-space: pre-wrap; }
.reasons { display: grid; gap: 0.15rem; font-size: calc(0.8125 * var(--size)); color: var(--muted); }
.rows .more { margin-inline-end: auto; }
.around ol { max-block-size: 14rem; overflow: auto; padding: 0.3rem 0.7rem; border: 1px solid var(--line); border-radius: calc(var(--round) * 0.75); font-size: calc(0.8125 * var(--size)); }
.around li { padding: 0.15rem 0.4rem; margin-inline: -0.4rem; border-radius: 6px; overflow-wrap: anywhere; }
.around b { font-weight: 600; }
.around .it { background: var(--tint); border-inline-start: 2px solid var(--accent); }

.mode { display: flex; align-items: center; justify-content: space-between; gap: 1rem; padding-block: 0.55rem; font-size: calc(0.875 * var(--size)); }
.mode + .mode { border-block-start: 1px solid var(--line); }
.mode .hint { display: block; font-size: calc(0.75 * var(--size)); }
.mode select { flex: none; max-inline-size: 11rem; padding: 0.3rem 0.5rem; border: 1px solid light-dark(#8b9592, #66706d); border-radius: 8px; background: var(--bg); font-size: calc(0.8125 * var(--size)); }
.mode [role="switch"] { appearance: none; position: relative; inline-size: 2.2rem; block-size: 1.25rem; border-radius: 99px; background: light-dark(#8b9592, #66706d); cursor: pointer; translate: none; transition: background 0.15s; }
.mode [role="switch"]::before { content: ""; position: absolute; inset-block-start: 0.15rem; inset-inline-start: 0.15rem; inline-size: 0.95rem; block-size: 0.95rem; border-radius: 50%; background: var(--bg); transition: translate 0.15s; }
.mode [role="switch"]:checked { background: var(--accent); }
.mode [role="switch"]:checked::before { translate: 0.95rem 0; }
[dir="rtl"] .mode [role="switch"]:checked::before { translate: -0.95rem 0; }
.modes-form > .buttons { padding-block-start: 0.9rem; border-block-start: 1px solid var(--line); }
.terms-form { display: grid; gap: 0.8rem; padding-block-start: 0.75rem; }
.terms-form .act { display: grid; gap: 0.5rem; padding: 0.75rem; border-radius: var(--round); background: var(--soft); }
.terms-form .mode { padding: 0; }
.result { display: grid; gap: 0.35rem; font-size: calc(0.875 * var(--size)); }
.result:empty { display: none; }
.result .said { background: var(--bg); }

.person .more { margin-inline-start: auto; }
.person .role + .more { margin-inline-start: 0; }
.person bdi { min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.person .button { margin-inline-start: auto; }
.blocked { margin-block-start: 0.4rem; padding-block-start: 0.4rem; border-block-start: 1px solid var(--line); }
.blocked h3 { padding: 0.2rem 0.4rem; font-size: calc(0.75 * var(--size)); color: var(--muted); font-weight: 550; }

@container (max-width: 22rem) {
  .tabs { padding-inline-start: 0.7rem; }
  .tabs button { gap: 0.15rem; padding-inline: 0.3rem; font-size: calc(0.75 * var(--size)); }
  .number { min-inline-size: 1rem; padding-inline: 0.2rem; font-size: calc(0.625 * var(--size)); line-height: 1rem; }
}
@media (pointer: coarse) {
  .group > button { padding-block: 0.65rem; }
  .menu .row button, .button.small { padding-block: 0.5rem; }
  .more, .unpin, .pins-more, .desk .close { min-inline-size: 2.6rem; min-block-size: 2.6rem; }
  .field input, .field textarea, .mode select { font-size: calc(1 * var(--size)); }
}
@media (forced-colors: active) { .badge, .number, .tag, .modes li, .mode [role="switch"] { border: 1px solid; } }
`);

export default sheet;
