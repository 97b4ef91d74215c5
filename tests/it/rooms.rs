//! A room as a thing: who makes one of which form, and who may change what of it.

use crate::world::{START, World};
use edge_chat::protocol::call::{AsUser, Ask, SendBody};
use edge_chat::protocol::{CreateRoom, PatchRoom, RoomInfo};
use edge_chat::room::check_create;
use edge_chat::settings::RoomCreation;
use serde_json::{Value, json};

/// The room that `user` gets who asks for this one, or the refusal's code and field.
fn made(user: &str, body: Value, creation: RoomCreation) -> Result<RoomInfo, (String, String)> {
    let body: CreateRoom = serde_json::from_value(body).unwrap();
    let identity = (!user.is_empty()).then(|| World::new().identity(user, 60));
    let made = check_create(&body, identity.as_ref(), creation, START);
    made.map(|(info, _)| info).map_err(|error| (error.code.as_str().into(), error.field.unwrap_or_default()))
}

fn refused(code: &str, field: &str) -> Result<RoomInfo, (String, String)> {
    Err((code.into(), field.into()))
}

fn patch(w: &mut World, user: &str, patch: Value) -> Result<Value, (String, String)> {
    let patch: PatchRoom = serde_json::from_value(patch).unwrap();
    let answer = w.call(user, Ask::Patch(patch));
    answer.map_err(|error| (error.code.as_str().into(), error.field.unwrap_or_default()))
}

fn room_of(owner: &str, settings: Value) -> World {
    let mut w = World::new();
    let body = json!({"name": "R", "type": "video", "settings": settings});
    w.call(owner, Ask::Create(serde_json::from_value(body).unwrap())).unwrap();
    w
}

#[test]
fn a_rooms_name_is_1_to_255_characters() {
    let mut w = room_of("ada", json!({}));
    for (name, kept) in [
        (" R 2 ".to_owned(), Some("R 2")),
        ("é".repeat(255), Some(&*"é".repeat(255))),
        (String::new(), None),
        (" \u{a0}".into(), None),
        ("a\u{7}b".into(), None),
        ("x".repeat(256), None),
    ] {
        let info = made("ada", json!({"name": name, "type": "video"}), RoomCreation::Member);
        let patched = patch(&mut w, "ada", json!({"name": name}));
        match kept {
            Some(kept) => assert_eq!((&*info.unwrap().name, &patched.unwrap()["name"]), (kept, &json!(kept))),
            None => {
                assert_eq!(info, refused("bad_request", "name"), "{name:?}");
                assert_eq!(patched, Err(("bad_request".into(), "name".into())), "{name:?}");
            }
        }
    }
}

#[test]
fn a_deployment_says_whether_only_back_ends_make_rooms() {
    let body = || json!({"name": "R", "type": "stream"});
    for (user, member, service) in [
        ("ada", None, Some("forbidden")),
        ("svc", None, None),
        ("admin", None, None),
        ("", Some("token_required"), Some("token_required")),
    ] {
        for (creation, code) in [(RoomCreation::Member, member), (RoomCreation::Service, service)] {
            let made = made(user, body(), creation);
            assert_eq!(made.as_ref().err().map(|(code, _)| code.as_str()), code, "{user} {creation:?}");
            if let Ok(info) = made {
                assert_eq!(info.owner_id.as_deref(), Some(user));
            }
        }
    }
    assert_eq!(made("ada", json!({"name": "R", "type": "pub"}), RoomCreation::Member), refused("invalid_type", "type"));
}

#[test]
fn a_direct_room_has_two_different_members_one_of_whom_makes_it() {
    let ask = |user: &str, kind: &str, members: Value| {
        made(user, json!({"name": "R", "type": kind, "members": members}), RoomCreation::Member)
    };
    let long = "x".repeat(255);
    for members in [json!(["ada", "bob"]), json!(["bob", "ada"]), json!(["ada", long])] {
        assert_eq!(ask("ada", "direct", members).unwrap().owner_id, None);
    }
    for user in ["svc", "admin"] {
        assert!(ask(user, "direct", json!(["ada", "bob"])).is_ok(), "{user}");
    }
    assert_eq!(ask("eve", "direct", json!(["ada", "bob"])), refused("forbidden", "members"));
    let longer = "x".repeat(256);
    for members in [
        Value::Null,
        json!([]),
        json!(["ada"]),
        json!(["ada", "bob", "eve"]),
        json!(["ada", "ada"]),
        json!(["ada", ""]),
        json!(["", "ada"]),
        json!(["ada", longer]),
        json!([longer, "ada"]),
        json!(["ada", "b\nb"]),
    ] {
        assert_eq!(ask("ada", "direct", members.clone()), refused("bad_request", "members"), "{members}");
    }
    assert_eq!(ask("ada", "group", json!(["ada", "bob"])), refused("bad_request", "members"));
}

