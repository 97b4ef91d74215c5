// The room's modes: each is set as it is chosen, and follows when another moderator sets it. Below, the room is cleared.

import { h } from "../dom.js";
import { span } from "../room-words.js";
import { count, sentence } from "../text.js";

const OFF = ["", "Off"];
const seconds = (...all) => all.map((one) => [String(one), span(one)]);
// Where a room says nothing the deployment's own setting holds.
const ACTIONS = [["", "Server’s own"], ["off", "Off"], ["mask", "Mask"], ["hold", "Hold"], ["reject", "Reject"]];

/** A list of choices; `read` turns a chosen text into the setting. */
const choice = (key, label, options, { read = String, of = (value) => String(value ?? ""), hint } = {}) => ({ key, label, options, read, of, hint });
const time = (key, label, options, hint) => choice(key, label, [OFF, ...options], { read: (text) => (text === "" ? null : Number(text)), hint });
const filter = (key, label, options) => choice(key, label, options, { read: (action) => (action === "" ? null : { action }), of: (value) => value?.action ?? "" });
const flag = (key, label, hint) => ({ key, label, hint });

const FIELDS = [
  flag("read_only", "Read-only", "Only moderators can write."),
  time("slow_s", "Slow mode", seconds(3, 5, 10, 30, 60, 120, 300, 600), "Between two messages of a member."),
  time("followers_only_s", "Followers only", [["0", "Any follower"], ...seconds(600, 3_600, 86_400, 604_800, 2_592_000)], "How long somebody has to follow."),
  flag("subscribers_only", "Subscribers only"),
  choice("subscribers_only_s", "Subscribed for", [["0", "Any time"], ...seconds(86_400, 604_800, 2_592_000)], { read: Number, of: (value) => String(value ?? 0), hint: "How long a subscription has to last, where only subscribers write." }),
  flag("emote_only", "Emotes only"),
  flag("no_repeats", "No repeats", "Nobody says the same twice within a minute."),
  choice("links", "Links", [["on", "Everybody"], ["moderators", "Moderators"], ["off", "Nobody"]], { of: (value) => value ?? "on" }),
  choice("delay_s", "Delay", [["0", "Off"], ...seconds(2, 4, 6)], { read: Number, of: (value) => String(value ?? 0), hint: "Moderators see messages before others do." }),
  filter("profanity", "Profanity", ACTIONS),
  choice("profanity.severity", "From severity", [["mild", "Mild"], ["moderate", "Moderate"], ["severe", "Severe"]], { read: (severity) => ({ severity }), of: (value) => value ?? "moderate" }),
  filter("spam", "Spam", ACTIONS.filter(([action]) => action !== "mask")),
];

const valueOf = (settings, key) => key.split(".").reduce((value, part) => value?.[part], settings);

export class Modes {
  title = "Modes";
  #host;
  #rows = FIELDS.map((field) => this.#rowOf(field));
  #problem = h("p", { class: "problem", role: "alert", hidden: true });
  #clear = h("button", { class: "button danger-line", type: "button", onclick: () => this.#askToClear() }, "Clear the room…");
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
      if (field.options) setChoice(input, field, value);
      else input.checked = value === true;
    }
    this.#clear.hidden = !model.can("delete_many");
  }

  #rowOf(field) {
    const input = field.options
      ? h("select", { "aria-label": field.label }, ...field.options.map(([value, text]) => h("option", { value }, text)))
      : h("input", { type: "checkbox", role: "switch" });
    const hint = field.hint ? h("span", { class: "hint" }, field.hint) : null;
    const element = h("label", { class: "mode" }, h("span", {}, field.label, hint), input);
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
      this.#problem.textContent = sentence(error);
      this.#problem.hidden = false;
      // Back to what the room is set to.
      this.render(model);
    }
  }

  #askToClear() {
    const { chat, dialog, tell } = this.#host;
    dialog.ask({
      title: "Clear the room", text: "Everything that was said here is deleted for everybody. This cannot be undone.", yes: "Clear the room", danger: true,
      back: () => this.#clear.focus(),
      act: async () => {
        const { deleted } = await chat.clear();
        tell(`${count(deleted, "message")} deleted.`);
      },
    });
  }
}

/** Also where the room is set to what the list does not offer. */
function setChoice(select, { options, of }, value) {
  const wanted = of(value);
  select.querySelector("[data-own]")?.remove();
  if (!options.some(([one]) => one === wanted)) select.append(h("option", { value: wanted, "data-own": true }, Number(wanted) > 0 ? span(Number(wanted)) : wanted));
  select.value = wanted;
}
