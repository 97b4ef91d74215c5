//! The nodes of users: whom they block, that they signed out, and the rooms that have to hear of it.

use super::event::Event;
use super::room::name_of;
use super::shard::node_of;
use super::{Checked, Sim};
use crate::world::ROOM;
use edge_chat::host::AskUser;
use edge_chat::protocol::ChatError;
use edge_chat::protocol::call::{Standing, UserAsk, UserCall, VERSION};
use edge_chat::protocol::shard::{Follower, parse_gateway, parse_shard};
use edge_chat::user::{Step, User};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct UserNode {
    user: Option<User>,
    state: BTreeMap<String, String>,
    pub away_until: u64,
}

impl Sim {
    /// The object of a user, built anew where it slept; none where it does not answer.
    fn user(&mut self, user: &str) -> Option<&mut User> {
        let now = self.heap.now;
        let node = self.users.get_mut(user).filter(|node| node.away_until <= now)?;
        if node.user.is_none() {
            let state = node.state.clone().into_iter().collect();
            node.user = Some(User::load(user.to_owned(), state, now).unwrap());
        }
        node.user.as_mut()
    }

    fn kept(&mut self, user: &'static str, step: Step) {
        let node = self.users.get_mut(user).unwrap();
        for (key, value) in step.write {
            match value {
                Some(value) => node.state.insert(key, value),
                None => node.state.remove(&key),
            };
        }
        if let Some(at) = step.alarm {
            self.heap.at(at, Event::UserAlarm(user));
        }
    }

    pub(super) fn call_user(&mut self, user: &'static str, call: UserCall) -> Option<Result<Standing, ChatError>> {
        let now = self.heap.now;
        let (answer, step) = self.user(user)?.call(call, now);
        self.kept(user, step);
        self.push(user);
        Some(answer.map(|raw| serde_json::from_str(raw.get()).unwrap_or_default()))
    }

    /// What the Worker or the room hears of a user in the 300 ms that they wait.
    pub(super) fn standing_in_time(&mut self, user: &'static str) -> Option<Standing> {
        if user.is_empty() || (!self.calm && self.chance(20)) {
            return None;
        }
        let call = UserCall { v: VERSION, iat_ms: None, ask: UserAsk::Standing { room: None } };
        self.call_user(user, call)?.ok()
    }

    fn push(&mut self, user: &'static str) {
        let now = self.heap.now;
        let pushes = self.user(user).map(|user| user.pushes(now)).unwrap_or_default();
        for (room, standing) in pushes {
            let shard = parse_shard(&room).map(|(_, n)| Follower::Shard(n));
            let follower = shard.or(parse_gateway(&room).map(Follower::Gateway));
            let node = follower.map(node_of).unwrap_or_default();
            assert!(follower.is_some() || room == ROOM);
            let version = standing.version;
            if !self.calm && self.chance(10) {
                self.heap.after(5_000, Event::Pushed(node, user, version, None));
            } else {
                let delay = self.delay();
                self.heap.after(delay, Event::Push(node, user, standing));
            }
        }
    }

    /// A push reaches the room.
    pub(super) fn pushed_to_room(&mut self, user: &'static str, standing: Standing) -> Checked {
        let version = standing.version;
        self.news(user, &standing);
        let here = self.step(|host, at| host.user(at, user, standing))?;
        let delay = self.delay();
        self.heap.after(delay, Event::Pushed(self.room.index, user, version, here));
        Ok(())
    }

    pub(super) fn pushed(&mut self, node: usize, user: &'static str, version: u64, heard: Option<bool>) {
        let now = self.heap.now;
        let room = name_of(node);
        if let Some(step) = self.user(user).map(|user| user.pushed(&room, version, heard, now)) {
            self.kept(user, step);
            self.push(user);
        }
    }

    pub(super) fn user_alarm(&mut self, user: &'static str) {
        self.push(user);
        let now = self.heap.now;
        if let Some(step) = self.user(user).map(|user| user.rest(now)).filter(|step| step.alarm.is_some()) {
            // The outbox to PostgreSQL is another test's; here it is emptied by nobody.
            let soon = step.alarm.is_some_and(|at| at <= now);
            if !soon {
                self.kept(user, step);
            }
        }
    }

    /// A frame that its sender's object answers.
    pub(super) fn asked_user(&mut self, life: u64, asked: Box<AskUser>) {
        let user = super::known(&asked.user_id);
        let call = UserCall { v: VERSION, iat_ms: asked.call.iat_ms, ask: asked.call.ask.clone() };
        let refused = || ChatError::new(edge_chat::protocol::ErrorCode::Unavailable, "Not now.").retry_after(1_000);
        let answer = self.call_user(user, call).unwrap_or_else(|| Err(refused()));
        let delay = self.delay();
        self.heap.after(delay, Event::Answered(life, asked, answer));
    }

    pub(super) fn user_answered(&mut self, life: u64, asked: AskUser, answer: Result<Standing, ChatError>) -> Checked {
        if life != self.room.life {
            return Ok(());
        }
        self.room.asking -= 1;
        if let Ok(standing) = &answer {
            self.news(super::known(&asked.user_id), standing);
        }
        self.step(|host, at| ((), host.answered(at, asked, answer)))?;
        Ok(())
    }

    /// The room has let a user in; the user's object hears of it, or not.
    pub(super) fn entered(&mut self, node: usize, life: u64, user: String) {
        let call = UserCall { v: VERSION, iat_ms: None, ask: UserAsk::Standing { room: Some(name_of(node)) } };
        let standing = self.call_user(super::known(&user), call).and_then(Result::ok);
        let delay = self.delay();
        self.heap.after(delay, Event::Told(life, user, standing));
    }

    pub(super) fn told_of(&mut self, life: u64, user: &str, standing: Option<Standing>) -> Checked {
        if life != self.room.life {
            return Ok(());
        }
        self.room.asking -= 1;
        if let Some(standing) = &standing {
            self.told(super::known(user), standing);
        }
        self.step(|host, at| ((), host.entered(at, user, standing)))?;
        Ok(())
    }

    /// What the room was told although nobody asked: it counts for sockets still on their way too.
    fn news(&mut self, user: &'static str, standing: &Standing) {
        self.told(user, standing);
        let newer = self.room.news.get(user).is_none_or(|news| news.version <= standing.version);
        if newer {
            self.room.news.insert(user.to_owned(), standing.clone());
        }
    }
}
