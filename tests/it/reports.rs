//! Reports: who makes them, what moderators see, and that nobody else ever sees any of it.

use crate::blocks::growth;
use crate::memory::Flaw;
use crate::world::{ROOM, World};
use edge_chat::protocol::act::{Act, ReportMessage, ResolveReport, UserRef};
use edge_chat::protocol::call::{Ask, KnownMessage, PageQuery, ReportQuery};
use edge_chat::protocol::report::{CONTEXT, Report, ReportReason, ReportStatus, opened_report, report_page};
use edge_chat::protocol::wire::raw;
use edge_chat::protocol::{Audience, Body, ChatError, LogEvent, RoomId};
use edge_chat::room::{Log, Row};
use serde_json::{Value, json};

const DAY: u64 = 24 * 3_600_000;

fn id(reply: &Value) -> String {
    reply["message_id"].as_str().unwrap().to_owned()
}

fn report_id(reply: &Value) -> String {
    reply["report_id"].as_str().unwrap().to_owned()
}

fn report(w: &mut World, user: &str, message: &str, known: Option<KnownMessage>) -> Result<Value, ChatError> {
    let details = Some("look at\nthis\u{7}".to_owned());
    let body =
        ReportMessage { message_id: message.into(), reason: ReportReason::Abuse, details, opened: None, room_id: None };
    w.call(user, Ask::Report { body, known })
}

fn made(w: &mut World, user: &str, message: &str) -> String {
    let answer = report(w, user, message, None).unwrap();
    assert_eq!(answer["made"], true);
    report_id(&answer["report"])
}

fn refused(w: &mut World, user: &str, message: &str) -> &'static str {
    report(w, user, message, None).unwrap_err().code.as_str()
}

fn list(w: &mut World, status: ReportStatus) -> Vec<Report> {
    let query = ReportQuery { status, before: None, limit: 100 };
    serde_json::from_value(w.call("mod", Ask::Reports(query)).unwrap()).unwrap()
}

fn open(w: &mut World, id: &str) -> Option<Report> {
    serde_json::from_value(w.call("mod", Ask::OpenReport { report_id: id.into() }).unwrap()).unwrap()
}

fn resolve(w: &mut World, user: &str, id: &str, status: ReportStatus) -> Result<Value, ChatError> {
    let body = ResolveReport { report_id: id.into(), status, resolution: Some("warned".into()), room_id: None };
    w.call(user, Ask::Act(Act::ResolveReport(body)))
}

/// Brings events to the log's end that push the older ones out of the newest 10,000, and lets a week go by.
fn outlive(w: &mut World) {
    let (at, visible_at) = (w.now, w.now);
    let last = w.log.rows_before(1 << 40, 1).unwrap()[0].clone();
    let gone =
        |seq| LogEvent { seq, at, visible_at, audience: Audience::All, body: Body::Gone { user_id: "x".into() } };
    let events = (last.last + 1..=last.last + 10_000).map(gone).collect();
    w.evict();
    w.log.append(&Row { last: last.last + 10_000, no: last.no, events });
    w.advance(8 * DAY);
    w.post("svc", "wake up").unwrap();
    w.advance(5_000);
}

#[test]
fn a_report_is_made_once_and_answered_the_same_again() {
    let mut w = World::new();
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    let message = id(&w.say(ada, "rude <b>words</b> & more"));
    let moderator = w.join("mod");
    let frame = json!({"message_id": message, "reason": "hate", "details": "  see  "});
    let first = w.ask(bob, "report_message", frame.clone()).unwrap();
    let fields: Vec<_> = first.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["created_at", "message_id", "reason", "report_id", "room_id", "status"]);
    assert_eq!((&first["reason"], &first["status"]), (&json!("hate"), &json!("open")));
    let mut event = first.clone();
    for (field, value) in
        [("reporter_id", "bob"), ("author", "ada"), ("details", "see"), ("quoted", "rude words & more")]
    {
        event[field] = value.into();
    }
    assert_eq!(w.events(moderator, "message_reported"), [event]);

    let before = w.log.stored().len();
    assert_eq!(w.ask(bob, "report_message", frame.clone()).unwrap(), first);
    w.evict();
    assert_eq!(report(&mut w, "bob", &message, None).unwrap(), json!({"made": false, "report": first}));
    w.ask(ada, "delete_message", json!({"message_id": message})).unwrap();
    assert_eq!(w.ask(bob, "report_message", frame).unwrap(), first, "also once it is a tombstone");
    assert_eq!((w.log.stored().len(), w.events(moderator, "message_reported").len()), (before + 1, 0));
}

