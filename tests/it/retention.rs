//! What a room keeps: by days, by number, and under a legal hold; seen by viewers, in the log and in PostgreSQL.

use crate::endpoint::Answer;
use crate::postgres::Postgres;
use crate::world::{World, all};
use edge_chat::protocol::ErrorCode;
use edge_chat::protocol::call::{Ask, KnownMessage, PageQuery, SendBody};
use serde_json::{Value, json};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn world() -> World {
    World::with(&[("RATE_LIMIT_MESSAGES", "1000")], 1)
}

fn keep(w: &mut World, settings: Value) {
    w.call("admin", Ask::Patch(serde_json::from_value(json!({"settings": settings})).unwrap())).unwrap();
}

fn newest(w: &mut World, user: &str) -> Value {
    w.page(user, PageQuery::Page { page: 1, limit: 100 })
}

fn contents(page: &Value) -> Vec<String> {
    all(page["held"].as_array().unwrap(), "content").into_iter().map(str::to_owned).collect()
}

fn rows(pg: &Postgres) -> Vec<u64> {
    let mut rows: Vec<_> = pg.messages.values().map(|row| row["no"].as_u64().unwrap()).collect();
    rows.sort_unstable();
    rows
}

/// Whether these words stand anywhere in the room's storage.
fn stored(w: &World, words: &str) -> bool {
    let tables = w.log.copy();
    let log = tables.log.values().map(|(_, events)| events);
    log.chain(tables.state.values()).any(|text| text.contains(words))
}

#[test]
fn v6_what_is_older_than_the_room_keeps_is_gone_for_everybody() {
    let mut w = world();
    let ada = w.join("ada");
    keep(&mut w, json!({"retention_days": 1}));
    let old = w.say(ada, "old words")["message_id"].clone();
    w.ask(ada, "edit_message", json!({"message_id": old, "content": "old words again"})).unwrap();
    w.ask(ada, "react", json!({"message_id": old, "reaction": "👍"})).unwrap();
    w.ask(ada, "edit_message", json!({"message_id": old, "content": "old words anew"})).unwrap();
    let moderator = w.join("mod");
    w.ask(moderator, "pin_message", json!({"message_id": old})).unwrap();
    w.advance(12 * HOUR);
    let new = w.say(ada, "new words")["message_id"].clone();
    w.advance(DAY - 12 * HOUR - MINUTE);
    assert_eq!(contents(&newest(&mut w, "ada")), ["new words", "old words anew"]);
    assert!(stored(&w, "old words"));
    let ada = w.join("ada");
    w.advance(HOUR + MINUTE);
    let [gone] = &w.events(ada, "messages_expired")[..] else { panic!("one event") };
    assert_eq!(*gone, json!({"room_id": "video_123", "before_no": 2, "pinned": []}));
    assert!(!stored(&w, "old words"));
    assert!(w.log.copy().state.keys().all(|key| !key.starts_with("react:")));
    assert_eq!((rows(&w.pg), w.pg.reactions.len(), w.pg.pinned.len()), (vec![2], 0, 0));
    let page = newest(&mut w, "ada");
    assert_eq!(
        (contents(&page), &page["total"], &page["has_more"]),
        (vec!["new words".into()], &json!(1), &json!(false))
    );
    assert_eq!(page["missing"], Value::Null);
    let joined = w.open("bob");
    let joined = w.ask(joined, "join_room", json!({"room_id": "video_123"})).unwrap();
    assert_eq!(all(joined["messages"].as_array().unwrap(), "content"), ["new words"]);
    assert_eq!((&joined["room"]["message_count"], &joined["room"]["pinned"]), (&json!(1), &json!([])));
    for (event, data) in [
        ("edit_message", json!({"message_id": old, "content": "again"})),
        ("delete_message", json!({"message_id": old})),
        ("react", json!({"message_id": old, "reaction": "👍"})),
        ("send_message", json!({"content": "yes", "reply_to": old})),
        ("report_message", json!({"message_id": old, "reason": "spam"})),
    ] {
        assert_eq!(w.code(ada, event, data), "message_not_found", "{event}");
    }
    w.ask(ada, "react", json!({"message_id": new, "reaction": "👍"})).unwrap();
    assert_eq!(w.faults, Vec::<String>::new());
}

