//! What is given out of PostgreSQL as lines of JSON: sections one after the other, each read in pages by its key.

use crate::protocol::{ChatError, ErrorCode, MessageId, RoomId, json_fault};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Lines that are read at once.
const LINES: usize = 200;

/// What a section's key looks like in a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// There is one line.
    Once,
    /// A number.
    Number,
    /// A UUID.
    Id,
    /// An id of a user or a room.
    Name,
    /// A JSON array of a room's id and a message's number.
    Numbered,
    /// A JSON array of a message's id and a reaction.
    Reaction,
}

/// A part of an export. Its query takes whose it is (`$1`), the key after which to go on (`$2`, empty at first), and
/// whether somebody else asks who keeps order (`$3`); it answers a JSON array of at most 200 lines, each with its
/// `cursor`.
#[derive(Debug)]
pub struct Section {
    name: &'static str,
    key: Key,
    query: &'static str,
}

macro_rules! page {
    ($fields:literal, $from:literal) => {
        concat!(
            "select coalesce(json_agg(json_build_object(",
            $fields,
            ")), '[]')::text from (",
            $from,
            " limit 200) x"
        )
    };
}

/// Of a room: what those may see who keep order in it.
pub const ROOM: &[Section] = &[
    Section {
        name: "room",
        key: Key::Once,
        query: page!(
            "'cursor', 'room:1', 'kind', 'room', 'room_id', id, 'name', name, 'type', type, 'settings', settings,
             'owner_id', owner_id, 'pinned', pinned, 'terms', terms, 'first_no', first_no, 'created_at', created_at,
             'updated_at', updated_at",
            "select * from rooms where id = $1 and $2::text = '' and $3::boolean is not null"
        ),
    },
    Section {
        name: "roles",
        key: Key::Name,
        query: page!(
            "'cursor', 'roles:' || user_id, 'kind', 'role', 'user_id', user_id, 'username', username, 'role', role",
            "select * from room_roles where room_id = $1 and user_id > $2 and $3::boolean is not null order by user_id"
        ),
    },
    Section {
        name: "bans",
        key: Key::Name,
        query: page!(
            "'cursor', 'bans:' || user_id, 'kind', 'ban', 'user_id', user_id, 'username', username, 'reason', reason,
             'shadow', shadow, 'by', banned_by, 'created_at', created_at, 'ends_at', ends_at",
            "select * from bans where room_id = $1 and user_id > $2 and $3::boolean is not null order by user_id"
        ),
    },
    Section {
        name: "messages",
        key: Key::Number,
        query: page!(
            "'cursor', 'messages:' || no, 'kind', 'message', 'message_id', id, 'no', no, 'user_id', user_id,
             'username', username, 'avatar', avatar, 'roles', roles, 'content', content, 'text', text, 'type', type,
             'metadata', metadata, 'mentions', mentions, 'reply_to', reply_to, 'original', original,
             'audience', audience, 'created_at', created_at, 'edited_at', edited_at, 'deleted_at', deleted_at,
             'reactions', coalesce((select json_agg(json_build_object('user_id', r.user_id, 'reaction', r.reaction))
               from reactions r where r.message_id = x.id), '[]')",
            "select m.* from messages m where room_id = $1 and no > coalesce(nullif($2::text, '')::bigint, 0)
               and no >= coalesce((select first_no from rooms where id = $1), 1) and $3::boolean is not null order by no"
        ),
    },
    Section {
        name: "reports",
        key: Key::Id,
        query: page!(
            "'cursor', 'reports:' || id, 'kind', 'report', 'report_id', id, 'message_id', message_id,
             'reporter_id', reporter_id, 'reason', reason, 'details', details, 'quoted', quoted, 'proved', proved,
             'status', status, 'created_at', created_at, 'resolved_at', resolved_at, 'resolved_by', resolved_by,
             'resolution', resolution",
            "select * from reports where room_id = $1
               and id > coalesce(nullif($2::text, '')::uuid, '00000000-0000-0000-0000-000000000000')
               and $3::boolean is not null order by id"
        ),
    },
    Section {
        name: "audit",
        key: Key::Id,
        query: page!(
            "'cursor', 'audit:' || id, 'kind', 'audit', 'id', id, 'actor_id', actor_id, 'action', action,
             'target', target, 'details', details, 'created_at', created_at",
            "select * from audit where room_id = $1
               and id > coalesce(nullif($2::text, '')::uuid, '00000000-0000-0000-0000-000000000000')
               and $3::boolean is not null order by id"
        ),
    },
];

