//! H1: what of a room's log a back end is posted, and what becomes of it while it takes nothing.

use crate::endpoint::Answer;
use crate::world::{ROOM, World};
use edge_chat::protocol::{Audience, Body, LogEvent};
use edge_chat::room::{Hooked, Log, Row};
use edge_chat::sinks::Sink;
use serde_json::json;

const DAY: u64 = 24 * 3_600_000;
const HOUR: u64 = 3_600_000;

fn hooked(set: &[(&str, &str)]) -> World {
    let own = [
        ("WEBHOOK_URL", "https://hooks.example/"),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
        ("RATE_LIMIT_MESSAGES", "1000"),
    ];
    World::with(&own.into_iter().chain(set.iter().copied()).collect::<Vec<_>>(), 1)
}

/// Says something without a socket, which would end with its token; the event's `seq`.
fn post(w: &mut World, user: &str, content: &str) -> u64 {
    w.post(user, content).unwrap()["seq"].as_u64().unwrap()
}

fn stored(w: &World) -> Hooked {
    serde_json::from_str(&w.log.value("cursor:webhook").unwrap().unwrap()).unwrap()
}

/// Each body begins where the one before it ended.
fn whole(w: &World) {
    assert_eq!(w.endpoint.missed, []);
    for pair in w.endpoint.bodies.windows(2) {
        assert_eq!(pair[0]["to"].as_u64().unwrap() + 1, pair[1]["from"].as_u64().unwrap(), "{pair:?}");
    }
}

#[test]
fn h1_events_of_the_kinds_that_are_set_go_out_in_order_and_say_what_lies_between() {
    let mut w = hooked(&[]);
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    let first = w.say(ada, "one");
    let id = first["message_id"].clone();
    w.ask(moderator, "ban_user", json!({"user_id": "zoe", "shadow": true})).unwrap();
    w.ask(ada, "react", json!({"message_id": id, "reaction": "👍"})).unwrap();
    w.ask(ada, "edit_message", json!({"message_id": id, "content": "uno"})).unwrap();
    w.ask(moderator, "ban_user", json!({"user_id": "eve", "reason": "of no concern"})).unwrap();
    w.ask(moderator, "report_message", json!({"message_id": id, "reason": "spam"})).unwrap();
    w.advance(2_000);
    let names: Vec<_> = w.endpoint.told().iter().map(|(_, name)| *name).collect();
    assert_eq!(names, ["new_message", "message_edited", "user_banned"]);
    let [body] = &w.endpoint.bodies[..] else { panic!("{:?}", w.endpoint.bodies) };
    assert_eq!((&body["room_id"], &body["from"], body.get("left_out")), (&json!(ROOM), &json!(1), None));
    let last = w.log.rows_before(u64::MAX, 1).unwrap()[0].last;
    assert_eq!(body["to"].as_u64(), Some(last));
    let text = body.to_string();
    assert!(!text.contains("of no concern") && !text.contains("audience") && !text.contains("zoe"), "{text}");
    w.say(ada, "two");
    w.advance(5_000);
    assert_eq!(w.endpoint.said(), ["uno", "two"]);
    whole(&w);
    assert_eq!(stored(&w), Hooked { seq: last + 1, told: last + 1, ..Hooked::default() });
    // An event that is not for it asks nothing, also after a wake.
    let asked = w.endpoint.asked();
    w.ask(ada, "react", json!({"message_id": id, "reaction": "🎉"})).unwrap();
    w.advance(DAY);
    w.evict();
    w.tick();
    w.advance(10_000);
    assert_eq!(w.endpoint.asked(), asked);
}

#[test]
fn h1_q1_without_a_webhook_nothing_is_made_for_it() {
    let mut plain = World::new();
    let mut hooked = hooked(&[]);
    for w in [&mut plain, &mut hooked] {
        let ada = w.join("ada");
        w.say(ada, "one");
        w.advance(5_000);
    }
    assert_eq!((plain.endpoint.asked(), plain.log.holds("cursor:webhook")), (0, false));
    // With one it is its cursor and the alarm for an outcome that is lost.
    assert!(
        hooked.endpoint.asked() == 1 && (1..=3).contains(&(hooked.rows - plain.rows)),
        "{} {}",
        hooked.rows,
        plain.rows
    );
}

