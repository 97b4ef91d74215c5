//! What a request may hold beyond its fields' types: lengths, ranges, forms. The service checks it where it acts; this
//! table says it to clients, and `tests/openapi.test.mjs` asks the service at both sides of each bound.

use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Components, Object, OneOfBuilder, SchemaType, Type};
use utoipa::openapi::{ArrayBuilder, Ref, RefOr, Schema};

/// What a value may be.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// So many characters, and of this form where there is one.
    Text(usize, usize, Option<&'static str>),
    /// A whole number from, to.
    Whole(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these numbers.
    Number(&'static [u64]),
    /// So many items, each of which is bounded too.
    List(usize, usize, &'static Bound),
}
use Bound::{List, Number, Text, Whole, Word};

macro_rules! control {
    () => {
        "\\u0000-\\u001f\\u007f-\\u009f"
    };
}
/// What is trimmed off, line breaks too.
macro_rules! space {
    () => {
        "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
    };
}

const ANY: usize = usize::MAX;
const ROOM: Bound = Text(1, 200, Some("^(dm:[A-Za-z0-9_-]{43}|(?!dm:)[A-Za-z0-9_.:-]{1,200})$"));
const WANTED_ROOM: Bound = Text(1, 200, Some("^(?!dm:)[A-Za-z0-9_.:-]{1,200}$"));
/// At most 255 bytes too, which a schema cannot count.
const USER: Bound = Text(1, 255, Some(concat!("^[^", control!(), "]+$")));
const CLIENT_ID: Bound = Text(1, 64, Some(concat!("^[^", control!(), "]+$")));
const TERM: Bound = Text(1, 64, Some(concat!("^[^", control!(), "]+$")));
const DEVICE: Bound = Text(1, 64, Some("^[A-Za-z0-9_-]{1,64}$"));
const ID: Bound = Text(36, 36, Some("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"));
/// One line that is not blank.
const LINE: &str = concat!(
    "^[",
    space!(),
    "]*[^",
    control!(),
    space!(),
    "]([^",
    control!(),
    "]*[^",
    control!(),
    space!(),
    "])?[",
    space!(),
    "]*$"
);
const NAME: Bound = Text(1, 255, Some(LINE));
/// One line.
const REASON: Bound = Text(0, 500, Some(concat!("^[", space!(), "]*[^", control!(), "]*[", space!(), "]*$")));
/// 32 bytes in unpadded base64.
const KEY: Bound = Text(43, 43, Some("^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$"));
/// What a room has, and what of it a request may name.
const SETTINGS: &str = "RoomSettings";
const WANTED: &str = "RoomSettingsPatch";
const YEAR: u64 = 31_536_000;

/// Of which schema, which field.
const FIELDS: &[(&str, &str, Bound)] = &[
    ("Announcement", "content", Text(1, ANY, None)),
    ("Appointed", "role", Word(&["member", "moderator", "owner"])),
    ("AsUser", "user_id", USER),
    ("AsUser", "username", Text(1, ANY, None)),
    ("BanUser", "delete_messages_s", Whole(1, 604_800)),
    ("BanUser", "duration_s", Whole(1, YEAR)),
    ("BanUser", "reason", REASON),
    ("BanUser", "user_id", USER),
    ("CreateRoom", "members", List(2, 2, &USER)),
    ("CreateRoom", "name", NAME),
    ("CreateRoom", "room_id", WANTED_ROOM),
    ("CreateRoom", "type", Word(&["video", "stream", "group", "direct"])),
    ("Denial", "reason", REASON),
    ("EditBody", "content", Text(1, 32_768, None)),
    ("EditBody", "room_id", ROOM),
    ("ErasureBody", "reason", Text(0, 500, Some(concat!("^[^", control!(), "]*$")))),
    (
        "KeyBackup",
        "data",
        Text(2, 262_144, Some("^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048])?$")),
    ),
    ("NameDevice", "name", Text(1, ANY, None)),
    ("PatchRoom", "name", NAME),
    ("PlaceHold", "reason", Text(1, 500, Some(LINE))),
    ("PlaceHold", "room_id", ROOM),
    ("PlaceHold", "user_id", USER),
    ("PublishKeys", "curve25519", KEY),
    ("PublishKeys", "ed25519", KEY),
    ("PublishKeys", "name", Text(1, ANY, None)),
    ("Rate", "messages", Whole(1, 10_000)),
    ("Rate", "window_ms", Whole(100, 3_600_000)),
    ("Reasoned", "reason", REASON),
    ("ReportBody", "details", Text(0, 1_000, None)),
    ("ReportBody", "room_id", ROOM),
    ("ResolveBody", "resolution", Text(0, 500, None)),
    ("ResolveBody", "status", Word(&["resolved", "dismissed"])),
    ("RoomSettings", "delay_s", Number(&[0, 2, 4, 6])),
    ("RoomSettings", "edit_window_s", Whole(1, YEAR)),
    ("RoomSettings", "expect_viewers", Whole(1, 1_000_000)),
    ("RoomSettings", "followers_only_s", Whole(0, YEAR)),
    ("RoomSettings", "history_limit", Whole(1, 100)),
    ("RoomSettings", "max_message_length", Whole(1, 8_000)),
    ("RoomSettings", "retention_days", Whole(1, 3_650)),
    ("RoomSettings", "retention_messages", Whole(100, 10_000_000)),
    ("RoomSettings", "sample_above", Whole(1, 10_000)),
    ("RoomSettings", "slow_s", Whole(1, 21_600)),
    ("RoomSettings", "subscribers_only_s", Whole(0, YEAR)),
    ("SendBody", "client_id", CLIENT_ID),
    ("SendBody", "content", Text(1, 32_768, None)),
    ("SendBody", "mentions", List(0, 20, &Text(0, ANY, None))),
    ("SendBody", "type", Word(&["text", "emote", "encrypted", "system"])),
    ("SetTerms", "allowed", List(0, 500, &TERM)),
    ("SetTerms", "blocked", List(0, 500, &TERM)),
    ("SignedKey", "key", KEY),
    ("SignedKey", "key_id", Text(1, 64, Some("^[A-Za-z0-9+/_-]{1,64}$"))),
    ("SignedKey", "signature", Text(86, 86, Some("^[A-Za-z0-9+/]{85}[AQgw]$"))),
    ("TokenBody", "user", USER),
    ("TryTerms", "allowed", List(0, 500, &TERM)),
    ("TryTerms", "blocked", List(0, 500, &TERM)),
    ("TryTerms", "content", Text(1, ANY, None)),
];

/// What a parameter of this name may be; none where nothing is said of it.
pub(super) fn parameter(name: &str) -> Option<Bound> {
    match name {
        "room_id" => Some(ROOM),
        "user_id" => Some(USER),
        "device_id" => Some(DEVICE),
        "reason" => Some(REASON),
        "status" => Some(Word(&["open", "resolved", "dismissed"])),
        "before" => Some(ID),
        "format" => Some(Word(&["json"])),
        _ => None,
    }
}

impl Bound {
    /// The schema of a value that is nothing but this.
    pub(super) fn schema(self) -> Schema {
        if let List(least, most, each) = self {
            return ArrayBuilder::new()
                .items(RefOr::T(each.schema()))
                .min_items(Some(least))
                .max_items(Some(most))
                .into();
        }
        let kind = if matches!(self, Whole(..) | Number(_)) { Type::Integer } else { Type::String };
        let mut object = Object::with_type(kind);
        self.narrow(&mut object);
        object.into()
    }

    /// Narrows the schema of a field down to it.
    fn put(self, schema: &mut RefOr<Schema>) {
        match schema {
            RefOr::T(Schema::Object(object)) => self.narrow(object),
            RefOr::T(Schema::Array(array)) => {
                if let List(least, most, each) = self {
                    array.min_items = Some(least).filter(|least| *least > 0);
                    array.max_items = Some(most);
                    array.items = ArrayItems::RefOrSchema(Box::new(each.schema().into()));
                }
            }
            // Of another type's values only some.
            RefOr::Ref(reference) => {
                let mut own = Object::with_type(Type::String);
                self.narrow(&mut own);
                own.description = Some(std::mem::take(&mut reference.description));
                *schema = RefOr::T(own.into());
            }
            RefOr::T(_) => {}
        }
    }

    fn narrow(self, object: &mut Object) {
        let words: Vec<Value> = match self {
            Text(least, most, form) => {
                object.min_length = Some(least).filter(|least| *least > 0);
                object.max_length = Some(most).filter(|most| *most < ANY);
                object.pattern = form.map(str::to_owned);
                return;
            }
            Whole(low, high) => {
                (object.minimum, object.maximum) = (Some((low as f64).into()), Some((high as f64).into()));
                return;
            }
            List(..) => return,
            Word(words) => words.iter().copied().map(Value::from).collect(),
            Number(numbers) => numbers.iter().copied().map(Value::from).collect(),
        };
        let null = matches!(&object.schema_type, SchemaType::Array(kinds) if kinds.contains(&Type::Null));
        object.enum_values = Some(words.into_iter().chain(null.then_some(Value::Null)).collect());
    }
}

/// Puts the bounds into the schemas, and makes of the settings that a room has those that a request may name: any of
/// them null, and no other.
pub(super) fn put(components: &mut Components) {
    for (schema, field, bound) in FIELDS {
        if let Some(known) = properties(components, schema).and_then(|fields| fields.get_mut(*field)) {
            bound.put(known);
        }
    }
    let mut wanted = components.schemas.get(SETTINGS).cloned();
    if let Some(RefOr::T(Schema::Object(settings))) = &mut wanted {
        settings.description = Some("What a request may set; null sets a setting back to its default.".to_owned());
        settings.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        settings.properties.values_mut().for_each(or_null);
    }
    components.schemas.extend(wanted.map(|wanted| (WANTED.to_owned(), wanted)));
    for body in ["CreateRoom", "PatchRoom"] {
        let settings = properties(components, body).and_then(|fields| fields.get_mut("settings"));
        if let Some(RefOr::T(Schema::OneOf(either))) = settings {
            for one in &mut either.items {
                if let RefOr::Ref(settings) = one {
                    settings.ref_location = Ref::from_schema_name(WANTED).ref_location;
                }
            }
        }
    }
}

type Properties = BTreeMap<String, RefOr<Schema>>;

fn properties<'a>(components: &'a mut Components, schema: &str) -> Option<&'a mut Properties> {
    match components.schemas.get_mut(schema) {
        Some(RefOr::T(Schema::Object(object))) => Some(&mut object.properties),
        _ => None,
    }
}

fn or_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Type(kind) = &object.schema_type {
                object.schema_type = SchemaType::Array(vec![kind.clone(), Type::Null]);
                object.enum_values.iter_mut().for_each(|values| values.push(Value::Null));
            }
        }
        RefOr::Ref(reference) => {
            let null = Object::with_type(Type::Null);
            *schema = RefOr::T(OneOfBuilder::new().item(reference.clone()).item(null).into());
        }
        RefOr::T(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_of_a_field() {
        let api: Value = serde_json::from_str(&super::super::openapi_json()).unwrap();
        for (schema, field, _) in FIELDS {
            let at = format!("/components/schemas/{schema}/properties/{field}");
            let known = api.pointer(&at).unwrap_or_else(|| panic!("{at}"));
            let words = ["enum", "minLength", "maxLength", "minimum", "maxItems", "items"];
            assert!(words.iter().any(|word| known.get(word).is_some()), "{at}: {known}");
        }
    }
}
