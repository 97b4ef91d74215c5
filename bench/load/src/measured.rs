//! What a job reports.

use crate::client::Target;
use crate::cpu;
use crate::fanout::Message;
use crate::wire::Fault;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The measured part of a job, after its warm-up.
#[derive(Serialize)]
pub(crate) struct Measured {
    /// Deliveries, acknowledgements or joins whose latency was measured.
    count: u64,
    /// The same in the time in which CPU was counted: what the warm-up left behind is in it.
    pub(crate) deliveries: u64,
    /// Frames that brought them.
    pub(crate) frames: u64,
    seconds: f64,
    server_cpu_s: f64,
    beside_cpu_s: f64,
    /// The generator's own: near `seconds` means that it was the limit.
    generator_cpu_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Each message, the warm-up's too, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) messages: Vec<Message>,
    /// Anything in here makes the run void.
    pub(crate) faults: Vec<Fault>,
}

/// Latencies from 1 µs to some minutes, to three digits.
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self, Fault> {
        Histogram::new_with_bounds(1, 600_000_000, 3).map(Self).map_err(|error| error.to_string())
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
    target: Target,
    server: f64,
    beside: f64,
    generator: f64,
}

impl Begun {
    pub(crate) fn now(target: &Target) -> Result<Self, Fault> {
        // Whoever profiles the server begins here.
        eprintln!("measuring");
        let server = cpu::seconds(target.pid)?;
        let generator = cpu::seconds(std::process::id())?;
        Ok(Self {
            at: Instant::now(),
            server,
            beside: cpu::seconds_of_all(&target.beside),
            generator,
            target: target.clone(),
        })
    }

    pub(crate) fn end(self, latencies: &Latencies, faults: Vec<Fault>) -> Result<Measured, Fault> {
        let ms = |quantile| latencies.0.value_at_quantile(quantile) as f64 / 1_000.0;
        Ok(Measured {
            count: latencies.count(),
            deliveries: latencies.count(),
            frames: 0,
            seconds: self.at.elapsed().as_secs_f64(),
            server_cpu_s: cpu::seconds(self.target.pid)? - self.server,
            beside_cpu_s: cpu::seconds_of_all(&self.target.beside) - self.beside,
            generator_cpu_s: cpu::seconds(std::process::id())? - self.generator,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            max_ms: ms(1.0),
            messages: Vec::new(),
            faults,
        })
    }
}
