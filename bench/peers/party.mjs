// The same room by partyserver: sends to everybody what anybody sends, sockets hibernating as in the others.
import { Server, getServerByName } from "partyserver";

export class Party extends Server {
  static options = { hibernate: true };

  onMessage(connection, text) {
    if (text.includes('"join_room"')) return connection.send('{"reply":0,"data":{}}');
    this.broadcast(text);
  }
}

export default {
  async fetch(request, env) {
    const [, room] = new URL(request.url).pathname.match(/^\/api\/rooms\/(.*)\/ws$/) ?? [];
    if (!room) return new Response("ok");
    return (await getServerByName(env.PARTY, room)).fetch(request);
  },
};
