//! Fan-out: one sender at a fixed rate, many viewers, each of whom must see every message once.

use crate::Target;
use crate::client::{Client, Fault, message, shown};
use crate::measured::{Begun, Latencies, Measured, Sequence};
use futures_util::future::join_all;
use serde::Deserialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::spawn_local;
use tokio::time::{sleep, sleep_until};

/// Sockets opened at once.
const JOINING: usize = 50;
/// How long the last deliveries may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
pub(crate) struct Fanout {
    #[serde(flatten)]
    target: Target,
    /// A token for each viewer.
    viewers: Vec<String>,
    /// Messages a second.
    rate: f64,
    /// Messages before the measuring begins.
    warm_up: u64,
    /// Messages that are measured.
    messages: u64,
}

struct Tally {
    latencies: Latencies,
    faults: Vec<Fault>,
    /// When message 0 is meant to be sent.
    start: Instant,
}

impl Fanout {
    pub(crate) async fn run(self) -> Result<Measured, Fault> {
        let now = Instant::now();
        let tally = Rc::new(RefCell::new(Tally { latencies: Latencies::new()?, faults: Vec::new(), start: now }));
        let mut outboxes = Vec::new();
        for tokens in self.viewers.chunks(JOINING) {
            let joins = tokens.iter().map(|token| Client::join(&self.target, token));
            for client in join_all(joins).await {
                outboxes.push(self.follow(client?, &tally));
            }
        }
        let sender = self.follow(Client::join(&self.target, &self.target.token).await?, &tally);

        // What the joins caused settles first.
        let start = Instant::now() + Duration::from_millis(500);
        tally.borrow_mut().start = start;
        let mut begun = None;
        for n in 0..self.warm_up + self.messages {
            sleep_until((start + self.after(n)).into()).await;
            if n == self.warm_up {
                begun = Some(Begun::now(self.target.pid)?);
            }
            sender.send(message(n, self.target.bytes)).map_err(|_| self.first_fault(&tally))?;
        }
        let begun = begun.ok_or("`messages` has to be above 0")?;
        let due = self.messages * (self.viewers.len() as u64 + 1);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let tally = tally.borrow();
            let missing = due - tally.latencies.count();
            if missing == 0 || !tally.faults.is_empty() || Instant::now() > deadline {
                let mut faults = tally.faults.clone();
                if missing > 0 {
                    faults.push(format!("{missing} of {due} deliveries did not come"));
                }
                return begun.end(&tally.latencies, faults);
            }
            drop(tally);
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn after(&self, n: u64) -> Duration {
        Duration::from_secs_f64(n as f64 / self.rate)
    }

    fn first_fault(&self, tally: &RefCell<Tally>) -> Fault {
        tally.borrow().faults.first().cloned().unwrap_or_else(|| "the sender's socket ended".into())
    }

    /// Has a client count what it sees. While what this gives is kept, its socket stays open.
    fn follow(&self, client: Client, tally: &Rc<RefCell<Tally>>) -> tokio::sync::mpsc::UnboundedSender<String> {
        let (outbox, outgoing) = unbounded_channel();
        let (counting, failing) = (tally.clone(), tally.clone());
        let (rate, warm_up) = (self.rate, self.warm_up);
        let mut sequence = Sequence::default();
        let take = move |line: &str| {
            if line.starts_with("{\"reply\":") && line.contains("\"error\":") {
                return Err(format!("refused: {line}"));
            }
            if let Some(n) = shown(line) {
                let tally = &mut *counting.borrow_mut();
                sequence.take(n)?;
                if n >= warm_up {
                    let intended = tally.start + Duration::from_secs_f64(n as f64 / rate);
                    tally.latencies.record(intended.elapsed());
                }
            }
            Ok(())
        };
        spawn_local(async move {
            let fault = client.drive(outgoing, take).await;
            failing.borrow_mut().faults.push(fault);
        });
        outbox
    }
}
