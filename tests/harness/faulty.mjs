// The built JavaScript with two things more around the wasm: it can be made to trap, and what it holds can be read.

/** A request for this path is answered by what `faulty` put in. */
const PATH = "/__fault";

const prelude = `
const fault = (globalThis.__fault = { after: null, alarms: 0, within: 0, traps: 0, instances: 0, rooms: 0, exports: null });
const faultyImports = (imports) => Object.fromEntries(Object.entries(imports).map(([from, functions]) => [from,
  Object.fromEntries(Object.entries(functions).map(([name, f]) => [name, typeof f !== "function" ? f : function (...values) {
    if (fault.after !== null && fault.after-- <= 0) {
      fault.after = null;
      fault.traps += 1;
      throw new WebAssembly.RuntimeError("a trap that a test wants, at " + name);
    }
    return f.apply(this, values);
  }]))]));
const faultyInstance = (instance) => {
  const { exports } = instance;
  Object.assign(fault, { exports, instances: fault.instances + 1, rooms: 0 });
  const counted = (name, by) => (...values) => {
    const result = exports[name](...values);
    if (fault.exports === exports) fault.rooms += by;
    return result;
  };
  const alarm = (...values) => {
    if (fault.alarms > 0) {
      fault.alarms -= 1;
      fault.after = fault.within;
    }
    return exports.room_alarm(...values);
  };
  return { exports: { ...exports, room_alarm: alarm, room_new: counted("room_new", 1), __wbg_room_free: counted("__wbg_room_free", -1) } };
};
const faultyAnswer = async (request) => {
  Object.assign(fault, await request.json());
  const { exports, ...rest } = fault;
  return Response.json({ ...rest, memory: exports.memory.buffer.byteLength });
};
`;

/**
 * For `patch` of `startServer`. One wasm instance, and so one set of these, serves all objects of the isolate:
 * `after`, how many more calls out of the wasm succeed before one traps; `alarms`, in how many alarms of rooms one is to
 * trap, after `within` calls of it; `traps` and `instances` so far; `rooms` that the wasm holds now, slept ones that the
 * collector has not come to among them; `memory`, bytes of the wasm.
 */
export function faulty(text) {
  const replaced = (from, to) => {
    if (!from.test(text)) throw new Error(`the built JavaScript has nothing like ${from}`);
    text = text.replace(from, to);
  };
  replaced(/new WebAssembly\.Instance\((\w+),(\w+)\(\)\)/g, "faultyInstance(new WebAssembly.Instance($1,faultyImports($2())))");
  replaced(/(\w+)\.prototype\.fetch=function\((\w+)\)\{/, `$1.prototype.fetch=function($2){if(new URL($2.url).pathname==="${PATH}")return faultyAnswer($2);`);
  return prelude + text;
}

/** Sets what is given of them, and gives them all. */
export const fault = async (server, set = {}) =>
  (await fetch(server.url + PATH, { method: "POST", body: JSON.stringify(set) })).json();
