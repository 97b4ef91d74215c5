// One's devices and the recovery key.

import { textField } from "../dialog.js";
import { fill, h, word } from "../dom.js";
import { sentence } from "../text.js";

const DAY = { dateStyle: "medium" };

const read = (key) => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};

export class Keys {
  #panel;
  #list = h("ul", { class: "rows", "aria-label": word("devices.label") });
  #recovery = h("div", { class: "recovery" });
  #notice = h("p", { class: "hint", role: "status" });
  #problem = h("p", { class: "problem", role: "alert", hidden: true });

  title = word("private.keys");
  element = h("div", { class: "private-page" }, this.#problem,
    h("section", { class: "card", "aria-labelledby": "recovery-title" }, h("h4", { id: "recovery-title", tabindex: "-1" }, word("recovery.label")), this.#recovery, this.#notice),
    h("section", { class: "card", "aria-labelledby": "devices-title" }, h("h4", { id: "devices-title", tabindex: "-1" }, word("devices.label")), h("p", { class: "hint" }, word("devices.how")), this.#list));

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
    this.#fill(this.#list, ...devices.map((device) => this.#rowOf(device)));
  }

  #rowOf({ device_id, name, created_at }) {
    const { mine, host } = this.#panel;
    const calledIn = (words) => name || words.t("devices.unnamed");
    const about = (key) => word((words) => words.t(key, { name: calledIn(words) }));
    const isThis = device_id === mine.device_id;
    const rename = h("button", {
      class: "button small", type: "button", "aria-label": about("devices.rename_name"),
      onclick: () => host.dialog.ask({
        title: host.words.t("devices.rename_title"), yes: host.words.t("devices.rename_yes"), back: () => this.#back(rename),
        fields: [textField("name", host.words.t("devices.rename_field"), { value: name ?? "", maxlength: 64, required: true })],
        act: async (values) => {
          await mine.renameDevice(device_id, values.name.trim());
          await this.#showDevices();
        },
      }),
    }, word("devices.rename"));
    const remove = h("button", {
      class: "button small danger-line", type: "button", "aria-label": about("devices.remove_name"),
      onclick: () => host.dialog.ask({
        title: host.words.t("devices.remove_name", { name: calledIn(host.words) }), text: host.words.t("devices.remove_hint"), yes: host.words.t("devices.remove"), danger: true,
        back: () => this.#back(remove),
        act: async () => {
          await mine.removeDevice(device_id);
          await this.#showDevices();
        },
      }),
    }, word("devices.remove"));
    return h("li", {},
      h("div", { class: "row-head" }, h("bdi", { class: "name" }, word(calledIn)), isThis ? h("span", { class: "tag" }, word("devices.this")) : null),
      h("p", { class: "hint" }, word((words) => words.t("devices.added", { time: words.date(created_at, DAY) }))),
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
      this.#fill(this.#recovery, h("p", { class: "hint" }, word("recovery.how")), this.#button("recovery.make", "go", () => this.#make()));
    }
  }

  #showKept() {
    if (this.#isUnwritten) this.#fill(this.#recovery, h("p", {}, word("recovery.unwritten")), this.#button("recovery.show", "go", () => this.#make()));
    else this.#fill(this.#recovery, h("p", {}, word("recovery.kept")));
  }

  #showRestore() {
    const field = textField("key", word("recovery.label"), { required: true, spellcheck: "false", autocapitalize: "characters" });
    const form = h("form", {}, h("p", {}, word("recovery.there")), field,
      h("div", { class: "buttons" }, this.#button("recovery.replace", "danger-line", ({ currentTarget }) => this.#replace(currentTarget)),
        h("button", { class: "button go", type: "submit" }, word("recovery.restore"))));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#attempt(this.#restore(field.querySelector("input").value));
    });
    this.#fill(this.#recovery, form);
  }

  async #restore(key) {
    const { sessions } = await this.#panel.mine.restore(key);
    this.#showKept();
    this.#fill(this.#notice, word("recovery.restored", { count: sessions }));
    this.element.querySelector("#recovery-title").focus();
  }

  async #make(options) {
    const { recovery_key, left_out } = await this.#panel.mine.backup(options);
    // Until it is written down it may be shown again, also after a reload.
    this.#isUnwritten = true;
    const written = this.#button("recovery.written", "go", () => {
      this.#isUnwritten = false;
      this.#showKept();
      this.element.querySelector("#recovery-title").focus();
    });
    const key = h("p", { class: "recovery-key", tabindex: "0", role: "group", "aria-label": word("recovery.key") }, ...recovery_key.split(/[ -]/).map((group) => h("span", {}, group, " ")));
    this.#fill(this.#recovery, h("p", {}, word("recovery.once")), key, written);
    this.#fill(this.#notice, left_out > 0 ? word("recovery.left_out", { count: left_out }) : null);
    key.focus();
  }

  #replace(opener) {
    const { dialog, words } = this.#panel.host;
    dialog.ask({
      title: words.t("recovery.replace_title"), text: words.t("recovery.replace_hint"), yes: words.t("recovery.replace_yes"), danger: true, back: () => this.#back(opener),
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

  #fill(element, ...children) {
    fill(element, this.#panel.host.words, ...children);
  }

  #button(key, look, act) {
    return h("button", { class: `button ${look}`, type: "button", onclick: (event) => this.#attempt(act(event)) }, word(key));
  }

  async #attempt(act) {
    this.#problem.hidden = true;
    try {
      await act;
    } catch (error) {
      this.#fill(this.#problem, word((words) => sentence(error, words)));
      this.#problem.hidden = false;
    }
  }
}
