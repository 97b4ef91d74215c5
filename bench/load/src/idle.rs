//! Sockets that do nothing: what they take of the server's memory and time.

use crate::client::{Client, Target};
use crate::cpu;
use crate::wire::Fault;
use futures_util::stream::{StreamExt, iter};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::spawn_local;
use tokio::time::sleep;

/// Sockets opened at once.
const JOINING: usize = 50;

#[derive(Deserialize)]
pub(crate) struct Idle {
    #[serde(flatten)]
    target: Target,
    room: String,
    viewers: Vec<String>,
    /// So many of them come first and are not counted: they bring what a process needs once.
    first: usize,
    /// Seconds of silence.
    seconds: f64,
}

#[derive(Serialize)]
pub(crate) struct Memory {
    /// RSS of the server for each socket after the first, KiB.
    kib_each: f64,
    /// What those first took beyond that, MiB.
    once_mib: f64,
    /// The server's CPU time in the silence for each socket and second, µs.
    cpu_us_each: f64,
    seconds: f64,
    generator_cpu_s: f64,
    faults: Vec<Fault>,
}

impl Idle {
    pub(crate) async fn run(self) -> Result<Vec<Memory>, Fault> {
        let faults = Rc::new(RefCell::new(Vec::new()));
        let (first, others) = self.viewers.split_at(self.first.min(self.viewers.len()));
        let start = cpu::memory_kib(self.target.pid)?;
        self.open(first, &faults).await?;
        let before = cpu::memory_kib(self.target.pid)?;
        self.open(others, &faults).await?;
        let (begun, own) = (cpu::seconds(self.target.pid)?, cpu::seconds(std::process::id())?);
        sleep(Duration::from_secs_f64(self.seconds)).await;
        let used = cpu::seconds(self.target.pid)? - begun;
        let sockets = self.viewers.len() as f64;
        let after = cpu::memory_kib(self.target.pid)?;
        let each = (after as f64 - before as f64) / others.len() as f64;
        let faults = faults.borrow().clone();
        Ok(vec![Memory {
            kib_each: each,
            once_mib: (before as f64 - start as f64 - each * first.len() as f64) / 1024.0,
            cpu_us_each: used * 1e6 / sockets / self.seconds,
            seconds: self.seconds,
            generator_cpu_s: cpu::seconds(std::process::id())? - own,
            faults,
        }])
    }

    /// Lets these join, and waits until what that causes is done.
    async fn open(&self, viewers: &[String], faults: &Rc<RefCell<Vec<Fault>>>) -> Result<(), Fault> {
        let joins = viewers.iter().map(|token| Client::join(&self.target, &self.room, token));
        let mut joins = iter(joins).buffer_unordered(JOINING);
        while let Some(client) = joins.next().await {
            let client = client?;
            let failing = faults.clone();
            spawn_local(async move {
                let fault = client.follow(|_, _| Ok(())).await;
                failing.borrow_mut().push(fault);
            });
        }
        cpu::settle(self.target.pid).await
    }
}
