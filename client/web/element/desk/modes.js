// The room's modes: each is set as it is chosen, and follows when another moderator sets it. Below, the room is cleared.

import { h, word } from "../dom.js";
import { span } from "../room-words.js";
import { sentence } from "../text.js";

const OFF = ["", word("modes.off")];
const seconds = (...all) => all.map((one) => [String(one), word((words) => span(one, words))]);
const own = (...all) => all.map(([value, key]) => [value, word(key)]);
// Where a room says nothing the deployment's own setting holds.
const ACTIONS = own(["", "modes.server"], ["off", "modes.off"], ["mask", "modes.mask"], ["hold", "modes.hold"], ["reject", "modes.reject"]);

/** A list of choices; `read` turns a chosen text into the setting, `label` and `hint` are keys of the words. */
const choice = (key, label, options, { read = String, of = (value) => String(value ?? ""), hint } = {}) => ({ key, label, options, read, of, hint });
const time = (key, label, options, hint) => choice(key, label, [OFF, ...options], { read: (text) => (text === "" ? null : Number(text)), hint });
const filter = (key, label, options) => choice(key, label, options, { read: (action) => (action === "" ? null : { action }), of: (value) => value?.action ?? "" });
const flag = (key, label, hint) => ({ key, label, hint });

const FIELDS = [
  flag("read_only", "mode.read_only", "modes.read_only_hint"),
  time("slow_s", "modes.slow", seconds(3, 5, 10, 30, 60, 120, 300, 600), "modes.slow_hint"),
  time("followers_only_s", "mode.followers", [...own(["0", "modes.followers_any"]), ...seconds(600, 3_600, 86_400, 604_800, 2_592_000)], "modes.followers_hint"),
  flag("subscribers_only", "mode.subscribers"),
  choice("subscribers_only_s", "modes.subscribed", [...own(["0", "modes.subscribed_any"]), ...seconds(86_400, 604_800, 2_592_000)], { read: Number, of: (value) => String(value ?? 0), hint: "modes.subscribed_hint" }),
  flag("emote_only", "mode.emotes"),
  flag("no_repeats", "mode.no_repeats", "modes.no_repeats_hint"),
  choice("links", "modes.links", own(["on", "modes.links_on"], ["moderators", "modes.links_moderators"], ["off", "modes.links_off"]), { of: (value) => value ?? "on" }),
  choice("delay_s", "modes.delay", [...own(["0", "modes.off"]), ...seconds(2, 4, 6)], { read: Number, of: (value) => String(value ?? 0), hint: "modes.delay_hint" }),
  filter("profanity", "modes.profanity", ACTIONS),
  choice("profanity.severity", "modes.severity", own(["mild", "modes.mild"], ["moderate", "modes.moderate"], ["severe", "modes.severe"]), { read: (severity) => ({ severity }), of: (value) => value ?? "moderate" }),
  filter("spam", "modes.spam", ACTIONS.filter(([action]) => action !== "mask")),
];

const valueOf = (settings, key) => key.split(".").reduce((value, part) => value?.[part], settings);

export class Modes {
  title = "desk.modes";
  #host;
  #rows = FIELDS.map((field) => this.#rowOf(field));
  #problem = h("p", { class: "problem", role: "alert", hidden: true });
  #clear = h("button", { class: "button danger-line", type: "button", onclick: () => this.#askToClear() }, word("modes.clear"));
  element = h("div", { class: "modes-form" }, ...this.#rows.map(({ element }) => element), this.#problem, h("div", { class: "buttons" }, this.#clear));

  constructor(host) {
    this.#host = host;
  }

  may(model) {
    return model.can("set_modes") && Boolean(model.room?.settings);
  }

  show() {
    this.#problem.hidden = true;
  }

  render(model) {
    const settings = model.room?.settings ?? {};
    for (const { field, element, input } of this.#rows) {
      const value = valueOf(settings, field.key);
      // A server that does not know the mode does not name it.
      element.hidden = value === undefined;
      if (field.options) setChoice(input, field, value, this.#host.words);
      else input.checked = value === true;
    }
    this.#clear.hidden = !model.can("delete_many");
  }

  #rowOf(field) {
    const input = field.options
      ? h("select", { "aria-label": word(field.label) }, ...field.options.map(([value, text]) => h("option", { value }, text)))
      : h("input", { type: "checkbox", role: "switch" });
    const hint = field.hint ? h("span", { class: "hint" }, word(field.hint)) : null;
    const element = h("label", { class: "mode" }, h("span", {}, word(field.label), hint), input);
    input.addEventListener("change", () => this.#set(field, input));
    return { field, element, input };
  }

  async #set(field, input) {
    const { chat, model } = this.#host;
    const value = field.options ? field.read(input.value) : input.checked;
    const [key, part] = field.key.split(".");
    const whole = part || (value !== null && typeof value === "object") ? { ...model.room.settings[key], ...value } : value;
    this.#problem.hidden = true;
    try {
      await chat.setModes({ [key]: whole });
    } catch (error) {
      this.#problem.textContent = sentence(error, this.#host.words);
      this.#problem.hidden = false;
      // Back to what the room is set to.
      this.render(model);
    }
  }

  #askToClear() {
    const { chat, words, dialog, tell } = this.#host;
    dialog.ask({
      title: words.t("modes.clear_title"), text: words.t("modes.clear_hint"), yes: words.t("modes.clear_title"), danger: true,
      back: () => this.#clear.focus(),
      act: async () => {
        const { deleted } = await chat.clear();
        tell(words.t("modes.cleared", { count: deleted }));
      },
    });
  }
}

/** Also where the room is set to what the list does not offer. */
function setChoice(select, { options, of }, value, words) {
  const wanted = of(value);
  select.querySelector("[data-own]")?.remove();
  if (!options.some(([one]) => one === wanted)) select.append(h("option", { value: wanted, "data-own": true }, Number(wanted) > 0 ? span(Number(wanted), words) : wanted));
  select.value = wanted;
}
