//! Sending: one sender with so many messages unacknowledged at a time, as fast as the server acknowledges.

use crate::Target;
use crate::client::{Client, Fault, acknowledged, message, shown};
use crate::measured::{Begun, Latencies, Measured, Sequence};
use serde::Deserialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::spawn_local;
use tokio::time::sleep;

#[derive(Deserialize)]
pub(crate) struct Send {
    #[serde(flatten)]
    target: Target,
    /// Messages that wait for their acknowledgement at any time.
    window: u64,
    /// Seconds before the measuring begins, and measured.
    warm_up: f64,
    seconds: f64,
}

#[derive(PartialEq)]
enum Phase {
    WarmUp,
    Measuring,
    Ending,
}

struct State {
    phase: Phase,
    sent_at: Vec<Instant>,
    acknowledged: Sequence,
    shown: Sequence,
    latencies: Latencies,
    fault: Option<Fault>,
}

impl Send {
    pub(crate) async fn run(self) -> Result<Measured, Fault> {
        let client = Client::join(&self.target, &self.target.token).await?;
        let state = Rc::new(RefCell::new(State {
            phase: Phase::WarmUp,
            sent_at: Vec::new(),
            acknowledged: Sequence::default(),
            shown: Sequence::default(),
            latencies: Latencies::new()?,
            fault: None,
        }));
        let (outbox, outgoing) = unbounded_channel();
        let bytes = self.target.bytes;
        let send = move |state: &mut State| {
            let n = state.sent_at.len() as u64;
            state.sent_at.push(Instant::now());
            outbox.send(message(n, bytes)).map_err(|_| "the sender's socket ended".to_owned())
        };
        for _ in 0..self.window {
            send(&mut state.borrow_mut())?;
        }
        let (taking, failing) = (state.clone(), state.clone());
        let take = move |line: &str| {
            let state = &mut *taking.borrow_mut();
            if let Some(n) = shown(line) {
                state.shown.take(n)?;
            }
            if let Some(id) = acknowledged(line)? {
                state.acknowledged.take(id)?;
                let sent_at = usize::try_from(id).ok().and_then(|id| state.sent_at.get(id)).copied();
                match state.phase {
                    Phase::Ending => return Ok(()),
                    Phase::WarmUp => {}
                    Phase::Measuring => state.latencies.record(sent_at.map_or(Duration::ZERO, |at| at.elapsed())),
                }
                send(state)?;
            }
            Ok(())
        };
        spawn_local(async move {
            let fault = client.drive(outgoing, take).await;
            failing.borrow_mut().fault = Some(fault);
        });

        sleep(Duration::from_secs_f64(self.warm_up)).await;
        let begun = Begun::now(self.target.pid)?;
        state.borrow_mut().phase = Phase::Measuring;
        sleep(Duration::from_secs_f64(self.seconds)).await;
        let latencies = {
            let mut state = state.borrow_mut();
            state.phase = Phase::Ending;
            std::mem::replace(&mut state.latencies, Latencies::new()?)
        };
        let mut measured = begun.end(&latencies, Vec::new())?;
        // What is still on its way has to come too.
        sleep(Duration::from_millis(300)).await;
        let state = state.borrow();
        let sent = state.sent_at.len() as u64;
        measured.faults.extend(state.fault.clone());
        if state.acknowledged.0 != sent || state.shown.0 != sent {
            let (acknowledged, shown) = (state.acknowledged.0, state.shown.0);
            measured.faults.push(format!("of {sent} messages {acknowledged} were acknowledged and {shown} shown"));
        }
        Ok(measured)
    }
}
