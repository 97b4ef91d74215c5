//! Fan-out: rooms with one sender each, at a fixed rate or as fast as they go, whose viewers must see every message once.

use crate::client::{Client, Outbox, Target};
use crate::cpu;
use crate::lines::Line;
use crate::measured::{Begun, Latencies, Measured};
use crate::wire::Fault;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{sleep, sleep_until, timeout};

/// Sockets opened at once.
const JOINING: usize = 50;

#[derive(Deserialize)]
pub(crate) struct Fanout {
    #[serde(flatten)]
    target: Target,
    rooms: Vec<String>,
    /// Of the senders, one in each room, who are no viewers.
    token: String,
    /// A token for each viewer; each room has its equal share of them.
    viewers: Vec<String>,
    phases: Vec<Phase>,
    /// How long the last deliveries of a phase may take, seconds.
    patience: f64,
    /// Whether each message of a phase with a rate is to be told of.
    #[serde(default)]
    messages: bool,
}

/// Messages are numbered on through all phases.
#[derive(Clone, Copy, Deserialize)]
struct Phase {
    pace: Pace,
    /// Seconds before the measuring begins, and of it.
    warm_up: f64,
    seconds: f64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Pace {
    /// So many messages a second in each room, at their times, whatever became of the ones before.
    Rate(f64),
    /// So many messages in the one room that are not with everybody yet.
    Window(u64),
}

/// What became of a message, µs after the phase began.
#[derive(Clone, Default, Serialize)]
pub(crate) struct Message {
    /// When it was meant to be sent, and when it was.
    due: u64,
    said: u64,
    /// When its sender read that it is kept.
    acknowledged: Option<u64>,
    /// When the first client read it, and the last.
    first: Option<u64>,
    last: u64,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What all clients of the job count in.
struct Tally {
    latencies: Latencies,
    deliveries: u64,
    frames: u64,
    faults: Vec<Fault>,
    /// When the message that is the first of the phase is meant to be sent in each room, and its number.
    starts: Vec<Instant>,
    first: u64,
    /// The first that is measured.
    measured: u64,
    /// Times of the messages of the phase, after `starts`.
    times: Vec<Duration>,
    /// What became of them, where that is to be told: of the first room's.
    messages: Vec<Message>,
    /// With a window: deliveries that a message of the phase still waits for, and how many wait for none.
    missing: Vec<usize>,
    complete: u64,
    progress: Rc<Notify>,
}

impl Tally {
    fn take(&mut self, room: usize, lines: &[Line], shown: &[u64]) {
        if !self.messages.is_empty() {
            self.acknowledge(room, lines);
        }
        if shown.is_empty() {
            return;
        }
        debug_assert!(!lines.is_empty());
        self.frames += 1;
        self.deliveries += shown.len() as u64;
        let now = Instant::now();
        if let (0, Some(start)) = (room, self.starts.first()) {
            let at = micros(now.saturating_duration_since(*start));
            let places = shown.iter().filter_map(|n| usize::try_from(n - self.first).ok());
            for place in places {
                if let Some(message) = self.messages.get_mut(place) {
                    message.first.get_or_insert(at);
                    message.last = at;
                }
            }
        }
        for n in shown {
            let place = usize::try_from(n - self.first).unwrap_or(usize::MAX);
            if *n >= self.measured
                && let (Some(start), Some(time)) = (self.starts.get(room), self.times.get(place))
            {
                self.latencies.record(now.saturating_duration_since(*start + *time));
            }
            if let Some(missing) = self.missing.get_mut(place) {
                *missing -= 1;
                if *missing == 0 {
                    self.complete += 1;
                    self.progress.notify_one();
                }
            }
        }
    }
}

impl Tally {
    fn acknowledge(&mut self, room: usize, lines: &[Line]) {
        let Some(start) = self.starts.first().filter(|_| room == 0) else { return };
        let at = micros(start.elapsed());
        for line in lines {
            let Line::Reply { id, shown: None } = line else { continue };
            let place = id.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
            if let Some(message) = place.and_then(|place| self.messages.get_mut(place)) {
                message.acknowledged = Some(at);
            }
        }
    }
}

impl Fanout {
    pub(crate) async fn run(self) -> Result<Vec<Measured>, Fault> {
        let tally = Rc::new(RefCell::new(Tally {
            latencies: Latencies::new()?,
            deliveries: 0,
            frames: 0,
            faults: Vec::new(),
            starts: Vec::new(),
            first: 0,
            measured: 0,
            times: Vec::new(),
            messages: Vec::new(),
            missing: Vec::new(),
            complete: 0,
            progress: Rc::default(),
        }));
        let senders = self.join(&tally).await?;
        // What the joins caused is no part of it.
        cpu::settle(self.target.pid).await?;
        let mut measured = Vec::new();
        let mut said = 0;
        for phase in &self.phases {
            let (of_phase, next) = match phase.pace {
                Pace::Rate(rate) => self.paced(*phase, rate, said, &senders, &tally).await?,
                Pace::Window(window) => self.windowed(*phase, window, said, &senders, &tally).await?,
            };
            said = next;
            let void = !of_phase.faults.is_empty();
            measured.push(of_phase);
            if void {
                break;
            }
        }
        Ok(measured)
    }

