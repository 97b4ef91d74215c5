//! P3: what PostgreSQL refuses is found by halving, and only that is set aside.

use crate::world::random;
use edge_chat::sinks::{Applied, Halving, Next};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ID: &str = "01a209e5-a1d5-7b12-a513-110000000002";

fn error(sqlstate: &str) -> Applied {
    Applied::Error { error: "no".into(), sqlstate: sqlstate.into() }
}

/// A `chat_apply` that takes all but some events; of those also not the tombstone where `thorough`.
#[derive(Default)]
struct Refusing {
    bad: BTreeSet<u64>,
    thorough: bool,
    cursor: u64,
    written: Vec<Value>,
    calls: usize,
}

impl Refusing {
    fn apply(&mut self, text: &str) -> Applied {
        self.calls += 1;
        let batch: Value = serde_json::from_str(text).unwrap();
        let (from, to) = (batch["from"].as_u64().unwrap(), batch["to"].as_u64().unwrap());
        if from != self.cursor {
            return Applied::Cursor { epoch: 7, seq: self.cursor };
        }
        let ops = batch["ops"].as_array().unwrap();
        let refuses = |op: &Value| {
            let letter = op["op"] == "refused";
            self.bad.contains(&op["seq"].as_u64().unwrap()) && (!letter || self.thorough && op["tombstone"].is_object())
        };
        if ops.iter().any(refuses) {
            return error("22P05");
        }
        self.written.extend(ops.iter().cloned());
        self.cursor = to;
        Applied::Cursor { epoch: 7, seq: to }
    }

    fn run(&mut self, batch: &Value) -> (Applied, Vec<String>) {
        let (mut halving, mut lines) = (Halving::begin(batch.to_string()), Vec::new());
        loop {
            let applied = self.apply(&halving.piece());
            match halving.answered(applied) {
                Next::Write => {}
                Next::SetAside(line) => lines.push(line),
                Next::Done(applied) => return (applied, lines),
            }
        }
    }
}

fn message(seq: u64) -> Value {
    json!({"op": "message", "seq": seq, "no": seq, "id": ID, "user_id": "ada", "username": "Ada\u{0}", "roles": ["member"],
        "content": "secret\u{0}", "type": "emote", "audience": "all", "visible_at": 9, "created_at": 8})
}

fn batch(from: u64, to: u64, ops: Vec<Value>) -> Value {
    json!({"v": 1, "room_id": "video_1", "epoch": 7, "start": 0, "from": from, "to": to, "ops": ops})
}

#[test]
fn p3_whatever_is_refused_the_rest_is_written_once_and_in_order() {
    let mut rng = 5;
    for round in 0..400 {
        let mut pick = |n: u64| random(&mut rng) % n;
        let (mut ops, mut seq) = (Vec::new(), 3);
        for _ in 0..=pick(60) {
            // Some events are not told at all, some in several operations.
            seq += 1 + pick(2);
            ops.extend((0..=pick(2)).map(|_| message(seq)));
        }
        let events: BTreeSet<u64> = ops.iter().map(|op| op["seq"].as_u64().unwrap()).collect();
        let one_in = 1 + pick(9);
        let bad = events.iter().copied().filter(|_| pick(one_in) == 0).collect();
        let mut pg = Refusing { bad, thorough: round % 2 == 0, cursor: 3, ..Refusing::default() };
        let to = seq + pick(3);
        let (answer, lines) = pg.run(&batch(3, to, ops.clone()));

        assert_eq!(answer, Applied::Cursor { epoch: 7, seq: to });
        assert_eq!(lines.len(), pg.bad.len());
        assert!(!lines.concat().contains("secret") && lines.iter().all(|line| line.contains("22P05")));
        let good = |op: &Value| !pg.bad.contains(&op["seq"].as_u64().unwrap());
        let kept: Vec<_> = pg.written.iter().filter(|op| good(op)).collect();
        assert_eq!(kept, ops.iter().filter(|op| good(op)).collect::<Vec<_>>());
        let order: Vec<u64> = pg.written.iter().map(|op| op["seq"].as_u64().unwrap()).collect();
        assert!(order.is_sorted());
        for letter in pg.written.iter().filter(|op| !good(op)) {
            assert_eq!(letter["message_id"], ID);
            let body: Value = serde_json::from_str(letter["body"].as_str().unwrap()).unwrap();
            assert!(ops.contains(&body[0]), "as it came");
            assert!(!letter["body"].as_str().unwrap().contains('\u{0}'), "text that PostgreSQL takes");
        }
    }
}

