//! Pages of history: ranges of numbers over logs with other events between, trimmed logs, restored rooms.

use crate::world::World;
use edge_chat::protocol::Body;
use edge_chat::protocol::call::{Ask, PageQuery};
use edge_chat::room::{Log, first_held_no, rows_with};
use serde_json::{Value, json};

fn numbers(page: &Value) -> Vec<u64> {
    page["held"].as_array().unwrap().iter().map(|message| message["no"].as_u64().unwrap()).collect()
}

/// Twelve messages with edits, reactions and deletions between them.
fn busy() -> World {
    let mut w = World::with(&[("RATE_LIMIT_MESSAGES", "100")], 1);
    let ada = w.join("ada");
    for n in 0..12 {
        let message = w.say(ada, &format!("m{n}"))["message_id"].clone();
        for reaction in ["👍", "🎉", "❤"].iter().take(n % 4) {
            w.ask(ada, "react", json!({"message_id": message, "reaction": reaction})).unwrap();
        }
        if n % 3 == 0 {
            w.ask(ada, "edit_message", json!({"message_id": message, "content": format!("e{n}")})).unwrap();
        }
        if n % 5 == 0 {
            w.ask(ada, "delete_message", json!({"message_id": message})).unwrap();
        }
    }
    w
}

#[test]
fn pages_are_ranges_of_numbers() {
    let mut w = busy();
    let page = w.page("bob", PageQuery::Page { page: 1, limit: 5 });
    assert_eq!((numbers(&page), &page["total"], &page["has_more"]), (vec![12, 11, 10, 9, 8], &json!(12), &json!(true)));
    assert_eq!(page["missing"], Value::Null);
    let page = w.page("bob", PageQuery::Page { page: 3, limit: 5 });
    assert_eq!((numbers(&page), &page["has_more"]), (vec![2, 1], &json!(false)));
    let page = w.page("bob", PageQuery::Page { page: 4, limit: 5 });
    assert_eq!((numbers(&page), &page["total"], &page["has_more"]), (vec![], &json!(12), &json!(false)));
    let page = w.page("bob", PageQuery::Before { no: 4, limit: 2 });
    assert_eq!((numbers(&page), &page["has_more"]), (vec![3, 2], &json!(true)));
    let page = w.page("bob", PageQuery::After { no: 9, limit: 2 });
    assert_eq!((numbers(&page), &page["has_more"]), (vec![10, 11], &json!(true)));
    let page = w.page("bob", PageQuery::After { no: 10, limit: 2 });
    assert_eq!((numbers(&page), &page["has_more"]), (vec![11, 12], &json!(false)));
    let page = w.page("bob", PageQuery::After { no: 12, limit: 2 });
    assert_eq!((numbers(&page), &page["has_more"]), (vec![], &json!(false)));
}

#[test]
fn every_range_of_every_trimmed_log_is_what_it_should_be() {
    let rows = busy().log.rows_after(0, 1_000).unwrap();
    for cut in rows.iter().rev().skip(1).map(|row| row.last) {
        let mut w = busy();
        w.log.trim(cut);
        let kept = rows.iter().filter(|row| row.last > cut).flat_map(|row| &row.events);
        let mut numbered = kept.filter_map(|event| match &event.body {
            Body::NewMessage(message) => Some(message.no),
            _ => None,
        });
        let first = numbered.next().unwrap_or(13);
        assert_eq!(first_held_no(&w.log).unwrap(), first, "cut {cut}");
        for before in 1..=13 {
            for limit in [1, 3, 12] {
                let page = w.page("bob", PageQuery::Before { no: before, limit });
                let (high, low) = (before - 1, before.saturating_sub(limit).max(1));
                let held: Vec<_> = (low.max(first)..=high.min(12)).rev().collect();
                assert_eq!(numbers(&page), held, "cut {cut}, before {before}, limit {limit}");
                let missing = (low < first && low <= high).then(|| json!([low, high.min(first - 1)]));
                assert_eq!(page["missing"], missing.unwrap_or_default(), "cut {cut}, before {before}, limit {limit}");
            }
        }
    }
}

#[test]
fn a_page_shows_edits_reactions_and_tombstones() {
    let mut w = busy();
    let page = w.page("", PageQuery::Page { page: 1, limit: 100 });
    let held = page["held"].as_array().unwrap();
    let of = |no: usize| &held[12 - no];
    assert_eq!((&of(4)["content"], of(4)["edited_at"].is_string()), (&json!("e3"), true));
    assert_eq!(of(4)["reactions"], json!({"👍": 1, "🎉": 1, "❤": 1}));
    assert_eq!((&of(6)["content"], of(6)["deleted_at"].is_string()), (&json!(""), true));
    assert_eq!(of(6)["reactions"], json!({}));
}

#[test]
fn a_restored_room_goes_on_where_its_numbers_ended() {
    let mut w = busy();
    w.advance(10_000);
    w.lose_storage();
    let page = w.page("bob", PageQuery::Page { page: 1, limit: 5 });
    assert_eq!((numbers(&page), &page["missing"], &page["total"]), (vec![], &json!([8, 12]), &json!(12)));
    let ada = w.join("ada");
    w.say(ada, "on");
    let page = w.page("bob", PageQuery::Page { page: 1, limit: 5 });
    assert_eq!((numbers(&page), &page["missing"], &page["has_more"]), (vec![13], &json!([9, 12]), &json!(true)));
}

#[test]
fn who_may_not_join_may_not_read() {
    let mut w = World::new();
    let body = serde_json::from_value(json!({"name": "R", "type": "video", "settings": {"guests": false}}));
    w.call("ada", Ask::Create(body.unwrap())).unwrap();
    let error = w.call("", Ask::Messages(PageQuery::Page { page: 1, limit: 5 })).unwrap_err();
    assert_eq!(error.code.as_str(), "token_required");
    assert_eq!(w.page("bob", PageQuery::Page { page: 1, limit: 5 })["total"], 0);
}

/// Whatever is read of a long log is about as much as is wanted of it.
#[test]
fn a_page_and_a_batch_are_found_in_a_long_log_without_reading_it() {
    let mut w = World::with(&[("RATE_LIMIT_SERVICE_MESSAGES", "10000")], 1);
    w.join("svc");
    for n in 0..1_000 {
        w.post("svc", &format!("m{n}")).unwrap();
    }
    for before in [11, 500, 1_001] {
        let reads = w.log.forward_reads.get();
        let page = w.page("bob", PageQuery::Before { no: before, limit: 10 });
        assert_eq!(numbers(&page), (before - 10..before).rev().collect::<Vec<_>>());
        assert_eq!(w.log.forward_reads.get() - reads, 1, "before {before}");
    }
    for (events, reads) in [(1, 1), (16, 1), (17, 2), (50, 2), (400, 2)] {
        let before = w.log.forward_reads.get();
        let rows = rows_with(&w.log, 100, events).unwrap();
        assert_eq!((rows[0].last, rows.len()), (101, events.max(16)));
        assert_eq!(w.log.forward_reads.get() - before, reads, "{events} events");
    }
    // The rows before held one event each, as all do: the end is not looked for again and again.
    assert_eq!(rows_with(&w.log, 0, 100_000).unwrap().len(), w.log.stored().len());
}
