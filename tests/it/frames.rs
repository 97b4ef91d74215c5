//! Frames of a hot room: what is gathered, for how long, and what does not wait.

use crate::memory::{Flaw, MemoryLog};
use crate::world::{ROOM, World, random, settings};
use edge_chat::audience::{Out, SocketId, To};
use edge_chat::protocol::call::{PageQuery, UserAsk};
use edge_chat::protocol::{Audience, Body, ChatError, ClientFrame, LogEvent, Position, RoomId};
use edge_chat::room::{Context, Log, Overlay, Resumed, Room, Row, Sender, Viewer, Write, reaction_key};
use serde_json::{Value, json};
use std::rc::Rc;

/// Sockets in a room; 30 of them are hot at 34 events a second, with windows of 50 ms.
const VIEWERS: usize = 30;

struct Hot {
    w: World,
    ada: SocketId,
    moderator: SocketId,
    bob: SocketId,
}

/// A room that has just become hot, everything read.
fn hot() -> Hot {
    let set = [("FRAME_BUDGET", "1000"), ("RATE_LIMIT_MESSAGES", "1000"), ("RATE_LIMIT_JOINS", "100000")];
    let mut w = World::with(&set, 1);
    let (ada, moderator, bob) = (w.join("ada"), w.join("mod"), w.join("bob"));
    for _ in 3..VIEWERS {
        w.join("");
    }
    w.advance(10_000);
    for n in 0..34 {
        w.say(ada, &format!("warm {n}"));
    }
    assert!(w.host.as_ref().unwrap().is_busy(w.now));
    w.advance(50);
    clear(&mut w);
    Hot { w, ada, moderator, bob }
}

fn clear(w: &mut World) {
    w.wires.values_mut().for_each(|wire| wire.frames.clear());
}

fn frames(w: &World, socket: SocketId) -> usize {
    w.wires[&socket].frames.len()
}

fn contents(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["data"]["content"].as_str()).collect()
}

#[test]
fn v1_a_calm_rooms_events_leave_at_once_and_a_hot_ones_as_one_frame_in_order() {
    let Hot { mut w, ada, bob, .. } = hot();
    w.advance(5_000);
    clear(&mut w);
    w.say(ada, "calm");
    assert_eq!(w.events(bob, "new_message").len(), 1);

    let Hot { mut w, ada, bob, moderator } = hot();
    for n in 0..10 {
        w.say(ada, &n.to_string());
        w.advance(4);
    }
    assert_eq!((frames(&w, bob), frames(&w, ada), frames(&w, moderator)), (0, 0, 0));
    w.advance(10);
    assert_eq!((frames(&w, bob), frames(&w, ada), frames(&w, moderator)), (1, 1, 1));
    let lines = w.take(bob);
    assert_eq!(contents(&lines), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let seqs: Vec<_> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert!(seqs.windows(2).all(|two| two[1] == two[0] + 1));
}

#[test]
fn once_hot_a_room_is_calm_below_two_thirds_of_the_budget_only() {
    let Hot { mut w, ada, bob, .. } = hot();
    let mut gathered = |every: u64| {
        let mut gathered = 0;
        for n in 0..2_000 / every {
            w.say(ada, "x");
            gathered += usize::from(frames(&w, bob) == 0);
            w.advance(every);
            if n * every < 1_000 {
                gathered = 0;
            }
            clear(&mut w);
        }
        gathered
    };
    // 30 sockets: 750, 600 and 750 frames a second.
    assert!(gathered(40) > 0);
    assert_eq!(gathered(50), 0);
    assert_eq!(gathered(40), 0);
    assert!(gathered(20) > 0);
}

#[test]
fn one_frame_is_encoded_for_all_and_the_counts_ride_along() {
    let Hot { mut w, ada, .. } = hot();
    w.say(ada, "one");
    w.say(ada, "two");
    w.now += 1_000;
    let effects = w.compute(|host, at| host.tick(at));
    let sends: Vec<_> = effects.out.iter().filter(|out| matches!(out, Out::Send(..))).collect();
    let [Out::Send(To::Many(all), frame)] = sends.as_slice() else { panic!("one frame for all: {sends:?}") };
    let events: Vec<Value> = frame.split('\n').map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), VIEWERS);
    assert_eq!(
        events.iter().filter_map(|line| line["event"].as_str()).collect::<Vec<_>>(),
        ["new_message", "new_message", "room_stats"]
    );
}

