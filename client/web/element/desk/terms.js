// The room's own words: what is blocked, what is allowed after all, and a trial before they are saved.

import { textField } from "../dialog.js";
import { h } from "../dom.js";
import { plain, sentence } from "../text.js";
import { actButton } from "./list.js";

const VERDICTS = { pass: "This would be shown as it is.", mask: "This would be masked:", hold: "This would wait for a moderator.", reject: "This would be refused." };
const linesOf = (text) => [...new Set(text.split("\n").map((line) => line.trim()).filter(Boolean))];

export class Terms {
  title = "Terms";
  #host;
  #saved = null;
  #note = h("p", { class: "desk-note", role: "status", hidden: true });
  #result = h("div", { class: "result", role: "status" });
  #blocked = textField("blocked", "Blocked words and phrases, one a line", { rows: 5, spellcheck: "false" });
  #allowed = textField("allowed", "Allowed all the same, one a line", { rows: 3, spellcheck: "false" });
  #action = h("select", { name: "action" }, ...Object.entries({ off: "Nothing", mask: "Mask them", hold: "Hold the message", reject: "Refuse the message" }).map(([value, text]) => h("option", { value }, text)));
  #trial = textField("trial", "Try a message against this list, saved or not", { maxlength: 1000 });
  #form = h("form", { class: "terms-form", hidden: true, onsubmit: (event) => event.preventDefault() },
    this.#blocked, this.#allowed, h("label", { class: "mode" }, h("span", {}, "What is done with them"), this.#action),
    h("div", { class: "act" }, this.#trial, h("div", { class: "buttons" }, actButton("Try", "small", () => this.#try())), this.#result),
    h("div", { class: "buttons" }, actButton("Save", "go", () => this.#save())));

  element = h("div", {}, this.#note, this.#form);

  constructor(host) {
    this.#host = host;
  }

  may(model) {
    return model.can("set_terms");
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
    if (this.#isChanged) this.#say("Somebody else has changed the terms. Saving replaces theirs.");
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
      this.#say(sentence(error));
    }
  }

  async #save() {
    const before = this.#saved;
    // The event to all moderators may be here before the reply.
    this.#saved = this.#current;
    try {
      await this.#host.chat.setTerms(this.#saved);
      this.#say("Saved.");
    } catch (error) {
      this.#saved = before;
      throw error;
    }
  }

  async #try() {
    const { verdict, content, reasons = [] } = await this.#host.chat.testTerms(this.#form.elements.trial.value, this.#current);
    this.#result.replaceChildren(
      h("p", {}, VERDICTS[verdict] ?? verdict), verdict === "mask" ? h("p", { class: "said" }, plain(content)) : "",
      h("ul", { class: "reasons" }, ...reasons.map((reason) => h("li", {}, reason.sentence ?? reason.code))));
  }

  #say(text) {
    this.#note.textContent = text;
    this.#note.hidden = false;
  }
}
