//! The webhook's back end: away, hanging, asking for time, refusing; bodies that come late, and answers that are lost.
//! What it is posted, and what it has in the end, is held against H1.

use super::event::Event;
use super::mutants::Mutant;
use super::truth::name_of;
use super::{Checked, Sim, ensure};
use crate::endpoint::{Answer, Endpoint};
use crate::world::{ROOM, random};
use edge_chat::host::{Batch, Drained};
use edge_chat::protocol::LogEvent;
use edge_chat::sinks::Sink;
use edge_chat::sinks::webhook::Delivery;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// How long the drain waits for an answer, ms.
const WITHIN: u64 = 10_000;
const HOUR: u64 = 3_600_000;
/// What the clocks may differ by, ms.
const SKEW: u64 = 5_000;
/// Batches that one loop hands over.
const BATCHES: u32 = 50;

#[derive(Default)]
pub(super) struct HookNode {
    pub on: bool,
    /// More than what everyone sees goes out.
    pub moderation: bool,
    /// Its own luck, so that worlds without it stay as they are.
    rng: u64,
    pub endpoint: Endpoint,
    pub down_until: u64,
    /// It takes what comes, and answers too late.
    hangs_until: u64,
    /// It asks for time.
    asks_until: u64,
    /// It does not want what comes.
    pub refuses_until: u64,
    calls: u64,
    /// The batch that the room waits for, and how many its loop has handed over.
    pub running: Option<(u64, u32)>,
    /// When it first refused what reaches to here: epoch, seq.
    refused: BTreeMap<(u64, u64), u64>,
    /// Every event that it has, and of each epoch what it was told is left out: from, to.
    told: BTreeSet<(u64, u64)>,
    left_out: Vec<(u64, u64, u64)>,
}

impl HookNode {
    /// In half of the worlds with this fault there is one, and in all of those whose fault is of its own.
    pub(super) fn new(seed: u64, mutant: Mutant) -> Self {
        let mut rng = seed ^ 0x0077_eb40;
        let own = matches!(mutant, Mutant::HookBelievesItself | Mutant::HookSkipsOne);
        let on = own || mutant == Mutant::None && random(&mut rng).is_multiple_of(2);
        let moderation = on && random(&mut rng).is_multiple_of(4);
        Self { on, moderation, rng, ..Self::default() }
    }

    /// What the deployment is set to for it.
    pub(super) fn settings(&self) -> Vec<(&'static str, &'static str)> {
        let moderation = self.moderation.then_some(("WEBHOOK_MODERATION", "true"));
        let all = [
            ("WEBHOOK_URL", "https://hooks.example/"),
            ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
        ];
        if self.on { all.into_iter().chain(moderation).collect() } else { Vec::new() }
    }

    fn pick(&mut self, n: u64) -> u64 {
        random(&mut self.rng) % n
    }
}

impl Sim {
    /// As the platform, beside everything else: what is due for Redis and for the back end is handed on.
    pub(super) fn others(&mut self) -> Checked {
        self.bridge()?;
        if !self.hook.on {
            return Ok(());
        }
        let batch = self.compute(|host, at| host.batch(at, Sink::Webhook))?.transpose();
        if let Some(batch) = batch.map_err(|fault| fault.to_string())?.flatten() {
            ensure!(self.hook.running.is_none(), "H1: two bodies of one life are on their way");
            self.post(batch, 1)?;
        }
        Ok(())
    }

    fn post(&mut self, batch: Batch, count: u32) -> Checked {
        self.hook.calls += 1;
        let call = self.hook.calls;
        self.hook.running = Some((call, count));
        let Batch { body, epoch, to } = self.tamper_delivery(batch)?;
        self.check_delivery(&body)?;
        let body: Rc<str> = body.into();
        let there = 1 + self.hook.pick(60);
        match if self.calm { 100 } else { self.hook.pick(100) } {
            // It never arrives, or arrives when nobody waits any more.
            0..4 => {}
            4..9 => {
                let late = WITHIN + self.hook.pick(60_000);
                self.heap.after(late, Event::Post(call, body, false));
            }
            // Its answer is lost.
            9..15 => self.heap.after(there, Event::Post(call, body, false)),
            15..18 => self.heap.after(there, Event::Posted(call, Drained::Busy(1_000))),
            _ => self.heap.after(there, Event::Post(call, body, true)),
        }
        self.heap.after(WITHIN, Event::Posted(call, Drained::Later("no answer in time".into(), 0)));
        if self.mutant == Mutant::HookBelievesItself {
            self.heap.after(1, Event::Posted(call, Drained::Cursor { epoch, seq: to }));
        }
        Ok(())
    }