#[test]
fn a_timer_brings_what_is_gathered_also_where_nothing_else_happens() {
    let Hot { mut w, ada, bob, .. } = hot();
    w.say(ada, "last");
    assert!(w.soon.is_some_and(|at| at <= w.now + 50));
    w.advance(50);
    assert_eq!(contents(&w.take(bob)), ["last"]);
    assert!(w.soon.is_none_or(|at| at > w.now), "no timer runs on for nothing");
}

#[test]
fn the_senders_acknowledgement_does_not_wait() {
    let Hot { mut w, ada, .. } = hot();
    let ack = w.say(ada, "mine");
    assert!(ack["seq"].is_u64());
    assert_eq!(frames(&w, ada), 0);
}

#[test]
fn v1_a_ban_and_what_moderators_take_away_leave_at_once_behind_what_came_before() {
    let Hot { mut w, ada, moderator, bob } = hot();
    let id = w.say(ada, "bad")["message_id"].clone();
    w.say(bob, "fine");
    w.ask(moderator, "delete_message", json!({"message_id": id})).unwrap();
    let lines = w.take(bob);
    let names: Vec<_> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(names, ["new_message", "new_message", "message_deleted"]);
    assert_eq!(contents(&lines), ["", "fine"], "a text that is gone before it left is told to nobody");
    w.say(bob, "more");
    w.ask(moderator, "ban_user", json!({"user_id": "ada"})).unwrap();
    assert_eq!(w.closed(ada), Some(4403));
    let names = |lines: Vec<Value>| -> Vec<String> {
        lines.iter().filter_map(|line| line["event"].as_str()).map(str::to_owned).collect()
    };
    assert_eq!(names(w.take(bob)), ["new_message", "user_banned"]);
    assert!(names(w.take(ada)).ends_with(&["user_banned".into(), "goodbye".into()]));

    // One's own may wait.
    clear(&mut w);
    let id = w.say(bob, "oops")["message_id"].clone();
    w.ask(bob, "delete_message", json!({"message_id": id})).unwrap();
    assert_eq!(frames(&w, moderator), 0);
    w.advance(50);
    assert_eq!(names(w.take(moderator)), ["new_message", "message_deleted"]);
}

/// What a follower who keeps to the rule has after these lines; panics at a gap or a repetition.
fn follow(lines: &[Value], mut seq: u64, seen: &mut Vec<u64>) -> u64 {
    let mut to = 0;
    for line in lines {
        if let Some(from) = line["at"]["from"].as_u64() {
            assert!(from <= seq, "a gap before {line}");
            to = line["at"]["to"].as_u64().unwrap();
        } else if let Some(next) = line["seq"].as_u64().filter(|next| *next > seq) {
            assert!(next == seq + 1 || next <= to, "a gap before {line}");
            assert!(!seen.contains(&next), "{next} twice");
            seen.push(next);
            seq = next;
        }
    }
    seq.max(to)
}

#[test]
fn v4_who_resumes_or_joins_while_events_are_gathered_gets_each_once() {
    for (user, delayed) in [("cleo", false), ("mod2", false), ("cleo", true), ("mod2", true)] {
        let Hot { mut w, ada, moderator, bob } = hot();
        if delayed {
            w.ask(moderator, "set_modes", json!({"modes": {"delay_s": 2}})).unwrap();
        }
        let socket = w.open(user);
        let reply = w.ask(socket, "join_room", json!({})).unwrap();
        let (epoch, from) = (reply["epoch"].clone(), reply["seq"].as_u64().unwrap());
        w.close(socket);
        let first = w.say(ada, "first")["seq"].as_u64().unwrap();
        for n in 0..40 {
            w.advance(13);
            w.say(bob, "next");
            let socket = w.open(user);
            let resume = json!({"epoch": epoch, "seq": from});
            let reply = w.ask(socket, "join_room", json!({"resume": if n % 2 == 0 { resume } else { Value::Null }}));
            let reply = reply.unwrap();
            let (mut seen, mut seq) = (Vec::new(), reply["seq"].as_u64().unwrap());
            let brought = if n % 2 == 0 { &reply["events"] } else { &reply["messages"] };
            seen.extend(brought.as_array().unwrap().iter().filter_map(|event| event["seq"].as_u64()));
            assert!(seen.iter().all(|event| *event <= seq), "{user}: {seen:?} at {seq}");
            let before = w.take(socket);
            seq = follow(&before, seq, &mut seen);
            w.advance(7);
            let last = w.say(ada, "and")["seq"].as_u64().unwrap();
            w.advance(if delayed { 2_050 } else { 50 });
            follow(&w.take(socket), seq, &mut seen);
            seen.retain(|seq| *seq >= first);
            assert_eq!(seen, (first..=last).collect::<Vec<_>>(), "{user}");
            w.close(socket);
        }
    }
}

