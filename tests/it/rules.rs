//! What is said in a room: sent, answered, edited, deleted, reacted to; and what becomes of the room.

use crate::world::{ROOM, START, World, all};
use edge_chat::protocol::act::{Act, BanUser};
use edge_chat::protocol::call::{Ask, KnownMessage, Nothing};
use edge_chat::protocol::{Audience, Body, ChatError, CreateRoom, LogEvent, MessageId, PatchRoom};
use edge_chat::room::{Log, Row};
use serde_json::{Value, json};

fn id(reply: &Value) -> String {
    reply["message_id"].as_str().unwrap().to_owned()
}

fn create(w: &mut World, owner: &str, settings: Value) {
    let body: CreateRoom =
        serde_json::from_value(json!({"name": "Room", "type": "video", "settings": settings})).unwrap();
    w.call(owner, Ask::Create(body)).unwrap();
}

#[test]
fn the_reply_comes_before_the_event_and_the_sender_gets_both() {
    let mut w = World::new();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    w.take(ada);
    w.send(ada, r#"{"id":"a","event":"send_message","data":{"content":"hi"}}"#);
    let lines = w.take(ada);
    assert_eq!(lines[0]["reply"], "a");
    assert_eq!(lines[1]["at"]["from"], 1);
    assert_eq!((&lines[2]["event"], &lines[2]["seq"]), (&json!("new_message"), &lines[0]["data"]["seq"]));
    assert_eq!(lines[2]["data"]["message_id"], lines[0]["data"]["message_id"]);
    let said = w.events(bob, "new_message");
    assert_eq!((said.len(), &said[0]["content"], &said[0]["no"]), (1, &json!("hi"), &json!(1)));
}

#[test]
fn a_frame_without_an_id_has_no_reply_and_an_error_event() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.take(ada);
    w.send(ada, r#"{"event":"send_message","data":{"content":"hi"}}"#);
    assert!(w.take(ada).iter().all(|line| line.get("reply").is_none()));
    w.send(ada, r#"{"event":"send_message","data":{"content":" "}}"#);
    assert_eq!(w.events(ada, "error")[0]["code"], "message_empty");
}

#[test]
fn v2_nothing_is_shown_of_a_step_that_was_not_written() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.say(ada, "one");
    let lost = w.compute(|host, at| host.frame(at, ada, r#"{"event":"send_message","data":{"content":"lost"}}"#));
    drop(lost);
    w.evict();
    assert_eq!(w.say(ada, "two")["seq"], 3);
    assert!(!w.log.holds("lost"));
}

#[test]
fn mentions_are_those_present_and_recent_authors() {
    let mut w = World::new();
    let ada = w.join("ada");
    let bob = w.join("bob");
    w.say(bob, "I was here");
    w.close(bob);
    w.advance(6_000);
    let _cleo = w.join("cleo");
    w.take(ada);
    let content = "@BOB and @cleo and @nobody";
    w.ask(ada, "send_message", json!({"content": content, "mentions": ["ada", "ghost"]})).unwrap();
    let said = w.events(ada, "new_message");
    assert_eq!(all(said[0]["mentions"].as_array().unwrap(), "user_id"), ["ada", "bob", "cleo"]);
    w.evict();
    w.ask(ada, "send_message", json!({"content": "@bob"})).unwrap();
    assert_eq!(w.events(ada, "new_message")[0]["mentions"], json!([{"user_id": "bob", "username": "Bob"}]));
    let many: Vec<_> = (0..21).map(|n| format!("u{n}")).collect();
    assert_eq!(w.code(ada, "send_message", json!({"content": "x", "mentions": many})), "bad_request");
}

#[test]
fn at_most_twenty_are_mentioned_and_nobody_twice() {
    let mut w = World::new();
    let ada = w.join("ada");
    let people: Vec<_> = (0..21).map(|n| format!("u{n}")).collect();
    for user in &people {
        w.join(user);
    }
    let mut mentioned = |content: &str, ids: &[String]| {
        w.take(ada);
        w.ask(ada, "send_message", json!({"content": content, "mentions": ids})).unwrap();
        let said = w.events(ada, "new_message").remove(0);
        all(said["mentions"].as_array().unwrap(), "user_id").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(mentioned("@u20", &people[..20]), people[..20]);
    assert_eq!(mentioned("@u1 @U1 @u2", &people[1..2]), people[1..3]);
}

#[test]
fn who_is_away_is_mentioned_as_an_author_of_the_last_thousand_messages() {
    for (others, known) in [(998, true), (999, false)] {
        let mut w = World::new();
        let (ada, bob) = (w.join("ada"), w.join("bob"));
        w.say(bob, "I was here");
        w.close(bob);
        w.advance(6_000);
        w.say(ada, "@nobody");
        (0..others).for_each(|_| drop(w.post("mod", "more").unwrap()));
        for evicted in [false, true] {
            let before = w.log.copy();
            if evicted {
                w.evict();
            }
            for data in [json!({"content": "@bob"}), json!({"content": "you", "mentions": ["bob"]})] {
                w.take(ada);
                w.ask(ada, "send_message", data).unwrap();
                let said = w.events(ada, "new_message").remove(0);
                let expected = if known { json!([{"user_id": "bob", "username": "Bob"}]) } else { json!([]) };
                assert_eq!(said["mentions"], expected, "{others}, evicted: {evicted}");
                w.evict();
                w.log.put(before.clone());
            }
        }
    }
}

#[test]
fn a_reply_names_a_message_that_is_there() {
    let mut w = World::new();
    let ada = w.join("ada");
    let first = id(&w.say(ada, "one"));
    w.take(ada);
    w.ask(ada, "send_message", json!({"content": "two", "reply_to": first})).unwrap();
    assert_eq!(w.events(ada, "new_message")[0]["reply_to"], json!(first));
    w.ask(ada, "delete_message", json!({"message_id": first})).unwrap();
    for gone in [first.as_str(), "msg_456", "0fffffff-89ab-7cde-8f01-23456789abcd"] {
        let error = w.ask(ada, "send_message", json!({"content": "x", "reply_to": gone})).unwrap_err();
        assert_eq!((&error["code"], &error["field"]), (&json!("message_not_found"), &json!("reply_to")));
    }
}

#[test]
fn one_edits_ones_own_and_the_old_text_is_nowhere() {
    let mut w = World::new();
    let (ada, bob, moderator) = (w.join("ada"), w.join("bob"), w.join("mod"));
    let message = id(&w.say(ada, "first-words"));
    w.take(bob);
    let reply = w.ask(ada, "edit_message", json!({"message_id": message, "content": "second <words"})).unwrap();
    let edit = &w.events(bob, "message_edited")[0];
    assert_eq!((&edit["content"], &edit["edited_at"]), (&json!("second &lt;words"), &reply["edited_at"]));
    for other in [bob, moderator] {
        assert_eq!(w.code(other, "edit_message", json!({"message_id": message, "content": "x"})), "forbidden");
    }
    assert!(!w.log.holds("first-words"));
    w.ask(ada, "edit_message", json!({"message_id": message, "content": "third-words"})).unwrap();
    assert!(!w.log.holds("second"));
    assert_eq!(w.code(ada, "edit_message", json!({"message_id": "msg_1", "content": "x"})), "message_not_found");
    w.advance(5_000);
    assert_eq!(w.pg.messages[&message]["content"], "third-words");
}

#[test]
fn an_edit_window_ends() {
    let mut w = World::new();
    create(&mut w, "ada", json!({"edit_window_s": 60}));
    let ada = w.join("ada");
    let message = id(&w.say(ada, "one"));
    w.advance(60_000);
    w.ask(ada, "edit_message", json!({"message_id": message, "content": "two"})).unwrap();
    w.advance(1);
    assert_eq!(w.code(ada, "edit_message", json!({"message_id": message, "content": "three"})), "forbidden");
}

#[test]
fn one_deletes_ones_own_a_moderator_anothers_and_twice_is_once() {
    let mut w = World::new();
    let (ada, bob, moderator) = (w.join("ada"), w.join("bob"), w.join("mod"));
    let other = w.join("mod2");
    let (one, two) = (id(&w.say(ada, "alpha-words")), id(&w.say(bob, "beta-words")));
    let of_a_moderator = id(&w.say(other, "gamma"));
    assert_eq!(w.code(bob, "delete_message", json!({"message_id": one})), "forbidden");
    assert_eq!(w.code(moderator, "delete_message", json!({"message_id": of_a_moderator})), "forbidden");
    w.ask(ada, "react", json!({"message_id": two, "reaction": "👍"})).unwrap();
    w.take(bob);
    let first = w.ask(ada, "delete_message", json!({"message_id": one})).unwrap();
    w.ask(moderator, "delete_message", json!({"message_id": two})).unwrap();
    let deleted = w.events(bob, "message_deleted");
    assert_eq!(deleted[0]["by"], json!({"user_id": "ada", "role": "member"}));
    assert_eq!(deleted[1]["by"], json!({"user_id": "mod", "role": "moderator"}));
    let again = w.ask(ada, "delete_message", json!({"message_id": one})).unwrap();
    assert_eq!(again, json!({"message_id": one, "deleted_at": first["deleted_at"]}));
    assert!(w.events(bob, "message_deleted").is_empty());
    assert!(!w.log.holds("alpha-words") && !w.log.holds("beta-words"));
    for event in ["edit_message", "react"] {
        let data = json!({"message_id": one, "content": "x", "reaction": "👍"});
        assert_eq!(w.code(ada, event, data), "message_not_found");
    }
    w.advance(5_000);
    assert_eq!((&w.pg.messages[&two]["content"], w.pg.reactions.len()), (&json!(""), 0));
}

#[test]
fn v6_a_deleted_text_is_nowhere_also_not_in_its_edits() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.ask(ada, "send_message", json!({"content": "a-1", "metadata": {"k": "meta-1"}})).unwrap());
    w.ask(ada, "edit_message", json!({"message_id": message, "content": "a-2 <i>&"})).unwrap();
    w.evict();
    w.ask(ada, "delete_message", json!({"message_id": message})).unwrap();
    for text in ["a-1", "a-2", "meta-1"] {
        assert!(!w.log.holds(text), "{text}");
    }
    let joined = w.open("bob");
    let reply = w.ask(joined, "join_room", json!({})).unwrap();
    let tombstone = &reply["messages"][0];
    assert_eq!(
        (&tombstone["content"], &tombstone["metadata"], &tombstone["reactions"]),
        (&json!(""), &json!({}), &json!({}))
    );
    assert!(tombstone.get("text").is_none() && tombstone["deleted_at"].is_string());
    assert_eq!((&tombstone["user"]["user_id"], &tombstone["no"]), (&json!("ada"), &json!(1)));
}

#[test]
fn v6_edits_of_what_the_log_has_lost_leave_no_old_text_either() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "one"));
    w.advance(5_000);
    w.lose_storage();
    let known = KnownMessage {
        no: 1,
        user_id: "ada".into(),
        roles: vec![],
        at: w.now,
        deleted: false,
        ..KnownMessage::default()
    };
    let edit = |content: &str| Ask::Edit {
        message_id: message.clone(),
        content: content.into(),
        franking: None,
        known: Some(known.clone()),
    };
    w.call("ada", edit("old-edit")).unwrap();
    w.evict();
    w.call("ada", edit("new-edit")).unwrap();
    assert!(!w.log.holds("old-edit"));
    w.call("ada", Ask::DeleteMessage { message_id: message.clone(), known: Some(known.clone()) }).unwrap();
    assert!(!w.log.holds("new-edit"));
    w.advance(5_000);
    assert_eq!(
        (&w.pg.messages[&message]["content"], w.pg.messages[&message]["deleted_at"].is_u64()),
        (&json!(""), true)
    );
}

