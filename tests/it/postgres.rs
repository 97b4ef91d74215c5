//! A PostgreSQL of one room: `chat_apply`'s rules written a second time, as plainly as they can be.

use edge_chat::protocol::call::{Expiry, ExpiryAsk};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a broken `chat_apply` does wrong; for the tests of the simulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    #[default]
    None,
    /// Every batch is folded whole, whatever the cursor says.
    NoCursor,
    /// The cursor moves, and then now and then nothing is written.
    CursorFirst,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Postgres {
    pub room: Option<Value>,
    /// By id; the operation's fields as they are after later ones.
    pub messages: BTreeMap<String, Value>,
    /// (message, user, reaction).
    pub reactions: BTreeSet<(String, String, String)>,
    pub roles: BTreeMap<String, String>,
    /// By id, as the operation has it.
    pub held: BTreeMap<String, Value>,
    pub terms: Option<Value>,
    /// By id, as the query of a waking room has them.
    pub reports: BTreeMap<String, Value>,
    /// By user, as the operation has it.
    pub bans: BTreeMap<String, Value>,
    /// Who of a direct room's two blocks the other, as the query of a waking room has it.
    pub blocks: BTreeMap<String, String>,
    /// Ids of messages, newest first.
    pub pinned: Vec<String>,
    /// Below it everything has expired.
    pub first_no: u64,
    /// A legal hold is on the room.
    pub on_hold: bool,
    /// A legal hold is on these users.
    pub held_users: BTreeSet<String>,
    /// (epoch, seq).
    pub cursor: Option<(u64, u64)>,
    pub flaw: Flaw,
}

fn text<'a>(op: &'a Value, field: &str) -> &'a str {
    op[field].as_str().unwrap_or_else(|| panic!("{field} in {op}"))
}