    /// A body reaches the back end.
    pub(super) fn posted(&mut self, call: u64, body: &str, answered: bool) -> Checked {
        let now = self.heap.now;
        let wait = self.hook.pick(60_000);
        let hook = &mut self.hook;
        let hangs = hook.hangs_until > now;
        hook.endpoint.answer = match () {
            () if hook.down_until > now => Answer::Down,
            () if hook.refuses_until > now => Answer::Status(422),
            () if hook.asks_until > now => Answer::Later(wait),
            () => Answer::Takes,
        };
        let (place, had) = (hook.endpoint.place, hook.endpoint.events.len());
        let drained = hook.endpoint.post(body);
        let delivery: Delivery = serde_json::from_str(body).map_err(|e| format!("H1: {e}: {body}"))?;
        if matches!(drained, Drained::Refused(_)) {
            hook.refused.entry((delivery.epoch, delivery.to)).or_insert(now);
        }
        ensure!(
            hook.endpoint.missed.is_empty(),
            "H1: a hole: {:?} is missing at {place:?} before {body}",
            hook.endpoint.missed
        );
        let fresh = hook.endpoint.events[had..].iter().filter_map(|event| event["seq"].as_u64());
        hook.told.extend(fresh.map(|seq| (delivery.epoch, seq)));
        if let (Drained::Cursor { .. }, Some(left_out)) = (&drained, left_out(&delivery.body)) {
            hook.left_out.push((delivery.epoch, left_out.0, left_out.1));
        }
        let place = hook.endpoint.place;
        self.say(format_args!("hook: is at {} {}", place.0, place.1));
        if answered && !hangs {
            let back = 1 + self.hook.pick(60);
            self.heap.after(back, Event::Posted(call, drained));
        }
        Ok(())
    }

    /// The back end has answered, or did not in time.
    pub(super) fn hooked(&mut self, call: u64, drained: Drained) -> Checked {
        let Some((_, count)) = self.hook.running.filter(|running| running.0 == call) else { return Ok(()) };
        self.hook.running = None;
        let went_on = matches!(drained, Drained::Cursor { .. });
        let life = self.room.life;
        self.step(|host, at| ((), host.drained(at, Sink::Webhook, drained)))?;
        if !went_on || life != self.room.life || count >= BATCHES {
            return Ok(());
        }
        let batch = self.compute(|host, at| host.batch(at, Sink::Webhook))?.transpose();
        match batch.map_err(|fault| fault.to_string())?.flatten() {
            Some(batch) => self.post(batch, count + 1),
            None => Ok(()),
        }
    }

    pub(super) fn hook_trouble(&mut self) {
        let now = self.heap.now;
        if !self.hook.on || self.hook.pick(100) >= 12 {
            return;
        }
        match self.hook.pick(3) {
            0 => self.hook.down_until = now + self.hook.pick(60_000),
            1 => self.hook.hangs_until = now + self.hook.pick(30_000),
            _ => self.hook.asks_until = now + self.hook.pick(30_000),
        }
    }

    /// Hours in which the back end is away, or refuses.
    pub(super) fn hook_night(&mut self) {
        let now = self.heap.now;
        match self.hook.pick(4) {
            0 => self.hook.down_until = now + self.hook.pick(60 * HOUR),
            1 => self.hook.refuses_until = now + self.hook.pick(6 * HOUR),
            _ => {}
        }
    }

    pub(super) fn hook_is_well(&mut self) {
        let now = self.heap.now;
        let hook = &mut self.hook;
        (hook.down_until, hook.hangs_until, hook.asks_until, hook.refuses_until) = (now, now, now, now);
    }

