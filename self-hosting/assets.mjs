// The page and the client's files, from a folder: what Cloudflare's static assets do with client/web and its `_headers`.

const TYPES = {
  css: "text/css; charset=utf-8", html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8",
  json: "application/json", svg: "image/svg+xml", wasm: "application/wasm",
};

let rules;
/** The rules of `_headers`: a path, or the beginning of paths before a `*`, and the headers that it adds. */
const headerRules = (web) => (rules ??= web.fetch("http://web/_headers").then((file) => file.text()).then(read));

function read(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const [, name, value] = line.match(/^\s+([\w-]+): (.*)$/) ?? [];
    if (name) found.at(-1).headers.push([name, value]);
    else if (line.trim()) found.push({ path: line.trim(), headers: [] });
  }
  return found;
}

const matches = (pattern, path) => (pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern);

/** The file at this path as a HEAD of it is answered, null where there is none. */
async function file(web, path) {
  const found = await web.fetch(`http://web${path}`, { method: "HEAD" });
  // A folder has no length.
  return found.ok && found.headers.has("content-length") ? found : null;
}

/** The answer where a file is asked for, else null. */
export async function asset(request, { WEB: web, SOCKET_IO_PATH: socketIo = "/socket.io/" }) {
  const { pathname } = new URL(request.url);
  if (!["GET", "HEAD"].includes(request.method) || !/^(\/[\w.-]+)*\/?$/.test(pathname)) return null;
  if (/^\/(api|dev|problems)\/|^\/_headers$/.test(pathname) || pathname.startsWith(socketIo)) return null;
  for (const path of pathname.endsWith("/") ? [`${pathname}index.html`] : [pathname, `${pathname}.html`]) {
    const found = await file(web, path);
    if (found) return answer(request, web, path, found);
  }
  const folder = await file(web, `${pathname}/index.html`);
  return folder ? new Response(null, { status: 307, headers: { location: `${pathname}/` } }) : null;
}

async function answer(request, web, path, found) {
  const etag = `"${found.headers.get("content-length")}-${Date.parse(found.headers.get("last-modified"))}"`;
  const headers = new Headers({
    "content-type": TYPES[path.split(".").at(-1)] ?? "text/plain; charset=utf-8",
    "cache-control": "public, max-age=0, must-revalidate",
    etag,
  });
  for (const rule of await headerRules(web)) {
    if (matches(rule.path, path)) for (const [name, value] of rule.headers) headers.set(name, value);
  }
  const known = (request.headers.get("if-none-match") ?? "").split(/, */).map((one) => one.replace(/^W\//, ""));
  if (known.includes(etag)) return new Response(null, { status: 304, headers });
  const { body } = await web.fetch(`http://web${path}`, { method: request.method });
  return new Response(body, { headers });
}
