//! The protocol as the npm package's TypeScript declarations have it, made of the types that are read and served, so that
//! neither can change without the other: `client/types/protocol.d.ts`.

mod typescript;

use crate::audience::Level;
use crate::auth::Role;
use crate::host::alive::Probe as Probed;
use crate::host::frames::Refreshed;
use crate::host::glimpses::Seen;
use crate::host::join::{Joined, SeenData};
use crate::host::{Bans, Members, RoomStats};
use crate::protocol::act::{
    Announcement, BanUser, HeldRef, PinRef, Reasoned, ReportMessage, ResolveReport, SetRole, SetTerms, Terms, UserRef,
};
use crate::protocol::device::DeviceList;
use crate::protocol::inbox::{DevicesChanged, Inbox, InboxChanged, MarkRead};
use crate::protocol::report::{OpenedReport, ReportData, ReportPage, ReportedData};
use crate::protocol::wire::{Goodbye, History, MessageData};
use crate::protocol::{
    CatchUp, ChatError, EditMessage, JoinRoom, MODES, MessageRef, Probe, React, RefreshToken, RoomRef, RoomSettings,
    SendMessage, SetModes, Typing,
};
use crate::room::change::Reacted;
use crate::room::policy::can;
use crate::room::{
    Allowed, BanData, Deleted, DeletedData, Edited, HeldData, HeldList, PinnedData, RoleData, Sent, Tried, view,
};
use crate::user::BlockList;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident = $words:expr) => {
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let words: BTreeSet<&str> = $words;
                json_schema!({ "description": concat!($($doc),+).trim_ascii(), "enum": words })
            }
        }
    };
}

const ROLES: [Role; 6] = [Role::Guest, Role::Member, Role::Moderator, Role::Service, Role::Owner, Role::Admin];

words! {
    /// What somebody may do in a room.
    Can = ROLES.iter().flat_map(|role| can(*role, false)).collect()
}
words! {
    /// An event that a room of some size does not send.
    LeftOut = Level::Large.left_out().iter().copied().collect()
}
words! {
    /// A setting of a room that moderators may change too.
    Mode = MODES.into_iter().collect()
}

macro_rules! elsewhere {
    ($name:ident) => {
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                Schema::default()
            }
        }
    };
}

// As HEAD spells them out.
elsewhere!(Envelope);
elsewhere!(Modes);

const HEAD: &str = "\
// What crosses the wire, made of the Rust types of the service: UPDATE_TYPES=1 cargo test --lib types

/** An event as it comes; `seq` where it stands in the room's log. */
export type Envelope<Name extends keyof RoomEvents = keyof RoomEvents> = {
  [N in Name]: { event: N; data: RoomEvents[N]; seq?: number };
}[Name];

/** Modes to change; null sets one back. */
export type Modes = { [M in Mode]?: RoomSettings[M] | null };
";

