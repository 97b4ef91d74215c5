//! Blocks and sign-out everywhere, as rooms carry them out: live, on return, in history, over sleep.

use crate::world::{ROOM, World};
use edge_chat::audience::SocketId;
use edge_chat::protocol::act::{Act, Announcement, BanUser, UserRef};
use edge_chat::protocol::call::{Ask, Caller, Nothing, PageQuery, SendBody, Standing, UserAsk};
use edge_chat::protocol::{ClientFrame, RoomId};
use edge_chat::room::{Room, Viewer};
use edge_chat::sinks::history;
use edge_chat::user::Blocks;
use serde_json::{Value, json};

fn block(w: &mut World, user: &str, whom: &str) {
    w.own(user, UserAsk::Block(whom.into())).unwrap();
}

fn contents(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect()
}

fn heard(w: &mut World, socket: SocketId) -> Vec<String> {
    w.events(socket, "new_message").iter().map(|data| data["content"].as_str().unwrap().to_owned()).collect()
}

/// Ada, who blocks Eve, with two tabs; Bob, Eve, and a moderator who blocks Eve too.
struct People {
    w: World,
    ada: [SocketId; 2],
    bob: SocketId,
    eve: SocketId,
    moderator: SocketId,
}

fn people() -> People {
    let mut w = World::new();
    let ada = [w.join("ada"), w.join("ada")];
    let (bob, eve, moderator) = (w.join("bob"), w.join("eve"), w.join("mod"));
    for user in ["ada", "mod"] {
        w.own(user, UserAsk::Standing { room: Some(ROOM.into()) }).unwrap();
    }
    assert_eq!(w.ask(ada[0], "block_user", json!({"user_id": "eve"})).unwrap(), json!({}));
    w.ask(moderator, "block_user", json!({"user_id": "eve"})).unwrap();
    for socket in [ada[0], ada[1], bob, eve, moderator] {
        w.take(socket);
    }
    People { w, ada, bob, eve, moderator }
}

#[test]
fn a_blocked_ones_messages_edits_and_typing_do_not_come_live() {
    let People { mut w, ada, bob, eve, moderator } = people();
    let said = w.say(eve, "hello @ada")["message_id"].clone();
    w.ask(eve, "edit_message", json!({"message_id": said, "content": "hello again"})).unwrap();
    w.ask(eve, "typing", json!({"is_typing": true})).unwrap();
    let seq = w.say(bob, "hi")["seq"].clone();
    for socket in ada {
        let lines = w.take(socket);
        let text = serde_json::to_string(&lines).unwrap();
        assert!(!text.contains("hello") && !text.contains("user_typing"), "{text}");
        let events: Vec<_> = lines.iter().filter(|line| line["seq"].is_number()).collect();
        assert_eq!((events.len(), &events[0]["seq"], &events[0]["data"]["content"]), (1, &seq, &json!("hi")));
        // The numbers of what was hidden are accounted for, so that no client asks for them.
        let covered: Vec<_> = lines.iter().filter_map(|line| line.get("at")).map(|at| at["to"].clone()).collect();
        assert_eq!(covered.last(), Some(&json!(seq.as_u64().unwrap() - 1)));
    }
    for socket in [bob, moderator] {
        let lines = w.take(socket);
        let named = |name: &str| lines.iter().filter(|line| line["event"] == name).count();
        assert_eq!((named("new_message"), named("message_edited"), named("user_typing")), (2, 1, 1));
    }
    assert_eq!(heard(&mut w, eve), ["hello @ada", "hi"]);
}

#[test]
fn unblocked_is_heard_again_and_who_is_not_blocked_cannot_be_unblocked() {
    let People { mut w, ada, eve, .. } = people();
    w.ask(ada[1], "unblock_user", json!({"user_id": "eve"})).unwrap();
    assert_eq!(w.code(ada[1], "unblock_user", json!({"user_id": "eve"})), "user_not_found");
    assert_eq!(w.code(ada[1], "block_user", json!({"user_id": "ada"})), "forbidden");
    assert_eq!(w.code(ada[1], "block_user", json!({})), "bad_request");
    w.say(eve, "hello");
    assert_eq!(heard(&mut w, ada[0]), ["hello"]);
    assert!(!w.log.holds("blocks:ada"));
    let guest = w.join("");
    assert_eq!(w.code(guest, "block_user", json!({"user_id": "eve"})), "token_required");
}

