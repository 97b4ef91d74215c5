//! What the filters and modes do to a message in a room: masked, held, refused, late; and what becomes of what waits.

use crate::world::{ROOM, World, all};
use edge_chat::auth::Identity;
use edge_chat::protocol::CreateRoom;
use edge_chat::protocol::call::{AsUser, Ask, Caller, Nothing, PageQuery, SendBody, UserAsk};
use serde_json::{Value, json};

const ADVERT: &str = "cheap viewers and followers, dm me, click here";

/// A room made by `own`, with the filters as a deployment has them.
fn world() -> World {
    let mut w = World::with(&[("ENABLE_PROFANITY_FILTER", "true"), ("ENABLE_SPAM_DETECTION", "true")], 1);
    let body: CreateRoom = serde_json::from_value(json!({"name": "Room", "type": "video"})).unwrap();
    w.call("own", Ask::Create(body)).unwrap();
    w
}

fn page() -> Ask {
    Ask::Messages(PageQuery::Page { page: 1, limit: 50 })
}

fn modes(w: &mut World, modes: Value) {
    let moderator = w.join("mod");
    w.ask(moderator, "set_modes", json!({ "modes": modes })).unwrap();
    w.close(moderator);
}

#[test]
fn swearing_is_masked_and_moderators_can_read_what_was_typed() {
    let mut w = world();
    let (zoe, bob) = (w.join("zoe"), w.join("bob"));
    let sent = w.say(zoe, "what a shit day & night");
    let seen = w.events(bob, "new_message").remove(0);
    assert_eq!(
        (&seen["content"], &seen["text"]),
        (&json!("what a **** day &amp; night"), &json!("what a **** day & night"))
    );
    assert_eq!((seen.get("original"), seen.get("reasons")), (None, None));
    w.evict();
    let held = |page: Value| page["held"][0].clone();
    assert_eq!(held(w.call("bob", page()).unwrap()).get("original"), None);
    let message = held(w.call("mod", page()).unwrap());
    assert_eq!(message["original"], "what a shit day & night");
    assert_eq!(
        (&message["reasons"][0]["code"], &message["reasons"][0]["severity"]),
        (&json!("profanity"), &json!("moderate"))
    );
    w.advance(2_000);
    let id = sent["message_id"].as_str().unwrap();
    assert_eq!(w.pg.messages[id]["original"], "what a shit day & night");

    w.ask(zoe, "edit_message", json!({"message_id": id, "content": "what a fine day"})).unwrap();
    assert_eq!(held(w.call("mod", page()).unwrap()).get("original"), None);
    w.ask(zoe, "edit_message", json!({"message_id": id, "content": "what a shitty day"})).unwrap();
    assert_eq!(held(w.call("mod", page()).unwrap())["content"], "what a ****** day");
    w.ask(zoe, "delete_message", json!({"message_id": id})).unwrap();
    assert!(!w.log.holds("shit"));
    w.advance(2_000);
    assert_eq!(w.pg.messages[id]["original"], Value::Null);
}

#[test]
fn a_room_chooses_what_is_done_about_swearing() {
    let mut w = world();
    let zoe = w.join("zoe");
    modes(&mut w, json!({"profanity": {"action": "reject", "severity": "moderate"}}));
    let refused = w.ask(zoe, "send_message", json!({"content": "what a shit day"})).unwrap_err();
    assert_eq!(refused["code"], "content_rejected");
    assert_eq!(refused["message"], "The message has strong language: swearing.");
    modes(&mut w, json!({"profanity": {"action": "off"}}));
    w.say(zoe, "what a shit day");
    modes(&mut w, json!({"profanity": null}));
    w.evict();
    w.say(zoe, "such shit");
    assert_eq!(all(&w.events(zoe, "new_message"), "content"), ["what a shit day", "such ****"]);
}

