// What people reported: the message, why, what was said around it, and the end of the matter.

import { h, icon } from "../dom.js";
import { fullTimeOf, plain, sentence, textOf, timeOf } from "../text.js";
import { actButton, DeskList } from "./list.js";

export class Reports {
  title = "desk.reports";
  #host;
  #list;

  constructor(host) {
    this.#host = host;
    this.#list = new DeskList(host, "reports.none");
    this.element = this.#list.element;
  }

  may(model) {
    return model.can("review_reports");
  }

  count(model) {
    return model.reports.size;
  }

  show() {}

  render(model) {
    const newestFirst = [...model.reports.values()].sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
    this.#list.render(newestFirst, ({ report_id }) => report_id, (report) => this.#rowOf(report));
  }

  #rowOf(report) {
    const { orders, words } = this.#host;
    const { report_id, reason, details, created_at } = report;
    const author = userOf(report.author, words);
    const name = plain(author.username);
    const around = h("div", { class: "around", hidden: true });
    const open = h("button", { class: "button small", type: "button", "aria-expanded": "false", onclick: () => this.#toggle(open, around, report_id) }, words.t("reports.context"));
    const more = h("button", { class: "more", type: "button", "aria-label": words.t("more_about", { name }), title: words.t("more"), onclick: () => orders.open(more, { user: author }) }, icon("more"));
    return h("li", {},
      h("div", { class: "row-head" }, h("bdi", { class: "name" }, name), h("span", { class: "tag" }, words.has(`report.${reason}`) ? words.t(`report.${reason}`) : reason),
        h("time", { datetime: created_at, title: fullTimeOf(created_at, words) }, timeOf(created_at, words))),
      h("p", { class: "said", dir: "auto" }, quotedOf(report) || words.t("reports.gone")),
      details ? h("p", { class: "hint" }, words.t("reports.details", { text: details })) : null,
      h("p", { class: "hint" }, ...words.parts("reports.by", { name: h("bdi", {}, userOf(report.reporter ?? report.reporter_id, words).username) })),
      around,
      h("div", { class: "buttons" }, more, open, this.#end("reports.dismiss", "small", report_id, "dismissed"), this.#end("reports.resolve", "small go", report_id, "resolved")));
  }

  #end(key, className, report_id, status) {
    return actButton(this.#host, key, className, async () => {
      await this.#host.chat.resolveReport(report_id, { status });
      // The event says the same to all moderators, in its own time.
      this.#host.model.apply({ event: "report_resolved", data: { report_id } }, Date.now());
      this.#host.redraw();
    });
  }

  async #toggle(button, around, report_id) {
    const { words } = this.#host;
    const open = around.hidden;
    around.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (!open || around.childElementCount > 0) return;
    around.replaceChildren(h("p", { class: "hint", role: "status" }, words.t("loading")));
    try {
      const { context } = await this.#host.chat.reported(report_id);
      const { before = [], message, after = [] } = context ?? {};
      const line = (one, className) =>
        h("li", { class: className }, h("b", {}, h("bdi", {}, plain(one.user.username ?? ""))), " ", h("bdi", {}, one.deleted_at ? words.t("reports.deleted") : textOf(one)));
      around.replaceChildren(h("ol", { "aria-label": words.t("reports.around"), tabindex: "0" },
        ...before.map((one) => line(one, null)), ...(message ? [line(message, "it")] : []), ...after.map((one) => line(one, null))));
      around.querySelector(".it")?.scrollIntoView({ block: "nearest" });
    } catch (error) {
      around.replaceChildren(h("p", { class: "problem" }, sentence(error, words)));
    }
  }
}

/** A user as an object or an id alone. */
function userOf(user, words) {
  if (user && typeof user === "object") return { ...user, username: user.username ?? user.user_id };
  return { user_id: user ?? null, username: user ?? words.t("reports.somebody") };
}

const quotedOf = ({ quoted }) => (quoted && typeof quoted === "object" ? textOf(quoted) : quoted) ?? "";
