//! Rooms that are split: they grow and shrink, shards die and sleep, and every tab sees every event once, in order.

use crate::memory::Flaw;
use crate::split::Split;
use crate::world::{ROOM, World};
use edge_chat::auth::Role;
use edge_chat::metrics::Metrics;
use edge_chat::protocol::act::{Act, SetRole};
use edge_chat::protocol::call::{Ask, Caller, RoomCall, SendBody, VERSION};
use edge_chat::protocol::erasure::{Erase, Mode};
use edge_chat::protocol::shard::{Command, Crowd, Follower, Shape, Up};
use edge_chat::protocol::{ErrorCode, LogEvent};
use edge_chat::room::{Log, Row};
use edge_chat::user::hash;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const NAMES: [&str; 40] = [
    "ada", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ida", "jo", "kim", "leo", "mia", "ned", "oda", "pam",
    "quin", "rob", "sue", "tom", "una", "vic", "wim", "xia", "yan", "zoe", "abe", "bea", "cal", "dot", "eli", "flo",
    "gil", "hux", "ivo", "jan", "kat", "lou", "max", "nia",
];

fn small() -> Split {
    Split::new(&[("SHARD_SOCKETS", "10"), ("RATE_LIMIT_MESSAGES", "1000"), ("RATE_LIMIT_JOINS", "10000")])
}

/// A room with all of these names in it, after it has come to rest.
fn split(names: usize) -> Split {
    let mut it = small();
    for name in &NAMES[..names] {
        it.join(name);
        it.pump();
    }
    it.advance(30_000);
    it
}

fn say(it: &mut Split, tab: usize, content: &str) -> Value {
    it.ask(tab, "send_message", json!({"content": content})).unwrap()
}

/// Every tab has seen everything since it came, once and in order.
fn all_seen(it: &mut Split) {
    it.advance(1_000);
    let position = it.room.compute(|host, _| host.position().unwrap());
    for tab in &it.tabs {
        assert!(tab.seen.windows(2).all(|two| two[0] < two[1]), "{}: {:?}", tab.user, tab.seen);
        let first = tab.seen.first().copied().unwrap_or(position.seq + 1);
        let shown: Vec<u64> = (first..=position.seq).collect();
        assert_eq!(tab.seen, shown, "{} at shard {:?}", tab.user, tab.shard);
    }
}

#[test]
fn v1_a_room_grows_into_shards_and_shrinks_again_and_nobody_misses_or_doubles_an_event() {
    let mut it = small();
    for (n, name) in NAMES.iter().enumerate() {
        it.join(name);
        say(&mut it, n, &format!("hello {n}"));
        it.advance(50);
    }
    assert!(it.shape().shards >= 4, "{:?}", it.shape());
    for n in 0..150 {
        say(&mut it, n % NAMES.len(), &format!("word {n}"));
        it.advance(200);
    }
    assert!(it.tabs.iter().all(|tab| tab.shard.is_some()), "all were moved");
    assert!(it.tabs.iter().any(|tab| tab.moves > 0));
    all_seen(&mut it);

    let grown = it.shape();
    for tab in (4..NAMES.len()).rev() {
        let gone = it.tabs.remove(tab);
        if let Some(n) = gone.shard {
            it.step(n, |host, at| ((), host.closed(at, gone.socket)));
            it.shards.get_mut(&n).unwrap().wires.remove(&gone.socket);
        }
    }
    for n in 0..200 {
        say(&mut it, n % 4, &format!("later {n}"));
        it.advance(1_000);
    }
    assert_eq!(it.shape().shards, 0, "{:?}", it.shape());
    assert!(it.shape().version > grown.version);
    assert!(it.tabs.iter().all(|tab| tab.shard.is_none()));
    all_seen(&mut it);
}

#[test]
fn a_room_that_expects_viewers_is_split_before_they_come() {
    let mut it = small();
    it.join("ada");
    let patch = |it: &mut Split, body: Value| it.room.call("admin", Ask::Patch(serde_json::from_value(body).unwrap()));
    patch(&mut it, patch_body(&json!(30))).unwrap();
    it.pump();
    assert_eq!(it.shape().shards, 4);
    it.advance(3_000);
    assert!(it.tabs[0].shard.is_some());
    it.advance(300_000);
    assert_eq!(it.shape().shards, 4, "as long as they are expected");
    patch(&mut it, patch_body(&Value::Null)).unwrap();
    it.advance(300_000);
    assert_eq!(it.shape().shards, 0);
    all_seen(&mut it);
}