#[test]
fn what_cannot_be_reported() {
    let mut w = World::new();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    let message = id(&w.say(ada, "hello"));
    assert_eq!(refused(&mut w, "", &message), "token_required");
    assert_eq!(refused(&mut w, "ada", &message), "forbidden");
    assert_eq!(refused(&mut w, "bob", "msg_456"), "message_not_found");
    w.ask(ada, "delete_message", json!({"message_id": message})).unwrap();
    assert_eq!(refused(&mut w, "bob", &message), "message_not_found");
    // PostgreSQL has not heard yet that it was deleted.
    let known = KnownMessage { no: 1, user_id: "ada".into(), text: "hello".into(), ..KnownMessage::default() };
    assert_eq!(report(&mut w, "bob", &message, Some(known)).unwrap_err().code.as_str(), "message_not_found");

    w.ask(moderator, "ban_user", json!({"user_id": "ada", "shadow": true})).unwrap();
    let unseen = id(&w.say(ada, "can you hear me"));
    assert_eq!(refused(&mut w, "bob", &unseen), "message_not_found");
    made(&mut w, "mod", &unseen);
    w.ask(moderator, "ban_user", json!({"user_id": "bob"})).unwrap();
    assert_eq!(refused(&mut w, "bob", &unseen), "banned");

    let carl = w.join("carl");
    let field = |w: &mut World, data: Value| w.ask(carl, "report_message", data).unwrap_err()["field"].clone();
    let message = id(&w.say(moderator, "hello"));
    assert_eq!(field(&mut w, json!({"message_id": message, "reason": "ugly"})), "reason");
    assert_eq!(field(&mut w, json!({"message_id": message})), "reason");
    let of_length = |n| json!({"message_id": message, "reason": "spam", "details": "é".repeat(n)});
    assert_eq!(field(&mut w, of_length(1_001)), "details");
    w.ask(carl, "report_message", of_length(1_000)).unwrap();
}

#[test]
fn nobody_but_moderators_ever_learns_of_a_report() {
    let mut w = World::new();
    let (ada, bob, guest, moderator) = (w.join("ada"), w.join("snitch"), w.join(""), w.join("mod"));
    let from = w.ask(ada, "catch_up", json!({"epoch": 0, "seq": 0})).unwrap();
    let message = id(&w.say(ada, "rude"));
    let report = w.ask(bob, "report_message", json!({"message_id": message, "reason": "spam"})).unwrap();
    w.close(bob);
    w.say(ada, "more");
    let body = json!({"report_id": report["report_id"], "status": "resolved", "resolution": "seen to"});
    w.ask(moderator, "resolve_report", body).unwrap();
    w.say(ada, "and more");
    w.advance(31 * DAY);
    w.post("mod", "the end").unwrap();
    w.evict();

    let mut seen: Vec<String> = Vec::new();
    for socket in [ada, guest] {
        seen.extend(w.take(socket).iter().filter(|line| line["data"]["user_id"] != "snitch").map(Value::to_string));
    }
    for user in ["ada", ""] {
        for resume in [json!({}), json!({"resume": {"epoch": from["epoch"], "seq": from["seq"]}})] {
            let socket = w.open(user);
            seen.push(w.ask(socket, "join_room", resume).unwrap().to_string());
        }
        seen.push(w.page(user, PageQuery::Page { page: 1, limit: 50 }).to_string());
        seen.push(w.get(user).to_string());
    }
    assert!(seen.iter().any(|text| text.contains("and more")));
    for text in seen {
        assert!(
            !text.contains("snitch") && !text.contains("report_id") && !text.contains("message_reported"),
            "{text}"
        );
    }
    let resumed = w.open("mod2");
    let resume = json!({"resume": {"epoch": from["epoch"], "seq": from["seq"]}});
    let events = w.ask(resumed, "join_room", resume).unwrap()["events"].to_string();
    assert!(events.contains("message_reported") && events.contains("report_resolved") && events.contains("snitch"));

    let asks = || {
        let query = ReportQuery { status: ReportStatus::Open, before: None, limit: 10 };
        [Ask::Reports(query), Ask::OpenReport { report_id: report_id(&report) }]
    };
    for (user, code) in [("ada", "forbidden"), ("", "token_required")] {
        for ask in asks() {
            assert_eq!(w.call(user, ask).unwrap_err().code.as_str(), code);
        }
        let id = report_id(&report);
        assert_eq!(resolve(&mut w, user, &id, ReportStatus::Resolved).unwrap_err().code.as_str(), code);
    }
}

