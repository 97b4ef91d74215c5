//! A user is taken out of a room: what is left of them, what viewers are shown, what goes on to hold.

use crate::world::{ROOM, START, World, all};
use edge_chat::protocol::act::{Act, BanUser, ReportMessage, UserRef};
use edge_chat::protocol::call::{
    Ask, Caller, Nothing, PageQuery, ReportQuery, RoomCall, SendBody, Standing, UserAsk, UserCall, VERSION,
};
use edge_chat::protocol::erasure::{Erase, Erased, Mode, Named};
use edge_chat::protocol::report::{ReportReason, ReportStatus};
use edge_chat::protocol::{Audience, Body, LogEvent};
use edge_chat::room::{Log as _, Row, hidden_id};
use edge_chat::user::{Done, Task, User};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const WHO: &str = "canary";

fn id(reply: &Value) -> String {
    reply["message_id"].as_str().unwrap().to_owned()
}

/// Asks as the erasing object does: in nobody's name.
fn internal<T: serde::de::DeserializeOwned>(w: &mut World, ask: Ask) -> T {
    let call = RoomCall { v: VERSION, caller: Caller::default(), ask };
    let answer = w.step(|host, at| host.call(at, call)).unwrap();
    serde_json::from_str(answer.get()).unwrap()
}

fn erase(w: &mut World, mode: Mode) -> (Erased, usize) {
    let (mut after, mut steps, mut total) = (0, 0, Erased::default());
    loop {
        let erased: Erased = internal(w, Ask::Erase(Erase { user_id: WHO.into(), mode, after }));
        steps += 1;
        total =
            Erased { messages: total.messages + erased.messages, entries: total.entries + erased.entries, ..erased };
        match erased.next {
            Some(next) => after = next,
            None => return (total, steps),
        }
    }
}

fn named(w: &mut World) -> u64 {
    let (mut after, mut entries) = (0, 0);
    loop {
        let named: Named = internal(w, Ask::Names(Erase { user_id: WHO.into(), mode: Mode::Tombstone, after }));
        entries += named.entries;
        match named.next {
            Some(next) => after = next,
            None => return entries,
        }
    }
}

/// Everything that a user leaves in a room, and others leave about them.
fn lived() -> (World, [String; 2]) {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000")], 1);
    let (canary, bob, moderator) = (w.join(WHO), w.join("bob"), w.join("mod"));
    let metadata = json!({"k": "canary-metadata"});
    let sent =
        w.ask(canary, "send_message", json!({"content": "canary-text", "client_id": "canary-1", "metadata": metadata}));
    let own = id(&sent.unwrap());
    w.ask(canary, "edit_message", json!({"message_id": own, "content": "canary-edited @bob"})).unwrap();
    w.take(bob);
    let others = w.ask(bob, "send_message", json!({"content": "hi @CANARY, <b>", "reply_to": own, "mentions": [WHO]}));
    let others = id(&others.unwrap());
    w.ask(canary, "react", json!({"message_id": others, "reaction": "👍"})).unwrap();
    w.ask(bob, "react", json!({"message_id": others, "reaction": "👍"})).unwrap();
    w.ask(bob, "react", json!({"message_id": own, "reaction": "🎉"})).unwrap();
    for (socket, message) in [(canary, &others), (bob, &own)] {
        let body = ReportMessage {
            message_id: message.clone(),
            reason: ReportReason::Abuse,
            details: Some("details".into()),
            opened: None,
            room_id: None,
        };
        w.ask(socket, "report_message", serde_json::to_value(body).unwrap()).unwrap();
    }
    w.ask(moderator, "pin_message", json!({"message_id": own})).unwrap();
    w.call(
        "admin",
        Ask::Act(Act::SetRole(serde_json::from_value(json!({"user_id": WHO, "role": "moderator"})).unwrap())),
    )
    .unwrap();
    w.call("admin", Ask::Act(Act::SetRole(serde_json::from_value(json!({"user_id": WHO, "role": null})).unwrap())))
        .unwrap();
    let ban = json!({"user_id": WHO, "reason": "canary-reason"});
    w.call("mod", Ask::Act(Act::Ban(serde_json::from_value::<BanUser>(ban).unwrap()))).unwrap();
    w.take(bob);
    (w, [own, others])
}

#[test]
fn v11_a_tombstone_leaves_nothing_of_the_user_and_says_so_to_those_who_look() {
    let (mut w, [own, others]) = lived();
    let bob = w.join("bob");
    w.take(bob);
    assert!(named(&mut w) > 8);
    let (erased, _) = erase(&mut w, Mode::Tombstone);
    assert_eq!(erased.messages, 1);
    assert!(!w.log.holds("canary"), "{:?}", w.log.stored());
    assert_eq!(named(&mut w), 0);
    let told = w.events(bob, "user_erased");
    assert_eq!(
        (&told[0]["message_ids"], &told[0]["mentioned_in"], &told[0]["tombstones"], &told[0]["reactions"][&others]),
        (&json!([own]), &json!([others]), &json!(true), &json!({"👍": 1}))
    );
    let page = w.page("bob", PageQuery::Page { page: 1, limit: 9 });
    let text = page.to_string();
    assert!(!text.contains("canary") && text.contains("hi @erased,"), "{text}");
    let of_them = page["held"].as_array().unwrap().iter().find(|m| m["message_id"] == own.as_str()).unwrap();
    assert_eq!((&of_them["user"]["user_id"], &of_them["content"]), (&json!(""), &json!("")));
    assert_eq!(w.get("bob")["pinned"], json!([]));
    // PostgreSQL, as far as the log tells it; and once more, which changes nothing.
    w.advance(5_000);
    assert_eq!((&w.pg.messages[&own]["user_id"], &w.pg.messages[&own]["content"]), (&json!(""), &json!("")));
    assert!(!w.pg.messages[&own]["deleted_at"].is_null());
    let before = w.log.stored();
    assert_eq!(erase(&mut w, Mode::Tombstone).0.entries, 0);
    assert_eq!(w.log.stored(), before);
    w.evict();
    assert_eq!(named(&mut w), 0);
}

