//! What a job reports.

use crate::client::Fault;
use crate::cpu;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The measured part of a job, after its warm-up.
#[derive(Serialize)]
pub(crate) struct Measured {
    /// Deliveries or acknowledgements.
    count: u64,
    seconds: f64,
    server_cpu_s: f64,
    /// The generator's own: near `seconds` means that it was the limit.
    generator_cpu_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Anything in here makes the run void.
    pub(crate) faults: Vec<Fault>,
}

/// Latencies from 1 µs to a minute, to three digits.
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self, Fault> {
        Histogram::new_with_bounds(1, 60_000_000, 3).map(Self).map_err(|error| error.to_string())
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }
}

/// CPU times at the beginning of the measured part.
pub(crate) struct Begun {
    at: Instant,
    pid: String,
    server: f64,
    generator: f64,
}

impl Begun {
    pub(crate) fn now(pid: u32) -> Result<Self, Fault> {
        let pid = pid.to_string();
        Ok(Self { at: Instant::now(), server: cpu::seconds(&pid)?, generator: cpu::seconds("self")?, pid })
    }

    pub(crate) fn end(self, latencies: &Latencies, faults: Vec<Fault>) -> Result<Measured, Fault> {
        let ms = |quantile| latencies.0.value_at_quantile(quantile) as f64 / 1_000.0;
        Ok(Measured {
            count: latencies.count(),
            seconds: self.at.elapsed().as_secs_f64(),
            server_cpu_s: cpu::seconds(&self.pid)? - self.server,
            generator_cpu_s: cpu::seconds("self")? - self.generator,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            max_ms: ms(1.0),
            faults,
        })
    }
}

/// Checks that what comes is 0, 1, 2 … without a gap or a double.
#[derive(Default)]
pub(crate) struct Sequence(pub(crate) u64);

impl Sequence {
    pub(crate) fn take(&mut self, n: u64) -> Result<(), Fault> {
        let expected = self.0;
        self.0 = self.0.max(n.saturating_add(1));
        match n {
            n if n == expected => Ok(()),
            n if n > expected => Err(format!("a gap: {n} came after {expected} was due")),
            n => Err(format!("a double: {n} came when {expected} was due")),
        }
    }
}