#[test]
fn an_edit_that_outlives_its_message_in_the_log_can_be_taken_away_too() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "one"));
    w.ask(ada, "edit_message", json!({"message_id": message, "content": "old-edit"})).unwrap();
    w.close(ada);
    w.advance(5_000);
    let (at, visible_at) = (w.now, w.now);
    let gone =
        |seq| LogEvent { seq, at, visible_at, audience: Audience::All, body: Body::Gone { user_id: "ada".into() } };
    // The newest 10,000 events stay: the edit, these and one more.
    w.log.append(&Row { last: 10_001, no: 1, events: (4..=10_001).map(gone).collect() });
    w.evict();
    w.advance(8 * 24 * 3_600_000);
    w.post("svc", "wake up").unwrap();
    w.advance(5_000);
    assert_eq!(w.log.row_with(0).unwrap().unwrap().last, 3, "the message is trimmed and its edit is not");
    assert!(w.log.holds("old-edit"));
    w.evict();
    let known =
        KnownMessage { no: 1, user_id: "ada".into(), roles: vec![], at, deleted: false, ..KnownMessage::default() };
    w.call("ada", Ask::DeleteMessage { message_id: message, known: Some(known) }).unwrap();
    assert!(!w.log.holds("old-edit"));
}

#[test]
fn over_a_socket_what_the_log_has_lost_is_too_old() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "one"));
    // As the service that was replaced made them: neither a time nor a `seq` can be read out of it.
    let taken_over = "f4c1b2a3-0d5e-4a6b-8c7d-9e0f1a2b3c4d".to_owned();
    assert_eq!(w.code(ada, "delete_message", json!({"message_id": taken_over})), "message_not_found");
    w.advance(5_000);
    w.lose_storage();
    let ada = w.join("ada");
    for message in [&message, &taken_over] {
        for event in ["edit_message", "delete_message", "react"] {
            let data = json!({"message_id": message, "content": "x", "reaction": "👍"});
            assert_eq!(w.code(ada, event, data), "message_too_old");
        }
    }
    let (no, user_id) = (1, "ada".to_owned());
    let known = KnownMessage { no, user_id, ..KnownMessage::default() };
    w.call("ada", Ask::DeleteMessage { message_id: taken_over, known: Some(known) }).unwrap();
    assert_eq!(w.page("", edge_chat::protocol::call::PageQuery::Page { page: 1, limit: 10 })["total"], 1);
}