#[test]
fn what_is_held_is_for_its_author_and_moderators_until_it_is_allowed() {
    let mut w = world();
    let (zoe, bob, moderator) = (w.join("zoe"), w.join("bob"), w.join("mod"));
    let sent = w.ask(zoe, "send_message", json!({"content": ADVERT, "client_id": "c1"})).unwrap();
    assert_eq!(sent["held"], true);
    let (to_author, to_moderator) = (w.events(zoe, "message_held"), w.events(moderator, "message_held"));
    assert_eq!(to_author[0]["held_id"], sent["message_id"]);
    assert_eq!(to_moderator[0]["reasons"][0]["code"], "spam");
    assert_eq!(to_moderator[0]["reasons"][0]["sentence"], "The message reads like an advertisement or a scam.");
    let nothing = |w: &mut World| w.take(bob).iter().all(|line| line.get("seq").is_none());
    assert!(nothing(&mut w));
    // A retry gets the first reply, also after sleep.
    w.evict();
    let again = w.ask(zoe, "send_message", json!({"content": ADVERT, "client_id": "c1"})).unwrap();
    assert_eq!(again, sent);
    assert_eq!(w.call("mod", Ask::Held(Nothing {})).unwrap()["held"][0]["held_id"], sent["message_id"]);
    assert_eq!(w.call("zoe", Ask::Held(Nothing {})).unwrap_err().code.as_str(), "forbidden");
    // It has no number, and nobody can act on it by its id.
    assert_eq!(w.call("mod", page()).unwrap()["held"], json!([]));
    assert_eq!(
        w.code(zoe, "edit_message", json!({"message_id": sent["message_id"], "content": "x"})),
        "message_not_found"
    );
    assert_eq!(w.code(bob, "allow_message", json!({"held_id": sent["message_id"]})), "forbidden");

    let allowed = w.ask(moderator, "allow_message", json!({"held_id": sent["message_id"]})).unwrap();
    assert_ne!(allowed["message_id"], sent["message_id"]);
    let said = w.events(bob, "new_message").remove(0);
    assert_eq!(
        (&said["message_id"], &said["held_id"], &said["client_id"], &said["no"]),
        (&allowed["message_id"], &sent["message_id"], &json!("c1"), &json!(1))
    );
    let released = w.events(zoe, "message_released").remove(0);
    assert_eq!(
        (&released["held_id"], &released["message_id"], released.get("by")),
        (&sent["message_id"], &allowed["message_id"], None)
    );
    assert_eq!(w.events(moderator, "message_released")[0]["by"], "mod");
    // It is a message like any other now.
    w.ask(bob, "react", json!({"message_id": allowed["message_id"], "reaction": "👍"})).unwrap();
    assert_eq!(w.code(moderator, "allow_message", json!({"held_id": sent["message_id"]})), "message_not_found");
    assert_eq!(w.ask(zoe, "send_message", json!({"content": ADVERT, "client_id": "c1"})).unwrap(), sent);
    w.advance(2_000);
    assert!(w.pg.held.is_empty() && w.pg.messages.len() == 1);
}

#[test]
fn what_is_denied_or_over_is_gone_and_its_author_is_told() {
    let mut w = world();
    let (zoe, bob, moderator) = (w.join("zoe"), w.join("bob"), w.join("mod"));
    let first = w.say(zoe, &format!("one {ADVERT}"));
    w.ask(moderator, "deny_message", json!({"held_id": first["message_id"], "reason": "no ads"})).unwrap();
    let denied = w.events(zoe, "message_denied").remove(0);
    assert_eq!((&denied["outcome"], &denied["reason"], denied.get("by")), (&json!("denied"), &json!("no ads"), None));
    assert!(!w.log.holds("cheap viewers"));
    let second = w.say(zoe, &format!("two {ADVERT}"));
    w.advance(2_000);
    assert_eq!(w.pg.held.len(), 1);
    w.evict();
    w.advance(10 * 60_000 - 2_001);
    assert!(w.events(zoe, "message_denied").is_empty());
    w.advance(1);
    let over = w.events(zoe, "message_denied").remove(0);
    assert_eq!((&over["held_id"], &over["outcome"]), (&second["message_id"], &json!("expired")));
    assert_eq!(w.code(moderator, "allow_message", json!({"held_id": second["message_id"]})), "message_not_found");
    w.advance(2_000);
    assert!(!w.log.holds("cheap viewers") && w.pg.held.is_empty());
    assert!(w.take(bob).iter().all(|line| line.get("seq").is_none()));
}