#[test]
fn moderators_list_open_and_decide() {
    let mut w = World::new();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    let mut ids = Vec::new();
    for user in ["bob", "carl", "dora"] {
        w.now += 10;
        let message = id(&w.say(ada, &format!("words to {user}")));
        ids.push(made(&mut w, user, &message));
    }
    w.evict();
    let names = |reports: &[Report]| reports.iter().map(|report| report.reporter_id.clone()).collect::<Vec<_>>();
    let open_ones = list(&mut w, ReportStatus::Open);
    assert_eq!(names(&open_ones), ["dora", "carl", "bob"]);
    assert_eq!(open_ones[2].quoted.as_deref(), Some("words to bob"));
    assert_eq!(open_ones[2].details.as_deref(), Some("look at\nthis"));
    let query = ReportQuery { status: ReportStatus::Open, before: Some(open_ones[0].report_id), limit: 1 };
    let next: Vec<Report> = serde_json::from_value(w.call("mod", Ask::Reports(query)).unwrap()).unwrap();
    assert_eq!(names(&next), ["carl"]);

    w.take(moderator);
    let done = resolve(&mut w, "mod", &ids[0], ReportStatus::Resolved).unwrap();
    assert_eq!((&done["status"], &done["resolved_by"]), (&json!("resolved"), &json!("mod")));
    assert_eq!((&done["resolution"], &done["quoted"]), (&json!("warned"), &json!("words to bob")));
    assert_eq!(done["details"], "look at\nthis");
    let events = w.events(moderator, "report_resolved");
    assert_eq!((events.len(), &events[0]["report_id"], &events[0]["room_id"]), (1, &json!(ids[0]), &json!(ROOM)));
    let again = resolve(&mut w, "svc", &ids[0], ReportStatus::Resolved).unwrap();
    assert_eq!((again, w.events(moderator, "report_resolved").len()), (done, 0), "the same again changes nothing");
    w.evict();
    let other = resolve(&mut w, "svc", &ids[0], ReportStatus::Dismissed).unwrap();
    assert_eq!((&other["status"], &other["resolved_by"]), (&json!("dismissed"), &json!("svc")));
    assert_eq!(names(&list(&mut w, ReportStatus::Dismissed)), ["bob"]);
    assert_eq!(names(&list(&mut w, ReportStatus::Open)), ["dora", "carl"]);

    assert_eq!(resolve(&mut w, "mod", "x", ReportStatus::Resolved).unwrap_err().code.as_str(), "report_not_found");
    let error = resolve(&mut w, "mod", &ids[1], ReportStatus::Open).unwrap_err();
    assert_eq!(error.field.as_deref(), Some("status"));
    let of_length = |n| json!({"report_id": ids[1], "status": "resolved", "resolution": "é".repeat(n)});
    assert_eq!(w.ask(moderator, "resolve_report", of_length(501)).unwrap_err()["field"], "resolution");
    assert_eq!(open(&mut w, &ids[1]).unwrap().status, ReportStatus::Open);
    w.ask(moderator, "resolve_report", of_length(500)).unwrap();
    assert_eq!(open(&mut w, "x"), None);
}

