//! The rules of a user's object: limits, who is told of a change and how often, what PostgreSQL is handed.

use edge_chat::host::Drained;
use edge_chat::protocol::ChatError;
use edge_chat::protocol::call::{Nothing, Standing, UserAsk, UserCall};
use edge_chat::user::{Step, User};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const START: u64 = 1_767_323_045_678;

/// A user's object with its storage and the time.
struct Object {
    user: User,
    state: BTreeMap<String, String>,
    now: u64,
    alarm: Option<u64>,
}

impl Object {
    fn new() -> Self {
        let user = User::load("ada".into(), vec![], START).unwrap();
        Self { user, state: BTreeMap::new(), now: START, alarm: None }
    }

    fn keep(&mut self, step: Step) {
        for (key, value) in step.write {
            match value {
                Some(value) => drop(self.state.insert(key, value)),
                None => drop(self.state.remove(&key)),
            }
        }
        self.alarm = step.alarm;
    }

    /// The object loses its memory.
    fn evict(&mut self) {
        let state = self.state.clone().into_iter().collect();
        self.user = User::load("ada".into(), state, self.now).unwrap();
    }

    fn ask(&mut self, ask: UserAsk) -> Result<Value, ChatError> {
        let (answer, step) = self.user.call(UserCall { v: 1, iat_ms: Some(self.now), ask }, self.now);
        self.keep(step);
        answer.map(|raw| serde_json::from_str(raw.get()).unwrap())
    }

    fn block(&mut self, whom: &str) -> Result<Value, ChatError> {
        self.ask(UserAsk::Block(whom.into()))
    }

    fn enter(&mut self, room: &str) -> Standing {
        serde_json::from_value(self.ask(UserAsk::Standing { room: Some(room.into()) }).unwrap()).unwrap()
    }

    fn pushes(&mut self) -> Vec<(String, Standing)> {
        let pushes = self.user.pushes(self.now);
        self.alarm = self.user.rest(self.now).alarm;
        pushes
    }

    fn pushed(&mut self, room: &str, version: u64, heard: Option<bool>) {
        let step = self.user.pushed(room, version, heard, self.now);
        self.keep(step);
    }

    fn batch(&mut self) -> Option<Value> {
        self.user.batch(self.now).map(|batch| serde_json::from_str(&batch.body).unwrap())
    }

    fn drained(&mut self, drained: Drained) -> Option<String> {
        let (fault, step) = self.user.drained(drained, u32::MAX, self.now);
        self.keep(step);
        fault
    }
}

#[test]
fn a_room_that_was_entered_lately_need_not_ask_again() {
    let mut ada = Object::new();
    assert!(!ada.user.comes("a", ada.now).awaited, "an upgrade is no visit");
    assert!(ada.state.is_empty());
    ada.enter("a");
    assert!(ada.user.comes("a", ada.now).awaited);
    ada.evict();
    ada.now += 3_590_000;
    let coming = ada.user.comes("a", ada.now);
    assert_eq!((coming.awaited, coming.standing), (true, Standing::default()));
    ada.block("bob").unwrap();
    let pushes = ada.pushes();
    assert_eq!(pushes.len(), 1);
    // The socket has not arrived, and until it may have the room is told again.
    ada.pushed("a", 1, Some(false));
    assert!(ada.pushes().is_empty());
    assert!(!ada.user.comes("a", ada.now).awaited, "it does not know all");
    ada.now += 1_000;
    assert_eq!(ada.pushes().len(), 1);
    ada.pushed("a", 1, Some(true));
    assert!(ada.user.comes("a", ada.now).awaited);
    ada.now += 10_000;
    assert!(!ada.user.comes("a", ada.now).awaited, "too long ago");
}

#[test]
fn a_room_that_is_not_remembered_any_more_hears_of_it() {
    let mut ada = Object::new();
    for n in 0..64 {
        ada.enter(&format!("room {n}"));
        ada.now += 1;
    }
    assert!(ada.pushes().is_empty());
    ada.enter("one more");
    let told = ada.pushes();
    assert_eq!(
        told.iter().map(|(room, standing)| (room.as_str(), standing.version)).collect::<Vec<_>>(),
        [("room 0", 0)]
    );
    ada.pushed("room 0", 0, Some(false));
    assert!(ada.pushes().is_empty());
}

fn code(result: Result<Value, ChatError>) -> &'static str {
    result.unwrap_err().code.as_str()
}

#[test]
fn a_user_blocks_a_thousand_others_and_no_more() {
    let mut ada = Object::new();
    for n in 0..1_000 {
        ada.now += 1_000;
        ada.block(&format!("u{n}")).unwrap();
    }
    ada.now += 60_000;
    ada.block("u7").unwrap();
    assert_eq!(code(ada.block("one more")), "too_many_blocks");
    ada.evict();
    assert_eq!(code(ada.block("one more")), "too_many_blocks");
    let list = ada.ask(UserAsk::Blocks(Nothing {})).unwrap();
    assert_eq!(list["blocks"].as_array().unwrap().len(), 1_000);
    assert_eq!(list["blocks"][0], json!({"user_id": "u0", "created_at": "2026-01-02T03:04:06.678Z"}));
    ada.ask(UserAsk::Unblock("u0".into())).unwrap();
    ada.block("one more").unwrap();
    let standing = ada.user.standing();
    assert!(standing.blocks.has("one more") && !standing.blocks.has("u0"));
}