#[test]
fn a_ban_ends_what_the_user_has_waiting() {
    let mut w = world();
    let (zoe, moderator) = (w.join("zoe"), w.join("mod"));
    let held = w.say(zoe, ADVERT);
    w.ask(moderator, "ban_user", json!({"user_id": "zoe"})).unwrap();
    assert_eq!(w.code(moderator, "allow_message", json!({"held_id": held["message_id"]})), "message_not_found");
    assert_eq!(w.call("mod", Ask::Held(Nothing {})).unwrap()["held"], json!([]));
}

#[test]
fn only_so_much_waits_of_one_user_and_an_edit_never_does() {
    let mut w = world();
    let zoe = w.join("zoe");
    for n in 0..5 {
        w.now += 20_000;
        assert_eq!(w.say(zoe, &format!("{n}{n}{n} {ADVERT}"))["held"], true);
    }
    // Knocking on counts as any refusal does.
    for _ in 0..20 {
        assert_eq!(w.code(zoe, "send_message", json!({"content": ADVERT})), "content_rejected");
        w.now += 500;
    }
    assert_eq!(w.code(zoe, "send_message", json!({"content": ADVERT})), "rate_limited");
    w.now += 60_000;
    let sound = w.say(zoe, "hello there");
    let edit = json!({"message_id": sound["message_id"], "content": ADVERT});
    assert_eq!(w.code(zoe, "edit_message", edit), "content_rejected");
}

#[test]
fn what_waits_and_the_terms_come_back_when_the_storage_is_lost() {
    let mut w = world();
    let (zoe, moderator) = (w.join("zoe"), w.join("mod"));
    let held = w.say(zoe, ADVERT);
    w.ask(moderator, "set_terms", json!({"blocked": ["spoil*"]})).unwrap();
    w.advance(2_000);
    w.lose_storage();
    let list = w.call("mod", Ask::Held(Nothing {})).unwrap();
    let again = &list["held"][0];
    assert_eq!((&again["content"], again["held_id"] != held["message_id"]), (&json!(ADVERT), true));
    assert_eq!(w.call("mod", Ask::Terms(Nothing {})).unwrap()["blocked"], json!(["spoil*"]));
    let moderator = w.join("mod");
    w.ask(moderator, "allow_message", json!({"held_id": again["held_id"]})).unwrap();
    w.advance(2_000);
    assert!(w.pg.held.is_empty());
    assert_eq!(w.pg.messages.len(), 1);
}

#[test]
fn terms_are_tried_before_they_are_set_and_are_told_to_moderators_alone() {
    let mut w = world();
    let (zoe, bob, moderator) = (w.join("zoe"), w.join("bob"), w.join("mod"));
    let try_it = |w: &mut World, body: Value| w.call("mod", Ask::TryTerms(serde_json::from_value(body).unwrap()));
    let tried = try_it(&mut w, json!({"content": "he SPOILED it", "blocked": ["spoil*"], "action": "mask"})).unwrap();
    assert_eq!((&tried["verdict"], &tried["content"]), (&json!("mask"), &json!("he ******* it")));
    assert_eq!(tried["reasons"][0]["sentence"], "The room blocks the term \"spoil*\".");
    assert_eq!(try_it(&mut w, json!({"content": "he spoiled it"})).unwrap()["verdict"], "pass");
    let bad = try_it(&mut w, json!({"content": "x", "blocked": ["fine", "***"]})).unwrap_err();
    assert_eq!((bad.code.as_str(), bad.field.as_deref()), ("bad_request", Some("blocked.1")));
    w.say(zoe, "he spoiled it");

    w.ask(moderator, "set_terms", json!({"blocked": ["spoil*"], "allowed": ["spoiled milk"]})).unwrap();
    assert_eq!(w.events(moderator, "terms_updated")[0]["blocked"], json!(["spoil*"]));
    w.evict();
    let refused = w.ask(zoe, "send_message", json!({"content": "no spoilers"})).unwrap_err();
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!("content_rejected"), &json!("The room blocks a word or phrase in it."))
    );
    w.say(zoe, "spoiled milk");
    assert_eq!(w.code(zoe, "set_terms", json!({"blocked": []})), "forbidden");
    assert_eq!(w.call("zoe", Ask::Terms(Nothing {})).unwrap_err().code.as_str(), "forbidden");
    assert!(w.take(bob).iter().all(|line| !line.to_string().contains("spoil*")));
    w.ask(moderator, "set_terms", json!({"blocked": ["spoil*"], "action": "hold"})).unwrap();
    w.say(zoe, "no spoilers");
    assert_eq!(
        w.events(zoe, "message_held")[0]["reasons"][0],
        json!({"code": "term", "sentence": "The room blocks a word or phrase in it."})
    );
    assert_eq!(w.events(moderator, "message_held")[0]["reasons"][0]["term"], "spoil*");
}