#[test]
fn a_report_is_opened_with_what_was_said_around_it() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "100")], 1);
    let ada = w.join("ada");
    let said: Vec<_> = (1..=30).map(|n| id(&w.say(ada, &format!("m{n}")))).collect();
    for (message, before, after) in [(1, 0, 10), (15, 10, 10), (27, 10, 3), (5, 4, 10)] {
        let report = made(&mut w, "bob", &said[message - 1]);
        let report = open(&mut w, &report).unwrap();
        let no = report.no.unwrap();
        let page = w.page("mod", PageQuery::After { no: no.saturating_sub(CONTEXT + 1), limit: 2 * CONTEXT + 1 });
        let held = page["held"].as_array().unwrap().iter().map(|message| raw(message.to_string())).collect();
        let opened = opened_report(&RoomId::parse(ROOM).unwrap(), &report, held);
        let opened: Value = serde_json::from_str(opened.get()).unwrap();
        let (context, numbers) = (&opened["context"], |list: &Value| {
            list.as_array().unwrap().iter().map(|message| message["no"].as_u64().unwrap()).collect::<Vec<_>>()
        });
        let no = message as u64;
        assert_eq!(numbers(&context["before"]), (no - before..no).collect::<Vec<_>>());
        assert_eq!(numbers(&context["after"]), (no + 1..=no + after).collect::<Vec<_>>());
        assert_eq!((&context["message"]["no"], &opened["quoted"]), (&json!(no), &json!(format!("m{no}"))));
    }
}

#[test]
fn a_page_joins_what_room_and_postgresql_have() {
    let mut w = World::new();
    let ada = w.join("ada");
    for user in ["bob", "carl", "dora"] {
        w.now += 10;
        let message = id(&w.say(ada, user));
        made(&mut w, user, &message);
    }
    let reports = list(&mut w, ReportStatus::Open);
    let [dora, carl, bob] = reports.as_slice() else { panic!("three reports") };
    let late = Report { resolution: Some("late".into()), ..carl.clone() };
    let page = |limit| {
        let (held, stored) = (vec![bob.clone(), carl.clone()], vec![late.clone(), dora.clone()]);
        let page = report_page(&RoomId::parse(ROOM).unwrap(), held, stored, limit);
        let page: Value = serde_json::from_str(page.get()).unwrap();
        let reports = page["reports"].as_array().unwrap().iter();
        reports.map(|report| (report["reporter_id"].clone(), report["resolution"].clone())).collect::<Vec<_>>()
    };
    let expected = ["dora", "carl", "bob"].map(|name| (json!(name), Value::Null));
    assert_eq!(page(10), expected);
    assert_eq!(page(2), expected[..2]);
}

#[test]
fn twenty_an_hour_also_over_sleep() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "100")], 1);
    let ada = w.join("ada");
    let said: Vec<_> = (0..21).map(|n| id(&w.say(ada, &format!("m{n}")))).collect();
    let began = w.now;
    for message in &said[..20] {
        w.now += 1_000;
        made(&mut w, "bob", message);
    }
    w.evict();
    let error = report(&mut w, "bob", &said[20], None).unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.retry_after_ms),
        ("rate_limited", Some(3_600_000 + 1_000 - (w.now - began)))
    );
    made(&mut w, "carl", &said[20]);
    assert_eq!(report(&mut w, "bob", &said[0], None).unwrap()["made"], false, "a repeat is none");
    w.now = began + 1_000 + 3_600_000;
    made(&mut w, "bob", &said[20]);
}

#[test]
fn a_thousand_are_kept_and_closed_ones_give_way() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "rude"));
    w.pg_down = true;
    let first = made(&mut w, "user0", &message);
    let second = made(&mut w, "user1", &message);
    w.now += 1_000;
    let closed = [second, made(&mut w, "user2", &message)];
    for n in 3..1_000 {
        made(&mut w, &format!("user{n}"), &message);
    }
    assert_eq!(refused(&mut w, "bob", &message), "rate_limited");
    for report in &closed {
        resolve(&mut w, "mod", report, ReportStatus::Dismissed).unwrap();
        assert_eq!(refused(&mut w, "bob", &message), "rate_limited", "PostgreSQL does not have it yet");
    }
    w.pg_down = false;
    w.advance(20_000);
    let quotes = |w: &World| w.log.stored().iter().filter(|row| row.contains("\"quoted\"")).count();
    assert_eq!(quotes(&w), 1_000);
    made(&mut w, "bob", &message);
    assert_eq!((open(&mut w, &closed[0]), open(&mut w, &closed[1]).is_some()), (None, true), "the oldest");
    made(&mut w, "dora", &message);
    assert_eq!(quotes(&w), 1_000, "what is not kept track of is not kept");
    w.evict();
    assert_eq!(refused(&mut w, "carl", &message), "rate_limited");
    assert_eq!((open(&mut w, &closed[1]), open(&mut w, &first).is_some()), (None, true));
    w.advance(20_000);
    assert_eq!((w.pg.reports.len(), &w.pg.reports[&closed[0]]["quoted"]), (1_002, &json!("rude")));
}

