//! Gateways: their sessions are in the room as everybody is, and a gateway where nobody is any more costs it nothing.

use crate::split::Split;
use crate::world::{ROOM, World};
use edge_chat::audience::Out;
use edge_chat::host::{Host, Moment};
use edge_chat::protocol::RoomId;
use edge_chat::protocol::call::Standing;
use edge_chat::protocol::shard::{Begin, Follower};
use edge_chat::room::{Replica, Tail};
use serde_json::{Value, json};

fn pair() -> Split {
    Split::new(&[("RATE_LIMIT_JOINS", "10000")])
}

/// What a gateway's adapter does, call by call: two sessions enter a room, one says something, both see it, both leave.
#[test]
fn a_gateways_adapter_in_short() {
    let mut room = World::new();
    room.join("ada");
    let (bob, cleo) = (room.caller("bob"), room.caller("cleo"));
    let (settings, now) = (room.settings.clone(), room.now);

    // The first session wants to enter: an empty log, and the log's end from the room.
    let mut replica = Replica::default();
    let id = RoomId::parse(ROOM).unwrap();
    let mut host = Host::gateway(id, 17, settings, &at(now, &replica), Vec::new(), Vec::new()).unwrap();
    assert!(host.needs_begin());
    let Begin { seq, shape, totals, state, rows, reactions, .. } =
        room.step(|host, at| host.begin_for(at, Follower::Gateway(17), bob.identity.as_ref())).unwrap();
    let tail = Tail { rows, state, reactions };
    assert!(host.is_news(tail.epoch(), seq));
    replica = Replica::begin(tail, Follower::Gateway(17).keeps());
    let effects = host.begun(&at(now, &replica), shape, totals).unwrap();
    replica.write(&effects.write);

    // A session has one number in all of its rooms. The join is a frame as any other.
    let join = json!({"id": 1, "event": "join_room", "data": {"room_id": ROOM}}).to_string();
    for (session, caller) in [(7, bob), (8, cleo)] {
        let effects = host.open_as(&at(now, &replica), session, caller).unwrap();
        replica.write(&effects.write);
        let effects = host.frame(&at(now, &replica), session, &join);
        replica.write(&effects.write);
        assert!(effects.out.iter().any(|out| matches!(out, Out::Send(_, line) if line.contains("\"reply\":1"))));
        // Whose object has to say whom they block, and that this gateway is told.
        for user in effects.entered {
            let effects = host.entered(&at(now, &replica), &user, Some(Standing::default()));
            replica.write(&effects.write);
        }
    }

    // What a session wants goes up, and the answer comes down.
    let said = json!({"id": 2, "event": "send_message", "data": {"content": "hello"}}).to_string();
    let effects = host.frame(&at(now, &replica), 7, &said);
    assert!(effects.up);
    let up = host.next_up(&at(now, &replica)).unwrap();
    let down = room.step(|host, at| host.up(at, up));
    let effects = host.came_down(&at(now, &replica), Ok(down));
    assert!(effects.out.iter().any(|out| matches!(out, Out::Send(_, line) if line.contains("\"reply\":2"))));

    // The room pushes what it wrote.
    room.now += 100;
    for outgoing in room.compute(|host, at| host.next_pushes(at)) {
        assert_eq!(outgoing.to, [Follower::Gateway(17)]);
        let push = serde_json::from_str(&outgoing.body).unwrap();
        let (pushed, effects) = host.pushed(&at(now, &replica), push);
        replica.write(&effects.write);
        assert!(effects.out.iter().any(|out| matches!(out, Out::Send(_, line) if line.contains("hello"))));
        room.step(|host, at| ((), host.pushed_to(at, &outgoing.to, vec![Some(pushed)])));
    }
    assert_eq!(room.get("ada")["online_users"], 3);

    // They leave; five seconds later they are gone, the room is told, and this part may be forgotten.
    for session in [7, 8] {
        host.closed(&at(now, &replica), session);
    }
    let later = at(now + 8_000, &replica);
    let effects = host.tick(&later);
    assert!(effects.up && !host.is_done());
    let up = host.next_up(&later).unwrap();
    assert!(up.crowd.is_nobody());
    room.now += 20_000;
    let down = room.step(|host, at| host.up(at, up));
    host.came_down(&later, Ok(down));
    assert!(host.is_done());
    assert_eq!(stats(&mut room)["gateways"], 0);
}

fn at(now: u64, log: &Replica) -> Moment<'_> {
    Moment { now, entropy: [7; 32], log }
}

fn stats(room: &mut World) -> Value {
    use edge_chat::protocol::call::{Ask, Nothing};
    room.call("admin", Ask::Stats(Nothing {})).unwrap()
}

#[test]
fn v4_those_at_a_gateway_and_those_in_the_room_see_the_same() {
    let mut it = pair();
    let ada = it.join("ada");
    let bob = it.join_at(3, "bob");
    let cleo = it.join_at(9, "cleo");
    for n in 0..30 {
        let tab = [ada, bob, cleo][n % 3];
        it.ask(tab, "send_message", json!({"content": format!("word {n}")})).unwrap();
        it.advance(40);
    }
    it.advance(1_000);
    let seq = it.room.compute(|host, _| host.position().unwrap()).seq;
    for tab in [bob, cleo] {
        let it = &it.tabs[tab];
        assert_eq!(it.seen, (it.seen[0]..=seq).collect::<Vec<_>>(), "{}", it.user);
    }
}
