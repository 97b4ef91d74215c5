//! Everything that reads what others wrote: whatever comes, an error and no panic; what is taken survives a round trip.

use crate::memory::MemoryLog;
use crate::world::{ROOM, START, settings};
use base64ct::{Base64UrlUnpadded, Encoding};
use edge_chat::audience::{Attachment, close_reason};
use edge_chat::auth::{Identity, Role, verify};
use edge_chat::host::{Host, Moment, Waking};
use edge_chat::protocol::act::{Act, Ban};
use edge_chat::protocol::call::{
    Answer, Caller, EditBody, KnownMessage, Page, Remembered, RoomCall, SendBody, TokenBody,
};
use edge_chat::protocol::{
    ChatError, ClientFrame, CreateRoom, ErrorCode, LogEvent, MessageId, PatchRoom, RoomId, RoomInfo, depth_within, read,
};
use edge_chat::rest::{self, Method, Route, problem, route};
use edge_chat::room::{Row, Viewer, Write, reaction_key};
use edge_chat::settings::Settings;
use edge_chat::sinks::{Applied, history, read_applied};
use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::{Algorithm, AlgorithmSignature};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, from_str, json};

const SECRET: &str = "0f8c51b7e6a94d23b0c7f1d2e3a4958670617283";
const ID: &str = "01a209e5-a1d5-7b12-a513-110000000002";

/// A value that somebody might put where another is meant, as JSON text: also what no serialiser writes.
fn odd() -> impl Strategy<Value = String> + use<> {
    let deep = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    prop_oneof![
        select(vec![
            "null",
            "true",
            "0",
            "-1",
            "1.5",
            "1e3",
            "1e999",
            "-0.0",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "9007199254740993",
            "1099511627776",
            "[]",
            "{}",
            "[null]",
            r#""""#,
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\u0000""#,
            r#""all""#,
            r#""user:""#,
            r#""msg_456""#,
            r#""é👩🏽""#,
            "\"\u{1}\"",
            "",
            "nul",
        ])
        .prop_map(str::to_owned),
        Just(json!(ID).to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| json!(n).to_string()),
        "\\PC{0,8}".prop_map(|text| json!(text).to_string()),
        select(vec![20usize, 31, 33, 120, 200, 5_000]).prop_map(move |n| deep("[", "]", n)),
        select(vec![20usize, 40, 200]).prop_map(move |n| deep(r#"{"a":"#, "}", n)),
        select(vec![65usize, 256, 1_025, 20_000]).prop_map(|n| json!("x".repeat(n)).to_string()),
    ]
}

/// The paths of all values in a document, the document's own among them.
fn paths(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| paths(item, format!("{at}/{n}"), all)),
        Value::Object(members) => members.iter().for_each(|(name, item)| paths(item, format!("{at}/{name}"), all)),
        _ => {}
    }
    all.push(at);
}

/// One of the documents, with a value replaced or a member gone, cut off, or with something after it; or any text.
fn mutated(samples: &[&str]) -> impl Strategy<Value = String> + use<> {
    let samples: Vec<String> = samples.iter().map(|sample| (*sample).to_owned()).collect();
    let some = (select(samples), any::<Index>(), any::<Index>(), odd(), 0..12u8);
    let mutation = some.prop_map(|(sample, place, cut, odd, kind)| {
        let mut document: Value = from_str(&sample).unwrap();
        let mut all = Vec::new();
        paths(&document, String::new(), &mut all);
        let path = place.get(&all);
        match (kind, path.rsplit_once('/')) {
            (0, _) => sample,
            (1, _) => sample.chars().take(cut.index(sample.len())).collect(),
            (2, _) => format!("{sample}{odd}"),
            (3, Some((parent, name))) => {
                let parent = document.pointer_mut(parent).unwrap();
                parent.as_object_mut().map(|parent| parent.remove(name));
                document.to_string()
            }
            _ => {
                *document.pointer_mut(path).unwrap() = json!("\0");
                document.to_string().replace(r#""\u0000""#, &odd)
            }
        }
    });
    prop_oneof![9 => mutation, 1 => "\\PC{0,40}"]
}

/// What is read is written and read again as the same.
fn same<T: Serialize + DeserializeOwned>(text: &str) {
    if let Ok(taken) = from_str::<T>(text) {
        let written = serde_json::to_string(&taken).unwrap();
        let again = serde_json::to_string(&from_str::<T>(&written).unwrap()).unwrap();
        assert_eq!(again, written);
    }
}

/// As [`same`], through the reader of frames and REST bodies: its errors say nothing of the input.
fn body<T: Serialize + DeserializeOwned>(text: &str) {
    same::<T>(text);
    refused::<T>(text);
}

fn refused<T: DeserializeOwned>(text: &str) {
    if let Err(error) = read::<T>(text) {
        assert!(matches!(error.code, ErrorCode::BadFrame | ErrorCode::BadRequest));
        let problem: Value = from_str(&problem(&error, "id")).unwrap();
        assert_eq!(problem["status"], 400);
    }
}

macro_rules! decoders {
    ($($name:ident($text:ident) of [$($sample:expr),+ $(,)?] $check:block)+) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(256))]
            $(#[test]
            fn $name($text in mutated(&[$($sample),+])) $check)+
        }
    };
}