#[test]
fn a_quote_outlives_its_message_by_thirty_days() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "rude words"));
    let first = made(&mut w, "bob", &message);
    w.advance(10 * DAY);
    let ada = w.join("ada");
    let other = id(&w.say(ada, "other words"));
    let second = made(&mut w, "bob", &other);
    let everything = Act::DeleteMessages(UserRef { user_id: "ada".into(), ..UserRef::default() });
    w.call("mod", Ask::Act(everything)).unwrap();
    w.advance(5_000);
    w.evict();
    w.advance(20 * DAY - 10_000);
    assert_eq!(open(&mut w, &first).unwrap().quoted.as_deref(), Some("rude words"));
    w.evict();
    w.advance(3_700_000);
    assert!(!w.log.holds("rude words") && w.log.holds("other words") && w.log.holds("look at"));
    assert_eq!(
        (&w.pg.reports[&first]["quoted"], &w.pg.reports[&second]["quoted"]),
        (&Value::Null, &json!("other words"))
    );
    let report = open(&mut w, &first).unwrap();
    assert_eq!((report.quoted, report.status), (None, ReportStatus::Open));
    w.advance(11 * DAY);
    assert!(!w.log.holds("other words"));
    assert_eq!(w.pg.reports[&second]["quoted"], Value::Null);
    let rows = w.log.stored().len();
    w.advance(40 * DAY);
    assert_eq!((w.log.stored().len(), w.faults.len()), (rows, 0), "nothing is left to do");
}

#[test]
fn a_quote_is_gone_an_hour_after_its_time() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "rude words"));
    let report = made(&mut w, "bob", &message);
    w.close(ada);
    w.call("mod", Ask::Act(Act::DeleteMessages(UserRef { user_id: "ada".into(), ..UserRef::default() }))).unwrap();
    w.advance(30 * DAY + 3_600_000);
    assert!(!w.log.holds("rude words"));
    w.advance(2_000);
    assert_eq!((open(&mut w, &report).unwrap().quoted, &w.pg.reports[&report]["quoted"]), (None, &Value::Null));
}

#[test]
fn a_closed_report_stays_as_long_as_the_log_holds_its_message() {
    let mut w = World::new();
    let ada = w.join("ada");
    let first = w.say(ada, "of the room's first moment");
    w.now += 1_000;
    let messages = [id(&first), id(&w.say(ada, "later"))];
    let reports: Vec<_> = messages.iter().map(|message| made(&mut w, "bob", message)).collect();
    for report in &reports {
        resolve(&mut w, "mod", report, ReportStatus::Resolved).unwrap();
    }
    w.close(ada);
    w.advance(5_000);
    w.log.trim(first["seq"].as_u64().unwrap() - 1);
    w.evict();
    w.advance(31 * DAY);
    w.evict();
    for (message, report) in messages.iter().zip(&reports) {
        assert_eq!(open(&mut w, report).unwrap().quoted, None);
        assert_eq!(self::report(&mut w, "bob", message, None).unwrap()["made"], false);
        resolve(&mut w, "mod", report, ReportStatus::Dismissed).unwrap();
    }
}

#[test]
fn what_has_expired_cannot_be_reported_whatever_a_hold_keeps_of_it() {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "1000")], 1);
    let ada = w.join("ada");
    let said: Vec<_> = (1..=130).map(|n| id(&w.say(ada, &format!("m{n}")))).collect();
    w.close(ada);
    let keep = json!({"settings": {"retention_messages": 100}});
    w.call("admin", Ask::Patch(serde_json::from_value(keep).unwrap())).unwrap();
    w.advance(3_600_000);
    outlive(&mut w);
    let mut report = |no: u64| {
        let known = KnownMessage { no, user_id: "ada".into(), text: "rude".into(), ..KnownMessage::default() };
        let made = self::report(&mut w, "bob", &said[no as usize - 1], Some(known));
        made.map(|answer| answer["made"].clone()).map_err(|error| error.code.as_str())
    };
    assert_eq!((report(31), report(32)), (Err("message_not_found"), Ok(json!(true))));
}