    /// Joins everybody, viewers first, and gives the senders by room.
    async fn join(&self, tally: &Rc<RefCell<Tally>>) -> Result<Vec<Outbox>, Fault> {
        // The first join makes a room, and the others need not wait for it all at once.
        for room in &self.rooms {
            Client::join(&self.target, room, &self.token).await?;
        }
        let share = self.viewers.len() / self.rooms.len().max(1);
        let viewers = self.rooms.iter().enumerate().zip(self.viewers.chunks(share.max(1)));
        let mut joins = viewers.flat_map(|(room, tokens)| tokens.iter().map(move |token| (room, token)));
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < JOINING
                && let Some(((n, room), token)) = joins.next()
            {
                under_way.push(async move {
                    (n, Client::join(&self.target, room, token).await.map(|client| (client, token)))
                });
            }
            let Some((n, client)) = under_way.next().await else { break };
            let (client, token) = client?;
            let room = self.rooms.get(n).cloned().unwrap_or_default();
            follow(client, n, tally, Some((self.target.clone(), room, token.clone())));
        }
        drop(under_way);
        let mut senders = Vec::new();
        for (n, room) in self.rooms.iter().enumerate() {
            let client = Client::join(&self.target, room, &self.token).await?;
            senders.push(client.outbox());
            follow(client, n, tally, None);
        }
        Ok(senders)
    }