#[test]
fn how_many_viewers_are_expected_is_said_by_services_and_admins() {
    let wants = |n: Value| json!({"settings": {"expect_viewers": n}});
    let create = |n: Value| json!({"name": "R", "type": "stream", "settings": {"expect_viewers": n}});
    let refusal = || Err(("forbidden".to_owned(), "settings.expect_viewers".to_owned()));
    assert_eq!(
        made("ada", create(json!(9_000)), RoomCreation::Member),
        refused("forbidden", "settings.expect_viewers")
    );
    assert!(made("ada", create(Value::Null), RoomCreation::Member).is_ok());
    let mut w = room_of("ada", json!({}));
    assert_eq!(patch(&mut w, "ada", wants(json!(9_000))), refusal());
    for user in ["svc", "admin"] {
        assert_eq!(
            made(user, create(json!(9_000)), RoomCreation::Member).unwrap().settings.expect_viewers,
            Some(9_000)
        );
        patch(&mut w, user, wants(json!(9_000))).unwrap();
    }
    // To the owner it is there to be left as it is, or to be taken back.
    assert_eq!(patch(&mut w, "ada", wants(json!(9_001))), refusal());
    patch(&mut w, "ada", json!({"settings": {"expect_viewers": 9_000, "slow_s": 5}})).unwrap();
    patch(&mut w, "ada", json!({"settings": {"slow_s": null}})).unwrap();
    let room = patch(&mut w, "ada", wants(Value::Null)).unwrap();
    assert_eq!(room["settings"]["expect_viewers"], Value::Null);
}

#[test]
fn a_moderator_changes_modes_and_nobody_a_direct_room() {
    let forbidden = || Err(("forbidden".to_owned(), String::new()));
    let mut w = room_of("ada", json!({}));
    patch(&mut w, "mod", json!({"settings": {"slow_s": 5, "links": "off"}})).unwrap();
    for more in [
        json!({"name": "Q"}),
        json!({"settings": {"guests": false}}),
        json!({"settings": {"slow_s": 6, "guests": false}}),
    ] {
        assert_eq!(patch(&mut w, "mod", more.clone()), forbidden(), "{more}");
    }
    assert_eq!(patch(&mut w, "bob", json!({})), forbidden());
    // Not even one of the two who is an admin everywhere else.
    let mut w = World::new();
    let body = json!({"name": "R", "type": "direct", "members": ["admin", "bob"]});
    w.call("svc", Ask::Create(serde_json::from_value(body).unwrap())).unwrap();
    for user in ["admin", "bob"] {
        for wanted in
            [json!({"settings": {"visibility": "public"}}), json!({"settings": {"slow_s": 5}}), json!({"name": "Q"})]
        {
            assert_eq!(patch(&mut w, user, wanted.clone()), forbidden(), "{user} {wanted}");
        }
    }
}

#[test]
fn a_room_that_lost_its_storage_has_its_pins_again() {
    let mut w = World::new();
    let (ada, moderator) = (w.join("ada"), w.join("mod"));
    w.say(ada, "one");
    let pinned = w.say(ada, "two")["message_id"].clone();
    w.ask(moderator, "pin_message", json!({"message_id": pinned})).unwrap();
    w.advance(5_000);
    w.lose_storage();
    assert_eq!(w.get("ada")["pinned"], json!([pinned]));
    w.evict();
    assert_eq!(w.get("ada")["pinned"], json!([pinned]));
}

#[test]
fn a_client_id_and_a_user_who_is_spoken_for_have_their_bounds() {
    let mut w = room_of("ada", json!({}));
    let body = |client_id: &str, user_id: &str| SendBody {
        content: "x".into(),
        client_id: Some(client_id.into()),
        as_user: Some(AsUser { user_id: user_id.into(), username: "Bob".into(), avatar: None }),
        ..SendBody::default()
    };
    let (id, user) = ("é".repeat(64), "x".repeat(255));
    for (n, (client_id, user_id, field)) in [
        ("c", "bob", None),
        (&*id, &*user, None),
        (&*format!("{id}x"), "bob", Some("client_id")),
        ("", "bob", Some("client_id")),
        ("c", "", Some("as_user.user_id")),
        ("c", "b\nb", Some("as_user.user_id")),
        ("c", &*format!("{user}x"), Some("as_user.user_id")),
    ]
    .into_iter()
    .enumerate()
    {
        // Another name each time: a known one is answered before anything else.
        let client_id = if client_id == "c" { format!("c{n}") } else { client_id.to_owned() };
        let refusal = w.call("svc", Ask::Send(body(&client_id, user_id))).err();
        assert_eq!(refusal.as_ref().and_then(|error| error.field.as_deref()), field, "{client_id} {user_id}");
    }
}