#[test]
fn an_id_that_the_room_cannot_have_given_is_not_found_rather_than_too_old() {
    let mut w = World::new();
    let ada = w.join("ada");
    let code = |w: &mut World, (time, seq): (u64, u64)| {
        let id = MessageId::new(time, seq, &[7; 32]).to_string();
        w.code(ada, "delete_message", json!({"message_id": id}))
    };
    assert_eq!(code(&mut w, (START - 1, 5)), "message_not_found", "nothing was ever said here");
    w.say(ada, "one");
    w.now += 1_000;
    w.say(ada, "two");
    let last = w.now;
    w.log.trim(2);
    w.evict();
    for (id, expected) in [
        // The log begins with the third event, which is the last.
        ((START, 2), "message_too_old"),
        ((last, 2), "message_too_old"),
        ((last + 1, 2), "message_not_found"),
        ((START, 0), "message_not_found"),
        ((START, 3), "message_not_found"),
        ((START, 4), "message_not_found"),
        // Of an earlier epoch, whose numbers went further.
        ((START - 1, 3), "message_too_old"),
        ((START - 1, 4), "message_too_old"),
    ] {
        assert_eq!(code(&mut w, id), expected, "{id:?}");
    }
}

/// What becomes of an edit and of a deletion over REST by what PostgreSQL knows of a message.
fn by_rest(w: &mut World, user: &str, message_id: &str, known: &KnownMessage) -> [Result<Value, ChatError>; 2] {
    let (message_id, content, known) = (message_id.to_owned(), "new words".to_owned(), Some(known.clone()));
    let edit = Ask::Edit { message_id: message_id.clone(), content, franking: None, known: known.clone() };
    [w.call(user, edit), w.call(user, Ask::DeleteMessage { message_id, known })]
}

