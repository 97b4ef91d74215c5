//! Those who keep order: who may do what to whom, and what each act does to live viewers, sleepers and history.

use crate::world::{ROOM, World};
use edge_chat::auth::Role;
use edge_chat::protocol::act::{
    Act, Announcement, BanUser, HeldRef, PinRef, Reasoned, ReportMessage, SetRole, SetTerms, UserRef,
};
use edge_chat::protocol::call::{Ask, Nothing, PageQuery, ReportQuery, SendBody};
use edge_chat::protocol::report::ReportStatus;
use edge_chat::protocol::{CreateRoom, PatchRoom};
use edge_chat::room::{Action, TABLE, allows};
use serde_json::{Value, json};

/// A user of each role, by the names that the world gives roles to; `own` made the room.
const PEOPLE: [(&str, Role); 6] = [
    ("", Role::Guest),
    ("ada", Role::Member),
    ("mod", Role::Moderator),
    ("svc", Role::Service),
    ("own", Role::Owner),
    ("admin", Role::Admin),
];

fn room(w: &mut World) {
    let body: CreateRoom = serde_json::from_value(json!({"name": "Room", "type": "video"})).unwrap();
    w.call("own", Ask::Create(body)).unwrap();
}

fn ban(user: &str) -> BanUser {
    BanUser { user_id: user.into(), ..BanUser::default() }
}

fn id(reply: &Value) -> String {
    reply["message_id"].as_str().unwrap().to_owned()
}

