//! Sending: one sender with so many messages unacknowledged at a time, as fast as the server acknowledges.

use crate::client::{Client, Outbox, Target};
use crate::lines::Line;
use crate::measured::{Begun, Latencies, Measured};
use crate::wire::Fault;
use serde::Deserialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::spawn_local;
use tokio::time::sleep;

#[derive(Deserialize)]
pub(crate) struct Send {
    #[serde(flatten)]
    target: Target,
    rooms: Vec<String>,
    token: String,
    /// Messages in each room that wait for their acknowledgement at any time.
    window: u64,
    /// Seconds before the measuring begins, and measured.
    warm_up: f64,
    seconds: f64,
    /// Where set: what a room is sent at most; the job ends when all have it.
    #[serde(default)]
    at_most: Option<u64>,
}

#[derive(PartialEq, Clone, Copy)]
enum Phase {
    WarmUp,
    Measuring,
    Ending,
}

struct State {
    phase: Phase,
    latencies: Latencies,
    faults: Vec<Fault>,
    sent: u64,
    acknowledged: u64,
    shown: u64,
}

impl Send {
    pub(crate) async fn run(self) -> Result<Vec<Measured>, Fault> {
        let state = Rc::new(RefCell::new(State {
            phase: Phase::WarmUp,
            latencies: Latencies::new()?,
            faults: Vec::new(),
            sent: 0,
            acknowledged: 0,
            shown: 0,
        }));
        for room in &self.rooms {
            self.start(Client::join(&self.target, room, &self.token).await?, &state)?;
        }
        sleep(Duration::from_secs_f64(self.warm_up)).await;
        let begun = Begun::now(&self.target)?;
        state.borrow_mut().phase = Phase::Measuring;
        let end = Instant::now() + Duration::from_secs_f64(self.seconds);
        let all = self.at_most.map(|most| most * self.rooms.len() as u64);
        while Instant::now() < end
            && state.borrow().faults.is_empty()
            && all.is_none_or(|all| state.borrow().acknowledged < all)
        {
            sleep(Duration::from_millis(5)).await;
        }
        let latencies = {
            let mut state = state.borrow_mut();
            state.phase = Phase::Ending;
            std::mem::replace(&mut state.latencies, Latencies::new()?)
        };
        let mut measured = begun.end(&latencies, Vec::new())?;
        // What is still on its way has to come too.
        sleep(Duration::from_millis(1_000)).await;
        let state = state.borrow();
        let State { sent, acknowledged, shown, .. } = *state;
        measured.faults.clone_from(&state.faults);
        if acknowledged != sent || shown != sent || all.is_some_and(|all| sent < all) {
            measured.faults.push(format!("of {sent} messages {acknowledged} were acknowledged and {shown} shown"));
        }
        Ok(vec![measured])
    }

    /// Has a client send, and again with each acknowledgement.
    fn start(&self, client: Client, state: &Rc<RefCell<State>>) -> Result<(), Fault> {
        let mut sender = Sender {
            outbox: client.outbox(),
            bytes: self.target.bytes,
            most: self.at_most.unwrap_or(u64::MAX),
            sent_at: Vec::new(),
            next: 0,
        };
        for _ in 0..self.window {
            sender.say(&mut state.borrow_mut())?;
        }
        let (taking, failing) = (state.clone(), state.clone());
        spawn_local(async move {
            let take = |lines: &[Line], shown: &[u64]| {
                let state = &mut *taking.borrow_mut();
                state.shown += shown.len() as u64;
                lines.iter().try_for_each(|line| match line {
                    Line::Reply { id, .. } => sender.acknowledged(*id, state),
                    _ => Ok(()),
                })
            };
            let fault = client.follow(take).await;
            failing.borrow_mut().faults.push(fault);
        });
        Ok(())
    }
}

struct Sender {
    outbox: Outbox,
    bytes: usize,
    most: u64,
    sent_at: Vec<Instant>,
    /// The number of the next acknowledgement.
    next: u64,
}

impl Sender {
    fn say(&mut self, state: &mut State) -> Result<(), Fault> {
        let n = self.sent_at.len() as u64;
        if n < self.most {
            self.outbox.say(n, self.bytes)?;
            self.sent_at.push(Instant::now());
            state.sent += 1;
        }
        Ok(())
    }

    fn acknowledged(&mut self, id: u64, state: &mut State) -> Result<(), Fault> {
        if id != self.next {
            return Err(format!("message {id} was acknowledged when {} was due", self.next));
        }
        self.next += 1;
        state.acknowledged += 1;
        let sent_at = usize::try_from(id).ok().and_then(|id| self.sent_at.get(id));
        if let (Phase::Measuring, Some(at)) = (state.phase, sent_at) {
            state.latencies.record(at.elapsed());
        }
        if state.phase == Phase::Ending { Ok(()) } else { self.say(state) }
    }
}