#[test]
fn v4_a_catch_up_in_the_window_ends_where_live_frames_begin() {
    let Hot { mut w, ada, bob, .. } = hot();
    let page = w.ask(bob, "catch_up", json!({"epoch": 0, "seq": 0})).unwrap();
    let at = json!({"epoch": page["epoch"], "seq": page["seq"]});
    w.say(ada, "gathered");
    let reply = w.ask(bob, "catch_up", at.clone()).unwrap();
    assert_eq!((&reply["events"], &reply["seq"]), (&json!([]), &at["seq"]));
    w.advance(50);
    assert_eq!(contents(&w.take(bob)), ["gathered"]);
    let reply = w.ask(bob, "catch_up", at).unwrap();
    assert_eq!(contents(reply["events"].as_array().unwrap()), ["gathered"]);
}

#[test]
fn a_room_made_by_the_join_itself_is_joined_at_its_end() {
    let mut w = World::new();
    let socket = w.open("ada");
    let reply = w.ask(socket, "join_room", json!({})).unwrap();
    w.say(socket, "first");
    assert_eq!(follow(&w.take(socket), reply["seq"].as_u64().unwrap(), &mut Vec::new()), 2);
}

#[test]
fn v7_who_blocks_an_author_gets_a_gathered_frame_without_them() {
    let Hot { mut w, ada, bob, .. } = hot();
    w.own("bob", UserAsk::Standing { room: Some(ROOM.into()) }).unwrap();
    w.own("bob", UserAsk::Block("ada".into())).unwrap();
    clear(&mut w);
    w.say(ada, "unheard");
    w.say(bob, "heard");
    w.advance(50);
    let lines = w.take(bob);
    assert_eq!(contents(&lines), ["heard"]);
    assert!(lines[0]["at"].is_object());
}

#[test]
fn those_who_come_back_to_a_hot_room_are_given_what_was_encoded_once() {
    let Hot { mut w, ada, .. } = hot();
    w.say(ada, "kept");
    let set = settings(&[("RATE_LIMIT_MESSAGES", "1000")]);
    let mut room = Room::load(&RoomId::parse(ROOM).unwrap(), set, &w.log, w.now).unwrap().unwrap();
    let (who, present, now) = (w.identity("ada", 60), edge_chat::audience::Audience::default(), w.now);
    let Position { epoch, seq: upto } = room.position();
    let resume = |room: &mut Room, w: &World| {
        let from = Position { epoch, seq: upto - 5 };
        match room.resume(&w.log, from, upto, Viewer::PLAIN, now).unwrap() {
            Resumed::Events(events) => events,
            Resumed::Snapshot(_) => panic!("a snapshot"),
        }
    };
    let first = resume(&mut room, &w);
    let cx = Context { now, entropy: [1; 32], log: &w.log, present: &present };
    let sender = Sender { identity: Some(&who), role: edge_chat::auth::Role::Member };
    let (_, step) = room.send(&cx, &sender, serde_json::from_value(json!({"content": "new"})).unwrap()).unwrap();
    room.follow(&step.write, now);
    w.log.write(&step.write);
    assert!(Rc::ptr_eq(&first, &resume(&mut room, &w)), "what is said meanwhile changes nothing");

    let id = serde_json::from_str::<Value>(first.get()).unwrap()[4]["data"]["message_id"].as_str().unwrap().to_owned();
    let cx = Context { now, entropy: [2; 32], log: &w.log, present: &present };
    let (_, step) = room.delete(&cx, &sender, &id, None).unwrap();
    room.follow(&step.write, now);
    w.log.write(&step.write);
    assert!(!resume(&mut room, &w).get().contains("kept"), "v6: but what is gone is gone");
}

fn send(content: &str, n: u64) -> Result<ClientFrame, ChatError> {
    let data = json!({"content": content, "client_id": format!("c{n}")});
    ClientFrame::parse(&json!({"id": n, "event": "send_message", "data": data}).to_string())
}

fn act(event: &str, n: u64, data: &Value) -> Result<ClientFrame, ChatError> {
    ClientFrame::parse(&json!({"id": n, "event": event, "data": data}).to_string())
}

