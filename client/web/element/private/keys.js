// One's devices and the recovery key.

import { textField } from "../dialog.js";
import { h } from "../dom.js";
import { because, say } from "./say.js";

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

const read = (key) => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};

export class Keys {
  #panel;
  #list = h("ul", { class: "rows", "aria-label": say("devices") });
  #recovery = h("div", { class: "recovery" });
  #notice = h("p", { class: "hint", role: "status" });
  #problem = h("p", { class: "problem", role: "alert", hidden: true });

  title = say("keys");
  element = h("div", { class: "private-page" }, this.#problem,
    h("section", { class: "card", "aria-labelledby": "recovery-title" }, h("h4", { id: "recovery-title", tabindex: "-1" }, say("recovery")), this.#recovery, this.#notice),
    h("section", { class: "card", "aria-labelledby": "devices-title" }, h("h4", { id: "devices-title", tabindex: "-1" }, say("devices")), h("p", { class: "hint" }, say("devices_how")), this.#list));

  constructor(panel) {
    this.#panel = panel;
  }

  show() {
    this.#attempt(this.#showDevices());
    this.#attempt(this.#showRecovery());
  }

  // ── devices ──────────────────────────────────────────────────────────────

  async #showDevices() {
    const { devices } = await this.#panel.mine.devices();
    this.#list.replaceChildren(...devices.map((device) => this.#rowOf(device)));
  }

  #rowOf({ device_id, name, created_at }) {
    const { mine, host } = this.#panel;
    const called = name || say("unnamed");
    const isThis = device_id === mine.device_id;
    const rename = h("button", {
      class: "button small", type: "button", "aria-label": say("rename_label", { name: called }),
      onclick: () => host.dialog.ask({
        title: say("rename_title"), yes: say("rename_yes"), back: () => this.#back(rename),
        fields: [textField("name", say("rename_field"), { value: name ?? "", maxlength: 64, required: true })],
        act: async (values) => {
          await mine.renameDevice(device_id, values.name.trim());
          await this.#showDevices();
        },
      }),
    }, say("rename"));
    const remove = h("button", {
      class: "button small danger-line", type: "button", "aria-label": say("remove_label", { name: called }),
      onclick: () => host.dialog.ask({
        title: say("remove_title", { name: called }), text: say("remove_text"), yes: say("remove_yes"), danger: true, back: () => this.#back(remove),
        act: async () => {
          await mine.removeDevice(device_id);
          await this.#showDevices();
        },
      }),
    }, say("remove_yes"));
    return h("li", {},
      h("div", { class: "row-head" }, h("bdi", { class: "name" }, called), isThis ? h("span", { class: "tag" }, say("this_device")) : null),
      h("p", { class: "hint" }, say("added", { when: day.format(new Date(created_at)) })),
      h("div", { class: "buttons" }, rename, isThis ? null : remove));
  }

  // The list was made anew: its button is another one by now.
  #back(button) {
    (button.isConnected ? button : this.element.querySelector("#devices-title")).focus();
  }

  // ── the recovery key ─────────────────────────────────────────────────────

  async #showRecovery() {
    const { there, opens } = await this.#panel.mine.backupState();
    if (there && opens) this.#showKept();
    else if (there) this.#showRestore();
    else {
      this.#recovery.replaceChildren(h("p", { class: "hint" }, say("recovery_how")), this.#button("make_key", "go", () => this.#make()));
    }
  }

  #showKept() {
    if (this.#isUnwritten) this.#recovery.replaceChildren(h("p", {}, say("kept_unread")), this.#button("show_key", "go", () => this.#make()));
    else this.#recovery.replaceChildren(h("p", {}, say("kept")));
  }

  #showRestore() {
    const field = textField("key", say("restore_field"), { required: true, spellcheck: "false", autocapitalize: "characters" });
    const form = h("form", {}, h("p", {}, say("there")), field,
      h("div", { class: "buttons" }, this.#button("replace", "danger-line", ({ currentTarget }) => this.#replace(currentTarget)),
        h("button", { class: "button go", type: "submit" }, say("restore"))));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#attempt(this.#restore(field.querySelector("input").value));
    });
    this.#recovery.replaceChildren(form);
  }

  async #restore(key) {
    const { sessions } = await this.#panel.mine.restore(key);
    this.#showKept();
    this.#notice.textContent = say("restored", { count: sessions });
    this.element.querySelector("#recovery-title").focus();
  }

  async #make(options) {
    const { recovery_key, left_out } = await this.#panel.mine.backup(options);
    // Until it is written down it may be shown again, also after a reload.
    this.#isUnwritten = true;
    const written = this.#button("written", "go", () => {
      this.#isUnwritten = false;
      this.#showKept();
      this.element.querySelector("#recovery-title").focus();
    });
    const key = h("p", { class: "recovery-key", tabindex: "0", role: "group", "aria-label": say("key_label") }, ...recovery_key.split(/[ -]/).map((group) => h("span", {}, group, " ")));
    this.#recovery.replaceChildren(h("p", {}, say("key_once")), key, written);
    this.#notice.textContent = left_out > 0 ? say("left_out", { count: left_out }) : "";
    key.focus();
  }

  #replace(opener) {
    this.#panel.host.dialog.ask({
      title: say("replace_title"), text: say("replace_text"), yes: say("replace_yes"), danger: true, back: () => this.#back(opener),
      act: () => this.#make({ replace: true }),
    });
  }

  get #unwrittenKey() {
    const { origin, user_id } = this.#panel.mine;
    return `edge-chat.unwritten ${origin} ${user_id}`;
  }

  get #isUnwritten() {
    return read(this.#unwrittenKey) !== null;
  }

  set #isUnwritten(unwritten) {
    try {
      if (unwritten) localStorage.setItem(this.#unwrittenKey, "");
      else localStorage.removeItem(this.#unwrittenKey);
    } catch {
      // A full or forbidden storage: after a reload nobody knows, and the key counts as written down.
    }
  }

  // ── small things ─────────────────────────────────────────────────────────

  #button(text, look, act) {
    return h("button", { class: `button ${look}`, type: "button", onclick: (event) => this.#attempt(act(event)) }, say(text));
  }

  async #attempt(act) {
    this.#problem.hidden = true;
    try {
      await act;
    } catch (error) {
      this.#problem.textContent = because(error);
      this.#problem.hidden = false;
    }
  }
}