#[test]
fn what_is_no_block_is_refused() {
    let mut ada = Object::new();
    assert_eq!(code(ada.block("ada")), "forbidden");
    assert_eq!(code(ada.block("")), "bad_request");
    assert_eq!(code(ada.block(&"x".repeat(256))), "bad_request");
    assert_eq!(code(ada.block("a\u{0}b")), "bad_request");
    assert_eq!(code(ada.ask(UserAsk::Unblock("eve".into()))), "user_not_found");
    assert!(ada.state.is_empty() && ada.batch().is_none());
}

#[test]
fn rooms_are_told_once_and_the_one_that_does_not_answer_a_few_times() {
    let mut ada = Object::new();
    for room in ["a", "b", "c"] {
        assert_eq!(ada.enter(room).version, 0);
    }
    assert!(ada.pushes().is_empty());
    ada.block("eve").unwrap();
    let pushes = ada.pushes();
    assert_eq!(pushes.iter().map(|(room, _)| room.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(pushes.iter().all(|(_, standing)| standing.version == 1 && standing.blocks.has("eve")));
    // Each is told once at a time; should the object not survive that, its alarm comes.
    assert!(ada.pushes().is_empty());
    assert!(ada.alarm.is_some_and(|at| at <= ada.now + 10_000));
    ada.pushed("a", 1, Some(true));
    ada.pushed("b", 1, None);
    // What changes meanwhile is told when the push before it has come to its end.
    ada.block("dan").unwrap();
    assert_eq!(ada.pushes().len(), 2);
    ada.pushed("c", 1, Some(true));
    let again = ada.pushes();
    assert_eq!((again.len(), again[0].1.version), (1, 2));
    ada.pushed("c", 2, Some(true));
    ada.pushed("a", 2, Some(true));
    ada.pushed("b", 2, None);
    let mut tries = 1;
    while let Some(at) = ada.alarm.filter(|_| tries < 50) {
        ada.now = at.max(ada.now + 1);
        if tries == 3 {
            ada.evict();
        }
        if ada.pushes().iter().any(|(room, _)| room == "b") {
            tries += 1;
            ada.pushed("b", 2, None);
        }
        while ada.batch().is_some() {
            ada.drained(Drained::Cursor { epoch: START, seq: 2 });
        }
    }
    assert_eq!(tries, 6);
    ada.now += 1_000_000;
    assert!(ada.pushes().is_empty() && ada.user.rest(ada.now).alarm.is_none());
    // Whom it was not told of it is told of when the user comes back, whatever the answer to the room was.
    assert!(ada.enter("b").blocks.has("dan"));
    assert_eq!(ada.pushes()[0].0, "b");
    ada.pushed("b", 2, Some(true));
    ada.enter("b");
    assert!(ada.pushes().is_empty());
}

#[test]
fn of_a_sign_out_a_room_is_told_until_it_answers() {
    let mut ada = Object::new();
    ada.enter("a");
    ada.ask(UserAsk::SignOut(Nothing {})).unwrap();
    let (mut began, mut waits) = (ada.now, Vec::new());
    for n in 0..40 {
        let pushes = ada.pushes();
        assert_eq!((pushes.len(), pushes[0].1.signed_out_at), (1, Some(START)), "{n}");
        ada.pushed("a", 1, None);
        ada.drained(Drained::Cursor { epoch: START, seq: 1 });
        if n == 20 {
            ada.evict();
        }
        ada.now = ada.alarm.unwrap();
        waits.push(ada.now - began);
        began = ada.now;
    }
    assert_eq!(&waits[..5], [1_000, 2_000, 4_000, 8_000, 16_000]);
    assert_eq!(waits[30..], [300_000; 10]);
    // A block that comes later does not take its place.
    ada.now += 60_000;
    let token = Some(ada.now);
    let (_, step) = ada.user.call(UserCall { v: 1, iat_ms: token, ask: UserAsk::Block("eve".into()) }, ada.now);
    ada.keep(step);
    for _ in 0..10 {
        assert_eq!(ada.pushes().len(), 1);
        ada.pushed("a", 2, None);
        ada.now += 300_000;
    }
    assert_eq!(ada.pushes().len(), 1);
    ada.pushed("a", 2, Some(true));
    ada.now += 1_000_000;
    assert!(ada.pushes().is_empty());
}

#[test]
fn so_many_changes_a_minute_whatever_comes_of_them() {
    let mut ada = Object::new();
    for n in 0..30 {
        ada.now += 100;
        ada.block(&format!("u{n}")).unwrap();
        assert_eq!(code(ada.ask(UserAsk::Unblock("eve".into()))), "user_not_found");
    }
    for ask in [UserAsk::Block("eve".into()), UserAsk::Unblock("u1".into())] {
        let error = ada.ask(ask).unwrap_err();
        assert_eq!((error.code.as_str(), error.retry_after_ms), ("rate_limited", Some(60_000 - 2_900)));
    }
    ada.ask(UserAsk::Blocks(Nothing {})).unwrap();
    assert!(!ada.user.standing().blocks.has("eve"));
    ada.now += 60_000 - 2_900;
    ada.block("eve").unwrap();
}

#[test]
fn of_the_rooms_the_latest_are_kept_and_those_where_nobody_is_are_not() {
    let mut ada = Object::new();
    for n in 0..70 {
        ada.now += 1;
        ada.enter(&format!("r{n:02}"));
    }
    ada.evict();
    ada.now += 59_000;
    ada.enter("r69");
    ada.block("eve").unwrap();
    let pushes = ada.pushes();
    assert_eq!((pushes.len(), pushes[0].0.as_str()), (64, "r06"));
    ada.now += 2_000;
    for (room, standing) in pushes {
        ada.pushed(&room, standing.version, Some(false));
    }
    // A socket may still be on its way to the one that was entered a moment ago.
    let rooms: Vec<_> = ada.state.keys().filter(|key| key.starts_with("room:")).collect();
    assert_eq!(rooms, ["room:r69"]);
}

#[test]
fn v9_who_comes_back_within_an_hour_costs_the_storage_nothing() {
    let mut ada = Object::new();
    ada.enter("r1");
    let stored = ada.state.clone();
    ada.evict();
    ada.now += 3_599_000;
    ada.enter("r1");
    assert_eq!(ada.state, stored);
    ada.now += 1_000;
    ada.enter("r1");
    assert_ne!(ada.state, stored);
    // A room that has to be told of a change is written down as ever.
    ada.block("eve").unwrap();
    let stored = ada.state.clone();
    ada.now += 1;
    ada.enter("r1");
    assert_ne!(ada.state, stored);
}

#[test]
fn postgresql_gets_every_act_by_number_until_it_has_it() {
    let mut ada = Object::new();
    ada.block("eve").unwrap();
    ada.block("eve").unwrap();
    assert!(ada.batch().is_none());
    assert_eq!(ada.alarm, Some(START + 500));
    ada.now += 500;
    ada.ask(UserAsk::Unblock("eve".into())).unwrap();
    ada.ask(UserAsk::SignOut(Nothing {})).unwrap();
    let ops = json!([
        {"seq": 1, "at": START, "op": "block", "target": "eve"},
        {"seq": 2, "at": ada.now, "op": "unblock", "target": "eve"},
        {"seq": 3, "at": ada.now, "op": "sign_out"},
    ]);
    let expected = json!({"v": 1, "user": "ada", "epoch": START, "to": 3, "ops": ops});
    assert_eq!(ada.batch(), Some(expected.clone()));
    assert_eq!(ada.batch(), None);
    assert_eq!(ada.drained(Drained::Failed("no connection".into())).as_deref(), Some("no connection"));
    assert_eq!((ada.batch(), ada.alarm), (None, Some(ada.now + 500)));
    ada.now += 500;
    ada.evict();
    assert_eq!(ada.batch(), Some(expected));
    ada.drained(Drained::Busy(3_000));
    assert!(ada.alarm.is_some_and(|at| at >= ada.now + 3_000));
    ada.now += 10_000;
    ada.batch().unwrap();
    assert_eq!(ada.drained(Drained::Cursor { epoch: START, seq: 2 }), None);
    ada.now += 500;
    assert_eq!(ada.batch().unwrap()["ops"].as_array().unwrap().len(), 1);
    assert_eq!(ada.drained(Drained::Cursor { epoch: START, seq: 3 }), None);
    assert_eq!((ada.alarm, ada.state.keys().filter(|key| key.starts_with("out:")).count()), (None, 1));
    // The numbers go on.
    ada.now += 1_000;
    ada.evict();
    ada.block("eve").unwrap();
    ada.now += 500;
    assert_eq!(ada.batch().unwrap()["to"], 4);
    assert!(ada.drained(Drained::Cursor { epoch: START + 9, seq: 4 }).is_some());
    assert!(ada.alarm.is_some_and(|at| at >= ada.now + 300_000));
}

#[test]
fn who_signed_out_does_nothing_with_an_older_token() {
    let mut ada = Object::new();
    let answer = ada.ask(UserAsk::SignOut(Nothing {})).unwrap();
    assert_eq!(answer, json!({"signed_out_at": "2026-01-02T03:04:05.678Z"}));
    ada.evict();
    let second = START / 1_000 * 1_000;
    for (iat_ms, works) in
        [(None, false), (Some(0), false), (Some(second), false), (Some(START), false), (Some(second + 1_000), true)]
    {
        let (answer, _) = ada.user.call(UserCall { v: 1, iat_ms, ask: UserAsk::Blocks(Nothing {}) }, START + 2_000);
        assert_eq!(answer.is_ok(), works, "{iat_ms:?}");
        assert_eq!(ada.user.standing().check(iat_ms).is_ok(), works, "{iat_ms:?}");
    }
}