#[test]
fn who_has_spoken_here_before_is_no_newcomer_also_after_a_sleep() {
    let mut w = world();
    let (bob, zoe) = (w.join("bob"), w.join("zoe"));
    w.say(bob, "good evening");
    w.now += 3_600_000;
    for evicted in [false, true] {
        if evicted {
            w.evict();
        }
        let advert = if evicted { "discount on views" } else { "cheap viewers today" };
        assert_eq!(w.say(bob, advert).get("held"), None, "evicted: {evicted}");
        assert_eq!(w.say(zoe, advert)["held"], true, "evicted: {evicted}");
    }
}

#[test]
fn followers_and_subscribers_by_their_tokens() {
    let mut w = world();
    let join = |w: &mut World, user: &str, followed_s: Option<u64>, subscribed_s: Option<u64>| {
        let ago = |s: Option<u64>| s.map(|s| w.now - s * 1000);
        let (followed_at, subscribed_at) = (ago(followed_s), ago(subscribed_s));
        let identity = Identity { followed_at, subscribed_at, ..w.identity(user, 3_600) };
        let socket = w.open_as(Caller { identity: Some(identity), ..Caller::default() });
        let joined = w.ask(socket, "join_room", json!({"room_id": ROOM})).unwrap();
        (socket, joined["self"]["can"].as_array().unwrap().contains(&json!("send")))
    };
    modes(&mut w, json!({"followers_only_s": 600}));
    let (none, none_can) = join(&mut w, "zoe", None, None);
    let (fresh, fresh_can) = join(&mut w, "bob", Some(599), None);
    let (old, old_can) = join(&mut w, "ada", Some(600), None);
    let (subscriber, _) = join(&mut w, "carl", None, Some(1));
    assert_eq!((none_can, fresh_can, old_can), (false, false, true));
    let hi = || json!({"content": "hi there"});
    assert_eq!(
        (w.code(none, "send_message", hi()), w.code(fresh, "send_message", hi())),
        ("room_mode".into(), "room_mode".into())
    );
    w.say(old, "hello one");
    w.say(subscriber, "hello two");
    w.now += 1_000;
    w.say(fresh, "hello three");
    modes(&mut w, json!({"followers_only_s": null, "subscribers_only": true, "subscribers_only_s": 60}));
    w.evict();
    assert_eq!(
        (w.code(old, "send_message", hi()), w.code(subscriber, "send_message", hi())),
        ("room_mode".into(), "room_mode".into())
    );
    w.now += 60_000;
    w.say(subscriber, "hello four");
    let moderator = w.join("mod");
    w.say(moderator, "hello five");
}

#[test]
fn no_repeats_and_links() {
    let mut w = world();
    let (zoe, moderator) = (w.join("zoe"), w.join("mod"));
    modes(&mut w, json!({"no_repeats": true, "links": "moderators"}));
    w.say(zoe, "good evening everybody");
    assert_eq!(w.code(zoe, "send_message", json!({"content": "Good evening  everybody"})), "room_mode");
    assert_eq!(w.code(zoe, "send_message", json!({"content": "see example.com/x"})), "room_mode");
    w.say(moderator, "see example.com/x");
    modes(&mut w, json!({"links": "off"}));
    assert_eq!(w.code(moderator, "send_message", json!({"content": "see example.com/x"})), "room_mode");
    modes(&mut w, json!({"no_repeats": false, "links": "on"}));
    w.now += 20_000;
    w.say(zoe, "good evening everybody");
}

#[test]
fn a_deployment_may_leave_its_filters_off_until_a_room_wants_them() {
    let mut w = World::new();
    let zoe = w.join("zoe");
    w.say(zoe, "what a shit day");
    assert_eq!(w.say(zoe, ADVERT).get("held"), None);
    assert_eq!(w.events(zoe, "new_message")[0]["content"], "what a shit day");
    modes(&mut w, json!({"profanity": {"action": "mask"}, "spam": {"action": "hold"}}));
    w.say(zoe, "what a shit evening");
    assert_eq!(w.events(zoe, "new_message").last().unwrap()["content"], "what a **** evening");
    assert_eq!(w.say(zoe, &format!("{ADVERT}!"))["held"], true);
}