/// Of a user: what the user may see of themselves. Somebody else, who keeps order in all rooms, sees shadow bans and who
/// banned too, and nothing of direct rooms: not even that they are there.
pub const USER: &[Section] = &[
    Section {
        name: "rooms",
        key: Key::Name,
        query: concat!(
            // One look at the index for each room.
            "with recursive spoken(room_id) as (
               (select room_id from messages where user_id = $1 and room_id > $2 order by room_id limit 1)
               union all
               select (select m.room_id from messages m where m.user_id = $1 and m.room_id > s.room_id
                 order by m.room_id limit 1) from spoken s where s.room_id is not null
             ) ",
            page!(
                "'cursor', 'rooms:' || room_id, 'kind', 'room', 'room_id', room_id, 'epoch', epoch, 'up_to_seq', seq",
                "select s.room_id, c.epoch, c.seq from spoken s left join room_cursor c using (room_id)
                   where s.room_id is not null and not ($3::boolean and s.room_id like 'dm:%') order by s.room_id"
            )
        ),
    },
    Section {
        name: "messages",
        key: Key::Numbered,
        query: page!(
            "'cursor', 'messages:' || json_build_array(room_id, no), 'kind', 'message', 'message_id', id,
             'room_id', room_id, 'no', no, 'username', username, 'avatar', avatar, 'content', content, 'text', text,
             'type', type, 'metadata', metadata, 'mentions', mentions, 'reply_to', reply_to, 'created_at', created_at,
             'edited_at', edited_at, 'deleted_at', deleted_at",
            "select m.* from messages m where user_id = $1 and (room_id, no) >
               (coalesce(nullif($2::text, '')::json ->> 0, ''), coalesce((nullif($2::text, '')::json ->> 1)::bigint, 0))
               and no >= coalesce((select first_no from rooms r where r.id = m.room_id), 1)
               and not ($3::boolean and room_id like 'dm:%') order by room_id, no"
        ),
    },
    Section {
        name: "reactions",
        key: Key::Reaction,
        query: page!(
            "'cursor', 'reactions:' || json_build_array(message_id, reaction), 'kind', 'reaction',
             'message_id', message_id, 'reaction', reaction, 'created_at', created_at",
            "select * from reactions where user_id = $1 and (message_id, reaction) >
               (coalesce((nullif($2::text, '')::json ->> 0)::uuid, '00000000-0000-0000-0000-000000000000'),
                coalesce(nullif($2::text, '')::json ->> 1, ''))
               and not ($3::boolean and exists (
                 select from messages m where m.id = message_id and m.room_id like 'dm:%')) order by message_id, reaction"
        ),
    },
    Section {
        name: "reports",
        key: Key::Id,
        query: page!(
            "'cursor', 'reports:' || id, 'kind', 'report', 'report_id', id, 'room_id', room_id,
             'message_id', message_id, 'reason', reason, 'details', details, 'status', status, 'created_at', created_at",
            "select * from reports where reporter_id = $1
               and id > coalesce(nullif($2::text, '')::uuid, '00000000-0000-0000-0000-000000000000')
               and not ($3::boolean and room_id like 'dm:%') order by id"
        ),
    },
    Section {
        name: "blocks",
        key: Key::Name,
        query: page!(
            "'cursor', 'blocks:' || blocked_id, 'kind', 'block', 'user_id', blocked_id, 'created_at', created_at",
            "select * from blocks where user_id = $1 and blocked_id > $2 and $3::boolean is not null order by blocked_id"
        ),
    },
    Section {
        name: "roles",
        key: Key::Name,
        query: page!(
            "'cursor', 'roles:' || room_id, 'kind', 'role', 'room_id', room_id, 'role', role, 'updated_at', updated_at",
            "select * from room_roles where user_id = $1 and room_id > $2 and not ($3::boolean and room_id like 'dm:%')
               order by room_id"
        ),
    },
    Section {
        name: "bans",
        key: Key::Name,
        query: page!(
            "'cursor', 'bans:' || room_id, 'kind', 'ban', 'room_id', room_id, 'reason', reason,
             'shadow', shadow, 'by', case when $3::boolean then banned_by end, 'created_at', created_at,
             'ends_at', ends_at",
            "select * from bans where user_id = $1 and room_id > $2 and ($3::boolean or not shadow)
               and not ($3::boolean and room_id like 'dm:%') order by room_id"
        ),
    },
    Section {
        name: "presence",
        key: Key::Name,
        query: page!(
            "'cursor', 'presence:' || room_id, 'kind', 'presence', 'room_id', room_id, 'last_seen', last_seen",
            "select * from presence where user_id = $1 and room_id > $2 and not ($3::boolean and room_id like 'dm:%')
               order by room_id"
        ),
    },
];

/// How far room `$1` has come to PostgreSQL: its epoch and last event there, as a JSON array.
pub const UP_TO: &str = "select json_build_array(epoch, seq)::text from room_cursor where room_id = $1";

/// A place in an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which section.
    pub section: usize,
    /// After this key; empty at its beginning.
    pub after: String,
}

