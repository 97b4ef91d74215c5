// The language of one element: its sentences, and how numbers, times and lists are written in it. No page in it.

import en from "./words/en.js";

const catalogues = new Map([
  ["en", en],
  ["ar", () => import("./words/ar.js").then((module) => module.default)],
]);
const listeners = new Set();

// Of these English readers get the words that came with the code, which say more than it does.
const MESSAGE_SAYS_MORE = new Set([
  "bad_frame", "bad_request", "frame_too_large", "not_joined", "wrong_room", "room_exists", "device_not_found", "backup_not_found",
  "device_keys_differ", "device_removed", "too_many_devices", "invalid_parameter", "invalid_settings", "invalid_type", "too_many_blocks",
  "metadata_too_large", "internal", "token_unavailable", "malformed", "storage", "crypto_unavailable",
]);
const RIGHT_TO_LEFT = new Set(["ar", "arc", "ckb", "dv", "fa", "he", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi"]);
const RTL_LETTER = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
const CLOCK = { hour: "numeric", minute: "2-digit" };

export class Words {
  #catalogue;
  #plural;
  #formats = new Map();
  /** A language tag, and its direction: `ltr` or `rtl`. */
  language;
  dir;

  /** `catalogue` as words/en.js is one; `region`, a tag of the same language, says how the reader writes times and numbers. */
  constructor(language = "en", catalogue = en, region = undefined) {
    this.language = language;
    this.dir = directionOf(language);
    this.region = region ?? language;
    this.#catalogue = catalogue;
    this.#plural = new Intl.PluralRules(language);
  }

  /** The sentence of that key. `values` by name: numbers are written as the language does, `count` chooses the plural. */
  t(key, values = {}) {
    return this.parts(key, values).join("");
  }

  /** The same in parts, so that a value may be a node. */
  parts(key, values = {}) {
    const entry = this.#catalogue[key] ?? en[key];
    const text = typeof entry === "string" ? entry : (entry[this.#plural.select(values.count)] ?? entry.other);
    return text
      .split(/\{(\w+)\}/)
      .map((part, index) => (index % 2 === 1 ? this.#value(values[part]) : part))
      .filter((part) => part !== "");
  }

  has(key) {
    return Object.hasOwn(en, key);
  }

  number(value) {
    return this.#format("number", () => new Intl.NumberFormat(this.region)).format(value);
  }

  list(names) {
    return this.#format("list", () => new Intl.ListFormat(this.language, { type: "conjunction" })).format(names.map((name) => this.#value(name)));
  }

  /** "10 minutes": `unit` is second, minute, hour or day. */
  unit(number, unit) {
    return this.#format(unit, () => new Intl.NumberFormat(this.region, { style: "unit", unit, unitDisplay: "long" })).format(number);
  }

  /** `form`: options of Intl.DateTimeFormat. */
  date(time, form) {
    return this.#format(JSON.stringify(form), () => new Intl.DateTimeFormat(this.region, form)).format(new Date(time));
  }

  time(time) {
    return this.date(time, CLOCK);
  }

  /** An error as a sentence for the person who reads it. */
  sentence({ code, message } = {}) {
    if (message && MESSAGE_SAYS_MORE.has(code) && this.language.startsWith("en")) return message;
    if (this.has(`error.${code}`)) return this.t(`error.${code}`);
    return message || this.t("error.unknown");
  }

  #format(name, make) {
    if (!this.#formats.has(name)) this.#formats.set(name, make());
    return this.#formats.get(name);
  }

  // What others wrote keeps its own direction, and does not turn that of the sentence around it.
  #value(value) {
    if (typeof value === "number") return this.number(value);
    if (typeof value !== "string") return value ?? "";
    return this.dir === "rtl" || RTL_LETTER.test(value) ? `\u2068${value}\u2069` : value;
  }
}

export const english = new Words();

/**
 * Adds a language, or changes words of one: `catalogue` is an object with keys of words/en.js, or a function that
 * returns one or a promise of it, called when an element first speaks the language. `language` is a tag such as `de` or `pt-BR`.
 */
export function translate(language, catalogue) {
  const tag = Intl.getCanonicalLocales(language)[0].toLowerCase();
  const before = catalogues.get(tag);
  catalogues.set(tag, before && typeof catalogue === "object" ? async () => ({ ...(await load(before)), ...catalogue }) : catalogue);
  for (const listener of listeners) listener();
}

/** Calls `listener` whenever a language was added or changed, until the function that it returns is called. */
export function onTranslate(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The words of a language; English where there is no catalogue of it, or it cannot be loaded. A promise where it has to be loaded. */
export function wordsOf(language, readers = []) {
  const tag = tagsOf(language).find((one) => catalogues.has(one)) ?? "en";
  const known = catalogues.get(tag);
  const made = (catalogue) => {
    catalogues.set(tag, catalogue);
    return new Words(tag, catalogue, regionOf(tag, language, readers));
  };
  if (typeof known !== "function") return made(known);
  return load(known).then(
    // What was registered meanwhile is not overwritten.
    (catalogue) => (catalogues.get(tag) === known ? made(catalogue) : wordsOf(language, readers)),
    () => english,
  );
}

const load = async (catalogue) => (typeof catalogue === "function" ? catalogue() : catalogue);

/** `pt-BR` is asked for as `pt-br`, then as `pt`. */
function tagsOf(language) {
  const parts = String(language ?? "").toLowerCase().split(/[-_]/);
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("-"));
}

/** The reader's own variant of that language where the browser names one, else what the page says. */
function regionOf(tag, language, readers) {
  const [base] = tag.split("-");
  const candidates = [...readers.filter((one) => one.toLowerCase().split("-")[0] === base), language, tag];
  return candidates.find(isTag) ?? "en";
}

function isTag(tag) {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}

function directionOf(language) {
  const { language: base, script } = new Intl.Locale(language);
  if (script) return ["Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm"].includes(script) ? "rtl" : "ltr";
  return RIGHT_TO_LEFT.has(base) ? "rtl" : "ltr";
}
