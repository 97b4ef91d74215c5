// The built JavaScript with one thing more: each room, shard and relay can be made to die by itself.

/** What a request to the Worker is handed on for, to the object that its body names. */
const DEATH = "/__death";
const SOCKETS = "/__sockets";
const REASON = "a death that a test wants";

// Nothing of the wasm may be on the stack of an abort, see src/platform/binding.rs.
const prelude = `
const mortal = (ctx, request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "${SOCKETS}") return Response.json(ctx.getWebSockets().length);
  // Who still holds the promise's end: workerd answers by itself for one that nobody can settle.
  return pathname === "${DEATH}" && new Promise((_, no) => setTimeout(() => no(ctx.abort("${REASON}")), 0));
};
const toObject = async (path, request, env) => {
  const { className, name } = await request.json();
  const object = env[className.toUpperCase()].getByName(name);
  return object.fetch("https://object" + path).catch(({ message }) => new Response(message));
};
`;

/** For `patch` of `startServer`. */
export function mortal(text) {
  const replaced = (from, to) => {
    if (!from.test(text)) throw new Error(`the built JavaScript has nothing like ${from}`);
    text = text.replace(from, to);
  };
  for (const kind of ["room", "shard"]) {
    replaced(new RegExp(`\\.${kind}_new\\(([\\w$]+),`), `.${kind}_new(this.mortal=$1,`);
    replaced(new RegExp(`[\\w$]+\\.${kind}_fetch\\(this\\.__wbg_ptr,([\\w$]+)\\)`), "mortal(this.mortal,$1)||$&");
  }
  replaced(/[\w$]+\.prototype\.fetch=function\(([\w$]+)\)\{/, `$&const{pathname}=new URL($1.url);if(pathname==="${DEATH}"||pathname==="${SOCKETS}")return toObject(pathname,$1,this.env);`);
  return prelude + text;
}

const ask = async (server, path, object) => (await fetch(server.url + path, { method: "POST", body: JSON.stringify(object) })).text();

/** How many sockets the object of this class and name holds. */
export const socketsOf = async (server, className, name) => Number(await ask(server, SOCKETS, { className, name }));

/** Ends that object: its memory and its sockets are gone, and what it was asked fails. */
export async function killObject(server, className, name) {
  const answer = await ask(server, DEATH, { className, name });
  if (answer !== REASON) throw new Error(`${name} was to die and answered ${answer}`);
}