#[test]
fn what_was_said_before_a_sleep_is_compared_with_what_is_said_after_it() {
    let mut w = world();
    let zoe = w.join("zoe");
    let text = "good evening everybody out there";
    // Also where the mode came after the message.
    modes(&mut w, json!({"profanity": {"action": "off"}, "spam": {"action": "off"}}));
    w.say(zoe, text);
    modes(&mut w, json!({"no_repeats": true}));
    for wait in [11_000, 49_000] {
        w.now += wait;
        w.evict();
        assert_eq!(w.code(zoe, "send_message", json!({"content": text})), "room_mode", "after {wait} ms");
        // A refusal is not what was said: only the log is remembered.
        w.evict();
    }
    w.now += 1;
    w.say(zoe, text);
    modes(&mut w, json!({"no_repeats": false, "spam": {"action": "hold"}}));
    for n in 0..2 {
        w.now += 11_000;
        w.evict();
        assert_eq!(w.say(zoe, text).get("held"), (n == 1).then_some(&json!(true)), "{n}");
    }
}

#[test]
fn what_waits_counts_after_a_sleep_as_said_and_what_a_service_said_for_somebody_does_not() {
    let mut w = world();
    let (zoe, moderator) = (w.join("zoe"), w.join("mod"));
    w.ask(moderator, "set_terms", json!({"blocked": ["spoil*"], "action": "hold"})).unwrap();
    modes(&mut w, json!({"no_repeats": true}));
    assert_eq!(w.say(zoe, "it spoiled the evening")["held"], true);
    let as_user = Some(AsUser { user_id: "zoe".into(), username: "Zoe".into(), avatar: None });
    let body = SendBody { content: "good evening everybody".into(), as_user, ..SendBody::default() };
    w.call("svc", Ask::Send(body)).unwrap();
    w.evict();
    assert_eq!(w.code(zoe, "send_message", json!({"content": "it spoiled the evening"})), "room_mode");
    w.say(zoe, "good evening everybody");
}

#[test]
fn a_link_weighs_more_in_the_first_message_of_its_author() {
    let mut w = world();
    let (zoe, bob) = (w.join("zoe"), w.join("bob"));
    w.say(bob, "good evening everybody out there");
    let text = "@a @b @c @d @e see example.com and example.org";
    for evicted in [false, true] {
        if evicted {
            w.evict();
            w.now += 61_000;
        }
        assert_eq!(w.say(bob, text).get("held"), None, "evicted: {evicted}");
        assert_eq!(w.say(zoe, text)["held"], true, "evicted: {evicted}");
        w.now += 61_000;
    }
}

/// A room that wakes reads what was said in the last minute, and only where a filter compares.
#[test]
fn the_filters_read_no_more_of_a_long_log_than_they_need() {
    let mut w = world();
    modes(&mut w, json!({"profanity": {"action": "off"}, "spam": {"action": "off"}}));
    (0..500).for_each(|n| drop(w.post("svc", &format!("m{n}")).unwrap()));
    let zoe = w.join("zoe");
    for (no_repeats, reads) in [(false, 0), (true, 1)] {
        modes(&mut w, json!({ "no_repeats": no_repeats }));
        w.advance(3_600_000);
        w.evict();
        w.tick();
        let before = w.log.reads.get();
        w.say(zoe, &format!("good evening, {no_repeats}"));
        assert_eq!(w.log.reads.get() - before, reads, "no_repeats: {no_repeats}");
    }
}