#[test]
fn frames_that_come_together_are_one_row_of_the_log_and_each_is_answered() {
    let Hot { mut w, ada, bob, .. } = hot();
    let id = w.say(ada, "before")["message_id"].clone();
    w.advance(50);
    clear(&mut w);
    let (rows, last) = (w.log.copy().log.len(), w.log.copy().state.len());
    let mut frames: Vec<_> = (0..20).map(|n| (if n % 2 == 0 { ada } else { bob }, send(&n.to_string(), n))).collect();
    frames.push((bob, act("react", 20, &json!({"message_id": id, "reaction": "👍"}))));
    frames.push((ada, act("react", 21, &json!({"message_id": id, "reaction": "👍"}))));
    frames.push((bob, send("again", 3)));
    frames.push((bob, act("edit_message", 22, &json!({"message_id": id, "content": "not mine"}))));
    assert!(frames.iter().all(|(_, frame)| w.host.as_ref().unwrap().gathers(frame, w.now)));
    let effects = w.compute(|host, at| host.frames(at, frames));
    assert!(effects.write.state.iter().filter(|(key, _)| key.starts_with("react:")).count() == 1);
    w.log.write(&effects.write);
    w.carry_out(effects);
    assert_eq!((w.log.copy().log.len() - rows, w.log.copy().state.len() - last), (1, 1));

    let replies = |w: &mut World, socket| -> Vec<Value> {
        w.take(socket).into_iter().filter(|line| !line["reply"].is_null()).collect()
    };
    let (of_ada, of_bob) = (replies(&mut w, ada), replies(&mut w, bob));
    assert_eq!((of_ada.len(), of_bob.len()), (11, 13));
    let counts = |line: &Value| line["data"]["reactions"]["👍"].clone();
    assert_eq!((counts(&of_bob[10]), counts(&of_ada[10])), (json!(1), json!(2)));
    assert_eq!(of_bob[11]["data"], of_bob[1]["data"], "said once");
    assert_eq!(of_bob[12]["error"]["code"], "forbidden");
    w.advance(50);
    let lines = w.take(bob);
    assert_eq!(contents(&lines), (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    let ids: std::collections::BTreeSet<_> = lines.iter().map(|line| line["data"]["message_id"].to_string()).collect();
    assert_eq!(ids.len(), 21);
}

#[test]
fn v6_what_was_replaced_or_deleted_is_gone_from_rows_of_many() {
    let Hot { mut w, ada, bob, .. } = hot();
    let newest = |w: &mut World| w.page("ada", PageQuery::Page { page: 1, limit: 1 })["held"][0]["message_id"].clone();
    let frames = vec![(bob, send("between", 2)), (ada, send("said so", 1))];
    w.step(|host, at| ((), host.frames(at, frames)));
    let id = newest(&mut w);
    let edit = |content: &str, n| (ada, act("edit_message", n, &json!({"message_id": id, "content": content})));
    let frames = vec![edit("first edit", 3), (bob, send("more", 4)), edit("second edit", 5)];
    w.step(|host, at| ((), host.frames(at, frames)));
    assert!(!w.log.holds("said so") && !w.log.holds("first edit") && w.log.holds("second edit"));
    // The edits lie in the row of another message.
    w.step(|host, at| ((), host.frames(at, vec![edit("third edit", 6)])));
    assert!(!w.log.holds("second edit") && w.log.holds("third edit"));
    w.ask(ada, "delete_message", json!({"message_id": id})).unwrap();
    assert!(!w.log.holds("third edit") && w.log.holds("between") && w.log.holds("more"));

    let frames = vec![(ada, send("one row", 7))];
    w.step(|host, at| ((), host.frames(at, frames)));
    let id = newest(&mut w);
    let frames = [("edit_message", "in one"), ("edit_message", "in another"), ("delete_message", "")];
    let frames = frames
        .iter()
        .zip(8..)
        .map(|((event, content), n)| (ada, act(event, n, &json!({"message_id": id, "content": content}))));
    w.step(|host, at| ((), host.frames(at, frames.collect())));
    assert!(["one row", "in one", "in another"].iter().all(|text| !w.log.holds(text)));
}

#[test]
fn v4_who_resumes_in_the_same_step_is_given_what_the_step_says_once() {
    let Hot { mut w, ada, bob, moderator } = hot();
    let at = w.ask(bob, "catch_up", json!({"epoch": 0, "seq": 0})).unwrap();
    let from = json!({"epoch": at["epoch"], "seq": at["seq"]});
    w.ask(bob, "catch_up", from.clone()).unwrap();
    let id = w.say(ada, "first")["message_id"].clone();
    // What a moderator takes away leaves at once, and with it all before it.
    let frames = vec![
        (ada, send("second", 1)),
        (moderator, act("delete_message", 2, &json!({"message_id": id}))),
        (bob, act("catch_up", 3, &from)),
        (ada, send("third", 4)),
    ];
    w.step(|host, at| ((), host.frames(at, frames)));
    let lines = w.take(bob);
    let reply = lines.iter().find(|line| line["reply"] == 3).unwrap();
    assert_eq!(contents(reply["data"]["events"].as_array().unwrap()), ["", "second"]);
    assert_eq!(contents(&lines), ["", "second"]);
    w.advance(50);
    assert_eq!(contents(&w.take(bob)), ["third"]);
}

#[test]
fn v2_where_one_of_them_breaks_the_room_none_is_acknowledged() {
    let Hot { mut w, ada, bob, moderator } = hot();
    w.ask(moderator, "set_terms", json!({"blocked": ["hush"], "allowed": [], "action": "hold"})).unwrap();
    for text in ["hush one", "hush two"] {
        assert_eq!(w.say(bob, text)["held"], true);
    }
    let ban = act("ban_user", 2, &json!({"user_id": "bob"}));
    // The first of what waits is taken, the second cannot be read.
    w.log.flaw.set(Flaw::SecondRow);
    let frames = vec![(ada, send("lost", 1)), (moderator, ban), (ada, send("never", 3))];
    let effects = w.compute(|host, at| host.frames(at, frames));
    assert!(effects.broken && effects.write.is_empty());
    let told = |n: u32| {
        let reply = format!(r#"{{"reply":{n},"#);
        effects.out.iter().any(|out| matches!(out, Out::Send(_, line) if line.starts_with(&reply)))
    };
    assert_eq!([told(1), told(2), told(3)], [false, true, false]);
}

/// Events that say nothing but `n`, `first..=last` in one row.
fn silence(first: u64, last: u64, n: u64) -> Row {
    let (audience, body) = (Audience::Internal, Body::QuotesForgotten { before: n });
    let event =
        |seq| LogEvent { seq, at: 10 * seq, visible_at: 10 * seq, audience: audience.clone(), body: body.clone() };
    Row { last, no: 0, events: (first..=last).map(event).collect() }
}

#[test]
fn a_later_frame_reads_the_log_as_it_will_be_once_those_before_it_are_written() {
    let keys = ["epoch", "ban:ada", "quote:1", &reaction_key(2), &reaction_key(5)].map(str::to_owned);
    for seed in 0..100 {
        let mut rng = seed;
        let mut pick = |n: u64| random(&mut rng) % n;
        let (log, mut last) = (MemoryLog::default(), 0);
        log.beside.set(seed);
        let mut some_write = |rewrite: Vec<Row>, appends: bool, n: u64| {
            let first = last + 1;
            let append = appends.then(|| {
                last += 1 + pick(3);
                silence(first, last, n)
            });
            // Of the same key more than once: the last one stays.
            let state = (0..pick(9)).map(|n| (keys[pick(5) as usize].clone(), (pick(3) > 0).then(|| n.to_string())));
            let (state, dedupe) = (state.collect(), (0..pick(3)).collect());
            Write { append, rewrite, state, dedupe, forget_to: None }
        };
        (0..seed % 5).for_each(|_| log.write(&some_write(Vec::new(), true, 0)));
        let rewritten = log.rows_after(0, 99).unwrap().into_iter().filter(|row| !(row.last + seed).is_multiple_of(3));
        let rewritten = rewritten.map(|row| silence(row.first(), row.last, 1)).collect();
        let write = some_write(rewritten, !seed.is_multiple_of(4), 2);
        let (now, will_be) = (Overlay::new(&log, &write), MemoryLog::default());
        will_be.put(log.copy());
        will_be.write(&write);
        assert_eq!((now.state().unwrap(), now.bytes()), (will_be.state().unwrap(), log.bytes()), "{write:?}");
        for key in &keys {
            assert_eq!(now.value(key).unwrap(), will_be.value(key).unwrap(), "{key} after {write:?}");
        }
        for seq in 0..20 {
            assert_eq!(now.row_with(seq).unwrap(), will_be.row_with(seq).unwrap(), "{seq} after {write:?}");
            for other in 1..9 {
                let (from, limit) = (u64::from(other), other);
                let read = |log: &dyn Log| {
                    let rows = (log.rows_after(seq, limit).unwrap(), log.rows_before(seq, limit).unwrap());
                    let reacted = if from <= seq { log.reactions(from, seq).unwrap() } else { Vec::new() };
                    (rows, reacted, log.dedupe(seq, limit).unwrap())
                };
                assert_eq!(read(&now), read(&will_be), "{seq}, {other} after {write:?}");
            }
        }
    }
}
