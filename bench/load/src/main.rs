//! Load generator of `./scripts/bench`: one job as JSON on stdin, what was measured as one line of JSON on stdout.
//!
//! One thread. Messages have the times at which they are meant to be sent, and latency counts from there, so that a
//! server that stalls cannot hide it by holding the generator up too.

mod client;
mod cpu;
mod fanout;
mod measured;
mod send;

use serde::Deserialize;

/// What all jobs need to know.
#[derive(Deserialize)]
struct Target {
    /// `ws://host:port`.
    url: String,
    /// The room; it is joined as `/api/rooms/{room}/ws`.
    room: String,
    /// The server's process, whose CPU time is counted.
    pid: u32,
    /// The sender's token.
    token: String,
    /// Bytes of a message's content.
    bytes: usize,
}

#[derive(Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
enum Job {
    Fanout(fanout::Fanout),
    Send(send::Send),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let job: Job = serde_json::from_reader(std::io::stdin().lock())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    let measured = tasks.block_on(&runtime, async {
        match job {
            Job::Fanout(job) => job.run().await,
            Job::Send(job) => job.run().await,
        }
    })?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}