fn patch_body(viewers: &Value) -> Value {
    json!({"settings": {"expect_viewers": viewers}})
}

#[test]
fn v4_a_shard_that_died_or_slept_goes_on_where_its_viewers_are() {
    let mut it = split(40);
    let shards: Vec<u32> = it.shards.keys().copied().collect();
    for n in 0..60 {
        say(&mut it, n % 40, &format!("word {n}"));
        let shard = shards[n % shards.len()];
        match n % 3 {
            0 => it.kill(shard),
            1 => it.evict(shard),
            _ => {}
        }
        it.advance(40);
    }
    all_seen(&mut it);
}

#[test]
fn v4_a_room_that_slept_finds_its_shards_where_they_stand() {
    let mut it = split(40);
    let begins: u32 = it.shards.values().map(|shard| shard.begins).sum();
    for n in 0..20 {
        say(&mut it, n, &format!("word {n}"));
        if n % 2 == 0 {
            it.advance(100);
        }
        it.room.evict();
        it.room.tick();
        it.advance(600);
    }
    all_seen(&mut it);
    let again: u32 = it.shards.values().map(|shard| shard.begins).sum();
    assert!(
        again - begins <= 10 * it.shards.len() as u32,
        "only who missed something begins anew: {begins} {again} {}",
        it.shards.len()
    );
}

#[test]
fn v4_pushes_that_are_lost_are_made_again() {
    let mut it = split(40);
    let begins: u32 = it.shards.values().map(|shard| shard.begins).sum();
    it.cut = true;
    for n in 0..50 {
        say(&mut it, n % 40, &format!("word {n}"));
        it.advance(100);
    }
    it.cut = false;
    it.advance(6_000);
    all_seen(&mut it);
    assert_eq!(begins, it.shards.values().map(|shard| shard.begins).sum::<u32>(), "what was kept was enough");
}

#[test]
fn v7_a_ban_closes_all_tabs_of_a_user_wherever_they_are() {
    let mut it = split(40);
    let second = it.join("bob");
    let moderator = it.join("mod");
    it.pump();
    it.ask(moderator, "ban_user", json!({"user_id": "bob"})).unwrap();
    it.pump();
    for tab in [1, second] {
        let (shard, socket) = (it.tabs[tab].shard.unwrap(), it.tabs[tab].socket);
        let closed = it.shards[&shard].wires[&socket].closed.as_ref().unwrap();
        assert_eq!(closed.0, 4403);
    }
}

#[test]
fn nobody_acts_on_their_better_in_another_shard() {
    let mut it = split(40);
    it.join("admin");
    let moderator = it.join("mod");
    it.advance(5_000);
    let refused = it.ask(moderator, "ban_user", json!({"user_id": "admin"})).unwrap_err();
    assert_eq!(refused["code"], "forbidden");
}

#[test]
fn a_limit_is_one_for_all_shards() {
    let mut it = Split::new(&[("SHARD_SOCKETS", "10"), ("RATE_LIMIT_MESSAGES", "5"), ("RATE_LIMIT_JOINS", "10000")]);
    for name in NAMES {
        it.join(name);
    }
    it.advance(30_000);
    let second = it.join("ada");
    let codes: Vec<_> = (0..8)
        .filter_map(|n| {
            it.ask(if n % 2 == 0 { 0 } else { second }, "send_message", json!({"content": format!("{n}")})).err()
        })
        .collect();
    assert_eq!(codes.iter().map(|error| error["code"].as_str().unwrap()).collect::<Vec<_>>(), ["rate_limited"; 3]);
}

#[test]
fn each_user_is_counted_once_and_the_whole_room_is_told() {
    let mut it = split(40);
    it.join("ada");
    it.join("");
    it.advance(20_000);
    let room = it.room.get("ada");
    assert_eq!((room["online_users"].as_u64(), room["online_guests"].as_u64()), (Some(40), Some(1)));
    for tab in &it.tabs {
        let stats = tab.lines.iter().rev().find(|line| line["event"] == "room_stats").unwrap();
        assert_eq!(stats["data"]["online_users"], 40, "{}", tab.user);
    }
}

