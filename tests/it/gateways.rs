//! Gateways: their sessions are in the room as everybody is, and a gateway where nobody is any more costs it nothing.

use crate::split::{GATEWAYS, Split};
use crate::world::{ROOM, World};
use edge_chat::audience::{Attachment, Out};
use edge_chat::host::{Host, Moment};
use edge_chat::protocol::call::Standing;
use edge_chat::protocol::shard::{Begin, Down, Follower, Pushed, Shape, Totals};
use edge_chat::protocol::{ChatError, ErrorCode, RoomId};
use edge_chat::room::{Log as _, Replica, Room, Tail};
use edge_chat::user::Blocks;
use serde_json::{Value, json};

fn pair() -> Split {
    Split::new(&[("RATE_LIMIT_JOINS", "10000"), ("RATE_LIMIT_MESSAGES", "1000")])
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
    let mut host = Host::gateway(id, 17, settings, &at(now, &replica), Vec::new()).unwrap();
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
    all_seen(&mut it, &[bob, cleo]);
}

fn online(it: &mut Split) -> (u64, u64) {
    let room = it.room.get("ada");
    (room["online_users"].as_u64().unwrap(), room["online_guests"].as_u64().unwrap())
}

/// The data of this event's lines that came to a tab.
fn lines(it: &mut Split, tab: usize, event: &str) -> Vec<Value> {
    let of = |line: &&Value| line["event"] == event;
    let found = it.tabs[tab].lines.iter().filter(of).map(|line| line["data"].clone()).collect();
    it.tabs[tab].lines.clear();
    found
}

fn kept(it: &Split) -> Option<String> {
    it.room.log.value("gateways").unwrap()
}

#[test]
fn each_user_counts_once_wherever_their_tabs_are() {
    let mut it = pair();
    it.join("ada");
    it.join("");
    for (gateway, user) in [(3, "ada"), (3, "bob"), (9, "bob"), (9, "cleo"), (9, "")] {
        it.join_at(gateway, user);
    }
    it.advance(5_000);
    assert_eq!(online(&mut it), (3, 2));
    for tab in 0..it.tabs.len() {
        let told = lines(&mut it, tab, "room_stats").pop().unwrap();
        assert_eq!((&told["online_users"], &told["online_guests"]), (&json!(3), &json!(2)), "tab {tab}");
    }
    let told = stats(&mut it.room);
    assert_eq!((&told["gateways"], &told["shards"], &told["sockets"]), (&json!(2), &json!(0), &json!(7)));
    // Their own tab in the room is closed, the one at the gateway stays.
    it.leave(0);
    it.advance(10_000);
    assert_eq!(online(&mut it), (3, 2));
    it.leave(2);
    it.advance(10_000);
    assert_eq!(online(&mut it), (2, 2));
}

#[test]
fn whoever_comes_first_is_never_told_that_nobody_is_there() {
    let mut it = pair();
    let tab = it.join_at(3, "ada");
    it.advance(10_000);
    let told = lines(&mut it, tab, "room_stats");
    assert!(!told.is_empty() && told.iter().all(|stats| stats["online_users"] == 1), "{told:?}");
}

#[test]
fn a_lane_begins_with_the_first_session_and_ends_with_the_last() {
    let mut it = pair();
    it.join("ada");
    assert_eq!(kept(&it), None);
    let bob = it.join_at(3, "bob");
    assert_eq!(kept(&it).as_deref(), Some("[3]"));
    it.join_at(9, "cleo");
    assert_eq!(kept(&it).as_deref(), Some("[3,9]"));
    it.advance(60_000);
    it.leave(bob);
    it.advance(4_000);
    assert_eq!(kept(&it).as_deref(), Some("[3,9]"), "who comes back at once was never gone");
    it.advance(6_000);
    assert_eq!(kept(&it).as_deref(), Some("[9]"));
    let pushes = it.shards[&(GATEWAYS + 3)].pushes;
    for n in 0..5 {
        it.ask(0, "send_message", json!({"content": format!("word {n}")})).unwrap();
        it.advance(1_000);
    }
    assert_eq!(it.shards[&(GATEWAYS + 3)].pushes, pushes, "it is told nothing more");
    // Who comes again begins anew, and has missed nothing.
    let seen = it.tabs[bob].at;
    it.enter(bob);
    assert!(it.tabs[bob].at.1 > seen.1);
    assert_eq!(it.tabs[bob].seen.len() as u64, it.tabs[bob].at.1 - it.tabs[bob].seen[0] + 1);
}