    /// H1, V7: what is on its way is for everyone by now, in order, and says what everyone sees.
    fn check_delivery(&self, delivery: &str) -> Checked {
        let Delivery { epoch, to, body, .. } = serde_json::from_str(delivery).map_err(|e| format!("H1: {e}"))?;
        let body: Value = serde_json::from_str(&body).map_err(|e| format!("H1: {e}: {body}"))?;
        let (from, mut last) = (body["from"].as_u64().unwrap_or_default(), 0);
        ensure!(
            body["room_id"] == ROOM && body["epoch"] == self.truth.epoch && epoch == self.truth.epoch,
            "H1: of where is {body}"
        );
        ensure!(0 < from && from <= to && body["to"] == to && to <= self.truth.last(), "H1: {from} to {to}: {body}");
        if let Some((first, end)) = left_out(&body.to_string()) {
            let old = self.truth.at(end).is_some_and(|event| self.is_old(event));
            let since = self.hook.refused.get(&(epoch, end));
            let refused = since.is_some_and(|since| since + HOUR <= self.heap.now + SKEW);
            ensure!(first == from && first <= end && end <= to && (old || refused), "H1: left out too early: {body}");
        }
        for told in body["events"].as_array().into_iter().flatten() {
            let seq = told["seq"].as_u64().unwrap_or_default();
            ensure!(last < seq && (from..=to).contains(&seq), "H1: {seq} comes after {last}: {body}");
            last = seq;
            let Some(event) = self.truth.at(seq) else { return Err(format!("H1: {seq} goes out and was not written")) };
            ensure!(told["event"] == name_of(&event.body), "H1: {seq} goes out as {told}: {event:?}");
            let sees = self.truth.sees(&self.outsider(self.hook.moderation), event, self.room.now);
            ensure!(sees == Some(true), "H1, V7: {seq} is not for everyone now and goes out: {event:?}");
            ensure!(told.get("audience").is_some() == self.hook.moderation, "H1: {told}");
            self.check_data("H1", event, &told["data"], self.hook.moderation)?;
        }
        Ok(())
    }

    /// The first event that the back end could be shown until `time` (ms) and has not.
    fn owed_to_hook(&self, time: u64) -> Option<&LogEvent> {
        let (who, epoch) = (self.outsider(self.hook.moderation), self.truth.epoch);
        let wants =
            |event: &LogEvent| self.settings.webhook.as_ref().is_some_and(|hook| hook.wants(name_of(&event.body)));
        let said = |seq: u64| {
            let out = |gap: &(u64, u64, u64)| gap.0 == epoch && (gap.1..=gap.2).contains(&seq);
            self.hook.told.contains(&(epoch, seq)) || self.hook.left_out.iter().any(out)
        };
        let mut visible = self.truth.events.iter().filter(|event| event.visible_at <= time && wants(event));
        visible.find(|event| {
            !said(event.seq)
                && self.truth.sees(&who, event, time) == Some(true)
                && !self.is_edited_away(event)
                && !self.is_left_out(event)
        })
    }

    /// Whether it is too old, or was in a body that was refused, and the body that says so is yet to come.
    fn is_left_out(&self, event: &LogEvent) -> bool {
        let own = (self.truth.epoch, event.seq);
        let later = |place: &(u64, u64)| self.hook.told.range(*place..).next().is_some();
        let mut refused = self.hook.refused.keys().filter(|place| **place >= own);
        self.is_old(event) && !later(&own) || refused.any(|place| !later(place))
    }

    /// H1: nobody comes, and yet the back end is told all by the alarm alone.
    pub(super) fn left_alone_with_hook(&self) -> Checked {
        let owed = self.owed_to_hook(self.heap.now - 30_000).filter(|_| self.hook.on);
        ensure!(owed.is_none(), "H1: left alone the back end stays at {:?} without {owed:?}", self.hook.endpoint.place);
        Ok(())
    }

    /// H1: in the end the back end has all that is for it.
    pub(super) fn hook_has_all(&self) -> Checked {
        let owed = self.owed_to_hook(u64::MAX).filter(|_| self.hook.on);
        ensure!(
            owed.is_none(),
            "H1: in the end the back end stands at {:?} without {owed:?}",
            self.hook.endpoint.place
        );
        Ok(())
    }

    /// The batch as a broken room would make it.
    fn tamper_delivery(&mut self, batch: Batch) -> Checked<Batch> {
        if self.mutant != Mutant::HookSkipsOne || self.hook.pick(5) > 0 {
            return Ok(batch);
        }
        let mut delivery: Delivery = serde_json::from_str(&batch.body).map_err(|e| format!("H1: {e}"))?;
        let mut body: Value = serde_json::from_str(&delivery.body).map_err(|e| format!("H1: {e}"))?;
        if let Some(events) = body["events"].as_array_mut().filter(|events| !events.is_empty()) {
            events.remove(0);
        }
        delivery.body = body.to_string();
        Ok(Batch { body: serde_json::to_string(&delivery).map_err(|e| format!("H1: {e}"))?, ..batch })
    }
}

/// What a body says is left out: from, to.
fn left_out(body: &str) -> Option<(u64, u64)> {
    let body: Value = serde_json::from_str(body).ok()?;
    Some((body["left_out"]["from"].as_u64()?, body["left_out"]["to"].as_u64()?))
}