#[test]
fn h1_v7_what_is_delayed_goes_out_when_it_is_visible_and_at_once_with_moderation() {
    for (moderation, early) in [("false", vec![]), ("true", vec!["late"])] {
        let mut w = hooked(&[("WEBHOOK_MODERATION", moderation)]);
        let (ada, moderator) = (w.join("ada"), w.join("mod"));
        w.ask(moderator, "set_modes", json!({"modes": {"delay_s": 6}})).unwrap();
        w.advance(10_000);
        w.say(ada, "late");
        w.advance(5_000);
        assert_eq!(w.endpoint.said(), early);
        w.evict();
        w.advance(3_000);
        assert_eq!(w.endpoint.said(), ["late"]);
    }
}

#[test]
fn h1_with_moderation_reports_and_reasons_go_out_and_say_for_whom() {
    let mut w = hooked(&[("WEBHOOK_MODERATION", "true")]);
    let (zoe, moderator) = (w.join("zoe"), w.join("mod"));
    w.ask(moderator, "ban_user", json!({"user_id": "zoe", "shadow": true, "reason": "spam"})).unwrap();
    let said = w.say(zoe, "to nobody");
    w.ask(moderator, "report_message", json!({"message_id": said["message_id"], "reason": "spam"})).unwrap();
    w.advance(2_000);
    let shown: Vec<_> =
        w.endpoint.events.iter().map(|event| (event["event"].as_str(), event["audience"].as_str())).collect();
    assert_eq!(
        shown.iter().map(|(event, audience)| (event.unwrap(), audience.unwrap())).collect::<Vec<_>>(),
        [("user_banned", "moderators"), ("new_message", "user:zoe"), ("message_reported", "moderators")]
    );
    assert_eq!(w.endpoint.events[0]["data"]["reason"], "spam");
    assert_eq!(w.endpoint.events[0]["visible_at"].as_u64().map(|at| at / DAY), Some(w.now / DAY));
}

#[test]
fn h1_v8_while_the_back_end_is_away_postgresql_goes_on_and_it_catches_up() {
    let mut w = hooked(&[]);
    let ada = w.join("ada");
    w.endpoint.answer = Answer::Down;
    for i in 0..50 {
        w.say(ada, &i.to_string());
        w.advance(2_000);
        assert_eq!(w.pg.messages.len(), i + 1);
    }
    assert!((5..=20).contains(&w.endpoint.asked()), "tried {} times in 100 s", w.endpoint.asked());
    w.endpoint.answer = Answer::Takes;
    w.advance(60_000);
    assert_eq!(w.endpoint.said(), (0..50).map(|i| i.to_string()).collect::<Vec<_>>());
    whole(&w);
}