/// V7: whichever way one looks, a delay of 2, 4 or 6 s is the same to the millisecond.
#[test]
fn v7_a_delay_is_the_same_live_on_joining_on_resuming_in_history_and_for_redis() {
    for delay_s in [2, 4, 6_u64] {
        let mut w = World::with(&[("REDIS_HOST", "redis.example")], 1);
        let (zoe, bob, moderator) = (w.join("zoe"), w.join("bob"), w.join("mod"));
        w.ask(moderator, "set_modes", json!({"modes": {"delay_s": delay_s}})).unwrap();
        w.advance(10_000);
        let before = w.open("carl");
        let before = w.ask(before, "join_room", json!({"room_id": ROOM})).unwrap();
        let from = json!({"epoch": before["epoch"], "seq": before["seq"]});
        [zoe, bob, moderator].iter().for_each(|socket| drop(w.take(*socket)));
        w.say(zoe, "late words");
        let sent = w.now;
        assert_eq!(w.events(moderator, "new_message").len(), 1, "a moderator sees it at once");
        let sees = |w: &mut World, user: &str| {
            let socket = w.open(user);
            let joined = w.ask(socket, "join_room", json!({"room_id": ROOM})).unwrap();
            let caught = w.ask(socket, "catch_up", from.clone()).unwrap();
            w.close(socket);
            let socket = w.open(user);
            let resumed = w.ask(socket, "join_room", json!({"room_id": ROOM, "resume": from})).unwrap();
            w.close(socket);
            let page = w.call(user, page()).unwrap();
            [joined, caught, resumed, page].map(|answer| answer.to_string().contains("late words"))
        };
        for left in [1_000, 1, 0] {
            w.advance(sent + delay_s * 1_000 - left - w.now);
            let shown = left == 0;
            assert_eq!(!w.events(bob, "new_message").is_empty(), shown, "live, {left} ms before {delay_s} s are over");
            for (user, shown) in [("dan", shown), ("zoe", shown), ("", shown), ("mod2", true)] {
                assert_eq!(sees(&mut w, user), [shown; 4], "{user:?}, {left} ms before {delay_s} s are over");
            }
            // The author's own other tabs wait too; Redis is told with the next drain.
            let out = |w: &World| w.redis.stream.values().any(|entry| entry["data"].contains("late words"));
            assert!(!out(&w) || shown, "Redis, {left} ms before");
            if shown {
                w.advance(2_000);
                assert!(out(&w), "Redis, {delay_s} s");
            }
        }
    }
}

/// V4: a second tab that opens while somebody's own event has come ahead of what still waits stands behind that event.
#[test]
fn v4_a_join_within_a_delay_stands_where_its_viewer_is() {
    let mut w = world();
    let (zoe, moderator) = (w.join("zoe"), w.join("mod"));
    w.ask(moderator, "set_terms", json!({"blocked": ["hold*"], "action": "hold"})).unwrap();
    w.close(moderator);
    modes(&mut w, json!({"delay_s": 4}));
    w.advance(5_000);
    let held = w.say(zoe, "holdit");
    w.advance(1_000);
    w.say(zoe, "a kind word");
    w.advance(3_500);
    assert_eq!(w.events(zoe, "message_held").len(), 1);
    let tab = w.open("zoe");
    let joined = w.ask(tab, "join_room", json!({"room_id": ROOM})).unwrap();
    assert_eq!(joined["seq"], held["seq"]);
}

#[test]
fn a_delay_shows_moderators_first_and_what_they_delete_is_never_seen() {
    let mut w = world();
    let (zoe, bob, moderator) = (w.join("zoe"), w.join("bob"), w.join("mod"));
    modes(&mut w, json!({"delay_s": 4}));
    w.advance(5_000);
    [zoe, bob, moderator].iter().for_each(|socket| drop(w.take(*socket)));
    let (kept, rude) = (w.say(zoe, "a kind word"), w.say(zoe, "a rude word"));
    assert_eq!(w.events(moderator, "new_message").len(), 2);
    assert!(w.events(zoe, "new_message").is_empty() && w.events(bob, "new_message").is_empty());
    let seen = |w: &mut World, user: &str| {
        let page = w.call(user, page()).unwrap();
        all(page["held"].as_array().unwrap(), "content").iter().map(|text| text.to_string()).collect::<Vec<_>>()
    };
    assert!(seen(&mut w, "bob").is_empty());
    w.ask(moderator, "delete_message", json!({"message_id": rude["message_id"]})).unwrap();
    w.advance(3_900);
    assert!(w.take(bob).iter().all(|line| line["event"] == "room_stats"));
    w.advance(200);
    let lines = w.take(bob);
    let logged: Vec<_> = lines.iter().filter(|line| line.get("seq").is_some()).collect();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0]["data"]["message_id"], kept["message_id"]);
    assert!(!lines.iter().any(|line| line.to_string().contains("rude")));
    assert_eq!((seen(&mut w, "bob"), seen(&mut w, "mod").len()), (vec!["a kind word".to_owned()], 2));
    // The same for who resumes, and once it has left the log for PostgreSQL's part.
    let late = w.open("carl");
    let resume = json!({"room_id": ROOM, "resume": {"epoch": lines[0]["at"]["epoch"].as_u64().unwrap_or(0), "seq": 1}});
    let joined = w.ask(late, "join_room", resume).unwrap();
    assert!(!joined.to_string().contains(rude["message_id"].as_str().unwrap()));

    // Bulk deletions leave out what was not seen.
    w.say(zoe, "another rude word");
    w.ask(moderator, "delete_user_messages", json!({"user_id": "zoe"})).unwrap();
    w.advance(5_000);
    let bulk = w.events(bob, "messages_deleted").remove(0);
    assert_eq!(bulk["message_ids"], json!([kept["message_id"]]));
    // One of nothing else is not told.
    w.take(moderator);
    w.say(zoe, "one more rude word");
    w.ask(moderator, "delete_user_messages", json!({"user_id": "zoe"})).unwrap();
    w.advance(5_000);
    assert_eq!(w.events(moderator, "messages_deleted").len(), 1);
    assert!(w.events(bob, "messages_deleted").is_empty());
}

