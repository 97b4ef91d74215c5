//! What a frame says, in either protocol, as far as the generator has to know.

use crate::wire::Fault;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A range of the log that a frame speaks for: `from` excluded, `to` included.
#[derive(Clone, Copy, Deserialize, Debug, PartialEq)]
pub(crate) struct At {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) left_out: u64,
}

/// One line of a frame.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// A message of the generator's, by its number; `seq` where the server gives one.
    Shown {
        n: u64,
        seq: Option<u64>,
    },
    /// Another event of the log.
    Event {
        seq: u64,
    },
    At(At),
    /// An acknowledgement; `shown` where it is an echo of the message itself.
    Reply {
        id: u64,
        shown: Option<u64>,
    },
    /// What the server wants to have back, whole.
    Echo(String),
    Other,
}

/// Frames that are remembered: one is sent to many viewers, and to compare it is much cheaper than to read it again.
const REMEMBERED: usize = 8;
/// Shorter ones are read each time.
const SHORT: usize = 96;

type Lines = Rc<Vec<Line>>;

thread_local! {
    static RECENT: RefCell<VecDeque<(Box<str>, Lines)>> = const { RefCell::new(VecDeque::new()) };
}

/// The lines of a frame; a refusal, an error or a goodbye is a fault.
pub(crate) fn read(frame: &str) -> Result<Lines, Fault> {
    let lines = || frame.split('\n').map(line).collect::<Result<Vec<_>, _>>().map(Rc::new);
    if frame.len() < SHORT {
        return lines();
    }
    RECENT.with_borrow_mut(|recent| {
        if let Some((_, known)) = recent.iter().find(|(text, _)| **text == *frame) {
            return Ok(known.clone());
        }
        let lines = lines()?;
        recent.truncate(REMEMBERED - 1);
        recent.push_front((frame.into(), lines.clone()));
        Ok(lines)
    })
}

fn line(line: &str) -> Result<Line, Fault> {
    if let Some(rest) = line.strip_prefix("{\"seq\":") {
        let (seq, rest) = number(rest)?;
        return Ok(match message(rest) {
            Some(n) => Line::Shown { n, seq: Some(seq) },
            None => Line::Event { seq },
        });
    }
    // Engine.IO's and Socket.IO's packets: a message, an acknowledgement, a ping.
    if line.starts_with("42[\"goodbye\"") || line.starts_with("42[\"error\"") || line.starts_with("44") {
        return Err(line.into());
    }
    if let Some(rest) = line.strip_prefix("42") {
        return Ok(message(rest).map_or(Line::Other, |n| Line::Shown { n, seq: None }));
    }
    if let Some(rest) = line.strip_prefix("43") {
        if rest.contains("[{\"error\":") {
            return Err(format!("refused: {line}"));
        }
        return Ok(Line::Reply { id: number(rest)?.0, shown: None });
    }
    if line == "2" {
        return Ok(Line::Echo("3".into()));
    }
    if let Some(rest) = line.strip_prefix("{\"reply\":") {
        return if rest.contains("\"error\":") {
            Err(format!("refused: {line}"))
        } else {
            Ok(Line::Reply { id: number(rest)?.0, shown: None })
        };
    }
    if let Some(rest) = line.strip_prefix("{\"id\":") {
        return Ok(Line::Reply { id: number(rest)?.0, shown: message(rest) });
    }
    if line.starts_with("{\"at\":") {
        #[derive(Deserialize)]
        struct Wrapped {
            at: At,
        }
        return serde_json::from_str(line)
            .map(|Wrapped { at }| Line::At(at))
            .map_err(|error| format!("{line}: {error}"));
    }
    if line.starts_with("{\"event\":\"probe\"") {
        return Ok(Line::Echo(line.into()));
    }
    if line.starts_with("{\"event\":\"goodbye\"") || line.starts_with("{\"event\":\"error\"") {
        return Err(line.into());
    }
    Ok(Line::Other)
}

/// The number of the message that a line shows.
fn message(line: &str) -> Option<u64> {
    let at = memchr::memmem::find(line.as_bytes(), b"bench:")?;
    number(line.get(at + 6..)?).ok().map(|(n, _)| n)
}

/// The number at the beginning, and what comes after it.
fn number(text: &str) -> Result<(u64, &str), Fault> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    digits.parse().map(|n| (n, rest)).map_err(|_| format!("no number where one is due: {text}"))
}