#[test]
fn what_postgresql_knows_of_a_message_counts_where_the_log_has_lost_it() {
    let mut w = World::new();
    create(&mut w, "own", json!({"retention_messages": 100}));
    let message = id(&w.post("ada", "one").unwrap());
    (0..100).for_each(|n| drop(w.post("svc", &n.to_string()).unwrap()));
    w.advance(2 * 3_600_000);
    w.lose_storage();
    let known = KnownMessage { no: 2, user_id: "ada".into(), at: START, ..KnownMessage::default() };
    let codes = |w: &mut World, message: &str, known: &KnownMessage| {
        by_rest(w, "ada", message, known).map(|done| done.err().map(|error| error.code.as_str()))
    };
    let not_found = Some("message_not_found");
    // Of the first message the time is over.
    assert_eq!(codes(&mut w, &message, &KnownMessage { no: 1, ..known.clone() }), [not_found; 2]);
    let never = MessageId::new(START, 0, &[7; 32]).to_string();
    assert_eq!(codes(&mut w, &never, &known), [not_found; 2], "the room never gave this id");
    // A tombstone is deleted once more, and not edited.
    let [edited, deleted] = by_rest(&mut w, "ada", &message, &KnownMessage { deleted: true, ..known.clone() });
    assert_eq!(edited.unwrap_err().code.as_str(), "message_not_found");
    assert_eq!(deleted.unwrap().get("seq"), None);
    assert_eq!(codes(&mut w, &message, &known), [None, None]);
}