const MESSAGE: &str = r#"{"seq":2,"at":9,"visible_at":9,"audience":{"user":"ada"},"event":"new_message","data":{
    "message_id":"01a209e5-a1d5-7b12-a513-110000000002","no":1,"user":{"user_id":"ada","username":"Ada","avatar":null,
    "roles":["member"]},"content":"a","type":"text","mentions":[{"user_id":"b","username":"B"}],"metadata":{"k":1.5}}}"#;
const ROOM_INFO: &str = r#"{"name":"R","type":"video","settings":{"guests":true,"rate":{"messages":1,"window_ms":100}},
    "owner_id":"ada","created_at":1,"updated_at":2}"#;
const BAN: &str = r#"{"user_id":"bob","username":"Bob","reason":"x","shadow":true,"created_at":1,"ends_at":2,"by":"mod","role":"owner"}"#;

decoders! {
    frames(text) of [
        r#"{"id":7,"event":"send_message","data":{"room_id":"r","content":"hi","type":"text","client_id":"c","reply_to":"m",
            "mentions":["a"],"metadata":{"k":[1]}}}"#,
        r#"{"id":"x","event":"join_room","data":{"user_token":"t","resume":{"epoch":1,"seq":2}}}"#,
        r#"{"event":"edit_message","data":{"message_id":"m","content":"c"}}"#,
        r#"{"event":"react","data":{"message_id":"m","reaction":"👍","remove":true}}"#,
        r#"{"event":"typing","data":{"is_typing":true}}"#,
        r#"{"event":"catch_up","data":{"epoch":1,"seq":2}}"#,
        r#"{"event":"probe","data":{"nonce":"n"}}"#,
        r#"{"event":"refresh_token","data":{"user_token":"t"}}"#,
        r#"{"event":"leave_room"}"#,
        r#"{"event":"ban_user","data":{"user_id":"u","duration_s":1,"reason":"r","delete_messages_s":1,"shadow":false}}"#,
        r#"{"event":"set_modes","data":{"modes":{"slow_s":1,"read_only":null}}}"#,
        r#"{"event":"set_role","data":{"user_id":"u","role":"owner"}}"#,
    ] {
        match ClientFrame::parse(&text) {
            Ok(frame) => {
                prop_assert!(depth_within(&text, 32) && text.len() <= 16_384);
                if let Some(id) = &frame.id {
                    let again = format!(r#"{{"id":{},"event":"ping"}}"#, serde_json::to_string(id).unwrap());
                    prop_assert_eq!(ClientFrame::parse(&again).unwrap().id, frame.id);
                }
            }
            Err(error) => prop_assert!(matches!(error.code, ErrorCode::BadFrame | ErrorCode::FrameTooLarge)),
        }
    }

    rest_bodies(text) of [
        r#"{"room_id":"r","name":"n","type":"direct","settings":{"guests":false},"members":["a","b"]}"#,
        r#"{"content":"c","type":"text","client_id":"i","reply_to":"m","mentions":["a"],"metadata":{"k":1},
            "as_user":{"user_id":"u","username":"U","avatar":null},"room_id":"r"}"#,
        r#"{"user":"u","name":"n","role":"member","room":"r"}"#,
    ] {
        body::<CreateRoom>(&text);
        body::<PatchRoom>(&text);
        body::<SendBody>(&text);
        body::<EditBody>(&text);
        refused::<TokenBody>(&text);
    }

    acts(text) of [
        r#"{"event":"ban_user","data":{"user_id":"u","duration_s":1,"reason":"r","delete_messages_s":1,"shadow":true}}"#,
        r#"{"event":"pin_message","data":{"message_id":"m","room_id":"r"}}"#,
        r#"{"event":"announce","data":{"content":"c"}}"#,
        r#"{"event":"clear_room","data":{"reason":"r"}}"#,
        r#"{"event":"set_role","data":{"user_id":"u","role":null}}"#,
    ] {
        body::<Act>(&text);
        if let Ok(value) = from_str::<Value>(&text) {
            let event = value["event"].as_str().unwrap_or("");
            if let Some(Ok(act)) = Act::parse(event, &value["data"].to_string()) {
                prop_assert_eq!(act.name(), event);
            }
        }
    }

    calls_between_objects(text) of [
        r#"{"v":1,"caller":{"identity":{"u":"ada","n":"Ada","a":"https://e.org/","r":["member"],"g":"owner","e":9},
            "guest":"g"},"ask":"send","with":{"content":"c","metadata":{"k":-4.871443232723305e-293}}}"#,
        r#"{"v":1,"caller":{},"ask":"messages","with":{"page":{"page":1,"limit":2}}}"#,
        r#"{"v":1,"caller":{},"ask":"members","with":{"limit":1,"skip":2}}"#,
        r#"{"v":1,"caller":{},"ask":"edit","with":{"message_id":"m","content":"c","known":{"no":1,"user_id":"u",
            "roles":["member"],"at":1,"deleted":false}}}"#,
        r#"{"v":1,"caller":{},"ask":"act","with":{"event":"announce","data":{"content":"c"}}}"#,
        r#"{"ok":{"epoch":1,"total":2,"has_more":true,"newest_first":true,"held":[{"a":1}],"missing":[1,2],
            "my_reactions":{"m":["x"]},"moderator":false,"user_id":null}}"#,
        r#"{"error":{"code":"banned","message":"m","retry_after_ms":1,"field":"f","ends_at":"e"}}"#,
        r#"{"ok":{"info":{"name":"R","type":"video","settings":{},"owner_id":null,"created_at":1,"updated_at":2},
            "roles":{"a":"owner"},"bans":[],"pinned":[],"last_no":1,"epoch":1}}"#,
    ] {
        same::<RoomCall>(&text);
        same::<Caller>(&text);
        same::<Answer<Page>>(&text);
        same::<Answer<Option<Remembered>>>(&text);
        same::<Answer<Option<Applied>>>(&text);
        same::<ChatError>(&text);
    }

    attachments(text) of [
        r#"{"v":1,"id":3,"at":9,"joined":true,"identity":{"u":"ada","n":"Ada","r":["member","admin"],"e":9}}"#,
        r#"{"v":1,"id":4294967295,"at":18446744073709551615,"guest":"AAAAAAAAAAAAAAAAAAAAAA"}"#,
    ] {
        same::<Attachment>(&text);
        same::<Identity>(&text);
        // Whatever an older build has kept, the room wakes with it.
        if let Ok(attachment) = from_str::<Attachment>(&text) {
            let (log, id) = (MemoryLog::default(), RoomId::parse(ROOM).unwrap());
            let at = Moment { now: START, entropy: [7; 32], log: &log };
            let socket = attachment.id;
            let mut host = Host::load(id, settings(&[]), &at, vec![attachment], Waking::default()).unwrap();
            host.frame(&at, socket, r#"{"event":"join_room"}"#);
            host.tick(&at);
            let (other, _) = host.open(&at, Caller::default()).unwrap();
            prop_assert!(other != socket);
        }
    }

    stored_rows(text) of [
        format!("[{MESSAGE}]").as_str(),
        r#"[{"seq":3,"at":9,"visible_at":9,"event":"message_edited","data":{"message_id":
            "01a209e5-a1d5-7b12-a513-110000000002","content":"b","mentions":[],"user_id":"ada"}}]"#,
        r#"[{"seq":3,"at":9,"visible_at":9,"event":"not yet","data":{}}]"#,
        format!(r#"[{{"seq":1,"at":9,"visible_at":9,"audience":"internal","event":"room","data":{{"room":{ROOM_INFO},
            "changed":[]}}}}]"#).as_str(),
        format!(r#"[{{"seq":4,"at":9,"visible_at":9,"event":"banned","data":{{"ban":{BAN},"role":"moderator"}}}}]"#).as_str(),
    ] {
        same::<LogEvent>(&text);
        if let Ok(events) = Row::events_from_json(&text)
            // A kind that this build does not know is never written again.
            && let Ok(written) = serde_json::to_string(&events)
        {
            prop_assert_eq!(Row::events_from_json(&written).unwrap(), events);
        }
    }

    answers_of_postgresql(text) of [
        r#"[{"epoch":1,"seq":2},{"error":"e","sqlstate":"22000"}]"#,
        r#"[{"id":"01a209e5-a1d5-7b12-a513-110000000002","no":1,"user_id":"a","username":"A","avatar":null,
            "roles":["member","x"],"content":"c","text":null,"type":"text","metadata":{},"mentions":[],"reply_to":null,
            "client_id":null,"audience":"user:a","seq":2,"created_at":1,"visible_at":1,"edited_at":null,
            "deleted_at":null,"reactions":{"x":1},"mine":["x"]}]"#,
        r#"{"room_id":"r","no":1,"user_id":"a","roles":["member"],"at":1,"deleted":false}"#,
        format!(r#"{{"info":{ROOM_INFO},"roles":{{"a":"owner","b":"x"}},"bans":[{BAN}],"pinned":
            ["01a209e5-a1d5-7b12-a513-110000000002"],"last_no":1,"epoch":1}}"#).as_str(),
        r#"{"info":{"name":"R","type":"video","settings":{},"owner_id":null,"created_at":1,"updated_at":2},"roles":{},
            "last_no":1,"epoch":18446744073709551615}"#,
        r#"[{"id":"i","actor_id":"a","action":"ban_user","target":null,"details":{"role":"moderator"},"at":1}]"#,
    ] {
        if let Ok(applied) = read_applied(&text, 2) {
            prop_assert_eq!(read_applied(&serde_json::to_string(&applied).unwrap(), 2).unwrap(), applied);
        }
        let (id, viewer) = (RoomId::parse(ROOM).unwrap(), Viewer { user_id: Some("a"), role: Role::Member, ..Viewer::PLAIN });
        for message in history::read_page(&text, &id, viewer, START).map(|older| older.messages).unwrap_or_default() {
            prop_assert!(from_str::<Value>(message.get()).unwrap()["message_id"].is_string());
        }
        if let Ok((room, known)) = history::read_message(&text) {
            prop_assert_eq!(RoomId::parse(room.as_str()).unwrap(), room);
            same::<KnownMessage>(&serde_json::to_string(&known).unwrap());
        }
        if let Ok(page) = history::read_audit(&text) {
            serde_json::to_string(&page).unwrap();
        }
        if let Ok(remembered) = history::read_room(&text) {
            same::<Remembered>(&serde_json::to_string(&remembered).unwrap());
            let log = MemoryLog::default();
            let at = Moment { now: START, entropy: [7; 32], log: &log };
            let mut host = Host::load(id.clone(), settings(&[]), &at, vec![], Waking::default()).unwrap();
            log.write(&host.remembered(&at, remembered).write);
            prop_assert!(Host::load(id, settings(&[]), &at, vec![], Waking::default()).is_ok());
        }
    }

    stored_state(text) of [ROOM_INFO, BAN, r#"["01a209e5-a1d5-7b12-a513-110000000002"]"#, r#""owner""#, "7", r#"{"👍":["ada"]}"#] {
        same::<RoomInfo>(&text);
        same::<Ban>(&text);
        let id = RoomId::parse(ROOM).unwrap();
        for key in ["room", "epoch", "cursor:postgres", "pinned", "ban:bob", "role:bob", &reaction_key(2)] {
            let log = MemoryLog::default();
            let mut write = Write::default();
            let sound = [("room", ROOM_INFO), ("epoch", "1"), (key, text.as_str())];
            write.state = sound.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect();
            log.write(&write);
            log.append(&Row { last: 2, no: 1, events: Row::events_from_json(&format!("[{MESSAGE}]")).unwrap() });
            let at = Moment { now: START, entropy: [7; 32], log: &log };
            let Ok(mut host) = Host::load(id.clone(), settings(&[]), &at, vec![], Waking::default()) else { continue };
            let call = r#"{"v":1,"caller":{"identity":{"u":"ada","n":"Ada","r":["admin"],"e":9999999999999}},
                "ask":"messages","with":{"page":{"page":1,"limit":2}}}"#;
            let (answer, effects) = host.call(&at, from_str(call).unwrap());
            // What cannot be read is a fault of ours, told without its words.
            let internal = answer.is_err_and(|error| error.code == ErrorCode::Internal);
            prop_assert_eq!(internal, !effects.faults.is_empty());
        }
    }

    settings_of_keys(text) of [
        r#"{"2026-10":"0f8c51b7e6a94d23b0c7f1d2e3a4958670617283"}"#,
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"uet9ctCTL2V_qBZ9LMWZE6pmaUZ_WcT78CVFEGCMgUo"},
            {"kty":"EC","crv":"P-256","kid":"ec","x":"xhjAQl6gXagJjv7eNpZtdeYeuSaDnNQrmxflyMdRaBE",
            "y":"BgHCD-pVdMogiZczfGthpLkr1EY0IYYY1etKMwqqopk"}]}"#,
    ] {
        for setting in ["JWT_SECRETS", "JWT_PUBLIC_KEYS", "JWT_SECRET"] {
            let lookup = |name: &str| (name == setting).then(|| text.clone());
            if let Err(error) = Settings::from_lookup(lookup) {
                prop_assert!(error.0.ends_with('.'), "{}", error);
                prop_assert!(text.len() < 32 || !error.0.contains(text.as_str()), "{}", error);
            }
        }
    }

    signed_claims(text) of [
        r#"{"sub":"u","exp":2000000000,"iat":1,"nbf":1,"iss":"i","aud":["a"],"username":"U","avatar":"https://e.org/a",
            "roles":["owner",1],"rooms":{"r":"member","s":{"role":"x","followed_at":1.5,"subscribed_at":-1}}}"#,
    ] {
        let key = Hs256Key::new(SECRET);
        let part = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
        for (header, claims) in [(r#"{"alg":"HS256"}"#, text.as_str()), (text.as_str(), r#"{"sub":"u","exp":2000000000}"#)] {
            let data = format!("{}.{}", part(header.as_bytes()), part(claims.as_bytes()));
            let signature = Hs256.sign(&key, data.as_bytes());
            let token = format!("{data}.{}", part(signature.as_bytes().as_ref()));
            match verify(&token, &settings(&[]).keys, START) {
                Ok(claims) => {
                    let identity = Identity::for_room(&claims, "r");
                    let written = serde_json::to_string(&identity).unwrap();
                    prop_assert_eq!(from_str::<Identity>(&written).unwrap(), identity);
                    prop_assert!((1..=255).contains(&claims.sub.len()) && claims.exp_ms > START);
                }
                Err(error) => prop_assert!(matches!(error.code, ErrorCode::TokenInvalid | ErrorCode::TokenExpired)),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn ids_are_what_they_were(text in "[A-Za-z0-9_.:~/-]{0,12}|\\PC{0,6}|dm:.{0,3}|[0-9a-fA-F-]{36}|[a-z]{190,210}", seq in 0..1u64 << 40, now in 0..1u64 << 48) {
        if let Ok(id) = RoomId::parse(&text) {
            prop_assert_eq!(id.as_str(), text.as_str());
        }
        if let Some(id) = MessageId::parse(&text) {
            prop_assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        }
        let id = MessageId::new(now, seq, &[255; 32]);
        prop_assert_eq!((id.seq(), id.time(), MessageId::parse(&id.to_string())), (seq, now, Some(id)));
        prop_assert!(RoomId::fresh("video", now, &[7; 32]).is_ok());
    }

    #[test]
    fn any_token_is_refused(text in "\\PC{0,60}|[A-Za-z0-9_-]{0,20}(\\.[A-Za-z0-9_-]{0,20}){0,4}|[.]{0,9}|eyJ.{0,5000}") {
        let error = verify(&text, &settings(&[]).keys, START).unwrap_err();
        prop_assert_eq!(error.code, ErrorCode::TokenInvalid);
        prop_assert!(text.len() < 8 || !error.message.contains(&text));
    }

    #[test]
    fn any_path_has_a_route(
        path in "(/{0,2}(api|rooms|messages|ban|pins|roles|users|ws|a%3Ab|%FF|%2F|%|%0|%00|~|.{0,3}|[a-z]{0,5})){0,7}",
        method in select(vec![None, Some(Method::Get), Some(Method::Post), Some(Method::Put), Some(Method::Patch), Some(Method::Delete)]),
    ) {
        match route(method, &path) {
            Ok(Route::Room(id) | Route::Messages(id) | Route::Post(id) | Route::Ban(id)) => {
                prop_assert_eq!(RoomId::parse(id.as_str()).unwrap(), id);
            }
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.code, ErrorCode::InvalidRoomId),
        }
    }

    #[test]
    fn any_query_is_within_bounds_or_refused(pairs in proptest::collection::vec(
        (select(vec!["page", "limit", "before", "after", "cursor", "mine", "x"]), "[0-9]{0,21}|[+-]?[0-9]{1,3}|\\PC{0,3}"), 0..5)
    ) {
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let refused = [
            rest::page(&pairs).err(),
            rest::mine(&pairs).err(),
            rest::members(&pairs).map(|(limit, _)| assert!((1..=100).contains(&limit))).err(),
            rest::audit(&pairs).map(|(before, limit)| assert!(before < 1 << 53 && limit <= 100)).err(),
        ];
        for error in refused.into_iter().flatten() {
            prop_assert_eq!(error.code, ErrorCode::InvalidParameter);
            prop_assert!(pairs.iter().any(|(name, _)| Some(name) == error.field.as_ref()));
        }
    }

    #[test]
    fn any_setting_is_taken_or_named(
        name in select(vec![
            "RATE_LIMIT_MESSAGES", "RATE_LIMIT_WINDOW", "RATE_LIMIT_SERVICE_MESSAGES", "RATE_LIMIT_SERVICE_WINDOW",
            "MAX_MESSAGE_LENGTH", "MESSAGE_HISTORY_LIMIT", "AUTO_CREATE_ROOMS", "ROOM_CREATION", "ALLOWED_ORIGINS",
            "CLIENT_IP", "DEV_TOKENS", "DRAINS", "FRAME_BUDGET", "FRAME_BUDGET_PER",
        ]),
        value in "\\PC{0,20}|[0-9]{0,30}|-?[0-9]{1,4}|true|member|https?://[a-z.:*/0-9]{0,20}(,.{0,9})?|x-forwarded-for:[0-9]{0,5}",
    ) {
        let lookup = |asked: &str| match asked {
            "JWT_SECRET" => Some(SECRET.to_owned()),
            asked => (asked == name).then(|| value.clone()),
        };
        match Settings::from_lookup(lookup) {
            Ok(all) => prop_assert!(all.drains >= 1 && all.max_message_length >= 1 && all.rate_limit_window_ms >= 100),
            Err(error) => prop_assert!(error.0.contains(name), "{}", error),
        }
    }

    #[test]
    fn a_close_reason_is_short_and_read_back(retry: bool, after_ms: u64) {
        let reason = close_reason(retry, after_ms);
        // What a close frame has room for.
        prop_assert!(reason.len() <= 123);
        prop_assert_eq!(from_str::<Value>(&reason).unwrap(), json!({"retry": retry, "after_ms": after_ms}));
    }
}