#[test]
fn what_a_blocked_one_said_is_not_in_joins_returns_nor_history() {
    let People { mut w, ada, bob, eve, moderator } = people();
    let from = w.ask(bob, "catch_up", json!({"epoch": 0, "seq": 0})).unwrap();
    let from = json!({"epoch": from["epoch"], "seq": from["seq"]});
    w.say(bob, "one");
    let said = w.say(eve, "two")["message_id"].clone();
    w.ask(eve, "edit_message", json!({"message_id": said, "content": "two, edited"})).unwrap();
    w.say(bob, "three");
    for (user, socket, all) in [("ada", ada[0], false), ("mod", moderator, true), ("bob", bob, true)] {
        let expected = if all { vec!["one", "two, edited", "three"] } else { vec!["one", "three"] };
        let caught = w.ask(socket, "catch_up", from.clone()).unwrap();
        assert_eq!(caught["events"].as_array().unwrap().len(), if all { 4 } else { 2 }, "{user}");
        let late = w.open(user);
        let joined = w.ask(late, "join_room", json!({})).unwrap();
        assert_eq!((contents(&joined["messages"]), &joined["seq"]), (expected.clone(), &caught["seq"]), "{user}");
        let mut page = w.page(user, PageQuery::Page { page: 1, limit: 10 });
        page["held"].as_array_mut().unwrap().reverse();
        // PostgreSQL's part is read with the same eyes.
        assert_eq!(page["blocks"] == "", user == "bob");
        assert_eq!((contents(&page["held"]), &page["total"]), (expected, &json!(3)), "{user}");
    }
    // Where the Worker could not ask, the room knows of those who are here.
    let caller = Caller { standing: None, ..w.caller("ada") };
    let call = edge_chat::protocol::call::RoomCall {
        v: 1,
        caller,
        ask: Ask::Messages(PageQuery::Page { page: 1, limit: 10 }),
    };
    let page = w.step(|host, at| host.call(at, call)).unwrap();
    assert!(!page.get().contains("two"));
}

#[test]
fn what_postgresql_still_has_goes_through_the_same_eyes() {
    let message = |no: u64, user: &str, kind: &str| {
        let id = edge_chat::protocol::MessageId::new(1_000, no, &[1; 32]);
        json!({"id": id, "no": no, "user_id": user, "username": user, "avatar": null, "roles": ["member"],
            "content": format!("m{no}"), "text": null, "type": kind, "metadata": {}, "mentions": [], "reply_to": null,
            "client_id": null, "audience": "all", "seq": no, "created_at": 1_000, "visible_at": 1_000,
            "edited_at": null, "deleted_at": null, "reactions": null, "mine": null})
    };
    let answer = json!([message(1, "eve", "text"), message(2, "bob", "text"), message(3, "eve", "system")]).to_string();
    let blocks = Blocks::of(["eve"]);
    let room = RoomId::parse(ROOM).unwrap();
    let seen = |viewer: Viewer<'_>| {
        let older = history::read_page(&answer, &room, viewer, 2_000).unwrap();
        let numbers = older.messages.iter().map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap()["no"].clone());
        numbers.map(|no| no.as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(seen(Viewer { blocks: &blocks, ..Viewer::PLAIN }), [2, 3]);
    assert_eq!(seen(Viewer { blocks: &blocks, ..Viewer::MODERATOR }), [1, 2, 3]);
    assert_eq!(seen(Viewer::PLAIN), [1, 2, 3]);
}

