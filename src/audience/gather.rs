//! Fewer frames: a frame costs the server the same whatever it holds.

use super::{Out, To};
use std::rc::Rc;

/// Puts what is for one socket, where the frame after it is for many and for that socket too, ahead of its copy of that
/// frame: who says something gets the reply and the event at once. A frame that begins with a position stays as it is.
pub fn gather(out: Vec<Out>) -> Vec<Out> {
    let mut gathered = Vec::with_capacity(out.len() + 1);
    for next in out {
        match (gathered.last_mut(), next) {
            (Some(Out::Send(To::One(id), line)), Out::Send(To::Many(ids), frame))
                if ids.contains(id) && !frame.starts_with(r#"{"at":"#) =>
            {
                let others: Rc<[_]> = ids.iter().copied().filter(|other| other != id).collect();
                *line = format!("{line}\n{frame}").into();
                if !others.is_empty() {
                    gathered.push(Out::Send(To::Many(others), frame));
                }
            }
            (_, next) => gathered.push(next),
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: u32, text: &str) -> Out {
        Out::Send(To::One(id), text.into())
    }

    fn many(ids: &[u32], text: &str) -> Out {
        Out::Send(To::Many(ids.into()), text.into())
    }

    #[test]
    fn a_reply_and_its_event_are_one_frame() {
        let out = vec![one(2, "reply"), many(&[1, 2, 3], "event"), many(&[1, 2, 3], "stats")];
        assert_eq!(gather(out), [one(2, "reply\nevent"), many(&[1, 3], "event"), many(&[1, 2, 3], "stats")]);
    }

    #[test]
    fn nothing_else_is() {
        for second in
            [many(&[1, 3], "event"), many(&[2], r#"{"at":{}}"#), one(2, "pong"), Out::Close(2, 1000, "".into())]
        {
            let out = vec![one(2, "reply"), second];
            assert_eq!(gather(out.clone()), out);
        }
    }
}