/// What tries an action out: as a frame, where the wire has one, and as a call.
fn trial(action: Action, message: &str) -> (Option<(&'static str, Value)>, Option<Ask>) {
    let act = |event, act: Act| {
        let data = serde_json::to_value(&act).unwrap()["data"].clone();
        (Some((event, data)), Some(Ask::Act(act)))
    };
    let patch = |settings: Value| {
        let Value::Object(settings) = settings else { panic!("an object") };
        Ask::Patch(PatchRoom { name: None, settings: Some(settings) })
    };
    let send = |body: Value| Ask::Send(serde_json::from_value::<SendBody>(body).unwrap());
    match action {
        Action::Send => (Some(("send_message", json!({"content": "hi"}))), Some(send(json!({"content": "hi"})))),
        Action::React => (Some(("react", json!({"message_id": message, "reaction": "👍"}))), None),
        Action::SendSystem => {
            let body = json!({"content": "hi", "type": "system"});
            (Some(("send_message", body.clone())), Some(send(body)))
        }
        Action::SendAsUser => {
            (None, Some(send(json!({"content": "hi", "as_user": {"user_id": "x", "username": "X"}}))))
        }
        Action::DeleteOthers => {
            let call = Ask::DeleteMessage { message_id: message.into(), known: None };
            (Some(("delete_message", json!({"message_id": message}))), Some(call))
        }
        Action::DeleteMany => act("clear_room", Act::Clear(Reasoned::default())),
        Action::Pin => act("pin_message", Act::Pin(PinRef { message_id: message.into(), room_id: None })),
        Action::Announce => act("announce", Act::Announce(Announcement { content: "hear".into(), room_id: None })),
        Action::Ban => act("ban_user", Act::Ban(ban("zoe"))),
        // Nothing waits here, so who may act meets `message_not_found`: taken for done below.
        Action::ReviewHeld => {
            act("allow_message", Act::Allow(HeldRef { held_id: message.into(), ..HeldRef::default() }))
        }
        Action::SetTerms => act("set_terms", Act::SetTerms(SetTerms::default())),
        Action::SetModes => (Some(("set_modes", json!({"modes": {"slow_s": 5}}))), Some(patch(json!({"slow_s": 5})))),
        Action::Configure => (None, Some(patch(json!({"guests": false})))),
        Action::SetRole => {
            act("set_role", Act::SetRole(SetRole { user_id: "zoe".into(), role: Some(Role::Member), room_id: None }))
        }
        Action::DeleteRoom => (None, Some(Ask::Delete(Nothing {}))),
        Action::ReadStats => (None, Some(Ask::Stats(Nothing {}))),
        Action::ReadAudit => (None, Some(Ask::MayReadAudit(Nothing {}))),
        Action::Export => (None, Some(Ask::Export(Nothing {}))),
        Action::Report => {
            let body = ReportMessage { message_id: message.into(), ..ReportMessage::default() };
            let frame = json!({"message_id": message, "reason": "spam"});
            (Some(("report_message", frame)), Some(Ask::Report { body, known: None }))
        }
        Action::ReviewReports => {
            let query = ReportQuery { status: ReportStatus::Open, before: None, limit: 10 };
            (None, Some(Ask::Reports(query)))
        }
    }
}

#[test]
fn every_role_and_action_over_socket_and_rest() {
    let mut tried = 0;
    for rule in TABLE {
        for (user, role) in PEOPLE {
            for rest in [false, true] {
                let mut w = World::new();
                room(&mut w);
                let zoe = w.join("zoe");
                let message = id(&w.say(zoe, "hello"));
                let (frame, ask) = trial(rule.action, &message);
                let done = match (rest, frame, ask) {
                    (true, _, Some(ask)) => w.call(user, ask).map_err(|error| json!(error.code)),
                    (false, Some((event, data)), _) => {
                        let socket = w.join(user);
                        w.ask(socket, event, data).map_err(|error| error["code"].clone())
                    }
                    _ => continue,
                };
                let done = match done {
                    Err(code) if rule.action == Action::ReviewHeld && code == "message_not_found" => Ok(Value::Null),
                    done => done,
                };
                let expected = match role {
                    Role::Guest => Err(json!("token_required")),
                    role if allows(rule.action, role) => Ok(()),
                    _ => Err(json!("forbidden")),
                };
                assert_eq!(done.map(|_| ()), expected, "{role:?} {:?} rest: {rest}", rule.action);
                tried += 1;
            }
        }
    }
    assert!(tried > 130, "{tried}");
}

#[test]
fn nobody_acts_on_their_equal_or_better() {
    for (user, role) in PEOPLE.into_iter().filter(|(_, role)| role.at_least(Role::Moderator)) {
        for (target, other) in PEOPLE.into_iter().filter(|(_, role)| *role != Role::Guest) {
            if user == target {
                continue;
            }
            let mut w = World::new();
            room(&mut w);
            let socket = w.join(target);
            let message = id(&w.say(socket, "hello"));
            let below = role.rank() > other.rank();
            let expected = || if below { Ok(()) } else { Err("forbidden".to_owned()) };
            let of_user = || UserRef { user_id: target.into(), ..UserRef::default() };
            // Each over a socket, then over REST; the last one takes the target away.
            let frames = [
                ("delete_message", json!({"message_id": message})),
                ("delete_user_messages", json!({"user_id": target})),
                ("ban_user", json!({"user_id": target, "shadow": true})),
            ];
            let actor = w.join(user);
            for (event, data) in frames {
                let done = w.ask(actor, event, data).map(drop).map_err(|e| e["code"].as_str().unwrap().to_owned());
                assert_eq!(done, expected(), "{event}: {role:?} on {other:?}");
            }
            let asks = [
                Ask::DeleteMessage { message_id: message.clone(), known: None },
                Ask::Act(Act::DeleteMessages(of_user())),
                Ask::Act(Act::Ban(ban(target))),
            ];
            for ask in asks {
                let done = w.call(user, ask).map(drop).map_err(|error| error.code.as_str().to_owned());
                assert_eq!(done, expected(), "over REST: {role:?} on {other:?}");
            }
            assert_eq!(w.closed(socket), below.then_some(4403));
        }
    }
}

#[test]
fn a_ban_made_while_its_user_was_away_binds_nobody_who_stands_no_lower_than_its_author() {
    for shadow in [false, true] {
        for (user, role) in PEOPLE.into_iter().filter(|(_, role)| role.at_least(Role::Moderator)) {
            let mut w = World::new();
            room(&mut w);
            let bob = w.join("bob");
            // What a token will say of them, the room does not know yet.
            for target in ["ada", "mod2", "svc", "admin"].into_iter().filter(|target| *target != user) {
                w.call(user, Ask::Act(Act::Ban(BanUser { shadow, ..ban(target) }))).unwrap();
            }
            w.evict();
            for (target, other) in
                [("ada", Role::Member), ("mod2", Role::Moderator), ("svc", Role::Service), ("admin", Role::Admin)]
            {
                if target == user {
                    continue;
                }
                w.take(bob);
                let socket = w.open(target);
                let joined = w.ask(socket, "join_room", json!({"room_id": ROOM})).is_ok();
                let heard = joined && {
                    w.say(socket, target);
                    !w.events(bob, "new_message").is_empty()
                };
                let bound = role.rank() > other.rank();
                assert_eq!((joined, heard), (!bound || shadow, !bound), "{role:?} on {other:?}, shadow: {shadow}");
            }
        }
    }
}

#[test]
fn what_equals_and_betters_said_stays_when_all_of_a_users_is_deleted() {
    for better in ["mod2", "admin"] {
        let mut w = World::new();
        room(&mut w);
        let socket = w.join(better);
        w.say(socket, "the rules of this room");
        w.close(socket);
        w.advance(10_000);
        let all_of = Act::DeleteMessages(UserRef { user_id: better.into(), ..UserRef::default() });
        assert_eq!(w.call("mod", Ask::Act(all_of)).unwrap()["deleted"], 0);
        w.call("mod", Ask::Act(Act::Ban(BanUser { delete_messages_s: Some(3_600), ..ban(better) }))).unwrap();
        assert!(w.log.holds("the rules of this room"));
        assert_eq!(w.call("mod", Ask::Act(Act::Clear(Reasoned::default()))).unwrap()["deleted"], 1);
    }
}

#[test]
fn a_ban_closes_every_tab_and_keeps_out_until_it_ends() {
    let mut w = World::new();
    room(&mut w);
    let (zoe, tab, bob, moderator) = (w.join("zoe"), w.join("zoe"), w.join("bob"), w.join("mod"));
    let said = id(&w.say(zoe, "rude words"));
    let body = json!({"user_id": "zoe", "duration_s": 60, "reason": "rude", "delete_messages_s": 300});
    let reply = w.ask(moderator, "ban_user", body).unwrap();
    assert_eq!((w.closed(zoe), w.closed(tab), w.closed(bob)), (Some(4403), Some(4403), None));
    assert_eq!((&reply["user_id"], &reply["by"], &reply["reason"]), (&json!("zoe"), &json!("mod"), &json!("rude")));

    let lines = w.take(bob);
    let event = |name: &str| lines.iter().find(|line| line["event"] == name).unwrap()["data"].clone();
    assert_eq!(event("messages_deleted")["message_ids"], json!([said]));
    let public = event("user_banned");
    assert_eq!((&public["username"], public.get("reason"), public.get("by")), (&json!("Zoe"), None, None));
    assert_eq!(w.events(moderator, "user_banned")[0]["reason"], "rude");
    assert!(!w.log.holds("rude words"));

    w.evict();
    let again = w.open("zoe");
    let refusal = w.ask(again, "join_room", json!({"room_id": ROOM})).unwrap_err();
    assert_eq!((&refusal["code"], refusal["ends_at"] == reply["ends_at"]), (&json!("banned"), true));
    assert_eq!(w.closed(again), Some(4403));
    let page = Ask::Messages(PageQuery::Page { page: 1, limit: 10 });
    assert_eq!(w.call("zoe", page).unwrap_err().code.as_str(), "banned");
    w.advance(60_001);
    w.join("zoe");
}

#[test]
fn a_ban_is_taken_up_to_its_limits_and_names_the_field_that_is_beyond_them() {
    let mut w = World::new();
    room(&mut w);
    let long = |n: usize| "ü".repeat(n);
    let ban = |set: &dyn Fn(&mut BanUser)| {
        let mut ban = ban("zoe");
        set(&mut ban);
        Act::Ban(ban)
    };
    let acts: [(Act, Option<&str>); 16] = [
        (ban(&|ban| ban.user_id = "u".repeat(255)), None),
        (ban(&|ban| ban.user_id = "u".repeat(256)), Some("user_id")),
        (ban(&|ban| ban.user_id = String::new()), Some("user_id")),
        (ban(&|ban| ban.user_id = "z\noe".into()), Some("user_id")),
        (ban(&|ban| ban.duration_s = Some(1)), None),
        (ban(&|ban| ban.duration_s = Some(31_536_000)), None),
        (ban(&|ban| ban.duration_s = Some(0)), Some("duration_s")),
        (ban(&|ban| ban.duration_s = Some(31_536_001)), Some("duration_s")),
        (ban(&|ban| ban.delete_messages_s = Some(604_800)), None),
        (ban(&|ban| ban.delete_messages_s = Some(604_801)), Some("delete_messages_s")),
        (ban(&|ban| ban.delete_messages_s = Some(0)), Some("delete_messages_s")),
        (ban(&|ban| ban.reason = Some(long(500))), None),
        (ban(&|ban| ban.reason = Some(long(501))), Some("reason")),
        (ban(&|ban| ban.reason = Some("bell\u{7}".into())), Some("reason")),
        (Act::Clear(Reasoned { reason: Some(long(501)), room_id: None }), Some("reason")),
        (Act::SetRole(SetRole { user_id: String::new(), role: None, room_id: None }), Some("user_id")),
    ];
    for (act, field) in acts {
        let text = format!("{act:?}");
        let refused = w.call("own", Ask::Act(act)).err().map(|error| (error.code.as_str(), error.field));
        let expected = field.map(|field| ("bad_request", Some(field.to_owned())));
        assert_eq!(refused, expected, "{text:.200}");
    }
    let reason = |w: &mut World, reason: &str| {
        let ban = ban(&|ban| ban.reason = Some(reason.into()));
        w.call("mod", Ask::Act(ban)).unwrap()["reason"].clone()
    };
    assert_eq!((reason(&mut w, " rude "), reason(&mut w, "  ")), (json!("rude"), Value::Null));
}

#[test]
fn a_ban_takes_what_was_said_in_the_last_so_many_seconds() {
    let mut w = World::new();
    room(&mut w);
    w.post("zoe", "first words").unwrap();
    w.now += 1;
    w.post("zoe", "second words").unwrap();
    w.now += 60_000;
    w.call("mod", Ask::Act(Act::Ban(BanUser { delete_messages_s: Some(60), ..ban("zoe") }))).unwrap();
    assert!(w.log.holds("first words") && !w.log.holds("second words"));
}

#[test]
fn a_bulk_deletion_takes_the_newest_thousand_and_says_that_there_are_more() {
    let mut w = World::new();
    room(&mut w);
    (0..1_001).for_each(|n| drop(w.post("mod2", &format!("words {n}.")).unwrap()));
    let mut clear = || {
        let cleared = w.call("own", Ask::Act(Act::Clear(Reasoned::default()))).unwrap();
        (cleared["deleted"].as_u64().unwrap(), cleared["more"].as_bool().unwrap(), w.log.holds("words 0."))
    };
    assert_eq!([clear(), clear()], [(1_000, true, true), (1, false, false)]);
    // A thousand are all there are.
    let mut w = World::new();
    room(&mut w);
    (0..1_000).for_each(|_| drop(w.post("mod2", "words").unwrap()));
    let cleared = w.call("own", Ask::Act(Act::Clear(Reasoned::default()))).unwrap();
    assert_eq!((&cleared["deleted"], &cleared["more"]), (&json!(1_000), &json!(false)));
}

#[test]
fn an_unbanned_user_comes_back_and_nobody_else_can_be_unbanned() {
    let mut w = World::new();
    room(&mut w);
    w.call("mod", Ask::Act(Act::Ban(ban("zoe")))).unwrap();
    assert_eq!(w.call("mod", Ask::Bans(Nothing {})).unwrap()["bans"][0]["user_id"], "zoe");
    let unban = || Ask::Act(Act::Unban(UserRef { user_id: "zoe".into(), ..UserRef::default() }));
    w.call("mod", unban()).unwrap();
    assert_eq!(w.call("mod", unban()).unwrap_err().code.as_str(), "user_not_found");
    assert_eq!(w.call("mod", Ask::Bans(Nothing {})).unwrap()["bans"], json!([]));
    w.join("zoe");
}

#[test]
fn who_is_shadow_banned_sees_themselves_and_nobody_else_does() {
    let mut w = World::new();
    room(&mut w);
    let (zoe, bob, moderator) = (w.join("zoe"), w.join("bob"), w.join("mod"));
    w.call("mod", Ask::Act(Act::Ban(BanUser { shadow: true, ..ban("zoe") }))).unwrap();
    w.take(bob);
    w.say(zoe, "can you hear me");
    w.ask(zoe, "typing", json!({"is_typing": true})).unwrap();
    assert_eq!(w.events(zoe, "new_message").len(), 1);
    assert_eq!(w.events(moderator, "new_message").len(), 1);
    let seen = w.take(bob);
    assert!(seen.iter().all(|line| !line.to_string().contains("zoe") && line["event"] != "user_banned"), "{seen:?}");

    w.evict();
    let page = || Ask::Messages(PageQuery::Page { page: 1, limit: 10 });
    let count = |page: Value| page["held"].as_array().unwrap().len();
    assert_eq!(count(w.call("bob", page()).unwrap()), 0);
    assert_eq!(count(w.call("zoe", page()).unwrap()), 1);
    let late = w.open("carl");
    let joined = w.ask(late, "join_room", json!({"room_id": ROOM, "resume": {"epoch": 1, "seq": 1}})).unwrap();
    assert_eq!(joined["messages"], json!([]));
}

#[test]
fn clearing_and_deleting_all_of_a_users() {
    let mut w = World::new();
    room(&mut w);
    let (zoe, bob) = (w.join("zoe"), w.join("bob"));
    for n in 0..150 {
        w.now += 10_000;
        w.say(if n % 3 == 0 { zoe } else { bob }, &format!("words {n}"));
    }
    let edited = id(&w.say(zoe, "words first"));
    w.ask(zoe, "edit_message", json!({"message_id": edited, "content": "words second"})).unwrap();
    let of_zoe = Act::DeleteMessages(UserRef { user_id: "zoe".into(), ..UserRef::default() });
    assert_eq!(w.call("mod", Ask::Act(of_zoe)).unwrap()["deleted"], 51);
    assert!(!w.log.holds("words second") && !w.log.holds("words 3\"") && w.log.holds("words 1\""));
    let cleared = w.call("mod", Ask::Act(Act::Clear(Reasoned::default()))).unwrap();
    assert_eq!((&cleared["deleted"], &cleared["more"]), (&json!(100), &json!(false)));
    assert!(!w.log.holds("words"));
    assert_eq!(w.call("mod", Ask::Act(Act::Clear(Reasoned::default()))).unwrap()["deleted"], 0);
}

#[test]
fn pins_are_in_the_room_and_survive_sleep() {
    let mut w = World::new();
    room(&mut w);
    let zoe = w.join("zoe");
    let pin = |id: &str| Act::Pin(PinRef { message_id: id.into(), room_id: None });
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(id(&w.say(zoe, &format!("message {n}"))));
        w.call("mod", Ask::Act(pin(&ids[n]))).unwrap();
    }
    ids.reverse();
    w.evict();
    assert_eq!(w.get("ada")["pinned"], json!(ids[..5]));
    let unpin = Act::Unpin(PinRef { message_id: ids[0].clone(), room_id: None });
    assert_eq!(w.call("mod", Ask::Act(unpin.clone())).unwrap()["pinned"], json!(ids[1..5]));
    assert_eq!(w.call("mod", Ask::Act(unpin)).unwrap_err().code.as_str(), "message_not_found");
    assert_eq!(w.events(zoe, "message_unpinned").len(), 1);
}