#[test]
fn who_is_unseen_edits_nothing_that_others_see_also_where_the_log_has_lost_it() {
    let mut w = World::new();
    let zoe = w.join("zoe");
    let message = id(&w.say(zoe, "one"));
    w.advance(5_000);
    w.call("mod", Ask::Act(Act::Ban(BanUser { user_id: "zoe".into(), shadow: true, ..BanUser::default() }))).unwrap();
    w.advance(5_000);
    w.lose_storage();
    let hidden = Audience::User("zoe".into());
    for (audience, stored) in [(Audience::All, false), (hidden, true)] {
        let known = KnownMessage { no: 1, user_id: "zoe".into(), at: START, audience, ..KnownMessage::default() };
        let (message_id, content, known) = (message.clone(), "new words".to_owned(), Some(known));
        let edited = w.call("zoe", Ask::Edit { message_id, content, franking: None, known }).unwrap();
        assert_eq!((edited["message_id"].as_str(), w.log.holds("new words")), (Some(&*message), stored));
    }
}

#[test]
fn reactions_are_counted_once_and_taken_back_once() {
    let mut w = World::new();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    let message = id(&w.say(ada, "one"));
    let react = |reaction: &str, remove: bool| json!({"message_id": message, "reaction": reaction, "remove": remove});
    w.take(bob);
    let reply = w.ask(ada, "react", react("👍", false)).unwrap();
    assert_eq!(reply, json!({"message_id": message, "reactions": {"👍": 1}, "seq": 3}));
    assert_eq!(
        w.ask(ada, "react", react("👍", false)).unwrap(),
        json!({"message_id": message, "reactions": {"👍": 1}})
    );
    w.evict();
    w.ask(bob, "react", react("👍", false)).unwrap();
    w.ask(ada, "react", react("👍", true)).unwrap();
    w.ask(ada, "react", react("👍", true)).unwrap();
    let counts: Vec<_> = w.events(bob, "reaction_updated").iter().map(|data| data["reactions"].clone()).collect();
    assert_eq!(counts, [json!({"👍": 1}), json!({"👍": 2}), json!({"👍": 1})]);
    let again = w.open("bob");
    let reply = w.ask(again, "join_room", json!({})).unwrap();
    assert_eq!(
        (&reply["my_reactions"], &reply["messages"][0]["reactions"]),
        (&json!({&message: ["👍"]}), &json!({"👍": 1}))
    );
    for (bad, code) in [("👍👍", "invalid_reaction"), (" ", "invalid_reaction"), ("", "invalid_reaction")] {
        assert_eq!(w.code(ada, "react", react(bad, false)), code);
    }
    for family in ["👨‍👩‍👧‍👦", "👍🏽", "🇩🇪", "e\u{301}"] {
        w.ask(ada, "react", react(family, false)).unwrap();
    }
    w.advance(5_000);
    assert_eq!(w.pg.reactions.len(), 5);
}

#[test]
fn there_are_so_many_reactions_and_no_more() {
    let mut w = World::new();
    let (ada, bob, cleo) = (w.join("ada"), w.join("bob"), w.join("cleo"));
    let message = id(&w.say(ada, "one"));
    let react = |n: u32| json!({"message_id": message, "reaction": char::from_u32(0x1f400 + n).unwrap().to_string()});
    for n in 0..10 {
        w.ask(ada, "react", react(n)).unwrap();
        w.ask(bob, "react", react(n + 10)).unwrap();
    }
    assert_eq!(w.code(ada, "react", react(10)), "too_many_reactions");
    assert_eq!(w.code(cleo, "react", react(20)), "too_many_reactions");
    w.ask(cleo, "react", react(19)).unwrap();
}