#[test]
fn anonymised_text_stays_and_nobody_said_it() {
    let (mut w, [own, _]) = lived();
    erase(&mut w, Mode::Anonymise);
    let page = w.page("mod", PageQuery::Page { page: 1, limit: 9 });
    let message = page["held"].as_array().unwrap().iter().find(|m| m["message_id"] == own.as_str()).unwrap();
    assert_eq!(message["content"], "canary-edited @bob");
    assert_eq!(message["user"], json!({"user_id": "", "username": "erased", "avatar": null, "roles": ["member"]}));
    assert_eq!((&message["metadata"], message.get("client_id")), (&json!({}), None));
    assert_eq!(message["reactions"], json!({"🎉": 1}), "what others reacted with stays");
    let stored = w.log.stored().join("").replace("canary-edited", "");
    assert!(
        !stored.contains("canary")
            && !w
                .log
                .copy()
                .state
                .iter()
                .any(|(k, v)| k.contains("canary") || v.replace("canary-edited", "").contains("canary"))
    );
    w.advance(5_000);
    assert_eq!(
        (&w.pg.messages[&own]["user_id"], &w.pg.messages[&own]["content"]),
        (&json!(""), &json!("canary-edited @bob"))
    );
    // Nobody's is nobody's: not even of one who would call themselves so.
    let erased = w.join("erased");
    assert_eq!(w.code(erased, "edit_message", json!({"message_id": own, "content": "x"})), "forbidden");
}

#[test]
fn a_ban_holds_on_under_another_id_and_can_be_taken_back() {
    let (mut w, _) = lived();
    erase(&mut w, Mode::Tombstone);
    let refused = |w: &mut World| w.call(WHO, Ask::Send(SendBody { content: "x".into(), ..SendBody::default() }));
    assert_eq!(refused(&mut w).unwrap_err().code.as_str(), "banned");
    w.evict();
    assert_eq!(refused(&mut w).unwrap_err().code.as_str(), "banned");
    let bans = w.call("mod", Ask::Bans(Nothing {})).unwrap();
    assert_eq!(bans["bans"][0]["user_id"], hidden_id(ROOM, WHO));
    assert_eq!((&bans["bans"][0]["reason"], &bans["bans"][0]["username"]), (&Value::Null, &Value::Null));
    w.advance(5_000);
    assert_eq!(w.pg.bans.keys().filter(|id| id.starts_with("erased:")).count(), 1);
    // By either id.
    w.call("mod", Ask::Act(Act::Unban(UserRef { user_id: WHO.into(), reason: None, room_id: None }))).unwrap();
    assert!(refused(&mut w).is_ok() && !w.log.holds("\"canary-reason\""));
}

#[test]
fn a_long_log_is_done_in_steps_that_followers_can_follow() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000"), ("RATE_LIMIT_ROOM_MESSAGES", "1000")], 1);
    let (canary, bob) = (w.join(WHO), w.join("bob"));
    for n in 0..450 {
        w.say(if n % 3 == 0 { bob } else { canary }, &format!("canary {n}"));
    }
    w.take(bob);
    let (erased, steps) = erase(&mut w, Mode::Tombstone);
    assert_eq!((erased.messages, steps), (300, 2));
    let told = w.events(bob, "user_erased");
    let ids: usize = told.iter().map(|event| event["message_ids"].as_array().unwrap().len()).sum();
    assert_eq!((ids, named(&mut w)), (300, 0));
    // Who comes back from before has it too.
    w.advance(5_000);
    assert_eq!(w.pg.messages.values().filter(|row| row["user_id"] == "").count(), 300);
    assert_eq!(
        w.pg.messages.values().filter(|row| row["user_id"] == "bob" && row["deleted_at"].is_null()).count(),
        150
    );
}

#[test]
fn what_waits_for_a_moderator_is_let_go_of() {
    let mut w = World::with(&[("ENABLE_SPAM_DETECTION", "true")], 1);
    let canary = w.join(WHO);
    let spam = "buy now at https://a.example https://b.example https://c.example https://d.example cheap cheap cheap";
    let sent = w.ask(canary, "send_message", json!({"content": spam})).unwrap();
    assert_eq!(sent["held"], true, "{sent}");
    // The message and that it waits.
    assert_eq!(named(&mut w), 2);
    erase(&mut w, Mode::Anonymise);
    assert_eq!(w.call("mod", Ask::Held(Nothing {})).unwrap()["held"], json!([]));
    assert!(!w.log.holds(WHO) && !w.log.holds("cheap"));
    w.advance(5_000);
    assert!(w.pg.held.is_empty());
}