#[test]
fn slow_mode_and_emote_only_bind_members() {
    let mut w = World::new();
    room(&mut w);
    let (zoe, moderator) = (w.join("zoe"), w.join("mod"));
    w.ask(moderator, "set_modes", json!({"modes": {"slow_s": 120}})).unwrap();
    w.say(zoe, "one");
    w.now += 70_000;
    w.evict();
    let refusal = w.ask(zoe, "send_message", json!({"content": "two"})).unwrap_err();
    assert_eq!((&refusal["code"], &refusal["retry_after_ms"]), (&json!("slow_mode"), &json!(50_000)));
    for apart in ["mod", "own", "svc"] {
        w.post(apart, "a").unwrap();
        w.post(apart, "b").unwrap();
    }
    w.ask(moderator, "set_modes", json!({"modes": {"slow_s": null, "emote_only": true}})).unwrap();
    assert_eq!(w.code(zoe, "send_message", json!({"content": "words"})), "room_mode");
    w.say(zoe, "🎉 :wave:");
    let owner = w.join("own");
    for socket in [moderator, owner] {
        let refusal = w.ask(socket, "set_modes", json!({"modes": {"guests": false}})).unwrap_err();
        assert_eq!((&refusal["code"], &refusal["field"]), (&json!("invalid_settings"), &json!("modes.guests")));
    }
}