#[test]
fn q1_a_quiet_room_with_gateways_lets_everybody_sleep() {
    let rows = |gateway: bool| {
        let mut it = pair();
        it.join("ada");
        if gateway {
            it.join_at(3, "bob");
        }
        it.advance(120_000);
        let pushes = |it: &Split| it.shards.get(&(GATEWAYS + 3)).map(|part| part.pushes);
        let (before, rows) = (pushes(&it), it.room.rows);
        it.advance(3_600_000);
        assert_eq!((it.room.soon, pushes(&it)), (None, before));
        assert!(it.shards.values().all(|part| part.soon.is_none()));
        it.room.rows - rows
    };
    assert_eq!(rows(true), rows(false), "what it costs alone");
}

#[test]
fn v4_a_room_that_slept_greets_its_gateways_and_misses_none_of_their_sessions() {
    let mut it = pair();
    it.join("ada");
    let bob = it.join_at(3, "bob");
    for n in 0..20 {
        it.ask(n % 2, "send_message", json!({"content": format!("word {n}")})).unwrap();
        if n % 3 == 0 {
            it.advance(100);
        }
        it.room.evict();
        it.room.tick();
        it.advance(600);
        assert_eq!(online(&mut it), (2, 0), "after {n}");
    }
    all_seen(&mut it, &[bob]);
}

fn all_seen(it: &mut Split, tabs: &[usize]) {
    it.advance(1_000);
    let seq = it.room.compute(|host, _| host.position().unwrap()).seq;
    for tab in tabs {
        let it = &it.tabs[*tab];
        assert_eq!(it.seen, (it.seen[0]..=seq).collect::<Vec<_>>(), "{}", it.user);
    }
}

#[test]
fn v4_a_gateway_that_died_or_was_cut_off_goes_on_where_its_sessions_are() {
    let mut it = pair();
    it.join("ada");
    let bob = it.join_at(3, "bob");
    for n in 0..30 {
        it.ask(0, "send_message", json!({"content": format!("word {n}")})).unwrap();
        match n % 5 {
            0 => {
                // Its memory goes, and its session is still there.
                it.evict(GATEWAYS + 3);
                it.advance(40);
                it.enter_again(bob);
            }
            1 => it.shards.get_mut(&(GATEWAYS + 3)).unwrap().away = true,
            2 => it.shards.get_mut(&(GATEWAYS + 3)).unwrap().away = false,
            _ => {}
        }
        it.advance(300);
    }
    it.advance(6_000);
    all_seen(&mut it, &[bob]);
}

#[test]
fn v5_what_is_too_far_back_for_a_gateway_is_answered_by_the_newest_messages() {
    let mut it = pair();
    let ada = it.join("ada");
    let bob = it.join_at(3, "bob");
    for n in 0..250 {
        it.ask(ada, "send_message", json!({"content": format!("word {n}")})).unwrap();
        it.advance(20);
    }
    it.evict(GATEWAYS + 3);
    it.enter_again(bob);
    let (epoch, last) = it.tabs[bob].at;
    for (missed, resumed) in [(200, true), (201, false)] {
        let reply = it.ask(bob, "catch_up", json!({"epoch": epoch, "seq": last - missed})).unwrap();
        assert_eq!((&reply["resumed"], &reply["seq"]), (&json!(resumed), &json!(last)), "{missed}");
        let shown = reply[if resumed { "events" } else { "messages" }].as_array().unwrap();
        assert_eq!(shown.len(), if resumed { 200 } else { 100 });
    }
}

