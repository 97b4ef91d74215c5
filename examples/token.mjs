// What your own server does for the chat: it signs who somebody is. JWT_SECRET is the chat's, or with JWT_KID one of its JWT_SECRETS.

import { createHmac } from "node:crypto";

const { JWT_SECRET, JWT_KID: kid } = process.env;

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token of claims such as `{sub: "ada", username: "Ada", roles: ["moderator"]}`, good for so many seconds. */
export function sign(claims, seconds = 3600) {
  if (!JWT_SECRET) throw new Error("JWT_SECRET is missing: the chat's secret, which a local run has in .dev.vars.");
  const iat = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: "HS256", typ: "JWT", kid })}.${part({ ...claims, iat, exp: iat + seconds })}`;
  return `${signed}.${createHmac("sha256", JWT_SECRET).update(signed).digest("base64url")}`;
}

/**
 * The token for a request of `/…?name=Ada`, and none without a name. Here anybody is who they say they are; yours knows
 * who is signed in.
 */
export function tokenFor({ url }) {
  const name = new URLSearchParams(url.split("?")[1]).get("name");
  return name ? sign({ sub: name.toLowerCase(), username: name }) : "";
}