#[test]
fn an_appointed_moderator_has_the_role_at_once_and_after_sleep() {
    let mut w = World::new();
    room(&mut w);
    let zoe = w.join("zoe");
    assert_eq!(w.code(zoe, "announce", json!({"content": "hear"})), "forbidden");
    let role = |role| Ask::Act(Act::SetRole(SetRole { user_id: "zoe".into(), role, room_id: None }));
    assert_eq!(w.call("mod", role(Some(Role::Moderator))).unwrap_err().code.as_str(), "forbidden");
    assert_eq!(w.call("own", role(Some(Role::Owner))).unwrap_err().code.as_str(), "forbidden");
    w.call("own", role(Some(Role::Moderator))).unwrap();
    w.ask(zoe, "announce", json!({"content": "hear"})).unwrap();
    w.evict();
    w.ask(zoe, "announce", json!({"content": "hear again"})).unwrap();
    assert_eq!(w.events(zoe, "new_message").last().unwrap()["type"], "system");
    w.call("own", role(None)).unwrap();
    assert_eq!(w.code(zoe, "announce", json!({"content": "hear"})), "forbidden");
}

#[test]
fn each_act_is_in_the_batch_for_the_audit() {
    let mut w = World::new();
    room(&mut w);
    let zoe = w.join("zoe");
    let message = id(&w.say(zoe, "hello"));
    let pin = PinRef { message_id: message.clone(), room_id: None };
    let held = json!({"blocked": ["hold*"], "action": "hold"});
    w.call("own", Ask::Act(Act::SetTerms(serde_json::from_value(held).unwrap()))).unwrap();
    let waits: Vec<_> = (0..2).map(|_| id(&w.say(zoe, "holdit"))).collect();
    let held = |n: usize| HeldRef { held_id: waits[n].clone(), reason: Some("why".into()), room_id: None };
    let acts = [
        Act::Allow(held(0)),
        Act::Deny(held(1)),
        Act::Pin(pin.clone()),
        Act::Unpin(pin),
        Act::Announce(Announcement { content: "hear".into(), room_id: None }),
        Act::SetRole(SetRole { user_id: "bob".into(), role: Some(Role::Moderator), room_id: None }),
        Act::DeleteMessages(UserRef { user_id: "zoe".into(), ..UserRef::default() }),
        Act::Clear(Reasoned { reason: Some("raid".into()), room_id: None }),
        Act::Ban(ban("zoe")),
        Act::Unban(UserRef { user_id: "zoe".into(), ..UserRef::default() }),
    ];
    let names = acts.iter().map(|act| act.name());
    let names: Vec<_> = ["set_terms"].into_iter().chain(names).chain(["update_room", "delete_room"]).collect();
    for act in acts {
        w.call("own", Ask::Act(act)).unwrap();
    }
    let patch: PatchRoom = serde_json::from_value(json!({"name": "New", "settings": {"slow_s": 30}})).unwrap();
    w.call("own", Ask::Patch(patch)).unwrap();
    w.call("own", Ask::Delete(Nothing {})).unwrap();
    w.advance(2_000);
    let ops = w.batches.iter().flat_map(|batch| {
        let batch: Value = serde_json::from_str(batch).unwrap();
        batch["ops"].as_array().unwrap().clone()
    });
    let audit: Vec<_> = ops.filter(|op| op["op"] == "audit").collect();
    assert_eq!(audit.iter().map(|op| op["action"].clone()).collect::<Vec<_>>(), names);
    for op in &audit {
        let (details, given) = (&op["details"], op["action"] == "set_role");
        assert!(op["actor"] == "own" && !op.to_string().contains("hello") && !op.to_string().contains("holdit"));
        assert_eq!(details[if given { "by_role" } else { "role" }], "owner", "{op}");
    }
    let update = audit.iter().find(|op| op["action"] == "update_room").unwrap();
    assert_eq!(update["details"]["to"], json!({"name": "New", "settings.slow_s": 30}));
}