#[test]
fn a_gateway_that_does_not_answer_for_long_counts_no_more_and_comes_back() {
    let mut it = pair();
    it.join("ada");
    let bob = it.join_at(3, "bob");
    it.advance(10_000);
    it.shards.get_mut(&(GATEWAYS + 3)).unwrap().away = true;
    it.ask(0, "send_message", json!({"content": "into the dark"})).unwrap();
    it.advance(200_000);
    assert_eq!(online(&mut it), (2, 0), "for a while it is waited for");
    it.advance(150_000);
    assert_eq!((online(&mut it), &stats(&mut it.room)["gateways"]), ((1, 0), &json!(0)));
    it.advance(600_000);
    assert_eq!(it.room.soon, None, "nobody waits for it");
    assert!(it.room.alarm.is_none_or(|at| at > it.room.now + 60_000), "{:?} at {}", it.room.alarm, it.room.now);
    assert_eq!(kept(&it).as_deref(), Some("[3]"), "what is said later it is told when it can be");
    it.shards.get_mut(&(GATEWAYS + 3)).unwrap().away = false;
    it.ask(0, "send_message", json!({"content": "and back"})).unwrap();
    it.advance(5_000);
    assert_eq!(online(&mut it), (2, 0));
    all_seen(&mut it, &[bob]);
}

#[test]
fn v5_a_gateway_that_hears_nothing_of_a_room_that_lost_its_storage_asks() {
    let mut it = pair();
    it.room.join("ada");
    let bob = it.join_at(3, "bob");
    it.advance(20 * 60_000);
    let epoch = it.tabs[bob].at.0;
    it.room.lose_storage();
    it.advance(61 * 60_000);
    assert!(it.tabs[bob].at.0 > epoch, "within the hour");
    let ada = it.room.join("ada");
    let said = it.room.say(ada, "for both")["seq"].as_u64();
    it.advance(1_000);
    assert_eq!((online(&mut it), it.tabs[bob].seen.last().copied()), ((2, 0), said));
}

/// A gateway with one session since `start`, which wakes after it slept.
fn woken(room: &mut World, start: u64, ticked_at: u64, now: u64) -> Host {
    let caller = room.caller("bob");
    let attachment = json!({"v": 1, "id": 7, "at": start, "joined": true, "identity": caller.identity});
    let kept = vec![serde_json::from_value(attachment).unwrap()];
    let (id, empty) = (RoomId::parse(ROOM).unwrap(), Replica::default());
    let mut host = Host::gateway(id, 17, room.settings.clone(), &at(now, &empty), kept).unwrap();
    host.was_told(ticked_at);
    host
}

#[test]
fn q1_a_gateway_that_wakes_for_its_pings_asks_a_quiet_room_once_an_hour() {
    let (mut room, empty) = (World::new(), Replica::default());
    let start = room.now;
    let asks = (1..24 * 144).map(|ping| start + ping * 25_000).filter(|now| {
        let mut host = woken(&mut room, start, now - 25_000, *now);
        host.tick(&at(*now, &empty)).up
    });
    // After 1, 2, 4, 8 and 15 minutes, and then hourly.
    assert_eq!(asks.count(), 5 + 23);
}

#[test]
fn a_room_that_does_not_answer_its_gateway_is_asked_again_in_half_a_minute() {
    let (mut room, empty) = (World::new(), Replica::default());
    let start = room.now;
    let mut host = woken(&mut room, start, start, start + 60_000);
    let mut asks = |after: u64, answer: Option<Result<Down, ChatError>>| {
        let at = at(start + after, &empty);
        let up = host.tick(&at).up && host.next_up(&at).is_some();
        if let Some(answer) = answer {
            host.came_down(&at, answer);
        }
        up
    };
    let lost = || Some(Err(ChatError::new(ErrorCode::Unavailable, "no answer")));
    assert!(asks(60_000, lost()));
    assert!(!asks(89_999, None));
    assert!(asks(90_000, lost()));
    let down = Down { shape: Shape::default(), totals: Totals::default(), answers: Vec::new() };
    assert!(asks(120_000, Some(Ok(down))));
    assert!(!asks(239_999, None));
    assert!(asks(240_000, None), "as if nothing had been");
}