#[test]
fn moderators_and_services_are_not_filtered() {
    let mut w = world();
    let (moderator, service) = (w.join("mod"), w.join("svc"));
    for socket in [moderator, service] {
        assert_eq!(w.say(socket, &format!("shit, {ADVERT}")).get("held"), None);
    }
    assert!(all(&w.events(service, "new_message"), "content").iter().all(|content| content.starts_with("shit")));
}

#[test]
fn who_is_refused_over_and_over_is_not_looked_at_any_more() {
    let mut w = world();
    let (zoe, moderator) = (w.join("zoe"), w.join("mod"));
    w.ask(moderator, "set_terms", json!({"blocked": ["spoil*"]})).unwrap();
    for _ in 0..20 {
        assert_eq!(w.post("zoe", "no spoilers").unwrap_err().code.as_str(), "content_rejected");
    }
    let refused = w.ask(zoe, "send_message", json!({"content": "a kind word"})).unwrap_err();
    assert_eq!((&refused["code"], &refused["retry_after_ms"]), (&json!("rate_limited"), &json!(60_000)));
    w.now += 60_000;
    w.say(zoe, "a kind word");
}

#[test]
fn a_term_that_postgres_could_not_hold_is_refused() {
    let mut w = world();
    let moderator = w.join("mod");
    let refused = w.ask(moderator, "set_terms", json!({"blocked": ["fine"], "allowed": ["a\u{0}b"]})).unwrap_err();
    assert_eq!((&refused["code"], &refused["field"]), (&json!("bad_request"), &json!("allowed.0")));
}

#[test]
fn a_shadow_ban_leaves_what_waits_alone() {
    let mut w = world();
    let (zoe, bob, moderator) = (w.join("zoe"), w.join("bob"), w.join("mod"));
    let held = w.say(zoe, ADVERT);
    w.ask(moderator, "ban_user", json!({"user_id": "zoe", "shadow": true})).unwrap();
    assert!(w.events(zoe, "message_denied").is_empty());
    w.ask(moderator, "allow_message", json!({"held_id": held["message_id"]})).unwrap();
    assert_eq!(w.events(zoe, "new_message").len(), 1);
    assert!(w.events(bob, "new_message").is_empty());
}

#[test]
fn a_snapshot_where_little_is_for_the_viewer_does_not_read_the_whole_log() {
    let mut w = World::with(&[("RATE_LIMIT_SERVICE_MESSAGES", "100000")], 1);
    let zoe = w.join("zoe");
    w.say(zoe, "long ago");
    for n in 0..2_100 {
        w.post("svc", &format!("m{n}")).unwrap();
    }
    w.own("carl", UserAsk::Block("svc".into())).unwrap();
    w.evict();
    let carl = w.open("carl");
    let reads = w.log.reads.get();
    let joined = w.ask(carl, "join_room", json!({"room_id": ROOM})).unwrap();
    assert_eq!(joined["messages"], json!([]));
    assert_eq!(w.log.reads.get() - reads, 21);
}
