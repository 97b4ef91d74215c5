//! CPU time of a process, from /proc.

use crate::client::Fault;

/// Linux reports these times in hundredths of a second on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time that `process` (a number, or `self`) has used, seconds.
pub(crate) fn seconds(process: &str) -> Result<f64, Fault> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The program's name, in parentheses, may hold spaces; utime and stime are fields 14 and 15 of proc(5).
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: Option<f64> = fields.get(11..13).and_then(|times| times.iter().map(|t| t.parse::<f64>().ok()).sum());
    Ok(ticks.ok_or_else(|| format!("{path} is not as proc(5) has it"))? / TICKS_PER_SECOND)
}
