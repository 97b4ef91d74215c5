// What people type to run a script in somebody else's page: several hundred payloads, made by rule.
//
// A payload says that it ran by calling `top.__ran(<id>)`, or by asking the canary for `/ran/<id>`, whichever its kind
// can do. Some run in no current browser as they stand: old tricks, what a template engine would have to run, and what
// becomes markup only once it was decoded or cleaned, which is why it is here.

import { addresses, attributes, handlers } from "./elements.mjs";
import { broken, limits, mutation, references } from "./parsers.mjs";
import { breakouts, clobber, components, frames, requests, scripts, styles, svg, templates } from "./places.mjs";

const KINDS = { handlers, attributes, addresses, mutation, broken, references, breakouts, styles, requests, clobber, templates, components, frames, svg, scripts, limits };

/** Every payload as `{id, kind, html}`; `canary` is `host:port` of a server that notes `/ran/<id>`. */
export function corpus(canary) {
  const all = Object.entries(KINDS).flatMap(([kind, payloads]) => payloads.map((make) => ({ kind, make })));
  return all.map(({ kind, make }, index) => ({ id: index + 1, kind, html: make(vector(index + 1, canary)) }));
}

/** What a payload is made of: `js` runs, `img` is an element that runs it, `url` is asked for. */
function vector(id, canary) {
  const js = `top.__ran(${id})`;
  return { id, js, img: `<img src=x onerror=${js}>`, url: `//${canary}/ran/${id}`, http: `http://${canary}/ran/${id}` };
}
