//! Faults of the system under test, put in on purpose in the fakes and on the wire: the simulator has to notice each.

use super::Sim;
use super::event::Frame;
use edge_chat::protocol::Body;
use serde_json::{Value, json};
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    None,
    /// Deletions and edits do not take the old text away.
    KeepsOldText,
    /// After a wake no `client_id` is known any more.
    ForgetsSent,
    /// `chat_apply` folds every batch whole.
    NoCursor,
    /// `chat_apply` moves its cursor before it writes, and does not write.
    CursorFirst,
    /// A frame says that it holds an event, and does not.
    SkipsAnEvent,
    /// What was sent is believed to be PostgreSQL's cursor, whatever it answers.
    BelievesItself,
    /// An acknowledgement leaves before the write, and the write fails.
    AnswersFirst,
    /// A resume begins one event too late.
    ResumeSkipsOne,
    /// A resume tells its last event twice.
    ResumeDoubles,
    /// A position begins one event too early.
    FromTooLow,
    /// A ban closes one tab too few.
    BanLeavesATab,
    /// A resume shows what a deleted message said.
    ResumeShowsDeleted,
    /// What waits for a moderator is shown to others.
    LeaksHeld,
    /// A resume shows what is delayed.
    ShowsDelayed,
    /// A room that lost its storage goes on in the old epoch.
    KeepsEpoch,
    /// An alarm whose handler could not open the storage is not set again.
    AlarmNotSetAgain,
    /// An alarm that is set while a handler runs takes the running one's place.
    AlarmReplaced,
    /// What was drained before a loss is not closed when PostgreSQL is asked.
    NoFence,
    /// Whatever epoch PostgreSQL has when it is asked is closed, also where an earlier life of the room asked.
    ClosesWhatever,
    /// What was sent is believed to be Redis's cursor, whatever it answers.
    BridgeBelievesItself,
    /// A Redis that lost its data takes what comes next, and nobody hears of the loss.
    RedisIsNotToldAgain,
    /// What is delayed is in a batch for Redis.
    BridgeIsEarly,
    /// A batch for Redis lacks its first entry.
    BridgeSkipsOne,
    /// What was posted is believed to be taken, whatever is answered.
    HookBelievesItself,
    /// A body lacks its first event.
    HookSkipsOne,
    /// The late end of an old socket ends the one that has its number now.
    OldCloseEndsNew,
    /// A shard says that it took a push that does not fit.
    ShardTakesAnything,
    /// A push that nobody answered counts as taken.
    PushIsBelieved,
    /// A command whose outcome nobody knows is answered as done.
    CommandIsBelieved,
    /// Who is to move is not told where to.
    MovesWithoutAWord,
    /// Once a shard has begun it shows its first events twice.
    BeginDoubles,
    /// What is gone stays in a shard's memory.
    ShardKeepsOldText,
    /// A gateway with sessions in the room answers a push as one that has none.
    GatewaySaysNobody,
    /// A gateway's users are told as its own, not as those of everywhere.
    GatewayCountsTwice,
}

impl Mutant {
    /// The trouble without which the fault does not show; it comes more often then.
    pub(super) fn likely(self) -> Option<u64> {
        match self {
            Self::KeepsEpoch | Self::NoFence | Self::ClosesWhatever => Some(88),
            Self::OldCloseEndsNew => Some(0),
            _ => None,
        }
    }
}

impl Sim {
    /// The frame as a broken room would send it on this connection.
    pub(super) fn tamper(&mut self, conn: usize, frame: &Rc<Frame>) -> Rc<Frame> {
        let resumed = |line: &Value| line["reply"].is_string() && line["data"]["resumed"] == true;
        if self.mutant == Mutant::None {
            return frame.clone();
        }
        let now_and_then = self.chance(5);
        match self.mutant {
            Mutant::SkipsAnEvent if frame.lines[0]["seq"].is_u64() && now_and_then => {
                let to = frame.lines[frame.lines.len() - 1]["seq"].as_u64().unwrap_or_default();
                let from = frame.lines[0]["seq"].as_u64().unwrap_or_default() - 1;
                Frame::of(vec![json!({"at": {"epoch": self.truth.epoch, "from": from, "to": to, "left_out": 0}})])
            }
            Mutant::MovesWithoutAWord => {
                let said = frame.lines.iter().filter(|line| line["data"]["code"] != "elsewhere").cloned().collect();
                Frame::of(said)
            }
            Mutant::BeginDoubles if self.room.begins && frame.lines.iter().any(|line| line["seq"].is_u64()) => {
                let events = frame.lines.iter().filter(|line| line["seq"].is_u64());
                Frame::of(frame.lines.iter().chain(events).cloned().collect())
            }
            Mutant::FromTooLow if frame.lines[0]["at"]["from"].as_u64() > Some(1) => {
                let mut lines = frame.lines.clone();
                lines[0]["at"]["from"] = (lines[0]["at"]["from"].as_u64().unwrap_or_default() - 1).into();
                Frame::of(lines)
            }
            Mutant::ResumeSkipsOne | Mutant::ResumeDoubles | Mutant::ResumeShowsDeleted
                if frame.lines.iter().any(resumed) =>
            {
                let mut lines = frame.lines.clone();
                for line in lines.iter_mut().filter(|line| resumed(line)) {
                    let Some(events) = line["data"]["events"].as_array_mut().filter(|all| !all.is_empty()) else {
                        continue;
                    };
                    match self.mutant {
                        Mutant::ResumeSkipsOne => drop(events.remove(0)),
                        Mutant::ResumeDoubles => events.push(events[events.len() - 1].clone()),
                        _ => events.iter_mut().for_each(|event| self.undelete(event)),
                    }
                }
                Frame::of(lines)
            }
            Mutant::LeaksHeld if frame.lines[0]["reply"].is_string() && now_and_then => {
                let is_held = |event: &&edge_chat::protocol::LogEvent| matches!(event.body, Body::MessageHeld(_));
                let Some(event) = self.truth.events.iter().rev().find(is_held) else { return frame.clone() };
                let data = json!({"held_id": "", "user": self.conns[conn].user});
                let mut lines = frame.lines.clone();
                lines.push(json!({"seq": event.seq, "event": "message_held", "data": data}));
                Frame::of(lines)
            }
            _ => frame.clone(),
        }
    }

    fn undelete(&self, event: &mut Value) {
        if event["event"] == "new_message" && event["data"]["deleted_at"].is_string() {
            let id = edge_chat::protocol::MessageId::parse(event["data"]["message_id"].as_str().unwrap_or_default());
            let said = id.and_then(|id| self.truth.messages.get(&id));
            event["data"]["content"] = said.map_or(Value::Null, |said| said.states[0].1.content.clone().into());
        }
    }
}
