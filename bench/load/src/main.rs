//! Load generator of `./scripts/bench`: one job as JSON on stdin, what was measured as one line of JSON on stdout.
//!
//! One thread. Messages have the times at which they are meant to be sent, and latency counts from there, so that a
//! server that stalls cannot hide it by holding the generator up too.

mod client;
mod cpu;
mod fanout;
mod idle;
mod join;
mod lines;
mod measured;
mod send;
mod serve;
mod wire;

use serde::Deserialize;
use serde_json::{Value, to_value};

#[derive(Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
enum Job {
    Fanout(fanout::Fanout),
    Send(send::Send),
    Join(join::Join),
    Idle(idle::Idle),
    /// Be a server: the native one, which is the limit.
    Serve,
}

impl Job {
    async fn run(self) -> Result<Value, Box<dyn std::error::Error>> {
        Ok(match self {
            Self::Fanout(job) => to_value(job.run().await?)?,
            Self::Send(job) => to_value(job.run().await?)?,
            Self::Join(job) => to_value(job.run().await?)?,
            Self::Idle(job) => to_value(job.run().await?)?,
            Self::Serve => to_value(serve::serve().await?)?,
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let job: Job = serde_json::from_reader(std::io::stdin().lock())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = tokio::task::LocalSet::new().block_on(&runtime, job.run())?;
    println!("{measured}");
    Ok(())
}
