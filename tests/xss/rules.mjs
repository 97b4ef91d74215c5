// What payloads are written with. A payload is a function of `{id, js, img, url, http}` to its text.

/** The longest of them in characters, as long as a message may be by default. */
export const LONGEST = 1_000;

export const each = (list, make) => list.map((item) => (v) => make(item, v));
export const cross = (some, others, make) => some.flatMap((one) => others.map((other) => (v) => make(one, other, v)));
export const entities = (text, write) => [...text].map((char) => write(char.codePointAt(0), char)).join("");
export const decimal = (text) => entities(text, (code) => `&#${code};`);
export const hex = (text) => entities(text, (code) => `&#x${code.toString(16)};`);
export const base64 = (text) => Buffer.from(text).toString("base64");