#[test]
fn v7_a_ban_closes_the_sessions_of_a_user_at_all_gateways() {
    let mut it = pair();
    let moderator = it.join("mod");
    let tabs = [it.join("bob"), it.join_at(3, "bob"), it.join_at(9, "bob")];
    it.advance(100);
    it.ask(moderator, "ban_user", json!({"user_id": "bob"})).unwrap();
    it.advance(20);
    for tab in &tabs[1..] {
        let (shard, socket) = (it.tabs[*tab].shard.unwrap(), it.tabs[*tab].socket);
        assert_eq!(it.shards[&shard].wires[&socket].closed.as_ref().unwrap().0, 4403);
    }
    it.advance(10_000);
    assert_eq!(kept(&it), None, "nobody is left there");
}

#[test]
fn nobody_at_a_gateway_acts_on_their_better_elsewhere() {
    let mut it = pair();
    it.join_at(3, "admin");
    let moderator = it.join_at(9, "mod");
    it.advance(3_000);
    assert_eq!(it.ask(moderator, "ban_user", json!({"user_id": "admin"})).unwrap_err()["code"], "forbidden");
}

#[test]
fn in_a_small_room_people_are_seen_across_gateways() {
    let mut it = pair();
    let ada = it.join("ada");
    let bob = it.join_at(3, "bob");
    let cleo = it.join_at(9, "cleo");
    it.advance(3_000);
    let names = |list: &Value| -> Vec<String> {
        let mut names: Vec<_> =
            list.as_array().unwrap().iter().map(|one| one["user_id"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    for (tab, seen) in [(ada, &["bob", "cleo"][..]), (bob, &["cleo"])] {
        let joined: Vec<_> = lines(&mut it, tab, "user_joined");
        assert_eq!(names(&json!(joined)), seen, "{tab}");
    }
    let joined = it.join_at(9, "dan");
    let _ = joined;
    let reply = it.enter_again(cleo);
    assert_eq!(names(&reply["members"]), ["ada", "bob", "cleo", "dan"]);
    it.advance(3_000);
    for tab in [ada, bob, cleo] {
        it.tabs[tab].lines.clear();
    }
    it.ask(bob, "typing", json!({"is_typing": true})).unwrap();
    it.advance(100);
    for (tab, count) in [(ada, 1), (bob, 0), (cleo, 1)] {
        let typing = lines(&mut it, tab, "user_typing");
        assert_eq!(typing.len(), count, "{tab}");
        assert!(typing.iter().all(|one| one["user_id"] == "bob" && one["is_typing"] == true));
    }
    it.ask(ada, "typing", json!({"is_typing": true})).unwrap();
    it.advance(100);
    assert_eq!((lines(&mut it, bob, "user_typing").len(), lines(&mut it, cleo, "user_typing").len()), (1, 1));
    // A second tab elsewhere is no coming, and its end no going.
    let second = it.join_at(3, "ada");
    it.advance(3_000);
    it.leave(second);
    it.advance(10_000);
    assert_eq!((lines(&mut it, cleo, "user_joined").len(), lines(&mut it, ada, "user_left").len()), (0, 0));
    it.leave(cleo);
    it.advance(10_000);
    assert_eq!(names(&json!(lines(&mut it, ada, "user_left"))), ["cleo"]);
    assert_eq!(names(&json!(lines(&mut it, bob, "user_left"))), ["cleo"]);
}

#[test]
fn a_user_at_a_gateway_can_be_mentioned_by_name() {
    let mut it = pair();
    let ada = it.join("ada");
    let bob = it.join_at(3, "bob");
    it.join_at(9, "cleo");
    it.advance(3_000);
    for (tab, content, named) in [(ada, "hi @Bob", "bob"), (bob, "hi @Cleo", "cleo"), (bob, "hi @Ada", "ada")] {
        let sent = it.ask(tab, "send_message", json!({"content": content})).unwrap();
        assert!(sent["message_id"].is_string());
        let rows = it.room.log.rows_before(u64::MAX, 1).unwrap();
        let said = serde_json::to_value(rows[0].events.last().unwrap()).unwrap();
        assert_eq!(said["data"]["mentions"][0]["user_id"], named, "{content}: {said}");
    }
}

#[test]
fn a_limit_is_one_wherever_a_user_is() {
    let mut it = Split::new(&[("RATE_LIMIT_MESSAGES", "5")]);
    let tabs = [it.join("ada"), it.join_at(3, "ada"), it.join_at(9, "ada")];
    let refused = (0..8).filter(|n| {
        let sent = it.ask(tabs[n % 3], "send_message", json!({"content": format!("{n}")}));
        sent.is_err_and(|error| error["code"] == "rate_limited")
    });
    assert_eq!(refused.count(), 3);
}

#[test]
fn sessions_at_gateways_do_not_split_a_room_and_count_once_where_it_is_split() {
    let set = [("SHARD_SOCKETS", "10"), ("RATE_LIMIT_JOINS", "10000"), ("RATE_LIMIT_MESSAGES", "1000")];
    let mut it = Split::new(&set);
    const NAMES: [&str; 14] =
        ["ada", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ida", "jo", "kim", "leo", "mia", "ned"];
    for name in NAMES {
        it.join_at(3, name);
    }
    it.advance(5_000);
    assert_eq!(it.shape().shards, 0);
    assert_eq!(online(&mut it), (14, 0));
    for name in NAMES {
        it.join(name);
        it.pump();
    }
    it.join("oda");
    it.advance(30_000);
    assert!(it.shape().shards > 0);
    assert_eq!(online(&mut it), (15, 0));
    let told = stats(&mut it.room);
    assert_eq!((&told["gateways"], &told["shards"]), (&json!(1), &json!(it.shape().shards)));
    it.ask(0, "send_message", json!({"content": "hello"})).unwrap();
    it.advance(500);
    all_seen(&mut it, &[0, 14, 28]);
    assert_eq!(it.tabs[0].moves, 0, "a gateway serves whoever comes to it");
}

#[test]
fn more_than_sixteen_gateways_are_told_through_relays() {
    let mut it = pair();
    it.join("ada");
    let tabs: Vec<_> = (0..40).map(|n| it.join_at(n * 7, ["bob", "cleo", "dan"][n as usize % 3])).collect();
    it.advance(3_000);
    for n in 0..10 {
        it.ask(0, "send_message", json!({"content": format!("word {n}")})).unwrap();
        it.advance(100);
    }
    assert!(it.relayed > 0);
    all_seen(&mut it, &tabs);
    assert_eq!(online(&mut it), (4, 0));
}

#[test]
fn a_room_begins_for_who_signs_in_at_a_gateway() {
    let mut room = World::new();
    let ada = room.identity("ada", 3_600);
    let refused = room.step(|host, at| host.begin_for(at, Follower::Gateway(1), None));
    assert_eq!(refused.unwrap_err().code.as_str(), "room_not_found");
    let begin = room.step(|host, at| host.begin_for(at, Follower::Gateway(1), Some(&ada))).unwrap();
    assert!(begin.seq > 0 && !begin.rows.is_empty());
    assert_eq!(room.log.value("gateways").unwrap().as_deref(), Some("[1]"));
}

#[test]
fn postgresql_hears_who_is_at_gateways_of_a_small_room() {
    let mut it = pair();
    it.join("ada");
    it.join_at(3, "bob");
    it.join_at(9, "ada");
    it.advance(120_000);
    let report: Value = serde_json::from_str(it.room.reports.last().unwrap()).unwrap();
    let users: Vec<_> = report["users"].as_array().unwrap().iter().map(|user| user[0].as_str().unwrap()).collect();
    assert_eq!(users, ["ada", "bob"]);
    assert_eq!(report["users"][1][1], "~g3");
    it.room.evict();
    it.room.tick();
    it.advance(120_000);
    let report: Value = serde_json::from_str(it.room.reports.last().unwrap()).unwrap();
    assert_eq!(report["users"].as_array().unwrap().len(), 2, "also after it slept");
}

#[test]
fn what_a_user_signed_out_of_or_blocks_holds_at_a_gateway() {
    let mut it = pair();
    let ada = it.join("ada");
    let bob = it.join_at(3, "bob");
    it.advance(1_000);
    let gateway = GATEWAYS + 3;
    let blocks = Blocks::of(["ada"]);
    let standing = Standing { version: 1, signed_out_at: None, blocks };
    assert!(it.step(gateway, |host, at| host.user(at, "bob", standing)));
    it.ask(ada, "send_message", json!({"content": "to nobody"})).unwrap();
    it.advance(1_000);
    assert!(!it.tabs[bob].lines.iter().any(|line| line.to_string().contains("to nobody")));
    let standing = Standing { version: 2, signed_out_at: Some(it.room.now + 1), blocks: Blocks::default() };
    assert!(!it.step(gateway, |host, at| host.user(at, "bob", standing)));
    let (shard, socket) = (it.tabs[bob].shard.unwrap(), it.tabs[bob].socket);
    assert_eq!(it.shards[&shard].wires[&socket].closed.as_ref().unwrap().0, 4401);
}

#[test]
fn whoever_a_gateway_has_begun_for_is_waited_for() {
    let mut room = World::new();
    let ada = room.join("ada");
    room.step(|host, at| host.begin_for(at, Follower::Gateway(1), None)).unwrap();
    let answer = |room: &mut World| {
        let pushes = room.compute(|host, at| host.next_pushes(at));
        for push in &pushes {
            room.step(|host, at| ((), host.pushed_to(at, &push.to, vec![Some(Pushed::default())])));
        }
        pushes.len()
    };
    room.say(ada, "at once");
    room.advance(1_000);
    assert_eq!(answer(&mut room), 1);
    room.say(ada, "and again");
    room.advance(100);
    assert_eq!(room.log.value("gateways").unwrap().as_deref(), Some("[1]"), "its session is on the way in");
    room.advance(10_000);
    assert_eq!(answer(&mut room), 1, "asked once more");
    assert_eq!(room.log.value("gateways").unwrap(), None);
    room.say(ada, "to nobody there");
    room.advance(60_000);
    assert_eq!(answer(&mut room), 0);
}

#[test]
fn who_is_at_a_gateway_is_told_in_full_where_the_room_may_not_know() {
    let mut it = pair();
    it.join("ada");
    it.join_at(3, "bob");
    it.advance(5_000);
    let push = |totals: Value, it: &mut Split| {
        let (epoch, seq) = it.tabs[1].at;
        let push = json!({
            "v": 1, "epoch": epoch, "from": seq, "to": seq, "acked": true, "shape": it.shape(), "totals": totals,
        });
        it.step(GATEWAYS + 3, |host, at| host.pushed(at, serde_json::from_value(push).unwrap()))
    };
    assert!(push(Value::Null, &mut it).same > 0);
    let greeted = push(json!({"users": 2, "guests": 0}), &mut it);
    assert_eq!((greeted.same, greeted.crowd.sockets), (0, 1));
    assert!(push(Value::Null, &mut it).same > 0);
    it.join_at(3, "cleo");
    let changed = push(Value::Null, &mut it);
    assert_eq!((changed.same, changed.crowd.sockets), (0, 2));
}

#[test]
fn v7_a_gateway_that_lost_its_memory_knows_whom_its_users_block() {
    let mut room = World::new();
    let ada = room.join("ada");
    let (bob, settings, now) = (room.caller("bob"), room.settings.clone(), room.now);
    let shown = |room: &mut World, standings: Vec<(String, Standing)>, sockets: Vec<Attachment>| {
        let id = RoomId::parse(ROOM).unwrap();
        let of = |(user, standing): (String, Standing)| {
            let (key, value) = Room::blocks_state(&user, Some(&standing));
            (key, value.unwrap())
        };
        let state = standings.into_iter().map(of).collect();
        let before = Replica::begin(Tail { rows: Vec::new(), state, reactions: Vec::new() }, 0);
        let mut host = Host::gateway(id, 17, settings.clone(), &at(now, &before), sockets).unwrap();
        let begin = room.step(|host, at| host.begin_for(at, Follower::Gateway(17), None)).unwrap();
        let tail = Tail { rows: begin.rows, state: begin.state, reactions: begin.reactions };
        let replica = Replica::begin(tail, 200);
        host.begun(&at(now, &replica), begin.shape, begin.totals).unwrap();
        let join = json!({"id": 1, "event": "join_room", "data": {"room_id": ROOM}}).to_string();
        let mut kept = None;
        if host.members_here(1).is_empty() {
            let effects = host.open_as(&at(now, &replica), 7, bob.clone()).unwrap();
            drop(effects);
            let effects = host.frame(&at(now, &replica), 7, &join);
            kept = effects.out.iter().find_map(|out| match out {
                Out::Attach(_, text) => Some(serde_json::from_str(text).unwrap()),
                _ => None,
            });
        }
        room.now += 100;
        room.say(ada, "of ada's");
        room.now += 100;
        let push = room.compute(|host, at| host.next_pushes(at)).pop().unwrap();
        let (_, effects) = host.pushed(&at(now + 300, &replica), serde_json::from_str(&push.body).unwrap());
        room.step(|host, at| ((), host.pushed_to(at, &push.to, vec![None])));
        let shown = effects.out.iter().any(|out| matches!(out, Out::Send(_, line) if line.contains("of ada's")));
        (shown, kept)
    };
    let (before, kept) = shown(&mut room, vec![], vec![]);
    let standing = Standing { version: 1, signed_out_at: None, blocks: Blocks::of(["ada"]) };
    let kept: Vec<Attachment> = kept.into_iter().collect();
    assert_eq!((before, kept.len()), (true, 1));
    assert!(!shown(&mut room, vec![("bob".into(), standing)], kept.clone()).0);
    assert!(shown(&mut room, vec![], kept).0, "and would be shown else");
}

#[test]
fn a_gateway_that_wakes_with_all_who_were_there_tells_the_room_nothing_until_somebody_leaves() {
    let mut room = World::new();
    let (settings, now) = (room.settings.clone(), room.now);
    let empty = Replica::default();
    let mut kept: Vec<Attachment> = Vec::new();
    for n in [7, 8] {
        let caller = room.caller(&format!("user{n}"));
        let attachment = json!({"v": 1, "id": n, "at": now, "joined": true, "identity": caller.identity});
        kept.push(serde_json::from_value(attachment).unwrap());
    }
    let wakes = |told: bool| {
        let id = RoomId::parse(ROOM).unwrap();
        let mut host = Host::gateway(id, 17, settings.clone(), &at(now, &empty), kept.clone()).unwrap();
        if told {
            host.was_told(now);
        }
        let up = host.tick(&at(now, &empty)).up;
        (up, host)
    };
    assert!(wakes(false).0, "it may be news that some are not there any more");
    let (up, mut host) = wakes(true);
    assert!(!up && host.next_up(&at(now, &empty)).is_none());
    assert!(host.closed(&at(now + 5_000, &empty), 7).up);
    assert_eq!(host.next_up(&at(now + 5_000, &empty)).unwrap().crowd.sockets, 1);
}