impl Place {
    /// Where a cursor points in these sections; the beginning without one.
    ///
    /// # Errors
    /// `invalid_parameter`.
    pub fn parse(cursor: Option<&str>, sections: &[Section]) -> Result<Self, ChatError> {
        let Some(cursor) = cursor else { return Ok(Self { section: 0, after: String::new() }) };
        let wrong = || {
            let message = "`after` is the `cursor` of a line of this export.";
            ChatError::new(ErrorCode::InvalidParameter, message).field("after")
        };
        let (name, key) = cursor.split_once(':').ok_or_else(wrong)?;
        let section = sections.iter().position(|section| section.name == name).ok_or_else(wrong)?;
        let kind = sections.get(section).map_or(Key::Once, |section| section.key);
        let good = match kind {
            Key::Once => key == "1",
            Key::Number => key.bytes().all(|b| b.is_ascii_digit()) && key.parse::<i64>().is_ok(),
            Key::Id => MessageId::parse(key).is_some(),
            Key::Name => !key.is_empty() && key.len() <= 255 && !key.chars().any(char::is_control),
            Key::Numbered => serde_json::from_str::<(RoomId, u32)>(key).is_ok(),
            Key::Reaction => serde_json::from_str::<(MessageId, String)>(key)
                .is_ok_and(|(_, reaction)| reaction.len() <= 64 && !reaction.contains('\0')),
        };
        if good { Ok(Self { section, after: key.to_owned() }) } else { Err(wrong()) }
    }

    /// What to ask here; none where the export is over.
    pub fn query(&self, sections: &'static [Section]) -> Option<&'static str> {
        sections.get(self.section).map(|section| section.query)
    }

    /// The lines of an answer, each with its end, and moves on.
    ///
    /// # Errors
    /// It is not what the queries yield; the text is for the operator's log.
    pub fn read(&mut self, answer: &str) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Line {
            cursor: String,
        }
        let lines: Vec<&RawValue> = serde_json::from_str(answer).map_err(|error| json_fault(&error))?;
        let mut text = String::with_capacity(answer.len());
        for line in &lines {
            text.push_str(line.get());
            text.push('\n');
        }
        match lines.last().filter(|_| lines.len() >= LINES) {
            Some(last) => {
                let Line { cursor } = serde_json::from_str(last.get()).map_err(|error| json_fault(&error))?;
                self.after = cursor.split_once(':').map_or(String::new(), |(_, key)| key.to_owned());
            }
            None => *self = Self { section: self.section + 1, after: String::new() },
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cursor: &str, sections: &[Section]) -> Option<(usize, String)> {
        Place::parse(Some(cursor), sections).ok().map(|place| (place.section, place.after))
    }

    #[test]
    fn cursors() {
        let id = "01a209e5-b9b3-75fe-b369-e70000000006";
        assert_eq!(at("messages:120", ROOM), Some((3, "120".into())));
        assert_eq!(at(&format!("reports:{id}"), ROOM), Some((4, id.into())));
        assert_eq!(at("bans:a:b", ROOM), Some((2, "a:b".into())));
        assert_eq!(at("room:1", ROOM), Some((0, "1".into())));
        let reaction = format!("[\"{id}\", \"👍\"]");
        assert_eq!(at(&format!("reactions:{reaction}"), USER), Some((2, reaction)));
        assert_eq!(at("messages:[\"video_1\", 7]", USER), Some((1, "[\"video_1\", 7]".into())));
        assert_eq!(at("messages:7", USER), None);
        assert_eq!(Place::parse(None, ROOM).map(|place| place.section), Ok(0));
        let wrong = ["", "messages", "messages:x", "messages:-1", "messages:99999999999999999999", "reports:1"];
        for cursor in wrong.into_iter().chain(["bans:", "bans:\0", "nothing:1", "room:2", "end:1"]) {
            assert_eq!(at(cursor, ROOM), None, "{cursor}");
        }
        assert_eq!(at("reactions:[1]", USER), None);
    }

    #[test]
    fn a_full_page_goes_on_behind_its_last_line_and_another_in_the_next_section() {
        let page = |lines: usize| {
            let lines: Vec<_> =
                (1..=lines).map(|n| format!("{{\"cursor\":\"messages:{n}\",\"content\":\"a\\nb\"}}")).collect();
            format!("[{}]", lines.join(",\n "))
        };
        let mut place = Place::parse(Some("messages:7"), ROOM).unwrap();
        assert_eq!(place.read(&page(LINES)).unwrap().lines().count(), LINES);
        assert_eq!(place, Place { section: 3, after: "200".into() });
        assert_eq!(place.read(&page(3)).unwrap().lines().count(), 3);
        assert_eq!(place, Place { section: 4, after: String::new() });
        assert!(place.read("{}").is_err());
        assert_eq!(Place { section: ROOM.len(), after: String::new() }.query(ROOM), None);
    }

    #[test]
    fn every_section_goes_on_behind_its_cursor() {
        for section in ROOM.iter().chain(USER) {
            assert!(section.query.contains(&format!("'cursor', '{}:", section.name)), "{}", section.name);
            let ordered = section.query.contains("order by") || section.key == Key::Once;
            assert!(ordered && section.query.contains(" limit 200)"), "{}", section.name);
        }
    }

    #[test]
    fn who_exports_another_user_sees_nothing_of_direct_rooms() {
        for section in USER {
            let bounded = section.query.contains("$3::boolean and") && section.query.contains("room_id like 'dm:%'");
            assert!(bounded || section.name == "blocks", "{}", section.name);
        }
    }
}
