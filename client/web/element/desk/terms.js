// The room's own words: what is blocked, what is allowed after all, and a trial before they are saved.

import { textField } from "../dialog.js";
import { h, word } from "../dom.js";
import { reasonOf } from "../room-words.js";
import { plain, sentence } from "../text.js";
import { actButton } from "./list.js";

const VERDICTS = { pass: "terms.passes", mask: "terms.masked", hold: "terms.held", reject: "terms.rejected" };
const linesOf = (text) => [...new Set(text.split("\n").map((line) => line.trim()).filter(Boolean))];

export class Terms {
  title = "desk.terms";
  #host;
  #saved = null;
  #note = h("p", { class: "desk-note", role: "status", hidden: true });
  #result = h("div", { class: "result", role: "status" });
  #blocked = textField("blocked", word("terms.blocked"), { rows: 5, spellcheck: "false" });
  #allowed = textField("allowed", word("terms.allowed"), { rows: 3, spellcheck: "false" });
  #action = h("select", { name: "action" }, ...["off", "mask", "hold", "reject"].map((value) => h("option", { value }, word(`terms.${value}`))));
  #trial = textField("trial", word("terms.trial"), { maxlength: 1000 });
  #form = h("form", { class: "terms-form", hidden: true, onsubmit: (event) => event.preventDefault() },
    this.#blocked, this.#allowed, h("label", { class: "mode" }, h("span", {}, word("terms.action")), this.#action),
    h("div", { class: "act" }, this.#trial, h("div", { class: "buttons" }, actButton(this, "terms.try", "small", () => this.#try())), this.#result),
    h("div", { class: "buttons" }, actButton(this, "terms.save", "go", () => this.#save())));

  element = h("div", {}, this.#note, this.#form);

  constructor(host) {
    this.#host = host;
  }

  may(model) {
    return model.can("set_terms");
  }

  get words() {
    return this.#host?.words;
  }

  get #current() {
    const { blocked, allowed, action } = this.#form.elements;
    return { blocked: linesOf(blocked.value), allowed: linesOf(allowed.value), action: action.value };
  }

  get #isChanged() {
    return this.#saved !== null && JSON.stringify(this.#current) !== JSON.stringify(this.#saved);
  }

  show() {
    this.#note.hidden = true;
    if (!this.#isChanged) this.#load();
  }

  render() {}

  event(name) {
    if (name !== "terms_updated") return;
    if (this.#isChanged) this.#say(this.#host.words.t("terms.changed"));
    else this.#load();
  }

  reset() {
    this.#saved = null;
    this.#form.hidden = true;
  }

  async #load() {
    try {
      const { blocked = [], allowed = [], action = "off" } = await this.#host.chat.terms();
      // What somebody typed meanwhile stays.
      if (this.#isChanged) return;
      const { elements } = this.#form;
      elements.blocked.value = blocked.join("\n");
      elements.allowed.value = allowed.join("\n");
      elements.action.value = action;
      this.#saved = this.#current;
      this.#form.hidden = false;
    } catch (error) {
      this.#say(sentence(error, this.#host.words));
    }
  }

  async #save() {
    const before = this.#saved;
    // The event to all moderators may be here before the reply.
    this.#saved = this.#current;
    try {
      await this.#host.chat.setTerms(this.#saved);
      this.#say(this.#host.words.t("terms.saved"));
    } catch (error) {
      this.#saved = before;
      throw error;
    }
  }

  async #try() {
    const { verdict, content, reasons = [] } = await this.#host.chat.testTerms(this.#form.elements.trial.value, this.#current);
    const { words } = this.#host;
    this.#result.replaceChildren(
      h("p", {}, VERDICTS[verdict] ? words.t(VERDICTS[verdict]) : verdict), verdict === "mask" ? h("p", { class: "said" }, plain(content)) : "",
      h("ul", { class: "reasons" }, ...reasons.map((reason) => h("li", {}, reasonOf(reason, words)))));
  }

  #say(text) {
    this.#note.textContent = text;
    this.#note.hidden = false;
  }
}
