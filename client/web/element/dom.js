// Makes elements without markup in strings, so that a strict Content-Security-Policy holds.

import { english } from "./words.js";

class Word {
  constructor(say) {
    this.say = say;
  }
}
// What stands in which words of the catalogue: node → {attribute, or "" for its text: Word}.
const worded = new WeakMap();

/**
 * A text of the catalogue in what is built before the element knows its language, as a property or a child of `h`:
 * `relabel` sets it then. `key` of the catalogue with its `values`, or a function that makes a text of the `Words`.
 */
export const word = (key, values) => new Word(typeof key === "function" ? key : (words) => words.t(key, values));

/** Sets the texts that were made by `word` under `root`, and those of `root`. */
export function relabel(root, words) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = root; node; node = walker.nextNode()) {
    for (const [attribute, { say }] of Object.entries(worded.get(node) ?? {})) {
      const text = say(words);
      if (attribute) node.setAttribute(attribute, text);
      else if (node.data !== text) node.data = text;
    }
  }
}

/** `h("button", {class: "x", onclick: f, "aria-label": "y"}, child, "text")`; null children are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value instanceof Word) {
      worded.set(element, { ...worded.get(element), [name]: value });
      element.setAttribute(name, value.say(english));
    } else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...nodesOf(children));
  return element;
}

/** Puts children, as `h` takes them, in place of those of `element`, and says what `word` made in `words`. */
export function fill(element, words, ...children) {
  element.replaceChildren(...nodesOf(children));
  relabel(element, words);
}

const nodesOf = (children) => children.filter((child) => child !== null && child !== undefined).map(textOfWord);

function textOfWord(child) {
  if (!(child instanceof Word)) return child;
  const text = document.createTextNode(child.say(english));
  worded.set(text, { "": child });
  return text;
}

/** Writing the same text anew would be work for the browser and news to a screen reader. */
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

const PATHS = {
  reply: "M9 7 4 12l5 5M4.5 12H14a6 6 0 0 1 6 6v1",
  react: "M12 21a9 9 0 1 1 8.7-11.3M8.5 14.5a4.5 4.5 0 0 0 7 0M9 9.5v.5M15 9.5v.5M19 2v6M16 5h6",
  edit: "M4 20h4L19 9l-4-4L4 16v4ZM13 7l4 4",
  remove: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  send: "M5 12h14M13 6l6 6-6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  up: "M12 19V5M6 11l6-6 6 6",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  pin: "M9 4h6l-.8 6.5L17 14H7l2.8-3.5L9 4ZM12 14v6.5",
  shield: "M12 3l7 2.8V12c0 4.4-3 7.4-7 9-4-1.6-7-4.6-7-9V5.8L12 3Z",
  announce: "M4 10v4h3l8 4.5v-13L7 10H4ZM18.5 9.2a4 4 0 0 1 0 5.6",
  close: "M6 6l12 12M18 6 6 18",
  smile: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8.5 14.5a4.5 4.5 0 0 0 7 0M9 9.5v.5M15 9.5v.5",
  letter: "M4 6h16v12H4ZM4.5 7l7.5 6 7.5-6",
  back: "M14 5l-7 7 7 7",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14.2a6.5 6.5 0 0 1 3.5 5.8",
};

/** A line icon of 24 by 24, hidden from screen readers: its button carries the name. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return svg;
}