#[test]
fn messages_of_type_system_reach_everyone_edits_of_them_too() {
    let mut w = World::new();
    let (ada, svc) = (w.join("ada"), w.join("svc"));
    w.own("ada", UserAsk::Standing { room: Some(ROOM.into()) }).unwrap();
    block(&mut w, "ada", "svc");
    block(&mut w, "ada", "mod");
    w.take(ada);
    let system = SendBody { content: "starts".into(), kind: Some("system".into()), ..SendBody::default() };
    let said = w.call("svc", Ask::Send(system)).unwrap();
    w.ask(svc, "edit_message", json!({"message_id": said["message_id"], "content": "starts now"})).unwrap();
    w.call("mod", Ask::Act(Act::Announce(Announcement { content: "hear".into(), room_id: None }))).unwrap();
    w.post("mod", "not this").unwrap();
    let lines = w.take(ada);
    let told: Vec<_> =
        lines.iter().filter(|line| line["seq"].is_number()).map(|line| &line["data"]["content"]).collect();
    assert_eq!(told, ["starts", "starts now", "hear"]);
}

#[test]
fn blocks_are_kept_over_sleep_while_the_user_is_here_and_no_longer() {
    let People { mut w, ada, bob, eve, .. } = people();
    w.evict();
    w.say(eve, "psst");
    w.say(bob, "hi");
    assert_eq!(heard(&mut w, ada[0]), ["hi"]);
    assert!(w.log.holds("blocks:ada") && w.log.holds("blocks:mod") && !w.log.holds("blocks:bob"));
    w.close(ada[0]);
    w.close(ada[1]);
    w.advance(4_000);
    assert!(w.log.holds("blocks:ada"));
    w.advance(2_000);
    assert!(!w.log.holds("blocks:ada"));
    // Who left while the room slept is found out at the wake.
    let again = w.join("ada");
    assert!(w.log.holds("blocks:ada"));
    w.evict();
    w.wires.get_mut(&again).unwrap().closed = Some((1006, Value::Null));
    w.tick();
    assert!(!w.log.holds("blocks:ada") && w.log.holds("blocks:mod"));
}

#[test]
fn of_what_is_known_of_a_user_the_newest_counts() {
    let mut w = World::new();
    let eve = w.join("eve");
    let old = Standing { version: 1, signed_out_at: None, blocks: Blocks::of(["eve"]) };
    let newer = Standing { version: 2, ..Standing::default() };
    // A socket is on its way with what was known before; the change arrives first.
    let caller = Caller { standing: Some(old.clone()), ..w.caller("ada") };
    assert!(!w.step(|host, at| host.user(at, "ada", newer.clone())));
    let ada = w.open_as(caller);
    w.ask(ada, "join_room", json!({})).unwrap();
    w.take(ada);
    w.say(eve, "hello");
    assert_eq!(heard(&mut w, ada), ["hello"]);
    // And the other way round: a late repetition changes nothing.
    w.step(|host, at| host.user(at, "ada", Standing { version: 3, ..old.clone() }));
    w.step(|host, at| host.user(at, "ada", newer));
    w.say(eve, "hello?");
    assert!(heard(&mut w, ada).is_empty());
}