#[test]
fn a_patch_is_told_and_closes_those_who_may_not_stay() {
    let mut w = World::new();
    create(&mut w, "ada", json!({}));
    let (ada, bob, guest, moderator) = (w.join("ada"), w.join("bob"), w.join(""), w.join("mod"));
    let patch = |patch: Value| Ask::Patch(serde_json::from_value::<PatchRoom>(patch).unwrap());
    assert_eq!(w.call("bob", patch(json!({"name": "x"}))).unwrap_err().code.as_str(), "forbidden");
    assert_eq!(w.call("ada", patch(json!({"settings": {"x": 1}}))).unwrap_err().code.as_str(), "invalid_settings");
    w.call("ada", patch(json!({"name": "New", "settings": {"guests": false}}))).unwrap();
    assert_eq!((w.closed(guest), w.closed(bob)), (Some(4401), None));
    let updated = w.events(bob, "room_updated");
    assert_eq!((&updated[0]["name"], &updated[0]["changed"]), (&json!("New"), &json!(["name", "settings.guests"])));
    w.call("ada", patch(json!({"name": "New"}))).unwrap();
    assert!(w.events(bob, "room_updated").is_empty());
    w.call("ada", patch(json!({"settings": {"visibility": "private"}}))).unwrap();
    assert_eq!((w.closed(bob), w.closed(ada), w.closed(moderator)), (Some(4403), None, None));
    w.advance(5_000);
    assert_eq!(w.get("ada")["name"], "New");
    assert_eq!(w.pg.room.as_ref().unwrap()["name"], "New");
}

#[test]
fn a_deleted_room_stays_deleted() {
    let mut w = World::new();
    create(&mut w, "ada", json!({}));
    let bob = w.join("bob");
    assert_eq!(w.call("bob", Ask::Delete(Nothing {})).unwrap_err().code.as_str(), "forbidden");
    w.call("ada", Ask::Delete(Nothing {})).unwrap();
    let lines = w.take(bob);
    assert_eq!(w.closed(bob), Some(4404));
    assert_eq!(lines.last().unwrap()["data"]["code"], "room_deleted");
    for _ in 0..2 {
        let socket = w.open("ada");
        assert_eq!(w.code(socket, "join_room", json!({})), "room_deleted");
        assert_eq!(w.closed(socket), Some(4404));
        assert_eq!(w.call("ada", Ask::Get(Nothing {})).unwrap_err().code.as_str(), "room_deleted");
        assert_eq!(w.post("svc", "x").unwrap_err().code.as_str(), "room_deleted");
        w.advance(5_000);
        w.lose_storage();
    }
}

#[test]
fn what_a_back_end_says_edits_and_deletes_is_what_a_socket_would() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.post("svc", "from behind").unwrap());
    w.call("svc", Ask::Edit { message_id: message.clone(), content: "better".into(), franking: None, known: None })
        .unwrap();
    w.call("svc", Ask::DeleteMessage { message_id: message.clone(), known: None }).unwrap();
    let lines = w.take(ada);
    let events: Vec<_> = lines.iter().filter(|line| line.get("seq").is_some()).map(|line| &line["event"]).collect();
    assert_eq!(events, ["new_message", "message_edited", "message_deleted"]);
    assert_eq!(w.post("", "x").unwrap_err().code.as_str(), "token_required");
}

#[test]
fn a_frame_may_name_the_room_and_no_other() {
    let mut w = World::new();
    let ada = w.join("ada");
    w.ask(ada, "send_message", json!({"room_id": ROOM, "content": "x"})).unwrap();
    assert_eq!(w.code(ada, "send_message", json!({"room_id": "video_9", "content": "x"})), "wrong_room");
    assert_eq!(w.code(ada, "join_room", json!({"room_id": "video_9"})), "wrong_room");
    assert_eq!(w.closed(ada), None);
}
