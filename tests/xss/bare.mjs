// A page that guards itself against nothing, and a server that notes who was made to ask it.

import { createServer } from "node:http";

/**
 * A server on a port of its own: `/` is the bare page, `/ran/<id>` is noted in `ran` (a set of ids), anything else is
 * not there. `host` is `address:port`.
 */
export async function startCanary() {
  const ran = new Set();
  const server = createServer(({ url }, response) => {
    const [, id] = url.match(/^\/ran\/(\d+)/) ?? [];
    if (id) ran.add(Number(id));
    // No content: a navigation that comes here leaves the page where it is.
    response.statusCode = id ? 204 : url === "/" ? 200 : 404;
    response.setHeader("content-type", "text/html");
    response.end(url === "/" ? PAGE : undefined);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { host: `127.0.0.1:${server.address().port}`, ran, close: () => server.closeAllConnections() || server.close() };
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>bare</title><script>
  const ran = new Set();
  window.__ran = (id) => void ran.add(Number(id));
  window.takeRan = () => [...ran].sort((a, b) => a - b);
</script>`;

/**
 * Puts each `{id, html}` into two documents of its own, of the bare page's origin: as the `innerHTML` of an element and
 * as what a server would have sent. Then does all to it that a reader could: moves, clicks, focuses, and fires whatever
 * a handler waits for. Runs inside the page.
 */
export async function provoke(items) {
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const documents = items.map(({ id, html }) => {
    const element = document.createElement("iframe");
    const whole = document.createElement("iframe");
    whole.srcdoc = `<!doctype html><body>${html}`;
    document.body.append(element, whole);
    element.contentDocument.body.innerHTML = html;
    return { id, frames: [element, whole] };
  });
  await pause(500);
  const frames = documents.flatMap(({ id, frames: both }) => both.map((frame) => ({ id, frame })));
  for (const { id, frame } of frames) {
    const view = frame.contentWindow;
    try {
      // As a script would that trusts a global of its page.
      if (view[`global_${id}`] ?? view.document[`global_${id}`]) top.__ran(id);
      stir(view.document);
    } catch {
      // It has gone to another origin.
    }
  }
  await pause(400);
  for (const { frame } of frames) frame.remove();

  function stir(root) {
    for (const element of root.querySelectorAll("*")) {
      for (const { name } of [...element.attributes]) {
        if (!name.startsWith("on")) continue;
        const event = new Event(name.slice(2), { bubbles: true });
        element.dispatchEvent(event);
        if (element === root.body) root.defaultView.dispatchEvent(new Event(name.slice(2)));
      }
      element.focus?.();
      for (const kind of ["pointerover", "mouseover", "mousemove"]) element.dispatchEvent(new MouseEvent(kind, { bubbles: true }));
      if (element.click) element.click();
      else element.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
      if (element.shadowRoot) stir(element.shadowRoot);
      if (element.contentDocument) stir(element.contentDocument);
    }
  }
}

/**
 * Puts each `{content, text}` into elements of one document as the protocol says that it may be put: `content` as HTML,
 * also in elements with rules of their own and a second time after it was read back; `text` as text. Gives those that
 * made anything but text, or another text than `text`. Runs inside the page.
 */
export function show(all) {
  const around = ["<div>$</div>", "<table><tr><td>$</td></tr></table>", "<button>$</button>", "<svg><text>$</text></svg>", "<math><mtext>$</mtext></math>", "<title>$</title>", "<textarea>$</textarea>", "<select><option>$</option></select>"];
  return all.filter(({ content, text }) => {
    const line = document.createElement("p");
    line.innerHTML = content;
    const again = document.createElement("p");
    again.innerHTML = line.innerHTML;
    const plain = document.createElement("p");
    plain.textContent = text ?? content;
    document.body.append(line, again, plain);
    const only = (element) => [...element.childNodes].every(({ nodeType }) => nodeType === Node.TEXT_NODE);
    const bad = (element) => !only(element) || (text !== undefined && element.textContent !== text);
    const within = (html, inside) => {
      const box = document.createElement("div");
      box.innerHTML = html.replace("$", () => inside);
      return [...box.querySelectorAll("*")];
    };
    const elsewhere = around.some((html) => within(html, content).length !== within(html, "").length || bad(within(html, content).at(-1)));
    return bad(line) || bad(again) || elsewhere;
  });
}
