// A token for trying out, signed with this clone's secret.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, parseEnv } from "node:util";
import { SignJWT } from "jose";
import { root } from "./database.mjs";
import { Stop, say, script } from "./process.mjs";

const options = {
  user: { type: "string" },
  name: { type: "string" },
  avatar: { type: "string" },
  role: { type: "string", multiple: true, default: [] },
  room: { type: "string", multiple: true, default: [] },
  ttl: { type: "string", default: "3600" },
};

function read(args) {
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new Stop(`${error.message} See scripts/token --help.`);
  }
}

function rooms(pairs) {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, room, role] = pair.match(/^([^=]+)=([^=]+)$/) ?? [];
      if (!room) throw new Stop(`--room is "${pair}"; it must be like video_1=owner.`);
      return [room, role];
    }),
  );
}

await script(async (args) => {
  const { user, name = user, avatar, role: roles, room, ttl } = read(args);
  if (!user) throw new Stop("--user is missing: scripts/token --user ada --name Ada");
  if (!/^[1-9]\d*$/.test(ttl)) throw new Stop(`--ttl is "${ttl}"; it must be a number of seconds.`);

  const vars = join(root, ".dev.vars");
  const settings = { ...(existsSync(vars) && parseEnv(readFileSync(vars, "utf8"))), ...process.env };
  if (!settings.JWT_SECRET) throw new Stop("There is no JWT_SECRET, in the environment or in .dev.vars. Run ./scripts/setup.");

  const token = new SignJWT({ username: name, avatar, roles, ...(room.length && { rooms: rooms(room) }) })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(user)
    .setIssuedAt()
    .setExpirationTime(`${ttl} s`);
  if (settings.JWT_ISSUER) token.setIssuer(settings.JWT_ISSUER);
  if (settings.JWT_AUDIENCE) token.setAudience(settings.JWT_AUDIENCE);
  say(`• a token for ${name} (${user}), ${roles.join(", ") || "member"}, for ${ttl} s:`);
  console.log(await token.sign(new TextEncoder().encode(settings.JWT_SECRET)));
});