/// A row of a table: a name, what the data is, and of a command what the reply's data is.
type Row = (&'static str, String, Option<String>);

struct Protocol {
    /// What the service says: a field that is skipped may be missing, and any other is there.
    said: SchemaGenerator,
    /// What it is asked: a field that has a default may be missing.
    asked: SchemaGenerator,
    tables: Vec<(&'static str, &'static str, Vec<Row>)>,
}

impl Protocol {
    fn table(mut self, name: &'static str, doc: &'static str) -> Self {
        self.tables.push((name, doc, Vec::new()));
        self
    }

    fn row(mut self, row: Row) -> Self {
        self.tables.last_mut().unwrap().2.push(row);
        self
    }

    fn said<T: JsonSchema>(&mut self) -> String {
        typescript::of(self.said.subschema_for::<T>().as_value())
    }

    fn event<T: JsonSchema>(mut self, name: &'static str) -> Self {
        let data = self.said::<T>();
        self.row((name, data, None))
    }

    /// An event that shares its type with others, and of what these may have always, or never, has this.
    fn event_with<T: JsonSchema>(mut self, name: &'static str, always: &str, never: &[&str]) -> Self {
        let data = self.said::<T>();
        let others: String = never.iter().map(|other| format!(" | \"{other}\"")).collect();
        let data = format!("Omit<{data}, \"{always}\"{others}> & Required<Pick<{data}, \"{always}\">>");
        self.row((name, data, None))
    }

    fn command<T: JsonSchema, R: JsonSchema>(mut self, name: &'static str) -> Self {
        let data = typescript::of(self.asked.subschema_for::<T>().as_value());
        let reply = self.said::<R>();
        self.row((name, data, Some(reply)))
    }

    /// A type that only REST answers with.
    fn also<T: JsonSchema>(mut self) -> Self {
        self.said::<T>();
        self
    }

    fn text(mut self) -> String {
        let mut all = declared(&mut self.said, true);
        for (name, text) in declared(&mut self.asked, false) {
            let known = all.insert(name.clone(), text.clone());
            assert!(
                known.is_none_or(|known| known == text),
                "{name} is another type where it is asked than where it is said"
            );
        }
        let types = all.into_iter().filter(|(name, _)| !["Envelope", "Modes"].contains(&name.as_str()));
        let types: String = types.map(|(_, text)| format!("\n{text}")).collect();
        let tables: String =
            self.tables.into_iter().map(|(name, doc, rows)| typescript::table(name, doc, &rows)).collect();
        format!("{HEAD}{tables}{types}")
    }
}

/// Each type by its name, as it is declared.
fn declared(of: &mut SchemaGenerator, said: bool) -> std::collections::BTreeMap<String, String> {
    let schemas: Map<String, Value> = of.take_definitions(true);
    schemas.into_iter().map(|(name, schema)| (name.clone(), typescript::declaration(&name, &schema, said))).collect()
}

/// The data of a reply that says no more than that it was done.
#[derive(JsonSchema)]
struct Nothing {}

fn protocol() -> String {
    let settings = SchemaSettings::draft2020_12();
    let protocol = Protocol {
        said: settings.clone().for_serialize().into_generator(),
        asked: settings.for_deserialize().into_generator(),
        tables: Vec::new(),
    };
    protocol
        .table("RoomEvents", "What a room says: each event's name, and its data.")
        .event::<MessageData<'static>>("new_message")
        .event::<view::Edited<'static>>("message_edited")
        .event::<view::Deleted<'static>>("message_deleted")
        .event::<view::DeletedMany<'static>>("messages_deleted")
        .event::<view::Expired<'static>>("messages_expired")
        .event::<view::UserErased<'static>>("user_erased")
        .event::<view::Banned<'static>>("user_banned")
        .event::<view::Unbanned<'static>>("user_unbanned")
        .event::<view::Pinned<'static>>("message_pinned")
        .event::<view::Pinned<'static>>("message_unpinned")
        .event::<view::RoleSet<'static>>("role_set")
        .event::<HeldData<'static>>("message_held")
        .event_with::<view::HeldEnded<'static>>("message_released", "message_id", &["outcome", "reason"])
        .event_with::<view::HeldEnded<'static>>("message_denied", "outcome", &["message_id"])
        .event::<view::TermsUpdated<'static>>("terms_updated")
        .event::<ReportData<'static>>("message_reported")
        .event::<view::Resolved<'static>>("report_resolved")
        .event::<view::Reactions<'static>>("reaction_updated")
        .event::<view::RoomUpdated<'static>>("room_updated")
        .event::<view::RoomUpdated<'static>>("room_deleted")
        .event::<Seen<'static>>("user_joined")
        .event::<Seen<'static>>("user_left")
        .event_with::<Seen<'static>>("user_typing", "is_typing", &[])
        .event::<RoomStats>("room_stats")
        .event::<Probed>("probe")
        .event::<ChatError>("error")
        .event::<Goodbye<'static>>("goodbye")
        .table("RoomCommands", "What a room can be asked for: each frame's data, and its reply's.")
        .command::<JoinRoom, Joined<'static>>("join_room")
        .command::<SendMessage, Sent>("send_message")
        .command::<EditMessage, Edited>("edit_message")
        .command::<MessageRef, Deleted>("delete_message")
        .command::<React, Reacted>("react")
        .command::<Typing, Nothing>("typing")
        .command::<CatchUp, SeenData>("catch_up")
        .command::<Probe, Nothing>("probe")
        .command::<RefreshToken, Refreshed>("refresh_token")
        .command::<UserRef, Nothing>("block_user")
        .command::<UserRef, Nothing>("unblock_user")
        .command::<RoomRef, Nothing>("leave_room")
        .command::<BanUser, BanData<'static>>("ban_user")
        .command::<UserRef, Nothing>("unban_user")
        .command::<UserRef, DeletedData>("delete_user_messages")
        .command::<Reasoned, DeletedData>("clear_room")
        .command::<PinRef, PinnedData<'static>>("pin_message")
        .command::<PinRef, PinnedData<'static>>("unpin_message")
        .command::<Announcement, Sent>("announce")
        .command::<SetRole, RoleData<'static>>("set_role")
        .command::<SetModes, Nothing>("set_modes")
        .command::<HeldRef, Allowed>("allow_message")
        .command::<HeldRef, Nothing>("deny_message")
        .command::<SetTerms, Terms>("set_terms")
        .command::<ReportMessage, ReportedData<'static>>("report_message")
        .command::<ResolveReport, ReportData<'static>>("resolve_report")
        .table("InboxEvents", "What a user's inbox says.")
        .event::<Inbox<'static>>("inbox")
        .event::<InboxChanged>("inbox_changed")
        .event::<DevicesChanged>("devices_changed")
        .event::<ChatError>("error")
        .event::<Goodbye<'static>>("goodbye")
        .table("InboxCommands", "What a user's inbox can be asked for.")
        .command::<MarkRead, Nothing>("mark_read")
        .also::<History<'static>>()
        .also::<Members>()
        .also::<Bans<'static>>()
        .also::<HeldList>()
        .also::<Tried>()
        .also::<ReportPage<'static>>()
        .also::<OpenedReport<'static>>()
        .also::<BlockList<'static>>()
        .also::<DeviceList<'static>>()
        .also::<Mode>()
        .also::<RoomSettings>()
        .text()
}

#[test]
fn the_declarations_are_what_the_code_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("client/types/protocol.d.ts");
    let now = protocol();
    if std::env::var_os("UPDATE_TYPES").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).is_ok_and(|text| text == now),
        "client/types/protocol.d.ts is not what the code says; run: UPDATE_TYPES=1 cargo test --lib types"
    );
}
