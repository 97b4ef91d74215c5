//! Requests, a line each, `<who> <METHOD> <path>[?query] <body>`, as the Worker takes them to a room: route, query, body,
//! the call as JSON from one object to the other, the answer. The first byte chooses: odd, and the room is there already.
#![no_main]

use edge_chat::protocol::act::{
    Act, Appointed, Denial, HeldRef, PinRef, ReportBody, ReportMessage, ResolveBody, ResolveReport, SetRole, UserRef,
};
use edge_chat::protocol::call::{Ask, EditBody, Nothing, RoomCall, SendBody, TokenBody, VERSION};
use edge_chat::protocol::{ChatError, ErrorCode, RoomId, depth_within, read};
use edge_chat::rest::{self, Method, Route, problem, problem_page, route};
use fuzz::{Scene, user};
use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;

const MOST_LINES: usize = 32;

fuzz_target!(|data: &[u8]| {
    let Some((&first, script)) = data.split_first() else { return };
    let script = String::from_utf8_lossy(script);
    let mut scene = Scene::new(&[("DEV_TOKENS", "true")]);
    if first % 2 == 1 {
        let body = r#"{"name":"Room","type":"video"}"#;
        let made = request(&mut scene, b'a', "POST", "/api/rooms", body);
        assert!(made.is_ok());
        scene.w.open("mod");
        scene.w.ask(1, "join_room", serde_json::json!({})).expect("it may join");
    }
    for line in script.split('\n').take(MOST_LINES) {
        let mut parts = line.splitn(4, ' ');
        let mut part = || parts.next().unwrap_or_default();
        let (who, method, target, body) = (part(), part(), part(), part());
        let (target, body) = (scene.filled(target), scene.filled(body));
        let who = who.bytes().next().unwrap_or_default();
        if let Err(error) = request(&mut scene, who, method, &target, &body) {
            assert!(error.code != ErrorCode::Internal, "{error}");
            serde_json::from_str::<serde_json::Value>(&problem(&error, "id")).expect("a problem is JSON");
        }
        scene.read();
    }
    scene.survives_sleep();
});

fn body<T: DeserializeOwned>(text: &str) -> Result<T, ChatError> {
    if !depth_within(text, 32) {
        return Err(ChatError::new(ErrorCode::BadRequest, "A body is nested at most 32 levels deep."));
    }
    read(text)
}

fn request(scene: &mut Scene, who: u8, method: &str, target: &str, text: &str) -> Result<(), ChatError> {
    let method = match method {
        "GET" => Some(Method::Get),
        "POST" => Some(Method::Post),
        "PUT" => Some(Method::Put),
        "PATCH" => Some(Method::Patch),
        "DELETE" => Some(Method::Delete),
        _ => None,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key.to_owned(), value.to_owned())
    };
    let pairs: Vec<_> = query.split('&').map(pair).collect();
    let of_user = |user_id| {
        let reason = rest::reason(&pairs)?.map(str::to_owned);
        Ok::<_, ChatError>(UserRef { user_id, reason, room_id: None })
    };
    let ask = match route(method, path)? {
        Route::CreateRoom => {
            let body: edge_chat::protocol::CreateRoom = body(text)?;
            match &body.room_id {
                Some(id) => RoomId::wanted(id)?,
                None => RoomId::fresh(&body.kind, scene.w.now, &[7; 32])?,
            };
            Ask::Create(body)
        }
        Route::Room(_) => Ask::Get(Nothing {}),
        Route::PatchRoom(_) => Ask::Patch(body(text)?),
        Route::DeleteRoom(_) => Ask::Delete(Nothing {}),
        Route::Messages(_) => {
            rest::mine(&pairs)?;
            Ask::Messages(rest::page(&pairs)?)
        }
        Route::Members(_) => {
            let (limit, skip) = rest::members(&pairs)?;
            Ask::Members { limit, skip }
        }
        Route::Stats(_) => Ask::Stats(Nothing {}),
        Route::Post(_) => Ask::Send(body::<SendBody>(text)?),
        Route::Bans(_) => Ask::Bans(Nothing {}),
        Route::Ban(_) => Ask::Act(Act::Ban(body(text)?)),
        Route::Unban(_, user) => Ask::Act(Act::Unban(of_user(user)?)),
        Route::DeleteUserMessages(_, user) => Ask::Act(Act::DeleteMessages(of_user(user)?)),
        Route::Clear(_) => Ask::Act(Act::Clear(body(text)?)),
        Route::Announce(_) => Ask::Act(Act::Announce(body(text)?)),
        Route::Pin(_, message_id, unpin) => {
            let body = PinRef { message_id, room_id: None };
            Ask::Act(if unpin { Act::Unpin(body) } else { Act::Pin(body) })
        }
        Route::Role(_, user_id, take) => {
            let role = if take { None } else { Some(body::<Appointed>(text)?.role) };
            Ask::Act(Act::SetRole(SetRole { user_id, role, room_id: None }))
        }
        Route::Audit(_) => {
            rest::audit(&pairs)?;
            Ask::MayReadAudit(Nothing {})
        }
        Route::Held(_) => Ask::Held(Nothing {}),
        Route::ReviewHeld(_, held_id, deny) => {
            let reason = if deny { body::<Denial>(text)?.reason } else { None };
            let held = HeldRef { held_id, reason, room_id: None };
            Ask::Act(if deny { Act::Deny(held) } else { Act::Allow(held) })
        }
        Route::Terms(_) => Ask::Terms(Nothing {}),
        Route::SetTerms(_) => Ask::Act(Act::SetTerms(body(text)?)),
        Route::TryTerms(_) => Ask::TryTerms(body(text)?),
        Route::ReportMessage(message_id) => {
            let ReportBody { reason, details, opened, .. } = body(text)?;
            let body = ReportMessage { message_id, reason, details, opened, room_id: None };
            Ask::Report { body, known: None }
        }
        Route::Reports(_) => Ask::Reports(rest::reports(&pairs)?),
        Route::Report(_, report_id) => Ask::OpenReport { report_id },
        Route::ResolveReport(_, report_id) => {
            let ResolveBody { status, resolution } = body(text)?;
            Ask::Act(Act::ResolveReport(ResolveReport { report_id, status, resolution, room_id: None }))
        }
        Route::EditMessage(message_id) => {
            let EditBody { content, franking, .. } = body(text)?;
            Ask::Edit { message_id, content, franking, known: None }
        }
        Route::DeleteMessage(message_id) => Ask::DeleteMessage { message_id, known: None },
        Route::DevToken => return body::<TokenBody>(text).map(drop),
        Route::Problem(code) => {
            problem_page(&code);
            return Ok(());
        }
        _ => return Ok(()),
    };
    let call = RoomCall { v: VERSION, caller: scene.w.caller(user(who)), ask };
    let call = serde_json::to_string(&call).expect("a call is JSON");
    let call: RoomCall = serde_json::from_str(&call).expect("what one object asks the other can read");
    let answer = scene.w.step(|host, at| host.call(at, call))?;
    serde_json::from_str::<serde_json::Value>(answer.get()).expect("an answer is JSON");
    Ok(())
}
