//! A back end that is posted to, without HTTP: what it took, and what it keeps of it as the docs say that one does.

use edge_chat::host::Drained;
use edge_chat::sinks::webhook::Delivery;
use serde_json::Value;

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    #[default]
    Takes,
    /// It cannot be reached.
    Down,
    /// It takes the body, and the answer is lost.
    Mute,
    /// It asks to be left alone for so many ms.
    Later(u64),
    /// It does not want it.
    Status(u16),
}

#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    pub answer: Answer,
    /// Every id that came, whatever the answer.
    pub ids: Vec<String>,
    /// Every body that was taken, doubles too.
    pub bodies: Vec<Value>,
    /// What a consumer has of it: doubles dropped.
    pub events: Vec<Value>,
    /// Up to where: epoch, seq.
    pub place: (u64, u64),
    /// What was missing before a body, by the consumer's rule: epoch, from, to.
    pub missed: Vec<(u64, u64, u64)>,
}

impl Endpoint {
    pub fn asked(&self) -> usize {
        self.ids.len()
    }

    /// A batch arrives.
    pub fn post(&mut self, batch: &str) -> Drained {
        let Delivery { id, epoch, to, body } = serde_json::from_str(batch).unwrap();
        self.ids.push(id);
        let failed = || Drained::Later("no connection".into(), 0);
        match self.answer {
            Answer::Takes | Answer::Mute => {
                self.take(serde_json::from_str(&body).unwrap());
                if self.answer == Answer::Mute { failed() } else { Drained::Cursor { epoch, seq: to } }
            }
            Answer::Down => failed(),
            Answer::Later(wait) => Drained::Later("answered 429".into(), wait),
            Answer::Status(status) => Drained::Refused(status),
        }
    }

    fn take(&mut self, body: Value) {
        let number = |field: &str| body[field].as_u64().unwrap();
        let (epoch, from, to) = (number("epoch"), number("from"), number("to"));
        let had = if self.place.0 == epoch { self.place.1 } else { 0 };
        if epoch >= self.place.0 {
            if from > had + 1 {
                self.missed.push((epoch, had + 1, from - 1));
            }
            let fresh = |event: &&Value| event["seq"].as_u64().unwrap() > had;
            self.events.extend(body["events"].as_array().unwrap().iter().filter(fresh).cloned());
            self.place = (epoch, to.max(had));
        }
        self.bodies.push(body);
    }

    /// The events' places and names.
    pub fn told(&self) -> Vec<(u64, &str)> {
        self.events.iter().map(|event| (event["seq"].as_u64().unwrap(), event["event"].as_str().unwrap())).collect()
    }

    /// What was said.
    pub fn said(&self) -> Vec<&str> {
        let said = self.events.iter().filter(|event| event["event"] == "new_message");
        said.map(|event| event["data"]["content"].as_str().unwrap()).collect()
    }
}