impl Postgres {
    /// One room's batch; the cursor as it then is.
    pub fn apply(&mut self, body: &str) -> (u64, u64) {
        self.try_apply(body).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// The same, or why nothing of it was written.
    pub fn try_apply(&mut self, body: &str) -> Result<(u64, u64), String> {
        let before = self.clone();
        let applied = self.write(body);
        let mut numbers = BTreeSet::new();
        if self.messages.values().all(|row| numbers.insert(row["no"].as_u64())) {
            return Ok(applied);
        }
        *self = before;
        Err("23505 two messages of a room have one number".into())
    }

    fn write(&mut self, body: &str) -> (u64, u64) {
        let batch: Value = serde_json::from_str(body).expect("a batch is JSON");
        assert_eq!(batch["v"], 1);
        let number = |field: &str| batch[field].as_u64().unwrap_or_else(|| panic!("{field} in {batch}"));
        let (epoch, from, to) = (number("epoch"), number("from"), number("to"));
        let (stored, mut since) = self.cursor.unwrap_or((epoch, 0));
        if epoch < stored && self.flaw != Flaw::NoCursor {
            return (stored, since);
        }
        if epoch > stored {
            since = 0;
        }
        self.cursor = Some((epoch, since));
        if self.flaw == Flaw::NoCursor {
            since = 0;
        } else if to <= since || (from > since && from != number("start")) {
            return (epoch, since);
        }
        let lost = self.flaw == Flaw::CursorFirst && to % 3 == 0;
        for op in batch["ops"].as_array().expect("ops").iter().filter(|_| !lost) {
            if op["seq"].as_u64().expect("seq") > since {
                self.fold(op, epoch);
            }
        }
        let to = self.cursor.map_or(to, |(_, seq)| seq.max(to));
        self.cursor = Some((epoch, to));
        (epoch, to)
    }

    /// `chat_expiry`.
    pub fn expiry(&mut self, asked: &ExpiryAsk) -> Expiry {
        if self.on_hold {
            return Expiry { before_no: asked.first_no, held: true, ..Expiry::default() };
        }
        let left_over = self.forget(0, asked.first_no, 2_000);
        let mut rows: Vec<_> = self.messages.values().map(|row| (row["no"].as_u64().unwrap(), row)).collect();
        rows.sort_by_key(|(no, _)| *no);
        let rest: Vec<_> = rows.iter().filter(|(no, _)| *no >= asked.first_no).collect();
        let most = usize::try_from(asked.most).unwrap();
        let at = |row: &Value| row["created_at"].as_u64().unwrap();
        let over = |no: u64, row: &Value| {
            asked.before_ms.is_some_and(|ms| at(row) < ms) || asked.keep_from.is_some_and(|from| no < from)
        };
        let stays =
            rest.iter().enumerate().find(|(n, (no, row))| *n == most || !over(*no, row)).map(|(_, stays)| stays);
        let before_no = stays.map_or_else(|| rest.last().map_or(asked.first_no, |(no, _)| no + 1), |(no, _)| *no);
        Expiry {
            before_no,
            oldest_at: stays.map(|(_, row)| at(row)),
            more: stays.is_some_and(|(no, row)| over(*no, row)) || left_over,
            held: rows.iter().any(|(no, row)| *no < before_no && self.held_users.contains(text(row, "user_id"))),
        }
    }

    /// `chat_forget`: whether there may be more.
    fn forget(&mut self, from: u64, before: u64, most: usize) -> bool {
        if self.on_hold {
            return false;
        }
        let gone = |row: &Value| (from..before).contains(&row["no"].as_u64().unwrap());
        let rows = self.messages.iter().filter(|(_, row)| gone(row) && !self.held_users.contains(text(row, "user_id")));
        let mut rows: Vec<_> = rows.map(|(id, row)| (row["no"].as_u64(), id.clone())).collect();
        rows.sort_unstable();
        let more = rows.len() >= most;
        rows.truncate(most);
        for (_, id) in rows {
            self.messages.remove(&id);
            self.reactions.retain(|(message, _, _)| *message != id);
        }
        more
    }

    fn fold(&mut self, op: &Value, epoch: u64) {
        match text(op, "op") {
            "room" => self.room = Some(op.clone()),
            "message" => {
                let id = text(op, "id").to_owned();
                if self.live(&id) || !self.messages.contains_key(&id) {
                    let mut row = op.clone();
                    row["epoch"] = epoch.into();
                    row.as_object_mut().unwrap().remove("op");
                    self.messages.insert(id, row);
                }
            }
            "edit" => {
                let (id, at) = (text(op, "id"), op["edited_at"].as_u64().expect("edited_at"));
                if self.live(id) && self.messages[id]["edited_at"].as_u64().is_none_or(|before| before <= at) {
                    let row = self.messages.get_mut(id).unwrap();
                    for field in ["content", "text", "mentions", "edited_at"] {
                        row[field] = op[field].clone();
                    }
                }
            }
            "delete" => {
                for id in op["ids"].as_array().expect("ids") {
                    let id = id.as_str().expect("an id");
                    self.reactions.retain(|(message, _, _)| message != id);
                    if self.live(id) {
                        let row = self.messages.get_mut(id).unwrap();
                        row["content"] = "".into();
                        row["text"] = Value::Null;
                        row["mentions"] = json!([]);
                        row["metadata"] = json!({});
                        row["original"] = Value::Null;
                        row["franking"] = Value::Null;
                        row["deleted_at"] = op["deleted_at"].clone();
                    }
                }
            }
            "erase" => {
                for id in op["ids"].as_array().expect("ids") {
                    let Some(row) = self.messages.get_mut(id.as_str().expect("an id")) else { continue };
                    row["user_id"] = "".into();
                    row["username"] = "erased".into();
                    (row["avatar"], row["client_id"], row["original"]) = (Value::Null, Value::Null, Value::Null);
                    (row["roles"], row["metadata"]) = (json!(["member"]), json!({}));
                    if (op["tombstones"] == true || row["type"] == "encrypted") && row["deleted_at"].is_null() {
                        (row["content"], row["mentions"]) = ("".into(), json!([]));
                        (row["text"], row["franking"]) = (Value::Null, Value::Null);
                        row["deleted_at"] = op["at"].clone();
                    }
                    if !row["deleted_at"].is_null() {
                        self.reactions.retain(|(message, _, _)| Some(message.as_str()) != id.as_str());
                    }
                }
            }
            "reaction" => {
                let key = (text(op, "id").to_owned(), text(op, "user_id").to_owned(), text(op, "reaction").to_owned());
                if op["remove"] == true {
                    self.reactions.remove(&key);
                } else if self.live(&key.0) {
                    self.reactions.insert(key);
                }
            }
            "role" => match op["role"].as_str() {
                Some(role) => drop(self.roles.insert(text(op, "user_id").to_owned(), role.to_owned())),
                None => drop(self.roles.remove(text(op, "user_id"))),
            },
            "expire" => {
                let before = op["before_no"].as_u64().expect("before_no");
                let from = self.first_no;
                self.first_no = from.max(before);
                self.forget(from, before, 4_000);
            }
            "ban" => drop(self.bans.insert(text(op, "user_id").to_owned(), op.clone())),
            "unban" => drop(self.bans.remove(text(op, "user_id"))),
            "pins" => {
                let pinned = op["pinned"].as_array().expect("pinned").iter();
                self.pinned = pinned.map(|id| id.as_str().expect("an id").to_owned()).collect();
            }
            "held" => drop(self.held.insert(text(op, "id").to_owned(), op.clone())),
            "held_end" => drop(self.held.remove(text(op, "id"))),
            "terms" => self.terms = Some(op["terms"].clone()),
            "original" if self.live(text(op, "id")) => {
                let row = self.messages.get_mut(text(op, "id")).unwrap();
                row["original"] = op["original"].clone();
            }
            "franking" if self.live(text(op, "id")) => {
                let row = self.messages.get_mut(text(op, "id")).unwrap();
                row["franking"] = op["franking"].clone();
            }
            "report" => {
                let mut report = op.clone();
                report["report_id"] = op["id"].clone();
                report["status"] = "open".into();
                let message = self.messages.get(text(op, "message_id"));
                report["no"] = message.map_or(Value::Null, |row| row["no"].clone());
                report["author"] = message.map_or("".into(), |row| row["user_id"].clone());
                self.reports
                    .retain(|_, old| old["message_id"] != op["message_id"] || old["reporter_id"] != op["reporter_id"]);
                self.reports.insert(text(op, "id").to_owned(), report);
            }
            "resolve_report" => {
                if let Some(report) = self.reports.get_mut(text(op, "id")) {
                    report["status"] = op["status"].clone();
                    report["resolution"] = op["resolution"].clone();
                    report["resolved_by"] = op["by"].clone();
                    report["resolved_at"] = op["at"].clone();
                }
            }
            "forget_quotes" => {
                for report in self.reports.values_mut().filter(|report| report["at"].as_u64() < op["before"].as_u64()) {
                    report["quoted"] = Value::Null;
                }
            }
            _ => {}
        }
    }

    fn live(&self, id: &str) -> bool {
        self.messages.get(id).is_some_and(|row| row["deleted_at"].is_null())
    }

    /// Up to which epoch the room was drained; none where it is not known.
    pub fn epoch(&self) -> Option<u64> {
        self.room.as_ref().map(|_| self.cursor.map_or(0, |(epoch, _)| epoch))
    }

    /// Closes this epoch, if it is the last: no batch of it is written any more.
    pub fn close(&mut self, epoch: u64) -> bool {
        let last = self.epoch() == Some(epoch);
        if last {
            self.cursor = Some((epoch + 1, 0));
        }
        last
    }

    /// What is remembered of the room, as the query of a waking room has it.
    pub fn remembered(&self) -> Option<String> {
        let room = self.room.as_ref()?;
        Some(
            json!({
                "info": {
                    "name": room["name"], "type": room["type"], "settings": room["settings"],
                    "owner_id": room["owner_id"], "created_at": room["created_at"], "updated_at": room["at"],
                    "deleted_at": room["deleted_at"],
                },
                "roles": self.roles,
                "bans": self.bans.values().collect::<Vec<_>>(),
                "blocks": self.blocks,
                "pinned": self.pinned,
                "terms": self.terms,
                "held": self.held.values().collect::<Vec<_>>(),
                "reports": self.reports.values()
                    .filter(|report| report["status"] == "open" || !report["quoted"].is_null())
                    .collect::<Vec<_>>(),
                "first_no": self.first_no.max(1),
                "last_no": self.messages.values().map(|row| row["no"].as_u64().unwrap()).max().unwrap_or(0)
                    .max(self.first_no.saturating_sub(1)),
                "epoch": self.cursor.map_or(0, |(epoch, _)| epoch),
            })
            .to_string(),
        )
    }
}