/// A room of so many users that is split further: of one of them the old tab still stands where it was, and a new one
/// is where the user belongs now.
fn astride(users: usize) -> (Split, [usize; 2]) {
    let set = [("SHARD_SOCKETS", "200"), ("RATE_LIMIT_MESSAGES", "5"), ("RATE_LIMIT_JOINS", "10000")];
    let mut it = Split::new(&set);
    it.join("svc");
    let expect = |it: &mut Split, viewers: u32| {
        it.room.call("svc", Ask::Patch(serde_json::from_value(patch_body(&json!(viewers))).unwrap())).unwrap();
        it.pump();
    };
    expect(&mut it, 320);
    assert_eq!(it.shape().shards, 2);
    let moves = |name: &str| {
        let of = |shards| Shape { shards, ..Shape::default() }.shard_of(hash(name));
        of(2) != of(4)
    };
    let mut names: Vec<&'static str> = (2..=users).map(|n| &*format!("user{n}").leak()).collect();
    // Who came last is sent on last.
    names.sort_by_key(|name| moves(name));
    for name in &names {
        it.join(name);
    }
    it.advance(10_000);
    expect(&mut it, 640);
    assert_eq!(it.shape().shards, 4);
    let (old, who) = (it.tabs.len() - 1, names[names.len() - 1]);
    let new = it.join(who);
    // Somebody else comes, so that all are told anew how many are here.
    it.join("zed");
    (it, [old, new])
}

/// Both tabs are open, each on a shard of its own.
fn are_astride(it: &Split, tabs: [usize; 2]) {
    let [old, new] = tabs.map(|tab| &it.tabs[tab]);
    assert!(old.moves == 0 && old.user == new.user && old.shard.is_some() && new.shard.is_some(), "{}", old.user);
    assert_ne!(old.shard, new.shard);
    for tab in [old, new] {
        assert!(it.shards[&tab.shard.unwrap()].wires[&tab.socket].closed.is_none());
    }
}

#[test]
fn a_user_with_tabs_on_two_shards_is_counted_once_until_the_last_one_goes() {
    let (mut it, tabs) = astride(300);
    it.advance(1_000);
    for _ in 0..4 {
        it.advance(1_000);
        are_astride(&it, tabs);
        assert_eq!(it.room.get("svc")["online_users"], 301);
    }
    for tab in tabs {
        let stats = it.tabs[tab].lines.iter().rev().find(|line| line["event"] == "room_stats").unwrap();
        assert_eq!(stats["data"]["online_users"], 301);
        it.ask(tab, "typing", json!({"is_typing": true})).unwrap();
    }
    let [old, new] = tabs;
    it.leave(new);
    it.tabs.remove(new);
    for _ in 0..30 {
        it.advance(1_000);
        assert_eq!(it.room.get("svc")["online_users"], 301, "the other tab is there, and is sent on at some time");
    }
    assert_eq!(it.tabs[old].moves, 1);
    it.leave(old);
    it.tabs.remove(old);
    it.advance(10_000);
    assert_eq!(it.room.get("svc")["online_users"], 300);
    // In a split room nobody is shown who comes, goes or types.
    let shown = ["user_joined", "user_left", "user_typing"];
    for line in it.tabs.iter().flat_map(|tab| &tab.lines) {
        assert!(!shown.iter().any(|event| line["event"] == *event), "{line}");
    }
}