#[test]
fn p3_one_bad_row_in_a_full_batch_costs_few_statements() {
    let mut pg = Refusing { bad: BTreeSet::from([377]), ..Refusing::default() };
    let (answer, _) = pg.run(&batch(0, 500, (1..=500).map(message).collect()));
    assert_eq!(answer, Applied::Cursor { epoch: 7, seq: 500 });
    assert!(pg.calls <= 21, "{} statements", pg.calls);
}

#[test]
fn p3_the_tombstone_holds_who_when_and_which_but_not_what() {
    let mut pg = Refusing { bad: BTreeSet::from([1]), ..Refusing::default() };
    pg.run(&batch(0, 1, vec![message(1), json!({"op": "original", "seq": 1, "id": ID})]));
    let tombstone = json!({"no": 1, "user_id": "ada", "username": "Ada\u{fffd}", "roles": ["member"], "type": "emote",
        "audience": "all", "visible_at": 9, "created_at": 8});
    let [letter] = &pg.written[..] else { panic!("{:?}", pg.written) };
    assert_eq!(
        [&letter["tombstone"], &letter["sqlstate"], &letter["error"]],
        [&tombstone, &"22P05".into(), &"no".into()]
    );
}

#[test]
fn p3_what_is_no_json_to_others_is_set_aside_as_text() {
    let surrogates = r#"{"seq":1,"op":"message","id":"01a209e5-a1d5-7b12-a513-110000000002","no":1,"username":"\ud83d\ude00 \ude00 \ud800\\ud800 \ud800\u0041"}"#;
    let text = format!(r#"{{"v":1,"room_id":"r","epoch":7,"from":0,"to":1,"ops":[{surrogates}]}}"#);
    let mut halving = Halving::begin(text);
    assert!(matches!(halving.answered(error("22P02")), Next::SetAside(_)));
    let batch: Value = serde_json::from_str(&halving.piece()).unwrap();
    let op = &batch["ops"][0];
    assert_eq!(op["tombstone"]["username"], "😀 \u{fffd} \u{fffd}\\ud800 \u{fffd}A");
    assert_eq!(op["body"], format!("[{surrogates}]"));
}

#[test]
fn p3_trouble_that_passes_sets_nothing_aside() {
    for sqlstate in
        ["40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "08006", "25006", "42883", "XX000", ""]
    {
        let text = batch(0, 2, vec![message(1), message(2)]).to_string();
        assert_eq!(Halving::begin(text).answered(error(sqlstate)), Next::Done(error(sqlstate)));
    }
    // Also in the middle of halving: what was written stays, the room begins again at its cursor.
    let mut halving = Halving::begin(batch(0, 2, vec![message(1), message(2)]).to_string());
    assert_eq!(halving.answered(error("22P05")), Next::Write);
    assert_eq!(halving.answered(Applied::Cursor { epoch: 7, seq: 1 }), Next::Write);
    assert_eq!(halving.answered(error("40P01")), Next::Done(error("40P01")));
}

#[test]
fn p3_a_cursor_that_somebody_else_moved_ends_the_halving() {
    for other in [Applied::Cursor { epoch: 8, seq: 1 }, Applied::Cursor { epoch: 7, seq: 5 }] {
        let mut halving = Halving::begin(batch(0, 2, vec![message(1), message(2)]).to_string());
        assert_eq!(halving.answered(error("22P05")), Next::Write);
        assert_eq!(halving.answered(other.clone()), Next::Done(other));
    }
}

#[test]
fn p3_what_cannot_be_set_aside_either_is_a_failure() {
    let mut halving = Halving::begin(batch(0, 1, vec![message(1)]).to_string());
    assert!(matches!(halving.answered(error("22P05")), Next::SetAside(_)));
    assert_eq!(halving.answered(error("23505")), Next::Write, "without the tombstone");
    let Next::Done(Applied::Error { error: words, sqlstate }) = halving.answered(error("22P05")) else { panic!() };
    assert_eq!((words.as_str(), sqlstate.as_str()), ("this cannot be set aside either", "22P05"));
}