/// Where a viewer is: every message once and in order, and what the server says of its log fits.
#[derive(Default)]
pub(crate) struct Viewer {
    /// The number of the next message.
    pub(crate) next: u64,
    /// The last `seq`; none with servers that have no log.
    pub(crate) cursor: Option<u64>,
}

impl Viewer {
    /// Takes a frame's lines and gives each message's number to `shown`.
    pub(crate) fn take(&mut self, lines: &[Line], mut shown: impl FnMut(u64)) -> Result<(), Fault> {
        let mut covered = 0;
        for line in lines {
            match *line {
                Line::At(At { left_out: 1.., .. }) => return Err(format!("messages were left out: {line:?}")),
                Line::At(at) => {
                    if self.cursor.is_some_and(|cursor| at.from > cursor) {
                        return Err(format!("a gap: {at:?} came at {:?}", self.cursor));
                    }
                    covered = at.to;
                }
                Line::Event { seq } => self.position(seq, covered)?,
                Line::Shown { n, seq } => {
                    seq.map_or(Ok(()), |seq| self.position(seq, covered))?;
                    self.number(n)?;
                    shown(n);
                }
                Line::Reply { shown: Some(n), .. } => {
                    self.number(n)?;
                    shown(n);
                }
                Line::Reply { .. } | Line::Echo(_) | Line::Other => {}
            }
        }
        self.cursor = self.cursor.map(|cursor| cursor.max(covered));
        Ok(())
    }

    fn position(&mut self, seq: u64, covered: u64) -> Result<(), Fault> {
        if let Some(cursor) = self.cursor {
            if seq > cursor + 1 && seq > covered {
                return Err(format!("a gap: seq {seq} came after {cursor}"));
            }
            self.cursor = Some(cursor.max(seq));
        }
        Ok(())
    }

    fn number(&mut self, n: u64) -> Result<(), Fault> {
        let due = std::mem::replace(&mut self.next, n + 1);
        match n {
            n if n == due => Ok(()),
            n if n > due => Err(format!("a gap: message {n} came when {due} was due")),
            n => Err(format!("a double: message {n} came when {due} was due")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEQ: &str = r#"{"seq":7,"event":"new_message","data":{"content":"bench:3: it was said"}}"#;

    #[test]
    fn both_protocols_are_read() {
        let frame = format!(
            "{{\"at\":{{\"epoch\":1,\"from\":5,\"to\":8,\"left_out\":0}}}}\n{SEQ}\n{{\"seq\":8,\"event\":\"x\"}}"
        );
        let at = Line::At(At { from: 5, to: 8, left_out: 0 });
        assert_eq!(*read(&frame).unwrap(), [at, Line::Shown { n: 3, seq: Some(7) }, Line::Event { seq: 8 }]);
        assert_eq!(*read(r#"42["message",{"content":"bench:9: x"}]"#).unwrap(), [Line::Shown { n: 9, seq: None }]);
        assert_eq!(*read(r#"4317[{"ok":true}]"#).unwrap(), [Line::Reply { id: 17, shown: None }]);
        assert_eq!(*read("2").unwrap(), [Line::Echo("3".into())]);
        assert!(read(r#"{"reply":1,"error":{"code":"rate_limited"}}"#).is_err());
        assert!(read(r#"433[{"error":{"code":"rate_limited"}}]"#).is_err());
        assert!(read(r#"42["goodbye",{"code":"banned","room_id":"r"}]"#).is_err());
        assert!(read(r#"{"event":"goodbye","data":{"code":"too_slow"}}"#).is_err());
    }

    #[test]
    fn gaps_and_doubles_are_faults() {
        let seen = |next, cursor, lines: &[Line]| Viewer { next, cursor }.take(lines, |_| {});
        let shown = |n, seq| Line::Shown { n, seq };
        assert!(seen(3, None, &[shown(3, None), shown(4, None)]).is_ok());
        assert!(seen(3, None, &[shown(4, None)]).is_err());
        assert!(seen(3, None, &[shown(2, None)]).is_err());
        assert!(seen(3, Some(6), &[shown(3, Some(7))]).is_ok());
        assert!(seen(3, Some(5), &[shown(3, Some(7))]).is_err());
        assert!(seen(3, Some(5), &[Line::At(At { from: 5, to: 9, left_out: 0 }), shown(3, Some(7))]).is_ok());
        assert!(seen(3, Some(4), &[Line::At(At { from: 5, to: 9, left_out: 0 })]).is_err());
        assert!(seen(3, Some(5), &[Line::At(At { from: 5, to: 9, left_out: 2 })]).is_err());
    }
}