#[test]
fn what_is_done_to_a_hidden_message_is_hidden_too() {
    let mut w = World::new();
    room(&mut w);
    let (zoe, bob, moderator) = (w.join("zoe"), w.join("bob"), w.join("mod"));
    let shared = id(&w.say(zoe, "said before"));
    w.call("mod", Ask::Act(Act::Ban(BanUser { shadow: true, ..ban("zoe") }))).unwrap();
    let hidden: Vec<_> = (0..3).map(|n| id(&w.say(zoe, &format!("unheard {n}")))).collect();
    w.take(bob);

    // An edit does not reach those who read the message already.
    w.ask(zoe, "edit_message", json!({"message_id": shared, "content": "can you hear me"})).unwrap();
    let page = w.page("bob", PageQuery::Page { page: 1, limit: 10 });
    assert_eq!(page["held"][0]["content"], "said before");

    w.ask(moderator, "react", json!({"message_id": hidden[0], "reaction": "👍"})).unwrap();
    assert_eq!(w.code(moderator, "pin_message", json!({"message_id": hidden[0]})), "forbidden");
    w.ask(moderator, "delete_message", json!({"message_id": hidden[0]})).unwrap();
    w.ask(zoe, "delete_message", json!({"message_id": hidden[1]})).unwrap();
    assert_eq!(w.events(zoe, "message_deleted").len(), 2);
    w.ask(moderator, "clear_room", json!({})).unwrap();
    let lines = w.take(bob);
    assert!(lines.iter().all(|line| hidden.iter().all(|id| !line.to_string().contains(id))), "{lines:?}");
    let cleared = lines.iter().find(|line| line["event"] == "messages_deleted").unwrap();
    assert_eq!(cleared["data"]["message_ids"], json!([shared]));
    // V7: who said it saw it, and hears of its end, as on coming back.
    for socket in [moderator, zoe] {
        let cleared: Vec<_> = w.events(socket, "messages_deleted").iter().map(|it| it["message_ids"].clone()).collect();
        assert_eq!(cleared, [json!([hidden[2]]), json!([shared])]);
    }
}

#[test]
fn a_deleted_message_is_pinned_no_more() {
    let mut w = World::new();
    room(&mut w);
    let zoe = w.join("zoe");
    let ids: Vec<_> = (0..3).map(|n| id(&w.say(zoe, &format!("message {n}")))).collect();
    for id in &ids {
        w.call("mod", Ask::Act(Act::Pin(PinRef { message_id: id.clone(), room_id: None }))).unwrap();
    }
    w.ask(zoe, "delete_message", json!({"message_id": ids[1]})).unwrap();
    assert_eq!(w.events(zoe, "message_unpinned")[0]["pinned"], json!([ids[2], ids[0]]));
    w.call("mod", Ask::Act(Act::Clear(Reasoned::default()))).unwrap();
    w.evict();
    assert_eq!(w.get("ada")["pinned"], json!([]));
}