#[test]
fn h1_what_is_posted_again_is_the_same_under_the_same_id_whatever_is_said_meanwhile() {
    let mut w = hooked(&[]);
    let ada = w.join("ada");
    w.say(ada, "one");
    w.endpoint.answer = Answer::Mute;
    w.advance(1_000);
    for i in 0..5 {
        w.say(ada, &i.to_string());
        w.advance(5_000);
        w.evict();
        w.tick();
    }
    let ids = w.endpoint.ids.clone();
    assert!(ids.len() > 2 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(w.endpoint.bodies.iter().all(|body| *body == w.endpoint.bodies[0]));
    w.endpoint.answer = Answer::Takes;
    w.advance(60_000);
    assert_eq!(w.endpoint.said(), ["one", "0", "1", "2", "3", "4"]);
    assert_eq!(w.endpoint.missed, []);
}

#[test]
fn h1_an_outcome_that_was_lost_with_the_object_is_posted_again() {
    let mut w = hooked(&[]);
    let ada = w.join("ada");
    w.say(ada, "one");
    w.now += 600;
    // The back end has it; the object dies before it hears of that.
    let batch = w.compute(|host, at| host.batch(at, edge_chat::sinks::Sink::Webhook).unwrap()).unwrap();
    w.endpoint.post(&batch.body);
    (w.alarm, w.soon) = (None, None);
    w.drain();
    w.close(ada);
    w.evict();
    w.advance(120_000);
    assert_eq!((w.endpoint.said(), w.endpoint.bodies.len()), (vec!["one"], 2));
    assert_eq!(w.endpoint.ids[0], w.endpoint.ids[1]);
}

#[test]
fn h1_retry_after_is_honoured() {
    let mut w = hooked(&[]);
    let ada = w.join("ada");
    w.endpoint.answer = Answer::Later(120_000);
    w.say(ada, "one");
    w.advance(2_000);
    assert_eq!(w.endpoint.asked(), 1);
    w.endpoint.answer = Answer::Takes;
    w.advance(115_000);
    assert_eq!(w.endpoint.asked(), 1);
    w.advance(20_000);
    assert_eq!(w.endpoint.said(), ["one"]);
}

#[test]
fn h1_a_body_has_an_end() {
    let mut w = hooked(&[("RATE_LIMIT_ROOM_MESSAGES", "100000"), ("MAX_MESSAGE_LENGTH", "8000")]);
    w.join("ada");
    w.endpoint.answer = Answer::Down;
    for i in 0..250 {
        post(&mut w, "ada", &i.to_string());
    }
    for _ in 0..40 {
        post(&mut w, "ada", &"\u{1f44d}".repeat(3_900));
    }
    w.advance(1_000);
    w.endpoint.answer = Answer::Takes;
    w.advance(600_000);
    assert_eq!(w.endpoint.said().len(), 290);
    whole(&w);
    let sizes: Vec<_> = w
        .endpoint
        .bodies
        .iter()
        .map(|body| (body["events"].as_array().unwrap().len(), body.to_string().len()))
        .collect();
    assert!(sizes.iter().all(|(events, bytes)| *events <= 100 && *bytes < 300 << 10), "{sizes:?}");
    assert!(sizes.len() <= 7 && sizes[0].0 == 100, "{sizes:?}");
}

#[test]
fn h1_what_is_refused_for_an_hour_is_left_out_and_the_next_body_says_so() {
    let mut w = hooked(&[]);
    w.join("ada");
    post(&mut w, "ada", "taken");
    w.advance(2_000);
    w.endpoint.answer = Answer::Status(422);
    let first = post(&mut w, "ada", "poison");
    w.advance(2_000);
    w.evict();
    let kept = post(&mut w, "ada", "kept");
    w.advance(HOUR - 400_000);
    assert_eq!(stored(&w).seq, first - 1);
    assert!((3..250).contains(&w.endpoint.asked()), "{}", w.endpoint.asked());
    w.advance(700_000);
    assert!(w.faults.iter().any(|fault| fault.starts_with("webhook: the back end answered 422; ")), "{:?}", w.faults);
    w.endpoint.answer = Answer::Takes;
    w.advance(400_000);
    assert_eq!(w.endpoint.said(), ["taken", "kept"]);
    let body = w.endpoint.bodies.last().unwrap();
    assert_eq!(body["left_out"], json!({"from": first, "to": kept - 1}));
    whole(&w);
    post(&mut w, "ada", "on");
    w.advance(2_000);
    assert_eq!(w.endpoint.bodies.last().unwrap().get("left_out"), None);
}

#[test]
fn h1_a_back_end_that_is_gone_is_asked_once_an_hour() {
    let mut w = hooked(&[]);
    w.join("ada");
    w.endpoint.answer = Answer::Status(410);
    for minute in 0..120 {
        post(&mut w, "ada", &minute.to_string());
        w.advance(60_000);
    }
    assert!(w.endpoint.asked() <= 3, "{}", w.endpoint.asked());
    w.endpoint.answer = Answer::Takes;
    w.advance(HOUR + 60_000);
    let body = w.endpoint.bodies[0].clone();
    assert_eq!(body["left_out"]["from"], 1);
    assert_eq!(w.endpoint.said().last(), Some(&"119"));
    whole(&w);
}

#[test]
fn h1_what_was_not_taken_for_a_day_is_left_out_and_a_body_says_so() {
    let mut w = hooked(&[]);
    w.join("ada");
    post(&mut w, "ada", "taken");
    w.advance(2_000);
    w.endpoint.answer = Answer::Down;
    let first = post(&mut w, "ada", "lost");
    let lost = post(&mut w, "ada", "lost too");
    w.now += DAY - 60_000;
    post(&mut w, "ada", "kept");
    w.advance(120_000);
    w.endpoint.answer = Answer::Takes;
    w.advance(400_000);
    assert_eq!(w.endpoint.said(), ["taken", "kept"]);
    let told = &w.endpoint.bodies[1];
    assert_eq!((&told["from"], &told["left_out"]), (&json!(first), &json!({"from": first, "to": lost})));
    whole(&w);
    // Where nothing comes after it the room falls silent, and says so with what is said next.
    w.endpoint.answer = Answer::Down;
    let last = post(&mut w, "ada", "the last");
    w.advance(DAY + 600_000);
    let asked = w.endpoint.asked();
    w.advance(2 * DAY);
    assert_eq!(w.endpoint.asked(), asked);
    w.endpoint.answer = Answer::Takes;
    post(&mut w, "ada", "days later");
    w.advance(2_000);
    let told = w.endpoint.bodies.last().unwrap();
    assert_eq!((&told["from"], &told["left_out"]), (&json!(last), &json!({"from": last, "to": last})));
    whole(&w);
}

#[test]
fn h1_a_log_waits_for_the_back_end_for_a_day_and_a_gibibyte() {
    let mut w = hooked(&[]);
    w.join("ada");
    w.log.beside.set(300 << 20);
    w.endpoint.answer = Answer::Down;
    let last = post(&mut w, "ada", "owed");
    w.evict();
    let body = Body::QuotesForgotten { before: 0 };
    let event = LogEvent { seq: 0, at: w.now, visible_at: w.now, audience: Audience::Internal, body };
    for first in (last + 1..last + 10_050).step_by(100) {
        let events: Vec<_> = (first..first + 100).map(|seq| LogEvent { seq, ..event.clone() }).collect();
        w.log.append(&Row { last: first + 99, no: 1, events });
    }
    let begins = |w: &World| w.log.row_with(0).unwrap().unwrap().first();
    w.tick();
    w.advance(30_000);
    assert_eq!(begins(&w), 1, "the back end is owed it still");
    w.log.beside.set(1 << 30);
    post(&mut w, "ada", "too much");
    w.advance(2_000);
    assert!(begins(&w) > 1, "nothing is kept for it any more");
    w.endpoint.answer = Answer::Takes;
    w.advance(400_000);
    assert_eq!((w.endpoint.said(), w.endpoint.bodies[0]["left_out"]["from"].as_u64()), (vec!["too much"], Some(1)));
}

#[test]
fn h1_a_room_that_lost_its_storage_begins_at_one_in_a_newer_epoch() {
    let mut w = hooked(&[]);
    w.join("ada");
    post(&mut w, "ada", "one");
    w.advance(2_000);
    let before = w.endpoint.place.0;
    w.now += 1_000;
    w.lose_storage();
    post(&mut w, "ada", "two");
    w.advance(5_000);
    assert!(w.endpoint.place.0 > before);
    assert_eq!((w.endpoint.said(), &w.endpoint.missed[..]), (vec!["one", "two"], &[][..]));
}

#[test]
fn h1_a_log_with_nothing_for_the_back_end_is_read_in_steps_that_are_kept() {
    let mut w = hooked(&[("WEBHOOK_EVENTS", "bans"), ("RATE_LIMIT_SERVICE_MESSAGES", "100000")]);
    w.join("ada");
    for n in 0..6_000 {
        post(&mut w, "svc", &format!("word {n}"));
    }
    let moderator = w.join("mod");
    w.ask(moderator, "ban_user", json!({"user_id": "eve"})).unwrap();
    w.now += 2_000;
    let next = w.compute(|host, at| host.batch(at, Sink::Webhook).unwrap());
    assert_eq!(next, None);
    w.tick();
    let read = stored(&w).seq;
    assert!((5_000..6_000).contains(&read), "{read}");
    w.evict();
    w.advance(10_000);
    assert_eq!(w.endpoint.told().iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["user_banned"]);
    whole(&w);
}