#[test]
fn v6_an_edit_goes_too_whose_message_has_left_the_log() {
    let mut w = World::with(&[("RATE_LIMIT_SERVICE_MESSAGES", "100000")], 1);
    w.join("ada");
    let old = w.post("svc", "old words").unwrap()["message_id"].clone();
    w.advance(1);
    let stays = w.post("svc", "newer words").unwrap()["message_id"].clone();
    (0..10_100).for_each(|n| drop(w.post("svc", &format!("word {n}")).unwrap()));
    w.advance(8 * DAY);
    (0..10).for_each(|n| {
        w.post("svc", &format!("late {n}")).unwrap();
        w.advance(2_000);
    });
    assert!(!stored(&w, "old words") && !stored(&w, "newer words"), "the log has let go of it");
    let at = |no: u64| w.pg.messages.values().find(|row| row["no"] == no).unwrap()["created_at"].as_u64().unwrap();
    let known = |id: &Value, no: u64| Ask::Edit {
        message_id: id.as_str().unwrap().into(),
        content: format!("edited {no}"),
        franking: None,
        known: Some(KnownMessage { no, user_id: "svc".into(), at: at(no), ..KnownMessage::default() }),
    };
    let edits = [known(&old, 1), known(&stays, 2)];
    edits.into_iter().for_each(|edit| drop(w.call("svc", edit).unwrap()));
    w.advance(2_000);
    assert!(stored(&w, "edited 1") && stored(&w, "edited 2"));
    let last = newest(&mut w, "svc")["total"].as_u64().unwrap();
    keep(&mut w, json!({"retention_messages": last - 1}));
    w.advance(MINUTE);
    assert_eq!(newest(&mut w, "svc")["total"], last - 1);
    assert!(!stored(&w, "edited 1") && stored(&w, "edited 2"));
}

