// How private messages look; colours and small parts are those of the element's other sheets.

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
h4 { margin: 0; font-size: inherit; font-weight: 600; }
.private { container-type: inline-size; position: absolute; inset: 3.15rem 0 0; z-index: 2; display: flex; flex-direction: column; background: var(--bg); border-block-start: 1px solid var(--line); }
.private-head { display: flex; align-items: center; gap: 0.25rem; min-block-size: 2.6rem; padding-inline: var(--space) 0.4rem; border-block-end: 1px solid var(--line); font-size: calc(0.875 * var(--size)); font-weight: 600; }
.private-head h3 { flex: 1; min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.private-head button { display: grid; place-items: center; flex: none; inline-size: 2rem; block-size: 2rem; border-radius: 7px; color: var(--muted); }
.private-head button:hover { background: var(--soft); color: var(--text); }
.private-head .back { margin-inline-start: -0.6rem; }
[dir="rtl"] .private-head .back .icon { scale: -1 1; }
.private-body { flex: 1; min-block-size: 0; overflow: hidden auto; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
.private-page { display: grid; gap: 0.75rem; align-content: start; padding: 0.75rem var(--space) 1rem; }
.private-page > .button { justify-self: start; }
.advice { display: grid; gap: 0.5rem; justify-items: start; padding: 0.65rem 0.8rem; border-radius: var(--round); background: var(--tint); }
.advice .hint { color: var(--text); }
.talks { margin-inline: -0.5rem; }
.talks button { position: relative; display: flex; align-items: center; gap: 0.7rem; inline-size: 100%; min-block-size: 2.75rem; padding: 0.35rem 0.5rem; border-radius: calc(var(--round) * 0.75); text-align: start; }
.talks button:hover { background: var(--soft); }
.talks .avatar { flex: none; margin: 0; }
.talks .name { flex: 1; min-inline-size: 0; color: inherit; }

.talk { display: flex; flex-direction: column; block-size: 100%; }
.private-news:not(:empty) { display: flex; align-items: center; gap: 0.75rem; padding: 0.5rem var(--space); background: var(--tint); border-block-end: 1px solid var(--line); font-size: calc(0.8125 * var(--size)); }
.private-news p { flex: 1; min-inline-size: 0; }
.safety { display: grid; gap: 0.5rem; justify-items: start; padding: 0.75rem var(--space); background: var(--soft); border-block-end: 1px solid var(--line); }
.safety:focus-visible { outline-offset: -3px; }
.digits, .recovery-key { display: grid; grid-template-columns: repeat(4, auto); justify-content: start; gap: 0.15rem 1rem; font: 500 var(--size)/1.5 ui-monospace, SFMono-Regular, Menlo, monospace; font-variant-numeric: tabular-nums; direction: ltr; user-select: all; }
.letters { flex: 1; min-block-size: 0; overflow: hidden auto; overscroll-behavior: contain; padding: 0.5rem var(--space); scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
.letters:focus-visible { outline-offset: -3px; }
.older { display: block; margin: 0.25rem auto; }
.letter { display: flex; align-items: center; gap: 0.15rem; padding-block: calc(0.15rem * var(--density)); scroll-margin-block: 1rem; }
.letter.mine { flex-direction: row-reverse; }
.letter:focus-visible { outline-offset: -1px; border-radius: calc(var(--round) * 0.75); }
.paper { min-inline-size: 0; max-inline-size: 85%; padding: 0.4rem 0.75rem; border-radius: var(--round); border-end-start-radius: calc(var(--round) / 3); background: var(--soft); position: relative; }
.mine .paper { border-radius: var(--round); border-end-end-radius: calc(var(--round) / 3); background: color-mix(in oklab, var(--accent) 14%, var(--bg)); }
.pending .paper { opacity: 0.75; }
.when { display: flex; flex-wrap: wrap; justify-content: flex-end; gap: 0.4rem; font-size: calc(0.75 * var(--size)); color: var(--muted); }
.when .edited { margin: 0; }
.mine .time, .mine .edited, .mine .gone { color: color-mix(in oklab, var(--muted) 80%, var(--text)); }
.letter .more { opacity: 0; flex: none; }
.letter:is(:hover, :focus, :focus-within) .more { opacity: 1; }
.talk .foot { padding-block-start: 0.5rem; }

.card { display: grid; gap: 0.6rem; padding: 0.8rem 0.9rem; border: 1px solid var(--line); border-radius: var(--round); font-size: calc(0.875 * var(--size)); }
.recovery, .recovery form { display: grid; gap: 0.7rem; }
.recovery > :is(.button, .recovery-key) { justify-self: start; }
.recovery-key { padding: 0.6rem 0.8rem; border-radius: calc(var(--round) * 0.75); background: var(--soft); letter-spacing: 0.06em; }
.recovery .field input { font-family: ui-monospace, SFMono-Regular, Menlo, monospace; }
.card .rows > li { gap: 0.25rem; padding-block: 0.6rem; }
.card .row-head > * { margin-inline-start: 0; }
.card [role=status]:empty { display: none; }

@media (pointer: coarse) {
  .private-head button { inline-size: 2.6rem; block-size: 2.6rem; }
  .letter .more { opacity: 1; }
}
@media (forced-colors: active) { .paper, .advice, .tag { border: 1px solid; } }
`);

export default sheet;
