//! CPU time and memory of a process, from /proc.

use crate::wire::Fault;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Linux reports these times in hundredths of a second on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time that a process has used, seconds.
pub(crate) fn seconds(pid: u32) -> Result<f64, Fault> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The program's name, in parentheses, may hold spaces; utime and stime are fields 14 and 15 of proc(5).
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: Option<f64> = fields.get(11..13).and_then(|times| times.iter().map(|t| t.parse::<f64>().ok()).sum());
    Ok(ticks.ok_or_else(|| format!("{path} is not as proc(5) has it"))? / TICKS_PER_SECOND)
}

/// The same of several processes and their children; one that is gone counts for nothing.
pub(crate) fn seconds_of_all(pids: &[u32]) -> f64 {
    pids.iter().map(|pid| seconds(*pid).unwrap_or(0.0) + seconds_of_all(&children(*pid))).sum()
}

fn children(pid: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Memory that a process has in use (RSS), KiB.
pub(crate) fn memory_kib(pid: u32) -> Result<u64, Fault> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).ok_or_else(|| format!("{path} has no VmRSS"))
}

/// Waits until a process has been nearly idle for half a second: what joins and closed sockets caused is over. At most
/// 20 s, since some never rest.
pub(crate) async fn settle(pid: u32) -> Result<(), Fault> {
    const LOOK: Duration = Duration::from_millis(250);
    let deadline = Instant::now() + Duration::from_secs(20);
    let (mut calm, mut last) = (0, seconds(pid)?);
    while calm < 2 && Instant::now() < deadline {
        sleep(LOOK).await;
        let now = seconds(pid)?;
        calm = if now - last < 0.1 * LOOK.as_secs_f64() { calm + 1 } else { 0 };
        last = now;
    }
    Ok(())
}