#[test]
fn v4_v7_who_comes_back_to_what_has_expired_misses_nothing_else() {
    let mut w = world();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    keep(&mut w, json!({"retention_messages": 100}));
    let seq = w.say(bob, "word 1")["seq"].clone();
    let epoch = w.log.copy().state["epoch"].parse::<u64>().unwrap();
    w.close(bob);
    (2..=130).for_each(|n| drop(w.say(ada, &format!("word {n}"))));
    w.advance(2 * HOUR);
    let bob = w.open("bob");
    let back = json!({"room_id": "video_123", "resume": {"epoch": epoch, "seq": seq}});
    let joined = w.ask(bob, "join_room", back).unwrap();
    assert_eq!(joined["resumed"], true);
    let events = joined["events"].as_array().unwrap();
    let named = |name: &str| -> Vec<Value> {
        events.iter().filter(|event| event["event"] == name).map(|event| event["data"].clone()).collect()
    };
    let numbers: Vec<_> = named("new_message").iter().map(|data| data["no"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (31..=130).collect::<Vec<_>>());
    assert_eq!(named("messages_expired"), [json!({"room_id": "video_123", "before_no": 31})]);
    assert_eq!(rows(&w.pg), (31..=130).collect::<Vec<_>>());
    let page = w.page("bob", PageQuery::After { no: 0, limit: 10 });
    assert_eq!((contents(&page)[0].as_str(), &page["total"]), ("word 31", &json!(100)));
}

#[test]
fn v3_the_name_of_a_message_that_has_expired_is_known_all_the_same() {
    let mut w = world();
    w.join("ada");
    keep(&mut w, json!({"retention_messages": 100}));
    let named =
        |content: &str| SendBody { content: content.into(), client_id: Some("c-1".into()), ..SendBody::default() };
    let first = w.call("ada", Ask::Send(named("hello there"))).unwrap();
    (0..130).for_each(|n| drop(w.post("bob", &format!("word {n}")).unwrap()));
    w.advance(2 * HOUR);
    assert!(!stored(&w, "hello there"));
    w.evict();
    assert_eq!(w.call("ada", Ask::Send(named("hello there"))).unwrap(), first);
    assert_eq!(newest(&mut w, "ada")["total"], 100);
}

#[test]
fn nothing_expires_that_postgres_cannot_be_asked_about() {
    let mut w = world();
    let ada = w.join("ada");
    keep(&mut w, json!({"retention_days": 1}));
    w.say(ada, "word");
    w.advance(HOUR);
    w.pg_down = true;
    w.advance(3 * DAY);
    assert_eq!(contents(&newest(&mut w, "ada")), ["word"]);
    assert!(w.faults.iter().any(|fault| fault == "expiry: no connection"), "{:?}", w.faults);
    w.pg_down = false;
    w.advance(10 * MINUTE);
    assert_eq!((contents(&newest(&mut w, "ada")).len(), rows(&w.pg).len()), (0, 0));
}

#[test]
fn a_room_on_hold_keeps_all_of_it() {
    let mut w = world();
    let ada = w.join("ada");
    keep(&mut w, json!({"retention_days": 1}));
    w.say(ada, "word");
    w.advance(DAY - MINUTE);
    w.pg.on_hold = true;
    w.advance(3 * DAY);
    assert_eq!((contents(&newest(&mut w, "ada")).len(), rows(&w.pg)), (1, vec![1]));
    w.pg.on_hold = false;
    w.advance(6 * HOUR + MINUTE);
    assert_eq!((contents(&newest(&mut w, "ada")).len(), rows(&w.pg).len()), (0, 0));
}

#[test]
fn pins_and_edits_of_what_the_log_has_let_go_of_go_with_it_and_a_hold_keeps_them() {
    let mut w = world();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    keep(&mut w, json!({"retention_days": 1}));
    let mut said = Vec::new();
    for words in ["one", "two"] {
        w.advance(12 * HOUR * said.len() as u64);
        let at = w.now;
        let sent = w.say(ada, words);
        w.ask(moderator, "pin_message", json!({"message_id": sent["message_id"]})).unwrap();
        said.push((sent["message_id"].as_str().unwrap().to_owned(), at));
    }
    w.advance(5_000);
    let last = w.say(ada, "three")["seq"].as_u64().unwrap();
    w.log.trim(last - 1);
    w.evict();
    for ((id, at), no) in said.iter().zip(1..) {
        let known = Some(KnownMessage { no, user_id: "ada".into(), at: *at, ..KnownMessage::default() });
        let content = format!("edited {no}");
        w.call("ada", Ask::Edit { message_id: id.clone(), content, franking: None, known }).unwrap();
    }
    w.pg.on_hold = true;
    w.advance(14 * HOUR);
    let pinned = |w: &World| serde_json::from_str::<Vec<String>>(&w.log.copy().state["pinned"]).unwrap();
    assert!(w.looks > 1 && stored(&w, "edited 1") && stored(&w, "edited 2"));
    assert_eq!(pinned(&w), [said[1].0.clone(), said[0].0.clone()]);
    w.pg.on_hold = false;
    w.advance(6 * HOUR + MINUTE);
    assert_eq!(rows(&w.pg), [2, 3]);
    assert!(!stored(&w, "edited 1") && stored(&w, "edited 2"));
    assert_eq!((pinned(&w), &w.pg.pinned), (vec![said[1].0.clone()], &vec![said[1].0.clone()]));
}

#[test]
fn of_what_is_pinned_goes_what_has_expired_also_within_one_moment() {
    let mut w = world();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    let said: Vec<_> = (0..101).map(|n| w.say(ada, &format!("word {n}"))["message_id"].clone()).collect();
    for message in &said[..2] {
        w.ask(moderator, "pin_message", json!({"message_id": message})).unwrap();
    }
    keep(&mut w, json!({"retention_messages": 100}));
    w.advance(MINUTE);
    assert_eq!(rows(&w.pg), (2..=101).collect::<Vec<_>>());
    assert_eq!((&w.get("ada")["pinned"], w.pg.pinned.len()), (&json!([said[1]]), 1));
}

#[test]
fn a_bound_by_number_is_seen_to_within_the_hour_and_nothing_is_asked_below_it() {
    let mut w = world();
    w.join("ada");
    keep(&mut w, json!({"retention_messages": 100}));
    let more = |w: &mut World, messages: u32| {
        (0..messages).for_each(|n| drop(w.post("ada", &format!("word {n}")).unwrap()));
        w.advance(HOUR);
        let looks = w.looks;
        w.advance(DAY);
        (newest(w, "ada")["total"].as_u64().unwrap(), w.looks - looks)
    };
    assert_eq!([more(&mut w, 50), more(&mut w, 50)], [(50, 0), (100, 0)]);
    w.post("ada", "one more").unwrap();
    w.advance(HOUR);
    assert_eq!((newest(&mut w, "ada")["total"].as_u64(), rows(&w.pg).len()), (Some(100), 100));
}

#[test]
fn what_an_earlier_step_left_in_postgresql_goes_a_second_later() {
    let mut w = world();
    w.join("ada");
    w.post("ada", "word").unwrap();
    w.advance(5_000);
    let one = w.pg.messages.values().next().unwrap().clone();
    w.pg.first_no = 5_001;
    for no in 2..=5_000 {
        let mut row = one.clone();
        row["no"] = json!(no);
        w.pg.messages.insert(format!("row {no}"), row);
    }
    w.lose_storage();
    w.join("ada");
    w.post("ada", "word").unwrap();
    w.advance(5_000);
    keep(&mut w, json!({"retention_days": 1}));
    w.advance(MINUTE);
    assert_eq!(rows(&w.pg), [5_001]);
}

#[test]
fn what_a_user_on_hold_said_leaves_the_room_and_stays_in_postgres() {
    let mut w = world();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    keep(&mut w, json!({"retention_days": 1}));
    w.say(ada, "kept");
    w.say(bob, "not kept");
    w.pg.held_users.insert("ada".into());
    w.advance(DAY + 2 * HOUR);
    assert_eq!((contents(&newest(&mut w, "ada")).len(), rows(&w.pg)), (0, vec![1]));
    assert!(!stored(&w, "kept"));
    // It looks again now and then, so that what was on hold goes once it is lifted.
    let looks = w.looks;
    w.advance(DAY);
    assert!((3..=4).contains(&(w.looks - looks)), "{}", w.looks - looks);
}

#[test]
fn a_hold_between_the_question_and_the_drain_keeps_the_rows() {
    let mut w = world();
    let ada = w.join("ada");
    keep(&mut w, json!({"retention_days": 1}));
    w.say(ada, "word");
    w.advance(DAY - MINUTE);
    while w.looks < 2 {
        w.advance(100);
    }
    w.pg.held_users.insert("ada".into());
    w.advance(MINUTE);
    assert_eq!(rows(&w.pg), [1]);
}

#[test]
fn much_at_once_goes_in_small_steps() {
    let mut w = World::with(&[("RATE_LIMIT_SERVICE_MESSAGES", "100000")], 1);
    w.join("ada");
    (0..1_500).for_each(|n| drop(w.post("svc", &format!("word {n}")).unwrap()));
    w.advance(30 * MINUTE);
    keep(&mut w, json!({"retention_messages": 100}));
    let mut most = 0;
    for _ in 0..600 {
        let rows = w.rows;
        w.advance(100);
        most = most.max(w.rows - rows);
    }
    assert!((500..520).contains(&most), "{most}");
    assert_eq!((newest(&mut w, "svc")["total"].as_u64(), rows(&w.pg).len()), (Some(100), 100));
    assert_eq!(contents(&newest(&mut w, "svc"))[99], "word 1400");
}

#[test]
fn q1_a_room_that_keeps_a_week_does_not_wake_before_its_oldest_message_ends() {
    let wakes = |settings: Value| {
        let mut w = world();
        let ada = w.join("ada");
        keep(&mut w, settings);
        w.say(ada, "word");
        w.advance(2 * HOUR);
        w.evict();
        let (wakes, rows) = (w.wakes, w.rows);
        for _ in 0..6 * 24 {
            w.advance(HOUR);
            w.evict_unless_busy();
        }
        let before = (w.wakes - wakes, w.rows - rows, w.looks);
        w.advance(DAY);
        (before, w.looks, w.pg.messages.len())
    };
    let (none, looks, left) = wakes(json!({"retention_days": null}));
    assert_eq!((none.2, looks, left), (0, 0, 1));
    let (week, looks, left) = wakes(json!({"retention_days": 7}));
    assert!(week.0 == none.0 && week.1 <= none.1 + 1, "{week:?} {none:?}");
    // Once more after it, to see whether PostgreSQL's rows are gone.
    assert_eq!((looks - week.2, left), (2, 0));
    assert!(week.2 <= 2, "{}", week.2);
}

#[test]
fn a_room_that_lost_its_storage_numbers_on_after_all_has_expired() {
    let mut w = world();
    let ada = w.join("ada");
    keep(&mut w, json!({"retention_days": 1}));
    (0..5).for_each(|n| drop(w.say(ada, &format!("word {n}"))));
    w.advance(DAY + 2 * HOUR);
    assert_eq!(w.pg.messages.len(), 0);
    w.lose_storage();
    let ada = w.join("ada");
    w.say(ada, "and on");
    let page = newest(&mut w, "ada");
    assert_eq!((&page["held"][0]["no"], &page["total"]), (&json!(6), &json!(1)));
}

#[test]
fn who_sets_it_and_what_the_deployment_says() {
    let mut w = World::with(&[("RETENTION_DAYS", "2")], 1);
    let ada = w.join("ada");
    let patch = |days: u32| Ask::Patch(serde_json::from_value(json!({"settings": {"retention_days": days}})).unwrap());
    assert_eq!(w.call("mod", patch(5)).unwrap_err().code, ErrorCode::Forbidden);
    assert_eq!(w.call("ada", patch(5)).unwrap_err().code, ErrorCode::Forbidden);
    w.say(ada, "word");
    w.advance(DAY);
    assert_eq!(contents(&newest(&mut w, "ada")), ["word"]);
    w.call("svc", patch(3)).unwrap();
    w.advance(DAY + 2 * HOUR);
    assert_eq!(contents(&newest(&mut w, "ada")), ["word"]);
    w.call("svc", Ask::Patch(serde_json::from_value(json!({"settings": {"retention_days": null}})).unwrap())).unwrap();
    w.advance(MINUTE);
    assert_eq!(contents(&newest(&mut w, "ada")).len(), 0);
}

#[test]
fn closed_reports_quote_nothing_that_has_expired_and_open_ones_do() {
    let mut w = world();
    let (ada, bob, moderator) = (w.join("ada"), w.join("bob"), w.join("mod"));
    keep(&mut w, json!({"retention_days": 1}));
    let mut reports = Vec::new();
    for words in ["seen to", "not seen to", "still there"] {
        let message = w.say(ada, words)["message_id"].clone();
        let report = w.ask(bob, "report_message", json!({"message_id": message, "reason": "abuse"})).unwrap();
        reports.push(report["report_id"].clone());
        w.advance(if reports.len() == 2 { 12 * HOUR } else { 0 });
    }
    for report in [&reports[0], &reports[2]] {
        w.ask(moderator, "resolve_report", json!({"report_id": report, "status": "resolved"})).unwrap();
    }
    w.advance(14 * HOUR);
    assert!(!stored(&w, "\"seen to") && stored(&w, "\"not seen to"));
    let report = |w: &mut World, id: &Value| {
        w.call("mod", Ask::OpenReport { report_id: id.as_str().unwrap().into() }).unwrap()["quoted"].clone()
    };
    assert_eq!(report(&mut w, &reports[0]), Value::Null);
    assert_eq!(report(&mut w, &reports[1]), "not seen to");
    assert_eq!(report(&mut w, &reports[2]), "still there");
}

#[test]
fn p4_a_room_whose_storage_was_set_back_leaves_what_expires_to_the_operator() {
    let mut w = world();
    let ada = w.join("ada");
    keep(&mut w, json!({"retention_days": 7}));
    (0..5).for_each(|n| drop(w.say(ada, &format!("old {n}"))));
    w.advance(2_000);
    let copy = w.log.copy();
    (0..9).for_each(|n| drop(w.say(ada, &format!("lost {n}"))));
    w.advance(2_000);
    w.log.put(copy);
    w.evict();
    w.now += 8 * DAY;
    w.alarm = Some(w.now);
    w.advance(1_000);
    let bob = w.join("bob");
    (0..5).for_each(|n| drop(w.say(bob, &format!("today {n}"))));
    let (looks, before) = (w.looks, w.pg.clone());
    w.advance(4 * HOUR);
    assert_eq!((w.looks, contents(&newest(&mut w, "bob")).len()), (looks, 10));
    assert_eq!(w.pg, before);
    assert!(w.faults.iter().all(|fault| fault.ends_with("its storage was set back")), "{:?}", w.faults);
    // As docs/operations.md has it.
    w.pg.messages.retain(|_, row| row["no"].as_u64() <= Some(5));
    let seq = w.pg.messages.values().filter_map(|row| row["seq"].as_u64()).max().unwrap();
    w.pg.cursor = w.pg.cursor.map(|(epoch, _)| (epoch, seq));
    w.advance(2 * HOUR);
    assert_eq!(contents(&newest(&mut w, "bob")).len(), 5);
    assert_eq!(rows(&w.pg), (6..=10).collect::<Vec<_>>());
}

#[test]
fn b1_h1_nothing_expires_that_a_back_end_is_still_owed() {
    let mut w = World::with(
        &[
            ("RATE_LIMIT_MESSAGES", "1000"),
            ("WEBHOOK_URL", "https://hooks.example/"),
            ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
        ],
        1,
    );
    let ada = w.join("ada");
    (0..20).for_each(|n| drop(w.say(ada, &format!("word {n}"))));
    w.advance(5_000);
    w.endpoint.answer = Answer::Down;
    (20..150).for_each(|n| drop(w.say(ada, &format!("word {n}"))));
    keep(&mut w, json!({"retention_messages": 100}));
    w.advance(3 * HOUR);
    assert_eq!((newest(&mut w, "ada")["total"].as_u64(), rows(&w.pg).len()), (Some(130), 130));
    let looks = w.looks;
    w.advance(3 * HOUR);
    assert!(w.looks - looks <= 3, "{}", w.looks - looks);
    w.endpoint.answer = Answer::Takes;
    w.advance(2 * HOUR);
    let said: Vec<_> = w.endpoint.said().into_iter().map(str::to_owned).collect();
    assert_eq!(said, (0..150).map(|n| format!("word {n}")).collect::<Vec<_>>());
    assert_eq!((newest(&mut w, "ada")["total"].as_u64(), rows(&w.pg).len()), (Some(100), 100));
}

#[test]
fn h1_nothing_expires_whose_edit_a_back_end_is_still_owed() {
    let mut w = World::with(
        &[
            ("WEBHOOK_URL", "https://hooks.example/"),
            ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
        ],
        1,
    );
    let ada = w.join("ada");
    keep(&mut w, json!({"retention_days": 1}));
    let message = w.say(ada, "old words")["message_id"].clone();
    w.advance(20 * HOUR);
    w.endpoint.answer = Answer::Down;
    w.ask(ada, "edit_message", json!({"message_id": message, "content": "newer words"})).unwrap();
    w.advance(8 * HOUR);
    assert_eq!((contents(&newest(&mut w, "ada")), rows(&w.pg).len()), (vec!["newer words".into()], 1));
    w.endpoint.answer = Answer::Takes;
    w.advance(2 * HOUR);
    assert_eq!((contents(&newest(&mut w, "ada")).len(), rows(&w.pg).len()), (0, 0));
    assert!(!stored(&w, "words"));
}

#[test]
fn what_a_back_end_was_not_told_for_a_day_expires_all_the_same() {
    let mut w = World::with(
        &[
            ("WEBHOOK_URL", "https://hooks.example/"),
            ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
        ],
        1,
    );
    w.join("ada");
    w.endpoint.answer = Answer::Down;
    w.post("ada", "old words").unwrap();
    keep(&mut w, json!({"retention_days": 1}));
    w.advance(DAY + 2 * HOUR);
    assert!(!stored(&w, "old words"));
    assert_eq!(rows(&w.pg), Vec::<u64>::new());
}

#[test]
fn an_answer_to_a_bound_that_is_another_by_then_takes_nothing_away() {
    let mut w = world();
    let ada = w.join("ada");
    (0..130).for_each(|n| drop(w.say(ada, &format!("word {n}"))));
    w.advance(10_000);
    keep(&mut w, json!({"retention_messages": 100}));
    w.now += 10_000;
    w.drain();
    let asked = w.step(|host, at| host.expiry_ask(at)).unwrap();
    let said = w.pg.expiry(&asked);
    assert_eq!(said.before_no, 31);
    keep(&mut w, json!({"retention_messages": 120}));
    w.step(|host, at| ((), host.expiry_said(at, Ok(said))));
    assert_eq!(newest(&mut w, "ada")["total"], 130);
    w.advance(MINUTE);
    assert_eq!((newest(&mut w, "ada")["total"].as_u64(), rows(&w.pg).len()), (Some(120), 120));
}

#[test]
fn a_question_that_is_not_answered_holds_nothing_up_and_is_asked_again() {
    let mut w = world();
    let ada = w.join("ada");
    keep(&mut w, json!({"retention_days": 1}));
    w.say(ada, "old words");
    w.advance(10_000);
    w.now += 2 * DAY;
    w.tick();
    w.drain();
    w.alarm = None;
    assert!(w.step(|host, at| host.expiry_ask(at)).is_some());
    let alarm = w.alarm.unwrap();
    assert!(alarm > w.now && alarm <= w.now + MINUTE, "{alarm}");
    w.post("bob", "new words").unwrap();
    w.now += 2_000;
    w.drain();
    assert_eq!(rows(&w.pg), [1, 2]);
    w.evict();
    w.advance(2 * MINUTE);
    assert_eq!(rows(&w.pg), [2]);
}

#[test]
fn what_a_hold_kept_after_the_answer_goes_once_it_is_lifted_whatever_the_room_keeps_then() {
    let mut w = world();
    let ada = w.join("ada");
    (0..130).for_each(|n| drop(w.say(ada, &format!("word {n}"))));
    w.advance(10_000);
    keep(&mut w, json!({"retention_messages": 100}));
    w.now += 10_000;
    w.drain();
    let asked = w.step(|host, at| host.expiry_ask(at)).unwrap();
    let said = w.pg.expiry(&asked);
    w.step(|host, at| ((), host.expiry_said(at, Ok(said))));
    w.pg.on_hold = true;
    keep(&mut w, json!({"retention_messages": null}));
    w.advance(DAY);
    assert_eq!((newest(&mut w, "ada")["total"].as_u64(), rows(&w.pg).len()), (Some(100), 130));
    w.pg.on_hold = false;
    w.advance(6 * HOUR + MINUTE);
    assert_eq!(rows(&w.pg), (31..=130).collect::<Vec<_>>());
    let looks = w.looks;
    w.advance(DAY);
    assert_eq!(w.looks, looks);
}

#[test]
fn many_reactions_between_the_messages_make_the_steps_shorter() {
    let mut w = World::with(&[("RATE_LIMIT_SERVICE_MESSAGES", "100000"), ("RATE_LIMIT_REACTIONS", "10000")], 1);
    w.join("ada");
    for n in 0..130 {
        let id = w.post("svc", &format!("word {n}")).unwrap()["message_id"].as_str().unwrap().to_owned();
        for n in 0..(if n < 30 { 400 } else { 0 }) {
            let react = Ask::React { message_id: id.clone(), reaction: "👍".into(), remove: n % 2 == 1 };
            w.call("svc", react).unwrap();
        }
        w.now += 10_000;
    }
    w.advance(30 * MINUTE);
    keep(&mut w, json!({"retention_messages": 100}));
    let ada = w.join("ada");
    for _ in 0..600 {
        let rows = w.rows;
        w.advance(100);
        assert!(w.rows - rows < 100, "only what is taken away is written: {}", w.rows - rows);
        let page = w.page("svc", PageQuery::After { no: 0, limit: 1 });
        // Whatever counts is there.
        assert_eq!(page["total"], 131 - page["held"][0]["no"].as_u64().unwrap());
    }
    let steps: Vec<_> =
        w.events(ada, "messages_expired").iter().map(|data| data["before_no"].as_u64().unwrap()).collect();
    assert!(steps.len() >= 2 && steps.last() == Some(&31), "{steps:?}");
    assert_eq!((newest(&mut w, "svc")["total"].as_u64(), rows(&w.pg).len()), (Some(100), 100));
}
