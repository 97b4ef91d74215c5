// The texts of private messages with what is put into them.

import { sentence } from "../text.js";
import words from "./words.js";

/** `say("with", {name: "Ada"})`. */
export const say = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/** Why a message is not shown, as a sentence. */
export const whyNot = ({ code, message }, name) => (words[code] && code !== "blocked" ? say(code, { name }) : message);

/** An error as a sentence. */
export const because = (error) => (error?.code === "blocked" ? say("refused_blocked") : sentence(error));