#[test]
fn a_closed_report_goes_with_its_message_and_a_new_one_takes_its_place() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "rude"));
    let (first, open_one) = (made(&mut w, "bob", &message), made(&mut w, "carl", &message));
    resolve(&mut w, "mod", &first, ReportStatus::Resolved).unwrap();
    w.close(ada);
    w.advance(5_000);
    outlive(&mut w);
    assert_eq!(refused(&mut w, "dora", &message), "message_too_old", "the message is trimmed");
    assert!(open(&mut w, &first).is_some(), "it still quotes");
    w.advance(31 * DAY);
    w.evict();
    assert_eq!((open(&mut w, &first), open(&mut w, &open_one).is_some()), (None, true));
    assert!(!w.log.holds(&first));
    let error = resolve(&mut w, "mod", &first, ReportStatus::Dismissed).unwrap_err();
    assert_eq!(error.code.as_str(), "report_not_found");

    let known = KnownMessage { no: 1, user_id: "ada".into(), text: "rude".into(), ..KnownMessage::default() };
    let again = report(&mut w, "bob", &message, Some(known.clone())).unwrap();
    assert_eq!(again["made"], true);
    w.advance(5_000);
    let ids: Vec<_> = w.pg.reports.keys().cloned().collect();
    assert_eq!(ids, [open_one, report_id(&again["report"])]);
    let quoted = open(&mut w, &report_id(&again["report"])).unwrap();
    assert_eq!((quoted.quoted.as_deref(), quoted.no, quoted.author.as_str()), (Some("rude"), Some(1), "ada"));

    let mut trial = |user: &str, known: KnownMessage| report(&mut w, user, &message, Some(known)).unwrap_err().code;
    assert_eq!(trial("eve", KnownMessage { deleted: true, ..known.clone() }).as_str(), "message_not_found");
    let hidden = KnownMessage { audience: Audience::User("ada".into()), ..known.clone() };
    assert_eq!(trial("eve", hidden).as_str(), "message_not_found");
    assert_eq!(trial("ada", known).as_str(), "forbidden");
}

#[test]
fn reports_come_back_with_a_room_that_lost_its_storage() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "rude words"));
    let (first, second) = (made(&mut w, "bob", &message), made(&mut w, "carl", &message));
    resolve(&mut w, "mod", &second, ReportStatus::Resolved).unwrap();
    w.advance(5_000);
    w.lose_storage();
    w.evict();
    let report = open(&mut w, &first).unwrap();
    assert_eq!((report.quoted.as_deref(), report.no, report.author.as_str()), (Some("rude words"), Some(1), "ada"));
    assert_eq!(open(&mut w, &second).unwrap().resolution.as_deref(), Some("warned"));
    assert_eq!(self::report(&mut w, "bob", &message, None).unwrap()["made"], false);
    resolve(&mut w, "mod", &first, ReportStatus::Dismissed).unwrap();
    w.advance(31 * DAY);
    assert!(!w.log.holds("rude words"));
    assert_eq!((&w.pg.reports[&first]["status"], &w.pg.reports[&first]["quoted"]), (&json!("dismissed"), &Value::Null));
    assert_eq!(w.pg.reports[&second]["quoted"], Value::Null);
}

#[test]
fn the_audit_has_reports_and_decisions_without_what_was_said() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "rude"));
    let report = made(&mut w, "snitch", &message);
    resolve(&mut w, "mod", &report, ReportStatus::Resolved).unwrap();
    w.advance(2_000);
    let batches = w.batches.iter().map(|batch| serde_json::from_str::<Value>(batch).unwrap());
    let ops: Vec<_> = batches.flat_map(|batch| batch["ops"].as_array().unwrap().clone()).collect();
    let audit: Vec<_> = ops.iter().filter(|op| op["op"] == "audit").collect();
    let lines: Vec<_> = audit.iter().map(|line| json!([line["actor"], line["action"], line["target"]])).collect();
    assert_eq!(lines, [json!(["snitch", "report_message", "ada"]), json!(["mod", "resolve_report", "ada"])]);
    assert_eq!(audit[1]["details"]["status"], "resolved");
    assert!(audit.iter().all(|line| !line.to_string().contains("rude")));
}

