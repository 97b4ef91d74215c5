// What the end-to-end tests stand on: the Worker under workerd, a database, tokens, a socket that waits, and what can go wrong between them.
export { embeddedDatabase, testDatabase } from "./database.mjs";
export { crowd } from "./crowd.mjs";
export { endpoint } from "./endpoint.mjs";
export { command, entries, listen, throwAwayRedis, withClient } from "./redis.mjs";
export { SECRET, startServer, token } from "./server.mjs";
export { chat } from "./chat.mjs";
export { noMount, ownCluster } from "./cluster.mjs";
export { fault, faulty } from "./faulty.mjs";
export { killObject, mortal, socketsOf } from "./mortal.mjs";
export { enter, say, undisturbed } from "./pace.mjs";
export { endHosted, hosted, proxy } from "./hosted.mjs";
export { relay } from "./relay.mjs";
export { openSocket, Refused } from "./socket.mjs";
export { CLIENTS, client, hangUp, member, tokenOf } from "./socketio.mjs";
export { allSaw, leave, viewer } from "./viewers.mjs";
export { until } from "../../scripts/lib/process.mjs";
