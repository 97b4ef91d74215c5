// The rows by name, in the order in which they are run.
import { cold } from "./cold.mjs";
import { drain } from "./drain.mjs";
import { big, hot, many, socketio, steady } from "./fanout.mjs";
import { history } from "./history.mjs";
import { idle } from "./idle.mjs";
import { join } from "./join.mjs";
import { send } from "./send.mjs";
import { size } from "./size.mjs";

export const rows = { steady, hot, socketio, many, big, join, send, drain, idle, cold, history, size };