#[test]
fn repeats_are_counted_too() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "rude"));
    made(&mut w, "bob", &message);
    for _ in 0..20 {
        assert_eq!(report(&mut w, "bob", &message, None).unwrap()["made"], false);
    }
    let error = report(&mut w, "bob", &message, None).unwrap_err();
    assert_eq!((error.code.as_str(), error.retry_after_ms), ("rate_limited", Some(3_600_000)));
    made(&mut w, "carl", &message);
    w.advance(3_600_000);
    assert_eq!(report(&mut w, "bob", &message, None).unwrap()["made"], false);
}

#[test]
fn a_decision_that_the_storage_fails_has_not_happened() {
    let mut w = World::new();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    let message = id(&w.say(ada, "rude"));
    let report = made(&mut w, "bob", &message);
    w.log.flaw.set(Flaw::NoValues);
    let error = resolve(&mut w, "mod", &report, ReportStatus::Resolved).unwrap_err();
    assert_eq!((error.code.as_str(), w.faults.len()), ("internal", 1));
    w.log.flaw.set(Flaw::None);
    assert_eq!(open(&mut w, &report).unwrap().status, ReportStatus::Open);
    w.take(moderator);
    w.say(ada, "more");
    resolve(&mut w, "mod", &report, ReportStatus::Resolved).unwrap();
    assert_eq!(w.events(moderator, "report_resolved").len(), 1);
}

#[test]
fn what_was_delayed_is_shown_also_when_an_alarms_work_fails() {
    let mut w = World::new();
    let ada = w.join("ada");
    let message = id(&w.say(ada, "rude"));
    let report = made(&mut w, "bob", &message);
    let delayed = serde_json::from_value(json!({"settings": {"delay_s": 2}})).unwrap();
    w.call("mod", Ask::Patch(delayed)).unwrap();
    w.now += 3_000;
    w.tick();
    // The time for the quote comes while nothing happens here.
    w.now += 31 * DAY;
    let (ada, bob) = (w.join("ada"), w.join("bob"));
    w.say(ada, "hello");
    w.take(bob);
    w.now += 2_000;
    w.drain();
    w.log.flaw.set(Flaw::Unreadable);
    (w.soon, w.alarm) = (None, None);
    w.tick();
    assert_eq!((w.faults.len(), w.events(bob, "new_message").len()), (1, 1));
    let next = w.soon.into_iter().chain(w.alarm).min().unwrap();
    assert!(next > w.now, "{next} {}", w.now);
    w.log.flaw.set(Flaw::None);
    w.advance(61_000);
    assert_eq!((open(&mut w, &report).unwrap().quoted, w.faults.len()), (None, 1));
}

#[test]
fn what_an_alarm_cannot_do_now_is_not_tried_at_once() {
    let mut w = World::new();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    w.ask(moderator, "set_terms", json!({"blocked": ["hold*"], "action": "hold"})).unwrap();
    for content in ["hold one", "hold two"] {
        assert_eq!(w.say(ada, content)["held"], true);
    }
    w.now += 2 * DAY;
    w.drain();
    w.log.flaw.set(Flaw::Unreadable);
    w.alarm = None;
    w.tick();
    assert_eq!((w.faults.len(), w.alarm.is_some_and(|at| at > w.now + 50_000)), (1, true));
}

#[test]
fn deciding_costs_the_same_in_a_large_room() {
    let mut report = None;
    let grown = growth(|w| {
        if w.get("mod")["message_count"] == 0 {
            let message = id(&w.post("ada", "rude").unwrap());
            report = Some(made(w, "bob", &message));
        }
        let report = report.clone().unwrap();
        for _ in 0..200 {
            resolve(w, "mod", &report, ReportStatus::Resolved).unwrap();
        }
    });
    assert!(grown < 8.0, "{grown}");
}