#[test]
fn a_user_with_tabs_on_two_shards_has_one_limit() {
    let (mut it, tabs) = astride(300);
    let codes: Vec<_> = (0..8)
        .filter_map(|n| it.ask(tabs[n % 2], "send_message", json!({"content": format!("{n}")})).err())
        .map(|error| error["code"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(codes, ["rate_limited"; 3]);
    are_astride(&it, tabs);
}

#[test]
fn v7_a_ban_closes_the_tabs_of_a_user_on_two_shards() {
    let (mut it, tabs) = astride(300);
    let moderator = it.join("mod");
    let who = it.tabs[tabs[0]].user;
    are_astride(&it, tabs);
    it.ask(moderator, "ban_user", json!({"user_id": who})).unwrap();
    it.advance(100);
    for tab in tabs {
        let (shard, socket) = (it.tabs[tab].shard.unwrap(), it.tabs[tab].socket);
        assert_eq!(it.shards[&shard].wires[&socket].closed.as_ref().map(|closed| closed.0), Some(4403));
    }
}

#[test]
fn v6_what_was_deleted_is_gone_from_a_shard_that_answers_a_join() {
    let mut it = split(40);
    let said = say(&mut it, 3, "the secret");
    say(&mut it, 4, "and more");
    it.advance(100);
    it.ask(3, "delete_message", json!({"message_id": said["message_id"]})).unwrap();
    it.advance(100);
    for tab in 0..it.tabs.len() {
        let begins_anew = std::mem::take(&mut it.tabs[tab].at);
        let reply = it.arrive(tab);
        assert!(reply.to_string().contains("and more") && !reply.to_string().contains("the secret"), "{reply}");
        it.tabs[tab].at = begins_anew;
        assert!(!it.arrive(tab).to_string().contains("the secret"));
    }
    assert!(!it.room.log.holds("the secret"));
}

#[test]
fn v6_what_a_room_keeps_no_longer_is_gone_from_its_shards() {
    let mut it = split(40);
    say(&mut it, 3, "the old words");
    for n in 0..110 {
        say(&mut it, n % 40, &format!("word {n}"));
        it.advance(20);
    }
    let settings = json!({"settings": {"retention_messages": 100}});
    it.room.call("admin", Ask::Patch(serde_json::from_value(settings).unwrap())).unwrap();
    it.pump();
    it.advance(10_000);
    assert_eq!(it.room.pg.first_no, 12);
    for tab in 0..it.tabs.len() {
        it.tabs[tab].at = Default::default();
        let reply = it.arrive(tab).to_string();
        assert!(reply.contains("word 109") && reply.contains("word 10\"") && !reply.contains("word 9\""), "{reply}");
        assert!(reply.contains("\"message_count\":100") && !reply.contains("the old words"), "{reply}");
    }
}

#[test]
fn v11_who_was_erased_is_gone_from_the_memory_of_every_shard() {
    let mut it = split(40);
    // Of nobody's name a part.
    let said =
        it.room.call("xanthippe", Ask::Send(SendBody { content: "the secret".into(), ..SendBody::default() })).unwrap();
    it.ask(4, "react", json!({"message_id": said["message_id"], "reaction": "👍"})).unwrap();
    say(&mut it, 4, "and more, @xanthippe");
    it.advance(100);
    let held = |it: &Split| {
        let text = |row: Row| row.events_json().unwrap();
        it.shards
            .values()
            .filter(|shard| {
                shard.replica.rows_after(0, 999).unwrap().into_iter().any(|row| text(row).contains("anthippe"))
            })
            .count()
    };
    assert!(held(&it) >= 4);
    let erase = Erase { user_id: "xanthippe".into(), mode: Mode::Tombstone, after: 0 };
    let call = RoomCall { v: VERSION, caller: Caller::default(), ask: Ask::Erase(erase) };
    it.room.step(|host, at| host.call(at, call)).unwrap();
    it.advance(100);
    assert_eq!(held(&it), 0);
    for tab in 0..it.tabs.len() {
        let begins_anew = std::mem::take(&mut it.tabs[tab].at);
        let reply = it.arrive(tab).to_string();
        assert!(
            reply.contains("and more, @erased") && !reply.contains("the secret") && !reply.contains("anthippe"),
            "{reply}"
        );
        it.tabs[tab].at = begins_anew;
        assert!(!it.arrive(tab).to_string().contains("anthippe"));
    }
    assert!(!it.room.log.holds("anthippe"));
    all_seen(&mut it);
}

#[test]
fn v11_a_socket_at_a_shard_loses_the_role_of_who_is_erased() {
    let mut it = split(40);
    let role = SetRole { user_id: "xanthippe".into(), role: Some(Role::Moderator), room_id: None };
    it.room.call("admin", Ask::Act(Act::SetRole(role))).unwrap();
    let tab = it.join("xanthippe");
    it.advance(1_000);
    it.ask(tab, "ban_user", json!({"user_id": "eve"})).unwrap();
    let erase = Erase { user_id: "xanthippe".into(), mode: Mode::Tombstone, after: 0 };
    let call = RoomCall { v: VERSION, caller: Caller::default(), ask: Ask::Erase(erase) };
    it.room.step(|host, at| host.call(at, call)).unwrap();
    it.advance(1_000);
    assert_eq!(it.ask(tab, "ban_user", json!({"user_id": "bob"})).unwrap_err()["code"], "forbidden");
}

#[test]
fn more_than_six_shards_are_told_through_relays() {
    let mut it = small();
    let expected = json!({"settings": {"expect_viewers": 200}});
    it.join("ada");
    it.room.call("admin", Ask::Patch(serde_json::from_value(expected).unwrap())).unwrap();
    it.pump();
    assert_eq!(it.shape().shards, 25);
    for name in &NAMES[1..] {
        it.join(name);
    }
    it.advance(10_000);
    for n in 0..40 {
        say(&mut it, n, &format!("word {n}"));
        it.advance(30);
    }
    assert!(it.relayed > 0);
    all_seen(&mut it);
}

#[test]
fn v5_what_is_too_far_back_for_a_shard_is_answered_by_the_newest_messages() {
    let mut it = split(20);
    for n in 0..550 {
        say(&mut it, n % 20, &format!("word {n}"));
        it.advance(20);
    }
    all_seen(&mut it);
    it.kill(it.tabs[0].shard.unwrap());
    let (epoch, last) = it.tabs[0].at;
    for (missed, resumed) in [(500, true), (501, false)] {
        let reply = it.ask(0, "catch_up", json!({"epoch": epoch, "seq": last - missed})).unwrap();
        assert_eq!((&reply["resumed"], &reply["seq"]), (&json!(resumed), &json!(last)), "{missed}");
        let shown = reply[if resumed { "events" } else { "messages" }].as_array().unwrap();
        assert_eq!(shown.len(), if resumed { 500 } else { 100 });
    }
}

/// Eight shards with so many users in them.
fn eight(users: usize, set: &[(&str, &str)]) -> Split {
    let own = [("SHARD_SOCKETS", "100"), ("RATE_LIMIT_MESSAGES", "1000"), ("RATE_LIMIT_JOINS", "10000")];
    let mut it = Split::new(&own.into_iter().chain(set.iter().copied()).collect::<Vec<_>>());
    it.join("ada");
    let expected = json!({"settings": {"expect_viewers": 640}});
    it.room.call("admin", Ask::Patch(serde_json::from_value(expected).unwrap())).unwrap();
    it.pump();
    for n in 1..users {
        it.join(format!("user{n}").leak());
    }
    it.advance(10_000);
    assert_eq!(it.shape().shards, 8);
    it
}

#[test]
fn what_a_message_takes_of_the_room_does_not_grow_with_the_viewers() {
    let work = |users: usize| {
        let mut it = eight(users, &[]);
        let rows = it.room.rows;
        say(&mut it, 0, "hello");
        let pushes = it.room.compute(|host, at| host.next_pushes(at));
        assert!(
            it.room.wires.values().all(|wire| wire.frames.is_empty()),
            "nobody is sent anything by the room itself"
        );
        let told: usize = pushes.iter().map(|push| push.to.len()).sum();
        (it.room.rows - rows, pushes.len(), told, pushes.iter().map(|push| push.body.len()).sum::<usize>())
    };
    let (few, many) = (work(40), work(400));
    assert_eq!((few.0, few.1, few.2), (many.0, many.1, many.2));
    assert_eq!(few.2, 8);
    // The same words, numbers of more digits.
    assert!(many.3 < few.3 + few.3 / 4, "{} bytes, then {}", few.3, many.3);
}

#[test]
fn joins_do_not_reach_the_room() {
    let mut it = eight(40, &[]);
    let (rows, begins) = (it.room.rows, it.shards.values().map(|shard| shard.begins).sum::<u32>());
    for n in 40..100 {
        it.join(format!("user{n}").leak());
    }
    assert_eq!(it.shards.values().map(|shard| shard.begins).sum::<u32>(), begins);
    // All that there is to say of it is one word of each shard.
    let shards: Vec<u32> = it.shards.keys().copied().collect();
    for n in shards {
        it.step(n, |host, at| (host.next_up(at), Default::default()));
        assert!(it.step(n, |host, at| (host.next_up(at), Default::default())).is_none());
    }
    assert_eq!(it.room.rows, rows);
}

#[test]
fn how_shards_are_called_is_set() {
    let calls = |set: &[(&str, &str)]| {
        let mut it = eight(40, set);
        say(&mut it, 0, "hello");
        it.room.compute(|host, at| host.next_pushes(at)).iter().map(|push| push.to.len()).collect::<Vec<_>>()
    };
    assert_eq!(calls(&[]), [8]);
    assert_eq!(calls(&[("RELAY_DEGREE", "3")]), [3, 3, 2]);
    assert_eq!(calls(&[("RELAY_ABOVE", "8")]), [1; 8]);
    let pushes = |set: &[(&str, &str)]| {
        let mut it = eight(40, set);
        let before = it.shards[&0].pushes;
        for n in 0..20 {
            say(&mut it, 0, &format!("word {n}"));
            it.advance(40);
        }
        it.shards[&0].pushes - before
    };
    assert!(pushes(&[]) > 10 && pushes(&[("PUSH_EVERY", "1000")]) < 4);
}

/// A room with so many viewers in one object, of whose window of 1.2 ms a socket at most 1 MiB may leave.
fn loud(users: usize, set: &[(&str, &str)]) -> Split {
    let own = [
        ("SHARD_BYTES", "1048576"),
        ("FRAME_BUDGET", "1000"),
        ("MAX_MESSAGE_LENGTH", "8000"),
        ("ENABLE_SPAM_DETECTION", "false"),
        ("RATE_LIMIT_MESSAGES", "1000"),
        ("RATE_LIMIT_JOINS", "10000"),
    ];
    let mut it = Split::new(&own.into_iter().chain(set.iter().copied()).collect::<Vec<_>>());
    for n in 0..users {
        it.join(format!("user{n}").leak());
    }
    it.advance(10_000);
    it
}

/// So many buckets of 10 s with twelve messages of so many characters each.
fn talk(it: &mut Split, buckets: usize, length: usize) {
    for _ in 0..buckets * 12 {
        say(it, 0, &"word ".repeat(length / 5));
        it.advance(834);
    }
}

#[test]
fn a_room_is_split_by_what_is_said_and_put_together_again_a_minute_after() {
    let mut it = loud(300, &[]);
    talk(&mut it, 1, 1_000);
    assert_eq!(it.shape().shards, 0);
    // 10 KB/s: 290 sockets. Twice that is 206, but an object holds 250 whatever is said.
    talk(&mut it, 2, 8_000);
    assert_eq!(it.shape().shards, 2);
    let version = it.shape().version;
    // 5 KB/s: 415, and twice the viewers are 600. An object that is built anew knows nothing of the last minute.
    talk(&mut it, 7, 4_000);
    it.room.evict();
    talk(&mut it, 2, 4_000);
    assert_eq!((it.shape().shards, it.shape().version), (2, version));
    talk(&mut it, 4, 100);
    assert_eq!(it.shape().shards, 2, "a minute has to be over");
    it.advance(40_000);
    assert_eq!(it.shape().shards, 0);
    it.advance(30_000);
    all_seen(&mut it);
}

#[test]
fn what_is_said_splits_no_small_room_and_none_of_a_process_that_runs_all() {
    for (users, set) in [(240, [].as_slice()), (300, &[("FRAME_BUDGET_PER", "process")])] {
        let mut it = loud(users, set);
        talk(&mut it, 1, 8_000);
        say(&mut it, 0, "and so on");
        assert_eq!(it.shape().shards, 0, "{users}");
    }
}

#[test]
fn who_signs_in_where_they_do_not_belong_is_told_where() {
    let mut it = split(40);
    let guest = it.join("");
    let shard = it.tabs[guest].shard.unwrap();
    let stranger = NAMES.iter().find(|name| it.known.shard_of(hash(name)) != Some(shard)).unwrap();
    let token = it.room.token(stranger, 3_600);
    // A guest who has joined opens a new socket to sign in.
    let socket = {
        let caller = it.room.caller("");
        it.step(shard, |host, at| host.open(at, caller).unwrap())
    };
    it.tabs[guest].socket = socket;
    let refused = it.ask(guest, "join_room", json!({"room_id": ROOM, "user_token": token})).unwrap_err();
    assert_eq!(refused["code"], "elsewhere");
    let wire = &it.shards[&shard].wires[&socket];
    let key = format!("\"shard_key\":\"{:016x}\"", hash(stranger));
    assert!(wire.frames.iter().any(|frame| frame.contains(&key)), "{:?}", wire.frames);
    assert_eq!(wire.closed.as_ref().unwrap().0, 4409);
}

#[test]
fn commands_of_a_batch_see_what_those_before_them_did_and_are_one_row() {
    let commands = |world: &mut World, id: &str| -> Vec<Command> {
        let send = |client_id: &str| {
            Ask::Send(SendBody { content: "again".into(), client_id: Some(client_id.into()), ..SendBody::default() })
        };
        let react = |remove| Ask::React { message_id: id.into(), reaction: "👍".into(), remove };
        let edit =
            |content: &str| Ask::Edit { message_id: id.into(), content: content.into(), franking: None, known: None };
        let asks = vec![
            send("one"),
            send("one"),
            send("two"),
            react(false),
            react(true),
            edit("second"),
            edit("third"),
            Ask::DeleteMessage { message_id: id.into(), known: None },
            edit("fourth"),
        ];
        let caller = world.caller("ada");
        let command = |ask| Command { call: RoomCall { v: VERSION, caller: caller.clone(), ask }, present: vec![] };
        asks.into_iter().map(command).collect()
    };
    let begin = || {
        let mut world = World::new();
        let ada = world.join("ada");
        let id = world.say(ada, "first")["message_id"].as_str().unwrap().to_owned();
        (world, id)
    };
    let (mut apart, id) = begin();
    let mut answers = Vec::new();
    for command in commands(&mut apart, &id) {
        answers.push(apart.step(|host, at| host.call(at, command.call)).map_err(|error| error.code));
    }
    let (mut together, id) = begin();
    let rows = together.log.stored().len();
    let up = Up {
        v: VERSION,
        from: Follower::Shard(0),
        shape: Shape::default(),
        crowd: Crowd::default(),
        commands: commands(&mut together, &id),
        glimpses: vec![],
        metrics: Metrics::default(),
    };
    let down = together.step(|host, at| host.up(at, up));
    assert_eq!(together.log.stored().len(), rows + 1, "one row");
    let told = |answer: &Result<Box<RawValue>, _>| answer.as_ref().map(|raw| raw.get().len()).map_err(|code| *code);
    let same: Vec<_> = down.answers.into_iter().map(|answer| answer.map_err(|error| error.code)).collect();
    assert_eq!(same.iter().map(told).collect::<Vec<_>>(), answers.iter().map(told).collect::<Vec<_>>());
    assert_eq!(same[0].as_ref().unwrap().get(), same[1].as_ref().unwrap().get(), "known again within the batch");
    for text in ["first", "second", "third", "fourth"] {
        assert!(!together.log.holds(text), "{text}");
    }
    let events = |world: &World| -> Vec<String> {
        let rows = Log::rows_after(&world.log, 0, 100).unwrap();
        let kind = |event: &LogEvent| format!("{} {}", event.seq, serde_json::to_value(event).unwrap()["event"]);
        rows.iter().flat_map(|row| &row.events).map(kind).collect()
    };
    assert_eq!(events(&together), events(&apart));
    let state = |world: &World| -> Vec<_> {
        // The room has learned that there is a shard.
        world.log.state().unwrap().into_iter().map(|(key, _)| key).filter(|key| key != "shards").collect()
    };
    assert_eq!(state(&together), state(&apart));
}

#[test]
fn q1_a_split_room_in_which_nothing_happens_lets_its_objects_sleep() {
    let mut it = split(12);
    it.advance(120_000);
    assert!(it.shape().shards > 0);
    let now = it.room.now;
    assert_eq!(it.room.soon, None, "the room has no timer");
    assert!(it.room.alarm.is_none_or(|at| at >= now + 50_000), "{:?} at {now}", it.room.alarm);
    for (n, shard) in &it.shards {
        assert_eq!(shard.soon, None, "shard {n} has no timer");
    }
}

#[test]
fn q1_a_room_that_sleeps_between_its_alarms_is_put_together_again_when_the_show_is_over() {
    let mut it = split(40);
    for tab in std::mem::take(&mut it.tabs) {
        let Some(n) = tab.shard else { continue };
        it.step(n, |host, at| ((), host.closed(at, tab.socket)));
        it.shards.get_mut(&n).unwrap().wires.remove(&tab.socket);
    }
    for _ in 0..90 {
        it.advance(5_000);
        it.room.evict_unless_busy();
    }
    assert_eq!(it.shape().shards, 0);
    it.advance(60_000);
    assert!(it.room.alarm.is_none_or(|at| at > it.room.now + 600_000), "{:?} at {}", it.room.alarm, it.room.now);
}

#[test]
fn one_who_floods_a_shard_keeps_nobody_else_waiting_and_is_closed() {
    let mut it = split(40);
    let (shard, socket) = (it.tabs[0].shard.unwrap(), it.tabs[0].socket);
    for n in 0..80 {
        let text = json!({"id": n, "event": "send_message", "data": {"content": format!("flood {n}")}}).to_string();
        it.step(shard, |host, at| ((), host.frame(at, socket, &text)));
    }
    let wire = &it.shards[&shard].wires[&socket];
    assert_eq!(wire.closed.as_ref().unwrap().0, 4429);
    assert!(wire.frames.iter().any(|frame| frame.contains("overloaded")));
    it.shards.get_mut(&shard).unwrap().wires.get_mut(&socket).unwrap().frames.clear();
    it.tabs.remove(0);
    it.advance(1_000);
    assert!(!it.room.log.holds("flood 0"), "what waited goes with who was closed");
    let other = it.tabs.iter().position(|tab| tab.shard == Some(shard)).unwrap();
    say(&mut it, other, "in peace");
    let guest = it.join("");
    let refused = it.ask(guest, "send_message", json!({"content": "x"})).unwrap_err();
    assert_eq!(refused["code"], "token_required");
}

#[test]
fn a_shard_takes_as_much_of_a_back_end_at_once_as_it_may_say_in_a_second() {
    let mut it = split(40);
    for (user, most) in [("ada", 32), ("svc", 1_000)] {
        let tab = it.join(user);
        let (shard, socket) = (it.tabs[tab].shard.unwrap(), it.tabs[tab].socket);
        let mut refused = |n: usize| {
            let text = json!({"id": n, "event": "send_message", "data": {"content": format!("{n}")}}).to_string();
            it.step(shard, |host, at| ((), host.frame(at, socket, &text)));
            let frames = &it.shards[&shard].wires[&socket].frames;
            frames.last().is_some_and(|frame| frame.contains("overloaded"))
        };
        assert!((0..most).all(|n| !refused(n)) && refused(most), "{user}");
        it.shards.get_mut(&shard).unwrap().wires.get_mut(&socket).unwrap().frames.clear();
        it.advance(2_000);
    }
}

#[test]
fn only_who_runs_the_service_says_how_many_are_expected() {
    let mut it = small();
    it.join("ada");
    let patch = |it: &mut Split, user: &str, viewers: Value| {
        it.room.call(user, Ask::Patch(serde_json::from_value(patch_body(&viewers)).unwrap()))
    };
    assert_eq!(patch(&mut it, "mod", json!(1_000_000)).unwrap_err().code, ErrorCode::Forbidden);
    patch(&mut it, "svc", json!(30)).unwrap();
    assert_eq!(it.shape().shards, 4);
    // Also where it owns the room, which is a role of its own.
    let mut it = small();
    it.join("svc");
    patch(&mut it, "svc", json!(30)).unwrap();
}

#[test]
fn v2_where_a_command_of_a_batch_breaks_the_room_none_is_acknowledged() {
    let mut w = World::new();
    let (bob, moderator) = (w.join("bob"), w.join("mod"));
    let terms = json!({"blocked": ["hush"], "allowed": [], "action": "hold"});
    w.ask(moderator, "set_terms", terms).unwrap();
    for text in ["hush one", "hush two"] {
        assert_eq!(w.say(bob, text)["held"], true);
    }
    let send = || Ask::Send(SendBody { content: "lost".into(), ..SendBody::default() });
    let ban = serde_json::from_value(json!({"ask": "act", "with": {"event": "ban_user", "data": {"user_id": "bob"}}}));
    let asks = [("ada", send()), ("mod", ban.unwrap()), ("ada", send())];
    let command = |(user, ask): (&str, Ask)| Command {
        call: RoomCall { v: VERSION, caller: w.caller(user), ask },
        present: vec![],
    };
    let commands = asks.into_iter().map(command).collect();
    // The first of what waits is taken, the second cannot be read.
    w.log.flaw.set(Flaw::SecondRow);
    let (crowd, metrics, shape) = (Crowd::default(), Metrics::default(), Shape::default());
    let up = Up { v: VERSION, from: Follower::Shard(0), shape, crowd, commands, glimpses: vec![], metrics };
    let (down, effects) = w.compute(|host, at| host.up(at, up));
    assert!(effects.broken && effects.write.is_empty() && effects.out.is_empty());
    assert!(down.answers.is_empty(), "{:?}", down.answers);
}