#[test]
fn a_frame_for_one_who_blocks_costs_the_others_nothing() {
    let People { mut w, bob, eve, .. } = people();
    let sent = |w: &mut World| {
        let frames = w.compute(|host, at| host.frame(at, eve, r#"{"event":"send_message","data":{"content":"x"}}"#));
        w.log.write(&frames.write);
        let sizes = frames.out.iter().filter_map(|out| match out {
            edge_chat::audience::Out::Send(edge_chat::audience::To::Many(ids), line) => Some((ids.len(), line.len())),
            _ => None,
        });
        sizes.collect::<Vec<_>>()
    };
    w.advance(2_000);
    w.say(bob, "so that the position is known");
    let sizes = sent(&mut w);
    // Ada's two tabs get a position; Bob and Eve one frame, the moderator the same text by itself.
    assert_eq!((sizes.len(), sizes[0].0), (3, 2), "{sizes:?}");
    assert!(sizes[0].1 < 100 && sizes[1].0 == 2 && sizes[2].0 == 1);
    w.own("ada", UserAsk::Unblock("eve".into())).unwrap();
    w.own("mod", UserAsk::Unblock("eve".into())).unwrap();
    let sizes = sent(&mut w);
    assert_eq!(sizes.len(), 1, "{sizes:?}");
}

#[test]
fn own_frames_are_counted_for_those_who_get_them() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000")], 1);
    let (ada, eve) = (w.join("ada"), w.join("eve"));
    for n in 0..60 {
        let blocker = format!("u{n}");
        w.own(&blocker, UserAsk::Standing { room: Some(ROOM.into()) }).unwrap();
        block(&mut w, &blocker, "eve");
        w.join(&blocker);
    }
    // Sixty own frames for each are more than 256 KiB together; Ada is sent a tenth of that.
    for _ in 0..120 {
        w.say(eve, "x");
    }
    assert_eq!((w.closed(ada), w.events(ada, "probe").len()), (None, 0));
}

#[test]
fn signing_out_closes_what_is_open_and_refuses_what_is_older() {
    let mut w = World::new();
    w.now = w.now / 1_000 * 1_000 + 400;
    w.own("ada", UserAsk::Standing { room: Some(ROOM.into()) }).unwrap();
    let (one, two, bob) = (w.join("ada"), w.open("ada"), w.join("bob"));
    let (old, before) = (w.token("ada", 9_999), w.caller("ada"));
    w.now += 500;
    w.own("ada", UserAsk::SignOut(Nothing {})).unwrap();
    // A token of the same second does not count: it cannot be told from an older one.
    assert_eq!(w.own("ada", UserAsk::Blocks(Nothing {})).unwrap_err().code.as_str(), "token_expired");
    assert_eq!((w.closed(one), w.closed(two), w.closed(bob)), (Some(4401), Some(4401), None));
    let goodbye = &w.events(one, "goodbye")[0];
    assert_eq!(
        (&goodbye["code"], &goodbye["retry"], &goodbye["after_ms"]),
        (&json!("token_expired"), &json!(true), &json!(100))
    );
    // A socket that was on its way.
    let late = w.open_as(Caller { standing: None, ..before });
    assert_eq!(w.code(late, "join_room", json!({})), "token_expired");
    assert_eq!(w.closed(late), Some(4401));
    w.now += 1_000;
    let new = w.open("");
    let token = w.token("ada", 600);
    w.ask(new, "join_room", json!({"user_token": token})).unwrap();
    assert_eq!(w.code(new, "refresh_token", json!({"user_token": old})), "token_expired");
    assert_eq!(w.closed(new), None);
}

#[test]
fn a_frame_that_brings_a_token_waits_for_its_users_object() {
    let mut w = World::new();
    let known = Caller { standing: Some(Standing::default()), ..w.caller("ada") };
    let (known, unknown, guest) = (w.open_as(known), w.open("ada"), w.open(""));
    let token = w.token("ada", 60);
    let mut asks = |socket: SocketId, text: &str| {
        let parsed = ClientFrame::parse(text);
        w.compute(|host, at| host.asks(at, socket, &parsed))
    };
    let join = r#"{"event":"join\u005froom","data":{}}"#;
    assert_eq!(asks(known, join), None);
    assert_eq!(asks(unknown, join).as_deref(), Some("ada"));
    assert_eq!(asks(guest, join), None);
    let with = |event: &str, token: &str| json!({"event": event, "data": {"user_token": token}}).to_string();
    assert_eq!(asks(guest, &with("join_room", &token)).as_deref(), Some("ada"));
    assert_eq!(asks(guest, &with("refresh_token", &token)).as_deref(), Some("ada"));
    assert_eq!(asks(guest, &with("join_room", "x.y.z")), None);
    assert_eq!(asks(known, r#"{"event":"send_message","data":{"content":"hi"}}"#), None);
    // What it says comes ahead of the frame.
    w.compute(|host, _| host.offer(guest, Standing { signed_out_at: Some(u64::MAX), ..Standing::default() }));
    assert_eq!(w.code(guest, "join_room", json!({"user_token": token})), "token_expired");
}

#[test]
fn only_a_room_that_let_the_user_in_says_so_and_hears_what_holds_then() {
    let mut w = World::new();
    w.own("ada", UserAsk::Blocks(Nothing {})).unwrap();
    let (eve, socket) = (w.join("eve"), w.open("ada"));
    let known = |w: &mut World| {
        let now = w.now;
        w.own("ada", UserAsk::Block(format!("somebody at {now}"))).unwrap();
        w.entries.iter().filter(|user| *user == "ada").count()
    };
    assert_eq!(known(&mut w), 0, "an upgrade is no visit");
    w.call("mod", Ask::Act(Act::Ban(BanUser { user_id: "ada".into(), ..BanUser::default() }))).unwrap();
    assert_eq!(w.code(socket, "join_room", json!({})), "banned");
    assert_eq!(known(&mut w), 0, "nor is a join that is refused");
    w.call("mod", Ask::Act(Act::Unban(UserRef { user_id: "ada".into(), ..UserRef::default() }))).unwrap();

    // What changed while the socket was on its way: nobody was told, and what the upgrade brought is old.
    let socket = w.open("ada");
    w.own("ada", UserAsk::Block("eve".into())).unwrap();
    w.ask(socket, "join_room", json!({})).unwrap();
    w.take(socket);
    w.say(eve, "psst");
    assert!(heard(&mut w, socket).is_empty());
    let token = w.token("ada", 9_999);
    w.ask(socket, "refresh_token", json!({"user_token": token})).unwrap();
    assert_eq!(known(&mut w), 2, "and a newer token says it again");

    let late = w.open("ada");
    w.own("ada", UserAsk::SignOut(Nothing {})).unwrap();
    assert_eq!((w.closed(socket), w.closed(late)), (Some(4401), Some(4401)));
}

#[test]
fn who_comes_back_soon_and_never_blocked_anybody_is_not_asked_about_again() {
    let mut w = World::new();
    w.own("ada", UserAsk::Blocks(Nothing {})).unwrap();
    let knows = |w: &mut World| w.compute(|host, at| host.knows("ada", at.now));
    assert!(!knows(&mut w));
    let ada = w.join("ada");
    assert!(knows(&mut w));
    w.close(ada);
    w.advance(30_000);
    assert!(knows(&mut w), "she left lately");
    let caller = Caller { standing: None, ..w.caller("ada") };
    let back = w.open_as(caller);
    w.ask(back, "join_room", json!({})).unwrap();
    assert_eq!(w.entries, ["ada"], "her object told what changes since she came first");
    w.close(back);
    w.advance(130_000);
    assert!(!knows(&mut w), "that is over");

    let ada = w.join("ada");
    w.close(ada);
    w.advance(10_000);
    let old = w.caller("ada");
    w.now += 1_000;
    w.own("ada", UserAsk::SignOut(Nothing {})).unwrap();
    assert!(!knows(&mut w));
    let late = w.open_as(Caller { standing: None, ..old });
    assert_eq!(w.code(late, "join_room", json!({})), "token_expired");
}

#[test]
fn a_users_object_that_does_not_answer_is_asked_again_while_the_user_is_here() {
    let mut w = World::new();
    w.now = w.now / 1_000 * 1_000 + 500;
    w.users_away = true;
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    w.own("ada", UserAsk::SignOut(Nothing {})).unwrap();
    w.close(bob);
    w.advance(6_000);
    assert_eq!((w.closed(ada), w.entries.len()), (None, 0));
    w.users_away = false;
    w.advance(5_000);
    assert_eq!((w.closed(ada), w.entries.clone()), (Some(4401), vec!["ada".to_owned()]));
    w.advance(60_000);
    assert_eq!(w.entries.len(), 1);
}

#[test]
fn what_is_older_changes_nothing_also_where_nobody_is_blocked_any_more() {
    let mut w = World::new();
    let (ada, eve) = (w.join("ada"), w.join("eve"));
    let old = Standing { version: 1, signed_out_at: None, blocks: Blocks::of(["eve"]) };
    let tell = |w: &mut World, standing: &Standing| w.step(|host, at| host.user(at, "ada", standing.clone()));
    tell(&mut w, &old);
    tell(&mut w, &Standing { version: 2, ..Standing::default() });
    tell(&mut w, &old);
    w.say(eve, "one");
    assert_eq!(heard(&mut w, ada), ["one"]);
    // Also once it is no news any more.
    w.now += 61_000;
    w.step(|host, at| host.user(at, "bob", Standing::default()));
    tell(&mut w, &old);
    w.say(eve, "two");
    assert_eq!(heard(&mut w, ada), ["two"]);
    // Nor does it take the place of news for a socket that is on its way.
    let out = Standing { version: 9, signed_out_at: Some(w.now), ..Standing::default() };
    let mut tell = |standing: &Standing| w.step(|host, at| host.user(at, "carl", standing.clone()));
    tell(&out);
    tell(&old);
    let caller = Caller { standing: None, ..w.caller("carl") };
    let carl = w.open_as(caller);
    assert_eq!(w.code(carl, "join_room", json!({})), "token_expired");
}

#[test]
fn of_too_much_news_the_oldest_goes() {
    let mut w = World::new();
    let out = Standing { version: 1, signed_out_at: Some(w.now + 10_000), ..Standing::default() };
    let mut tell = |user: &str| {
        w.now += 1;
        w.step(|host, at| host.user(at, user, out.clone()))
    };
    for n in 0..500 {
        tell(&format!("x{n}"));
    }
    // By name it would be the first to go.
    tell("ada");
    for n in 0..999 {
        tell(&format!("y{n}"));
    }
    let mut code = |user: &str| {
        let caller = Caller { standing: None, ..w.caller(user) };
        let socket = w.open_as(caller);
        w.ask(socket, "join_room", json!({})).err().map(|error| error["code"].clone())
    };
    assert_eq!((code("ada"), code("x499")), (Some(json!("token_expired")), None));
}

#[test]
fn who_goes_on_blocking_regardless_is_closed() {
    let mut w = World::new();
    let ada = w.join("ada");
    for n in 0..60 {
        w.ask(ada, "block_user", json!({"user_id": format!("u{n}")})).unwrap();
    }
    for _ in 0..30 {
        let error = w.ask(ada, "block_user", json!({"user_id": "eve"})).unwrap_err();
        assert_eq!((&error["code"], &error["retry_after_ms"]), (&json!("rate_limited"), &json!(60_000)));
    }
    assert_eq!(w.closed(ada), Some(4429));
}

/// How much longer the same takes in a room of 3,000 than in one of 30; of a few tries the best.
#[allow(clippy::disallowed_methods)]
pub fn growth(mut work: impl FnMut(&mut World)) -> f64 {
    let mut took = |viewers: usize| {
        let mut w = World::new();
        for n in 0..viewers {
            w.join(&format!("u{n}"));
        }
        let mut once = |w: &mut World| {
            let began = std::time::Instant::now();
            work(w);
            began.elapsed()
        };
        (0..5).map(|_| once(&mut w)).min().unwrap()
    };
    let few = took(30);
    took(3_000).as_secs_f64() / few.as_secs_f64()
}

#[test]
fn what_a_users_object_says_costs_the_same_in_a_large_room() {
    let grown = growth(|w| {
        for n in 0..200 {
            let user = format!("u{}", n % 30);
            w.step(|host, at| ((), host.entered(at, &user, Some(Standing::default()))));
        }
    });
    assert!(grown < 8.0, "{grown}");
}

#[test]
fn of_a_rooms_state_a_shard_keeps_whom_its_viewers_block_and_nothing_else() {
    assert!(Room::is_blocks_key(&Room::blocks_state("ada", None).0));
    for key in ["room", "epoch", "ban:ada", "role:ada", "shut:ada", "terms"] {
        assert!(!Room::is_blocks_key(key), "{key}");
    }
}