    /// Sends at the phase's rate, each room at times of its own, and waits until all is delivered.
    async fn paced(
        &self,
        phase: Phase,
        rate: f64,
        first: u64,
        senders: &[Outbox],
        tally: &Rc<RefCell<Tally>>,
    ) -> Result<(Measured, u64), Fault> {
        let count = ((phase.warm_up + phase.seconds) * rate).round() as u64;
        let warm_up = (phase.warm_up * rate).round() as u64;
        let times: Vec<_> = (0..count).map(|n| Duration::from_secs_f64(n as f64 / rate)).collect();
        let start = Instant::now() + Duration::from_millis(20);
        let apart = Duration::from_secs_f64(1.0 / rate / senders.len() as f64);
        let starts: Vec<_> = (0u32..).take(senders.len()).map(|n| start + apart * n).collect();
        {
            let mut tally = tally.borrow_mut();
            (tally.starts, tally.times) = (starts.clone(), times.clone());
            (tally.first, tally.measured, tally.missing) = (first, first + warm_up, Vec::new());
            tally.latencies = Latencies::new()?;
            let of = |time: &Duration| Message { due: micros(*time), ..Message::default() };
            tally.messages = if self.messages { times.iter().map(of).collect() } else { Vec::new() };
        }
        let mut begun = None;
        for (n, time) in (0u64..).zip(&times) {
            for (sender, start) in senders.iter().zip(&starts) {
                sleep_until((*start + *time).into()).await;
                if n == warm_up && begun.is_none() {
                    begun = Some(self.begin(tally)?);
                }
                if let Some(message) = tally.borrow_mut().messages.get_mut(usize::try_from(n).unwrap_or(usize::MAX)) {
                    message.said = micros(start.elapsed());
                }
                sender.say(first + n, self.target.bytes).map_err(|fault| first_fault(tally, fault))?;
            }
        }
        let begun = begun.ok_or("the seconds of a phase have to be above 0")?;
        let due = (count - warm_up) * (self.viewers.len() + senders.len()) as u64;
        let deadline = Instant::now() + Duration::from_secs_f64(self.patience);
        loop {
            let missing = due.saturating_sub(tally.borrow().latencies.count());
            if missing == 0 || !tally.borrow().faults.is_empty() || Instant::now() > deadline {
                let late = (missing > 0).then(|| format!("{missing} of {due} deliveries did not come"));
                return Ok((end(begun, tally, late)?, first + count));
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Keeps as many messages under way as the window holds.
    async fn windowed(
        &self,
        phase: Phase,
        window: u64,
        first: u64,
        senders: &[Outbox],
        tally: &Rc<RefCell<Tally>>,
    ) -> Result<(Measured, u64), Fault> {
        let sender = senders.first().ok_or("a window needs a room")?;
        let clients = self.viewers.len() + senders.len();
        let start = Instant::now();
        let progress = {
            let mut tally = tally.borrow_mut();
            (tally.starts, tally.times, tally.missing) = (vec![start; senders.len()], Vec::new(), Vec::new());
            (tally.first, tally.measured, tally.complete) = (first, first, 0);
            tally.progress.clone()
        };
        let mut sent = 0;
        let mut begun = None;
        while start.elapsed().as_secs_f64() < phase.warm_up + phase.seconds && tally.borrow().faults.is_empty() {
            if begun.is_none() && start.elapsed().as_secs_f64() >= phase.warm_up {
                tally.borrow_mut().latencies = Latencies::new()?;
                begun = Some(self.begin(tally)?);
            }
            if sent - tally.borrow().complete < window {
                tally.borrow_mut().times.push(start.elapsed());
                tally.borrow_mut().missing.push(clients);
                sender.say(first + sent, self.target.bytes).map_err(|fault| first_fault(tally, fault))?;
                sent += 1;
            } else {
                // A timeout only means that the time may be over.
                let _ = timeout(Duration::from_millis(20), progress.notified()).await;
            }
        }
        let begun = begun.ok_or_else(|| first_fault(tally, "the seconds of a phase have to be above 0".into()))?;
        let mut measured = end(begun, tally, None)?;
        let deadline = Instant::now() + Duration::from_secs_f64(self.patience);
        while tally.borrow().complete < sent && tally.borrow().faults.is_empty() && Instant::now() < deadline {
            sleep(Duration::from_millis(1)).await;
        }
        let tally = tally.borrow();
        measured.faults.clone_from(&tally.faults);
        if tally.complete < sent {
            measured.faults.push(format!("{} of {sent} messages did not come to everybody", sent - tally.complete));
        }
        Ok((measured, first + sent))
    }

    fn begin(&self, tally: &Rc<RefCell<Tally>>) -> Result<Begun, Fault> {
        let mut tally = tally.borrow_mut();
        (tally.deliveries, tally.frames) = (0, 0);
        Begun::now(&self.target)
    }
}

fn end(begun: Begun, tally: &Rc<RefCell<Tally>>, late: Option<Fault>) -> Result<Measured, Fault> {
    let tally = tally.borrow();
    let mut measured = begun.end(&tally.latencies, tally.faults.iter().cloned().chain(late).collect())?;
    (measured.deliveries, measured.frames) = (tally.deliveries, tally.frames);
    measured.messages.clone_from(&tally.messages);
    Ok(measured)
}

fn first_fault(tally: &Rc<RefCell<Tally>>, otherwise: Fault) -> Fault {
    tally.borrow().faults.first().cloned().unwrap_or(otherwise)
}

/// Has a client count what it sees. Where a room that is split sends it `elsewhere` before anything is said, it goes
/// there as who it is: `again`.
fn follow(mut client: Client, room: usize, tally: &Rc<RefCell<Tally>>, again: Option<(Target, String, String)>) {
    let tally = tally.clone();
    spawn_local(async move {
        loop {
            let take = |lines: &[Line], shown: &[u64]| {
                tally.borrow_mut().take(room, lines, shown);
                Ok(())
            };
            let fault = client.follow(take).await;
            let moved = fault.contains("\"elsewhere\"") && tally.borrow().starts.is_empty();
            client = match &again {
                Some((target, room, token)) if moved => match Client::join(target, room, token).await {
                    Ok(client) => client,
                    Err(fault) => return tally.borrow_mut().faults.push(fault),
                },
                _ => return tally.borrow_mut().faults.push(fault),
            };
        }
    });
}
