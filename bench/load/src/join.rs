//! Coming back: everybody is cut off at once, misses some messages, and returns with a token and a position.

use crate::client::{Client, Joined, Position, Target};
use crate::lines::Line;
use crate::measured::{Begun, Latencies, Measured};
use crate::wire::Fault;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Deserialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::spawn_local;
use tokio::time::{sleep, sleep_until};

/// Sockets opened at once where nobody hands out a wait.
const JOINING: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Join {
    #[serde(flatten)]
    target: Target,
    room: String,
    token: String,
    viewers: Vec<String>,
    /// Messages that each viewer misses; 0 where the server keeps none.
    missed: u64,
}

impl Join {
    /// Two times: as fast as they are let in, then each at the end of the wait that it was handed out.
    pub(crate) async fn run(self) -> Result<Vec<Measured>, Fault> {
        let (clients, before) = self.first().await?;
        drop(clients);
        let start = self.miss(before.position()).await?;
        let (fast, clients) = self.come_back(start, None).await?;
        let Some(wait) = before.reconnect else { return Ok(vec![fast]) };
        // The numbers of the messages go on where they were.
        drop(clients);
        let cut = Instant::now();
        let start = self.miss(start.map(|at| Position { seq: at.seq + self.missed, ..at })).await?;
        let mut random = std::process::id();
        let waits = self.viewers.iter().map(|_| {
            // A linear congruence: evenly spread is all that it has to be.
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let part = f64::from(random) / f64::from(u32::MAX);
            cut + Duration::from_secs_f64((wait.base_ms as f64 + part * wait.spread_ms as f64) / 1_000.0)
        });
        let (spread, _) = self.come_back(start, Some(waits.collect())).await?;
        Ok(vec![fast, spread])
    }

    /// The first join of all; gives what the last one was answered.
    async fn first(&self) -> Result<(Vec<Client>, Joined), Fault> {
        // It makes the room, and the others need not wait for it all at once.
        Client::join(&self.target, &self.room, &self.token).await?;
        let mut tokens = self.viewers.iter();
        let mut under_way = FuturesUnordered::new();
        let mut clients = Vec::new();
        let mut last = Joined::default();
        loop {
            while under_way.len() < JOINING
                && let Some(token) = tokens.next()
            {
                under_way.push(Client::come_back(&self.target, &self.room, token, None));
            }
            let Some(client) = under_way.next().await else { return Ok((clients, last)) };
            let (client, joined) = client?;
            clients.push(client);
            last = joined;
        }
    }

    /// Says what the others miss, and gives the position before it.
    async fn miss(&self, known: Option<Position>) -> Result<Option<Position>, Fault> {
        if self.missed == 0 {
            return Ok(known);
        }
        let (client, joined) = Client::come_back(&self.target, &self.room, &self.token, None).await?;
        let outbox = client.outbox();
        let acknowledged = Rc::new(RefCell::new(0));
        let counting = acknowledged.clone();
        let following = spawn_local(client.follow(move |lines: &[Line], _: &[u64]| {
            *counting.borrow_mut() += lines.iter().filter(|line| matches!(line, Line::Reply { .. })).count() as u64;
            Ok(())
        }));
        for n in 0..self.missed {
            outbox.say(n, self.target.bytes)?;
        }
        while *acknowledged.borrow() < self.missed && !following.is_finished() {
            sleep(Duration::from_millis(1)).await;
        }
        if following.is_finished() {
            return Err(following.await.unwrap_or_else(|error| error.to_string()));
        }
        following.abort();
        Ok(joined.position())
    }

    /// Everybody comes back, at `times` or as fast as they are let in.
    async fn come_back(
        &self,
        at: Option<Position>,
        times: Option<Vec<Instant>>,
    ) -> Result<(Measured, Vec<Client>), Fault> {
        let mut latencies = Latencies::new()?;
        let mut faults = Vec::new();
        let mut clients = Vec::new();
        let begun = Begun::now(&self.target)?;
        let mut viewers = self.viewers.iter().enumerate();
        let mut under_way = FuturesUnordered::new();
        let most = if times.is_some() { usize::MAX } else { JOINING };
        loop {
            while under_way.len() < most
                && let Some((n, token)) = viewers.next()
            {
                let time = times.as_ref().and_then(|times| times.get(n)).copied();
                under_way.push(async move {
                    let intended = time.unwrap_or_else(Instant::now);
                    sleep_until(intended.into()).await;
                    let back = Client::come_back(&self.target, &self.room, token, at).await;
                    back.map(|(client, joined)| (client, joined, intended.elapsed()))
                });
            }
            let Some(back) = under_way.next().await else { break };
            match back {
                Ok((_, joined, _))
                    if at.is_some() && !(joined.resumed && joined.events.len() as u64 >= self.missed) =>
                {
                    faults.push(format!("resumed: {}, with {} events", joined.resumed, joined.events.len()));
                }
                Ok((client, _, latency)) => {
                    latencies.record(latency);
                    clients.push(client);
                }
                Err(fault) => faults.push(fault),
            }
        }
        drop(under_way);
        Ok((begun.end(&latencies, faults)?, clients))
    }
}