#[test]
fn an_event_of_another_build_loses_the_id_too_and_can_still_be_read() {
    let places = [
        (r#"{"n":[{"WHO":1}],"who":"WHO"}"#, r#"{"n":[{"":1}],"who":""}"#),
        (r#"{"of":["WHO","bob","WHO"]}"#, r#"{"of":["","bob",""]}"#),
        (r#"{"of":["bob","WHO"]}"#, r#"{"of":["bob",""]}"#),
    ];
    let users = [(WHO, r#"{"user":"canary"}"#), ("seq", r#""internal""#), ("user", r#"{"user":"user"}"#)];
    for ((who, audience), (data, left)) in users.iter().flat_map(|user| places.map(|place| (*user, place))) {
        let mut w = World::new();
        w.join("bob");
        let last = w.log.rows_before(1 << 40, 1).unwrap()[0].clone();
        let (seq, at, data) = (last.last + 1, w.now, data.replace("WHO", who));
        let raw = format!(
            r#"{{"seq":{seq},"at":{at},"visible_at":{at},"audience":{audience},"event":"of_tomorrow","data":{data}}}"#
        );
        let event = LogEvent { seq, at, visible_at: at, audience: Audience::Internal, body: Body::Unknown(raw.into()) };
        let mut tables = w.log.copy();
        let row = Row { last: seq, no: last.no, events: vec![event] };
        tables.log.insert(seq, (row.no, row.events_json().unwrap()));
        w.log.put(tables);
        w.evict();
        let erase = Erase { user_id: who.into(), mode: Mode::Tombstone, after: 0 };
        assert_eq!(internal::<Named>(&mut w, Ask::Names(erase.clone())).entries, 1);
        internal::<Erased>(&mut w, Ask::Erase(erase.clone()));
        assert_eq!(internal::<Named>(&mut w, Ask::Names(erase)).entries, 0);
        let row = w.log.row_with(seq).unwrap().unwrap().events_json().unwrap();
        assert!(row.contains(&format!(r#""data":{left}"#)) && row.contains("of_tomorrow"), "{row}");
    }
}

#[test]
fn a_room_that_is_not_there_or_was_deleted_is_no_obstacle() {
    let mut w = World::new();
    let nothing: Erased = internal(&mut w, Ask::Erase(Erase { user_id: WHO.into(), mode: Mode::Tombstone, after: 0 }));
    assert_eq!(nothing, Erased::default());
    let canary = w.join(WHO);
    w.say(canary, "canary");
    w.call("admin", Ask::Delete(Nothing {})).unwrap();
    erase(&mut w, Mode::Tombstone);
    assert!(!w.log.holds(WHO) && named(&mut w) == 0);
}

fn ban(w: &mut World, body: Value) {
    w.call("mod", Ask::Act(Act::Ban(serde_json::from_value::<BanUser>(body).unwrap()))).unwrap();
}

/// So many more rows at the log's end, of somebody else.
fn more(w: &mut World, rows: u64) {
    w.evict();
    let last = w.log.rows_before(1 << 40, 1).unwrap()[0].clone();
    let (at, audience) = (w.now, Audience::Internal);
    for seq in last.last + 1..=last.last + rows {
        let body = Body::Gone { user_id: "x".into() };
        let event = LogEvent { seq, at, visible_at: at, audience: audience.clone(), body };
        w.log.append(&Row { last: seq, no: last.no, events: vec![event] });
    }
}

fn report(w: &mut World, who: &str, message: &str) -> String {
    let body = json!({"message_id": message, "reason": "abuse"});
    let socket = w.join(who);
    w.ask(socket, "report_message", body).unwrap()["report_id"].as_str().unwrap().to_owned()
}

#[test]
fn v7_of_what_others_did_not_see_they_are_told_nothing() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000")], 1);
    let (canary, bob, eve, moderator) = (w.join(WHO), w.join("bob"), w.join("eve"), w.join("mod"));
    ban(&mut w, json!({"user_id": "eve", "shadow": true}));
    let unseen = id(&w.ask(eve, "send_message", json!({"content": "hi", "mentions": [WHO]})).unwrap());
    w.ask(canary, "react", json!({"message_id": unseen, "reaction": "👍"})).unwrap();
    w.ask(moderator, "set_modes", json!({"modes": {"delay_s": 6}})).unwrap();
    let seen_later = id(&w.say(canary, "later"));
    let of_bob = id(&w.ask(bob, "send_message", json!({"content": "hi", "mentions": [WHO]})).unwrap());
    w.take(bob);
    w.take(moderator);
    erase(&mut w, Mode::Tombstone);
    w.advance(10_000);
    let told = w.events(bob, "user_erased").iter().map(Value::to_string).collect::<String>();
    assert!(![&unseen, &seen_later, &of_bob].iter().any(|id| told.contains(*id)), "{told}");
    let told = w.events(moderator, "user_erased").iter().map(Value::to_string).collect::<String>();
    assert!([&unseen, &seen_later, &of_bob].iter().all(|id| told.contains(*id)), "{told}");
}

#[test]
fn a_newer_ban_does_not_shorten_the_one_that_holds_on_under_another_id() {
    let mut w = World::with(&[], 1);
    w.join("bob");
    let refused =
        |w: &mut World| w.call(WHO, Ask::Send(SendBody { content: "x".into(), ..SendBody::default() })).is_err();
    ban(&mut w, json!({"user_id": WHO}));
    erase(&mut w, Mode::Tombstone);
    ban(&mut w, json!({"user_id": WHO, "duration_s": 60}));
    w.advance(61_000);
    assert!(refused(&mut w));
    // Erased once more, it is the longer one that is left.
    ban(&mut w, json!({"user_id": WHO, "duration_s": 60}));
    erase(&mut w, Mode::Tombstone);
    w.advance(61_000);
    w.evict();
    assert!(refused(&mut w));
    // And both are taken back at once.
    ban(&mut w, json!({"user_id": WHO, "duration_s": 60}));
    w.call("mod", Ask::Act(Act::Unban(UserRef { user_id: WHO.into(), reason: None, room_id: None }))).unwrap();
    assert!(!refused(&mut w));
    w.evict();
    assert!(!refused(&mut w));
    assert_eq!(w.call("mod", Ask::Bans(Nothing {})).unwrap()["bans"], json!([]));
    w.advance(5_000);
    assert!(!w.pg.bans.keys().any(|id| id.starts_with("erased:")), "{:?}", w.pg.bans);
}

#[test]
fn what_a_report_quotes_loses_the_name_also_where_its_message_is_a_tombstone() {
    let mut w = World::with(&[], 1);
    w.join(WHO);
    let (bob, moderator) = (w.join("bob"), w.join("mod"));
    let message = id(&w.say(bob, "@canary is a bird, @mod"));
    let report_id = report(&mut w, "carl", &message);
    w.ask(moderator, "delete_message", json!({"message_id": message})).unwrap();
    assert!(named(&mut w) > 0);
    erase(&mut w, Mode::Tombstone);
    assert!(!w.log.holds("canary"), "{:?}", w.log.stored());
    assert!(!w.log.copy().state.values().any(|value| value.contains("canary")));
    let opened = w.call("mod", Ask::OpenReport { report_id: report_id.clone() }).unwrap();
    assert_eq!(opened["quoted"], "@erased is a bird, @mod");
    assert_eq!(named(&mut w), 0);
    // PostgreSQL, which only knows a tombstone, is told which quotes.
    w.advance(5_000);
    assert!(w.batches.iter().any(|batch| batch.contains(&format!(r#""quotes":["{report_id}"]"#))));
}

#[test]
fn reports_of_what_the_log_does_not_hold_any_more_are_told_of() {
    let mut w = World::with(&[], 1);
    let (canary, bob) = (w.join(WHO), w.join("bob"));
    let message = id(&w.say(canary, "x"));
    report(&mut w, "carl", &message);
    w.advance(5_000);
    let mut tables = w.log.copy();
    let rows = w.log.rows_after(0, 100).unwrap();
    let of_it = rows.iter().position(|row| row.events.iter().any(|event| matches!(event.body, Body::NewMessage(_))));
    rows.iter().take(of_it.unwrap() + 1).for_each(|row| drop(tables.log.remove(&row.last)));
    w.log.put(tables);
    w.evict();
    let moderator = w.join("mod");
    erase(&mut w, Mode::Tombstone);
    assert_eq!(w.events(moderator, "user_erased")[0]["message_ids"], json!([message]));
    assert!(w.events(bob, "user_erased").is_empty());
    w.advance(5_000);
    assert!(w.batches.iter().any(|batch| batch.contains(&format!(r#""op":"erase","ids":["{message}"]"#))));
}

#[test]
fn a_message_of_a_log_that_was_lost_is_told_of_where_a_report_quotes_it() {
    let mut w = World::with(&[], 1);
    let canary = w.join(WHO);
    w.now += 1_000;
    let message = id(&w.say(canary, "x"));
    report(&mut w, "carl", &message);
    w.advance(5_000);
    w.lose_storage();
    let (bob, moderator) = (w.join("bob"), w.join("mod"));
    erase(&mut w, Mode::Tombstone);
    assert_eq!(w.events(moderator, "user_erased")[0]["message_ids"], json!([message]));
    assert!(w.events(bob, "user_erased").is_empty());
    w.advance(5_000);
    assert_eq!((&w.pg.messages[&message]["user_id"], &w.pg.messages[&message]["content"]), (&json!(""), &json!("")));
}

#[test]
fn of_what_everybody_has_seen_everybody_is_told_once_and_of_the_rest_moderators_are() {
    let mut w = World::with(&[], 1);
    let (canary, bob, moderator) = (w.join(WHO), w.join("bob"), w.join("mod"));
    let first = w.say(canary, "of the room's first moment");
    w.now += 1_000;
    let mut seen = vec![id(&first), id(&w.say(canary, "seen"))];
    seen.iter().for_each(|message| drop(report(&mut w, "carl", message)));
    w.advance(5_000);
    w.log.trim(first["seq"].as_u64().unwrap() - 1);
    w.evict();
    w.ask(moderator, "set_modes", json!({"modes": {"delay_s": 6}})).unwrap();
    let mut apart = vec![id(&w.say(canary, "taken back before anybody saw it"))];
    seen.push(id(&w.say(canary, "taken back once it was seen")));
    w.ask(canary, "delete_message", json!({"message_id": apart[0]})).unwrap();
    w.advance(10_000);
    w.ask(canary, "delete_message", json!({"message_id": seen[2]})).unwrap();
    apart.push(id(&w.say(canary, "to be seen")));
    w.take(bob);
    w.take(moderator);
    erase(&mut w, Mode::Tombstone);
    w.advance(10_000);
    let mut told = |socket| -> Vec<Value> {
        w.events(socket, "user_erased").iter().map(|event| event["message_ids"].clone()).collect()
    };
    assert_eq!(told(bob), [json!(seen)]);
    let mut of_moderators = told(moderator);
    of_moderators.sort_by_key(Value::to_string);
    let mut both = [json!(apart), json!(seen)];
    both.sort_by_key(Value::to_string);
    assert_eq!(of_moderators, both);
}

#[test]
fn a_reaction_alone_is_two_entries_and_followers_are_told() {
    let mut w = World::with(&[], 1);
    let (canary, bob) = (w.join(WHO), w.join("bob"));
    let message = id(&w.say(bob, "x"));
    w.ask(canary, "react", json!({"message_id": message, "reaction": "👍"})).unwrap();
    w.take(bob);
    // The reaction and that somebody reacted.
    assert_eq!(named(&mut w), 2);
    assert_eq!(erase(&mut w, Mode::Tombstone).0.entries, 2);
    assert_eq!(named(&mut w), 0);
    assert_eq!(w.events(bob, "user_erased")[0]["reactions"], json!({message: {}}));
}

#[test]
fn who_was_erased_is_not_known_by_name_any_more() {
    let mut w = World::with(&[], 1);
    let (canary, bob, eve) = (w.join(WHO), w.join("bob"), w.join("eve"));
    w.say(canary, "x");
    w.close(canary);
    w.advance(10_000);
    w.take(eve);
    let mut mentions = || {
        let mentions = json!({"content": "hi @canary", "mentions": [WHO]});
        w.ask(bob, "send_message", mentions).unwrap();
        let told = w.events(eve, "new_message")[0]["mentions"].clone();
        erase(&mut w, Mode::Tombstone);
        told
    };
    assert_eq!(all(mentions().as_array().unwrap(), "user_id"), [WHO]);
    assert_eq!(mentions(), json!([]));
}

#[test]
fn what_others_wrote_in_reports_of_the_user_stays() {
    let (mut w, _) = lived();
    erase(&mut w, Mode::Tombstone);
    let query = ReportQuery { status: ReportStatus::Open, before: None, limit: 9 };
    let reports = w.call("mod", Ask::Reports(query)).unwrap();
    let of =
        |reporter: &str| reports.as_array().unwrap().iter().find(|r| r["reporter_id"] == reporter).unwrap().clone();
    let (bobs, theirs) = (of("bob"), of(""));
    assert_eq!((&bobs["author"], &bobs["details"], &bobs["quoted"]), (&json!(""), &json!("details"), &Value::Null));
    assert_eq!((&theirs["author"], &theirs["details"]), (&json!("bob"), &Value::Null));
    assert_eq!(theirs["quoted"], "hi @erased,");
}

#[test]
fn wherever_the_state_names_the_user_they_are_found_and_taken_out() {
    fn role(w: &mut World, role: Value) {
        w.join("bob");
        let role = serde_json::from_value(json!({"user_id": WHO, "role": role})).unwrap();
        w.call("admin", Ask::Act(Act::SetRole(role))).unwrap();
    }
    fn make(w: &mut World, owner: &str, body: Value) {
        w.call(owner, Ask::Create(serde_json::from_value(body).unwrap())).unwrap();
    }
    type Place = (&'static str, u64, fn(&mut World));
    let places: [Place; 9] = [
        ("a role", 1, |w| role(w, json!("moderator"))),
        ("a ban", 1, |w| {
            w.join("bob");
            ban(w, json!({"user_id": WHO}));
        }),
        ("a ban by them", 1, |w| {
            role(w, json!("moderator"));
            let body = serde_json::from_value(json!({"user_id": "eve"})).unwrap();
            w.call(WHO, Ask::Act(Act::Ban(body))).unwrap();
            role(w, Value::Null);
        }),
        ("whom they block", 1, |w| {
            w.own(WHO, UserAsk::Block("eve".into())).unwrap();
            w.join(WHO);
        }),
        ("being one of two, and whether they block the other one", 2, |w| {
            make(w, WHO, json!({"name": "R", "type": "direct", "members": [WHO, "bob"]}));
            w.step(|host, at| host.user(at, WHO, Standing { version: 1, ..Standing::default() }));
        }),
        ("the owner", 1, |w| make(w, WHO, json!({"name": "R", "type": "video"}))),
        ("a report by them", 1, |w| {
            let bob = w.join("bob");
            let message = id(&w.say(bob, "x"));
            report(w, WHO, &message);
        }),
        ("a report of theirs", 1, |w| {
            let canary = w.join(WHO);
            let message = id(&w.say(canary, "x"));
            report(w, "bob", &message);
        }),
        ("what a report quotes", 1, |w| {
            let (bob, _) = (w.join("bob"), w.join(WHO));
            let message = id(&w.say(bob, "@canary"));
            report(w, "carl", &message);
        }),
    ];
    for (place, entries, stand) in places {
        let mut w = World::with(&[], 1);
        stand(&mut w);
        // The log has let go of how it came to that.
        w.advance(5_000);
        more(&mut w, 1);
        w.log.trim(w.log.rows_before(1 << 40, 1).unwrap()[0].last - 1);
        assert_eq!(named(&mut w), entries, "{place}");
        assert!(erase(&mut w, Mode::Tombstone).0.entries > 0, "{place}");
        assert_eq!((named(&mut w), w.log.holds(WHO)), (0, false), "{place}");
    }
}

#[test]
fn of_two_bans_the_one_is_left_that_ends_last() {
    let refused =
        |w: &mut World| w.call(WHO, Ask::Send(SendBody { content: "x".into(), ..SendBody::default() })).is_err();
    for (first, second) in [(60, 100), (100, 60)] {
        let mut w = World::with(&[], 1);
        w.join("bob");
        for duration_s in [first, second] {
            ban(&mut w, json!({"user_id": WHO, "duration_s": duration_s}));
            erase(&mut w, Mode::Tombstone);
        }
        w.advance(99_000);
        assert!(refused(&mut w), "{first} {second}");
        w.advance(2_000);
        assert!(!refused(&mut w), "{first} {second}");
    }
}

#[test]
fn a_step_reads_no_more_than_2_000_rows() {
    let mut w = World::with(&[], 1);
    let canary = w.join(WHO);
    w.say(canary, "x");
    w.advance(5_000);
    more(&mut w, 2_500);
    w.advance(5_000);
    w.say(canary, "y");
    let rows = w.log.rows_after(0, 1 << 20).unwrap();
    let mut ask =
        |after| internal::<Named>(&mut w, Ask::Names(Erase { user_id: WHO.into(), mode: Mode::Tombstone, after }));
    let first = ask(0);
    assert_eq!(first, Named { next: Some(rows[1_999].last), entries: 1 });
    assert_eq!(ask(rows[1_999].last), Named { next: None, entries: 1 });
    let (erased, steps) = erase(&mut w, Mode::Tombstone);
    assert_eq!((erased.messages, steps, named(&mut w)), (2, 2, 0));
}

#[test]
fn an_unban_that_postgresql_has_not_heard_of_yet_names_the_other_id() {
    let mut w = World::with(&[], 1);
    w.join("bob");
    ban(&mut w, json!({"user_id": WHO}));
    w.advance(5_000);
    w.pg_down = true;
    w.call("mod", Ask::Act(Act::Unban(UserRef { user_id: WHO.into(), reason: None, room_id: None }))).unwrap();
    erase(&mut w, Mode::Tombstone);
    w.pg_down = false;
    w.advance(60_000);
    let op = format!(r#""op":"unban","user_id":"{}""#, hidden_id(ROOM, WHO));
    assert!(w.batches.iter().any(|batch| batch.contains(&op)), "{:?}", w.batches);
}

#[test]
fn what_was_proved_of_an_encrypted_message_goes_with_it_in_either_mode() {
    let mut w = World::with(&[], 1);
    let canary = w.join(WHO);
    let message = id(&w.say(canary, "opened"));
    let report_id = report(&mut w, "bob", &message);
    let mut tables = w.log.copy();
    let proved = |text: &str| text.replace(r#""status":"open""#, r#""proved":true,"status":"open""#);
    tables.state.values_mut().for_each(|value| *value = proved(value));
    tables.log.values_mut().for_each(|(_, text)| *text = proved(text));
    w.log.put(tables);
    w.evict();
    erase(&mut w, Mode::Anonymise);
    let opened = w.call("mod", Ask::OpenReport { report_id }).unwrap();
    assert_eq!((&opened["proved"], &opened["quoted"], &opened["author"]), (&json!(true), &Value::Null, &json!("")));
    let reports = w.log.stored().into_iter().filter(|row| row.contains("reported")).collect::<String>();
    assert!(!reports.contains("\"quoted\""), "{reports}");
}

#[test]
fn nobody_is_mentioned_as_erased() {
    let mut w = World::with(&[], 1);
    let canary = w.join(WHO);
    w.say(canary, "x");
    erase(&mut w, Mode::Anonymise);
    w.evict();
    let (bob, eve) = (w.join("bob"), w.join("eve"));
    w.ask(bob, "send_message", json!({"content": "hi @erased", "mentions": [""]})).unwrap();
    assert_eq!(w.events(eve, "new_message")[0]["mentions"], json!([]));
}

#[test]
fn a_hold_that_came_meanwhile_is_waited_for() {
    let mut job = job(0);
    job.now += 61_000;
    let first = job.user.task(job.now).unwrap();
    let step = job.user.task_done(Done::Sql(json!(["bans"])), job.now);
    job.keep(step);
    let look = job.user.task(job.now).unwrap();
    assert_ne!(first, look);
    let step = job.user.task_done(Done::Sql(json!({"on_hold": true})), job.now);
    job.keep(step);
    let (progress, _) =
        job.user.call(UserCall { v: VERSION, iat_ms: Some(u64::MAX), ask: UserAsk::Erasure(Nothing {}) }, job.now);
    let progress: Value = serde_json::from_str(progress.unwrap().get()).unwrap();
    assert_eq!((&progress["waits_for"], &progress["step"]), (&json!("a legal hold"), &json!("look")));
    assert_eq!((job.user.task(job.now + 59_000), job.user.task(job.now + 60_000)), (None, Some(look)));
    job.run(false);
    assert_eq!(job.asked.last().unwrap(), "done");
}

/// The user's object, with PostgreSQL, rooms and others as they are told to answer.
struct Job {
    user: User,
    state: BTreeMap<String, String>,
    now: u64,
    /// So often something is still found.
    dirty: u32,
    asked: Vec<String>,
}

impl Job {
    fn keep(&mut self, step: edge_chat::user::Step) {
        for (key, value) in step.write {
            match value {
                Some(value) => drop(self.state.insert(key, value)),
                None => drop(self.state.remove(&key)),
            }
        }
    }

    fn ask(&mut self, ask: UserAsk) {
        let (answer, step) = self.user.call(UserCall { v: VERSION, iat_ms: Some(u64::MAX), ask }, self.now);
        answer.unwrap();
        self.keep(step);
    }

    fn evict(&mut self) {
        self.user = User::load(WHO.into(), self.state.clone().into_iter().collect(), self.now).unwrap();
    }

    fn answer(&mut self, task: &Task) -> Done {
        match task {
            Task::Sql(call) => {
                let op = call["op"].as_str().unwrap();
                self.asked.push(op.to_owned());
                Done::Sql(match op {
                    "places" => json!(["bans", "messages"]),
                    "look" | "search" => {
                        let found = u32::from(self.dirty > 0);
                        let next = call["after"].is_null().then_some("half");
                        json!({"next": next, "found": {"bans.user_id": found}, "rooms": ["one", "two"], "users": ["bob"]})
                    }
                    "wipe" => json!({"next": null}),
                    "passed" => call["rooms"].as_object().unwrap().keys().cloned().collect(),
                    "done" => {
                        self.asked.push(call["status"].as_str().unwrap().to_owned());
                        json!({})
                    }
                    other => panic!("{other}"),
                })
            }
            Task::Erase(room, erase) => {
                self.asked.push(format!("erase {room} {}", erase.after));
                let next = (room == "two" && erase.after == 0).then_some(40);
                Done::Erased(Erased { next, epoch: 1, seq: 50, messages: 2, entries: 3 })
            }
            Task::Search(room, _) => {
                self.asked.push(format!("search {room}"));
                self.dirty = self.dirty.saturating_sub(u32::from(room == "two"));
                Done::Named(Named { next: None, entries: 0 })
            }
            Task::Forget(other) => {
                self.asked.push(format!("forget {other}"));
                Done::Done
            }
            Task::Clear => {
                self.asked.push("clear".into());
                Done::Done
            }
        }
    }

    /// Until it is over, losing the memory before each step, and now and then what came of one.
    fn run(&mut self, flaky: bool) {
        for n in 0..1_000 {
            self.now += 61_000;
            self.evict();
            let Some(task) = self.user.task(self.now) else { return };
            let done = self.answer(&task);
            let step = match (flaky && n % 3 == 0, flaky && n % 3 == 1) {
                (true, _) => continue,
                (_, true) => self.user.task_done(Done::Failed("a room"), self.now),
                _ => self.user.task_done(done, self.now),
            };
            self.keep(step);
        }
        panic!("it does not end: {:?}", self.asked);
    }
}

fn job(dirty: u32) -> Job {
    let mut job = Job {
        user: User::load(WHO.into(), vec![], START).unwrap(),
        state: BTreeMap::new(),
        now: START,
        dirty,
        asked: Vec::new(),
    };
    job.ask(UserAsk::Standing { room: Some("visited~s3".into()) });
    job.ask(UserAsk::Erase { erasure_id: "e1".into(), mode: Mode::Tombstone });
    job
}

#[test]
fn v11_a_job_goes_through_everything_once_whatever_dies() {
    let mut steady = job(0);
    steady.run(false);
    let expected = [
        "places",
        "look",
        "look",
        "look",
        "look",
        "erase one 0",
        "erase two 0",
        "erase two 40",
        "erase visited 0",
        "passed",
        "forget bob",
        "wipe",
        "wipe",
        "clear",
        "search",
        "search",
        "search",
        "search",
        "search one",
        "search two",
        "search visited",
        "done",
        "done",
    ];
    assert_eq!(steady.asked, expected);
    assert!(!steady.state.keys().any(|key| key.starts_with("erase:")), "{:?}", steady.state);
    let about: Value = serde_json::from_str(&steady.state["about"]).unwrap();
    assert!(about["signed_out_at"].as_u64().is_some());
    let mut flaky = job(0);
    flaky.run(true);
    let mut once = flaky.asked.clone();
    once.dedup();
    let mut all = expected.to_vec();
    all.dedup();
    assert_eq!(once, all, "only repeated");
}

#[test]
fn what_is_found_at_the_end_is_erased_by_going_again() {
    let mut again = job(1);
    again.run(false);
    assert_eq!(again.asked.iter().filter(|asked| *asked == "clear").count(), 2);
    assert_eq!(again.asked.last().unwrap(), "done");
    let mut endless = job(99);
    endless.run(false);
    assert_eq!(endless.asked.iter().filter(|asked| *asked == "clear").count(), 5);
    assert_eq!(endless.asked.last().unwrap(), "incomplete");
}

#[test]
fn the_same_erasure_again_goes_on_and_others_forget() {
    let mut job = job(0);
    let before = job.state.clone();
    job.ask(UserAsk::Erase { erasure_id: "e1".into(), mode: Mode::Anonymise });
    assert_eq!(job.state, before);
    job.ask(UserAsk::Block("bob".into()));
    assert!(job.state.keys().any(|key| key.contains("bob")) && job.state.values().any(|value| value.contains("bob")));
    job.ask(UserAsk::Forget("bob".into()));
    assert!(!job.state.iter().any(|(key, value)| key.contains("bob") || value.contains("bob")), "{:?}", job.state);
}

#[test]
fn a_socket_that_is_open_meanwhile_loses_the_role_with_the_room() {
    let mut w = World::new();
    let admin = w.join("admin");
    w.ask(admin, "set_role", json!({"user_id": WHO, "role": "moderator"})).unwrap();
    // Back with a new token while the job goes on.
    let canary = w.join(WHO);
    w.ask(canary, "ban_user", json!({"user_id": "eve"})).unwrap();
    erase(&mut w, Mode::Tombstone);
    assert_eq!(w.ask(canary, "ban_user", json!({"user_id": "bob"})).unwrap_err()["code"], "forbidden");
}

/// What stands in an event, and what of that becomes something else; null where all of it goes.
type Places = Vec<(Value, Value)>;

/// The fields of both; those of `changes` in the place of others of that name.
fn with(base: &Value, changes: &Value) -> Value {
    let mut all = base.as_object().unwrap().clone();
    all.extend(changes.as_object().unwrap().clone());
    all.into()
}

/// Each of these places alone, and as many of them at once as there can be.
fn any_of(places: Places) -> Places {
    let mut all = Places::new();
    for place in places {
        let beside = |(put, changes): &(Value, Value)| (with(put, &place.0), with(changes, &place.1));
        let more: Places = all.iter().map(beside).collect();
        all.push(place);
        all.extend(more);
    }
    all
}

/// Places in a part of an event.
fn inside(part: &str, base: &Value, places: Places) -> Places {
    let all = places.into_iter().map(|(put, changes)| {
        let before = with(base, &put);
        let after = with(&before, &changes);
        (json!({part: before}), if before == after { json!({}) } else { json!({part: after}) })
    });
    all.collect()
}

/// A log holds each kind of event without the user, and with them in each of these places; then they are erased.
fn erased_from(mode: Mode, kinds: Vec<(&str, Value, Places)>) {
    let mut w = World::new();
    w.join("bob");
    let last = w.log.rows_before(1 << 40, 1).unwrap()[0].clone();
    let (mut before, mut after, mut found) = (Vec::new(), Vec::new(), 0);
    for (kind, base, places) in kinds {
        for (put, changes) in [(json!({}), json!({}))].into_iter().chain(places) {
            let event = |kind: &str, data: Value| {
                let seq = last.last + 1 + before.len() as u64;
                let event = json!({"seq": seq, "at": w.now, "visible_at": w.now, "event": kind, "data": data});
                serde_json::from_value::<LogEvent>(event.clone()).unwrap_or_else(|error| panic!("{error}: {event}"))
            };
            let data = with(&base, &put);
            found += u64::from(changes != json!({}));
            after.push(match changes {
                Value::Null => event("gone", json!({"user_id": ""})),
                changes => event(kind, with(&data, &changes)),
            });
            before.push(event(kind, data));
        }
    }
    let row = Row { last: before.last().unwrap().seq, no: last.no, events: before.clone() };
    let mut tables = w.log.copy();
    tables.log.insert(row.last, (row.no, row.events_json().unwrap()));
    w.log.put(tables);
    w.evict();
    assert_eq!(named(&mut w), found);
    erase(&mut w, mode);
    let left = w.log.row_with(row.last).unwrap().unwrap().events;
    for (before, (left, after)) in before.iter().zip(left.iter().zip(&after)) {
        assert_eq!(left, after, "{mode:?} of {before:?}");
    }
    assert_eq!((left.len(), named(&mut w)), (after.len(), 0));
}

const ID: &str = "019b818c-a94e-7000-8000-000000000007";

#[test]
fn v11_what_they_said_is_nobodys_and_others_said_it_of_nobody() {
    let mention = |who: &str| json!({"user_id": who, "username": who});
    let user = |who: &str| json!({"user_id": who, "username": who, "avatar": "https://a.example", "roles": ["member"]});
    let naming = json!({"content": "hi @canary &amp; @bob", "text": "hi @canary & @bob", "original": "damn @Canary",
        "mentions": [mention(WHO), mention("bob")]});
    let unnamed = json!({"content": "hi @erased &amp; @bob", "text": "hi @erased & @bob", "original": "damn @erased",
        "mentions": [mention("bob")]});
    let keys_for = |names: &[&str]| {
        let keys: Vec<_> = names.iter().map(|name| format!(r#""{name}":{{"type":0,"body":"AAEC"}}"#)).collect();
        let session = r#""v":1,"alg":"megolm","device_id":"D","session_id":"AAEC","index":7,"ciphertext":"AAEC""#;
        json!({"content": format!(r#"{{{session},"keys":{{{}}}}}"#, keys.join(","))})
    };
    let (for_all, for_bob) = (keys_for(&["bob/D", "canary/D", "canary/E"]), keys_for(&["bob/D"]));
    let nothing = json!({});

    let said = json!({"message_id": ID, "no": 7, "user": user("bob"), "content": "@canary.org canary", "type": "text",
        "reply_to": ID, "answers": "eve", "client_id": "c", "metadata": {"k": "v"}});
    let own = with(&naming, &json!({"user": user(WHO)}));
    let secret = json!({"type": "encrypted", "franking": "tag"});
    let nobodys = json!({"user": {"user_id": "", "username": "erased", "avatar": null, "roles": ["member"]},
        "answers": null, "client_id": null, "metadata": {}, "original": null});
    let redacted = json!({"content": "", "text": null, "mentions": [], "franking": null, "deleted_at": START});
    let tombstone = with(&nobodys, &redacted);

    let edited = json!({"message_id": ID, "user_id": "bob", "content": "@canary.org canary", "mentions": []});
    let own_edit = with(&naming, &json!({"user_id": WHO}));
    let tag = json!({"franking": "tag"});
    let of_both = json!({"mentions": [mention(WHO), mention("bob")]});
    let of_bob = json!({"mentions": [mention("bob")]});

    for mode in [Mode::Tombstone, Mode::Anonymise] {
        let (left, left_of_edit) = match mode {
            Mode::Tombstone => (tombstone.clone(), Value::Null),
            Mode::Anonymise => (with(&unnamed, &nobodys), with(&unnamed, &json!({"user_id": "", "original": null}))),
        };
        let mut messages = vec![
            (own.clone(), left.clone()),
            (with(&own, &json!({"sent_by": "svc"})), left.clone()),
            (with(&own, &json!({"sent_by": WHO})), with(&left, &json!({"sent_by": ""}))),
            (json!({"user": user(WHO), "content": "", "deleted_at": 1}), nobodys.clone()),
            (with(&with(&secret, &for_all), &json!({"user": user(WHO)})), tombstone.clone()),
            (with(&secret, &for_all), for_bob.clone()),
            (with(&with(&secret, &for_all), &of_both), with(&for_bob, &of_bob)),
            (with(&secret, &for_bob), nothing.clone()),
        ];
        messages.extend(any_of(vec![
            (json!({"answers": WHO}), json!({"answers": null})),
            (json!({"sent_by": WHO}), json!({"sent_by": ""})),
            (naming.clone(), unnamed.clone()),
        ]));
        let edits = vec![
            (own_edit.clone(), left_of_edit),
            (with(&with(&for_all, &tag), &json!({"user_id": WHO})), Value::Null),
            (with(&with(&for_all, &tag), &of_both), with(&for_bob, &of_bob)),
            (with(&for_all, &tag), for_bob.clone()),
            (with(&for_bob, &tag), nothing.clone()),
            (naming.clone(), unnamed.clone()),
        ];
        // What waits is let go of in either mode; so is why.
        let reasons = json!([{"code": "links"}]);
        let mut held = inside("message", &said, vec![(own.clone(), tombstone.clone())]);
        held[0].1["reasons"] = json!([]);
        held.extend(inside("message", &said, vec![(naming.clone(), unnamed.clone())]));
        erased_from(
            mode,
            vec![
                ("new_message", said.clone(), messages),
                ("message_edited", edited.clone(), edits),
                ("message_held", json!({"message": said, "reasons": reasons, "expires_at": START}), held),
            ],
        );
    }
}

#[test]
fn v11_an_act_stays_by_nobody_or_on_nobody_and_without_the_reason_that_they_gave() {
    let (none, hidden) = (json!({}), hidden_id(ROOM, WHO));
    let (reason, resolution) = (json!({"reason": null}), json!({"resolution": null}));
    // The user in a field, who becomes this, and what goes with them.
    let at = |field: &str, left: &str, goes: &Value| (json!({field: WHO}), with(&json!({field: left}), goes));
    let by = at("by", "", &none);
    let by_for = at("by", "", &reason);
    let act = |data: Value| with(&json!({"by": "mod", "role": "moderator"}), &data);

    let ban = act(json!({"user_id": "bob", "username": "Bob", "reason": "r", "shadow": false, "created_at": 1}));
    let of_ban = vec![at("user_id", &hidden, &json!({"username": null, "reason": null})), by_for.clone()];
    let ended = act(json!({"held_id": ID, "author": "bob", "outcome": "denied", "reason": "r"}));
    let terms = act(json!({"terms": {"blocked": [WHO], "allowed": [], "action": "reject"}}));
    let resolved = json!({"report_id": ID, "message_id": ID, "author": "bob", "status": "resolved", "resolution": "r"});
    let role = json!({"user_id": "bob", "username": "Bob", "role": "moderator", "by": "admin"});
    let reaction = json!({"message_id": ID, "user_id": "bob", "reaction": "x", "reactions": {"x": 1}});
    let room =
        json!({"name": WHO, "type": "video", "settings": {}, "owner_id": "bob", "created_at": 1, "updated_at": 1});
    let owner = inside("room", &room, vec![(json!({"owner_id": WHO}), json!({"owner_id": null}))]);
    let report = json!({"report_id": ID, "message_id": ID, "no": 7, "author": "eve", "reporter_id": "bob",
        "reason": "abuse", "details": WHO, "quoted": "q", "status": "resolved", "resolved_at": 1, "resolved_by": "mod",
        "resolution": "r"});
    let proved = with(&report, &json!({"proved": false}));

    for mode in [Mode::Tombstone, Mode::Anonymise] {
        let quoted = if mode == Mode::Tombstone { json!(null) } else { json!("q") };
        let of_report = vec![
            at("author", "", &json!({"quoted": quoted, "resolution": null})),
            at("reporter_id", "", &json!({"details": null})),
            at("resolved_by", "", &resolution),
        ];
        let of_proved = vec![at("author", "", &json!({"quoted": null, "resolution": null}))];
        let kinds = vec![
            ("held_ended", ended.clone(), any_of(vec![at("author", "", &reason), by_for.clone()])),
            ("terms_updated", terms.clone(), vec![by.clone()]),
            ("pinned", act(json!({"message_id": ID, "pinned": [ID]})), vec![by.clone()]),
            (
                "message_deleted",
                act(json!({"message_id": ID, "no": 7, "author": "bob"})),
                any_of(vec![at("author", "", &none), by.clone()]),
            ),
            (
                "messages_deleted",
                act(json!({"message_ids": [ID], "user_id": "bob", "reason": "r"})),
                any_of(vec![at("user_id", "", &reason), by_for.clone()]),
            ),
            ("banned", json!({"ban": ban, "role": "moderator"}), inside("ban", &ban, any_of(of_ban.clone()))),
            (
                "unbanned",
                act(json!({"user_id": "bob", "reason": "r"})),
                any_of(vec![at("user_id", &hidden, &reason), by_for.clone()]),
            ),
            ("reported", json!({"report": report}), inside("report", &report, any_of(of_report))),
            ("reported", json!({"report": proved}), inside("report", &proved, of_proved)),
            (
                "report_resolved",
                act(resolved.clone()),
                any_of(vec![at("author", "", &resolution), at("by", "", &resolution)]),
            ),
            ("reaction", reaction.clone(), vec![(json!({"user_id": WHO}), Value::Null)]),
            ("role", role.clone(), vec![(json!({"user_id": WHO}), Value::Null), by.clone()]),
            (
                "room",
                json!({"room": room, "changed": ["name"], "by": "admin"}),
                any_of(vec![owner[0].clone(), by.clone()]),
            ),
            ("gone", json!({"user_id": "bob"}), vec![at("user_id", "", &none)]),
            ("user_erased", json!({"message_ids": [ID], "tombstones": true}), vec![]),
        ];
        erased_from(mode, kinds);
    }
}
