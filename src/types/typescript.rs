//! JSON Schema as TypeScript: as much of it as the protocol's types have.

use super::Row;
use serde_json::Value;
use std::fmt::Write;

fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn doc(schema: &Value, indent: &str) -> String {
    match schema.get("description").and_then(Value::as_str) {
        Some(text) => {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{indent}/** {} */\n", words.replace("*/", "*\\/"))
        }
        None => String::new(),
    }
}

fn either(mut types: Vec<String>) -> String {
    let mut known = std::collections::BTreeSet::new();
    types.retain(|one| known.insert(one.clone()));
    types.join(" | ")
}

fn grouped(of: String) -> String {
    if of.contains(" | ") { format!("({of})") } else { of }
}

/// The type of values that `schema` allows.
pub(super) fn of(schema: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        parts.push(name.rsplit('/').next().unwrap().to_owned());
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(list)) = schema.get(key) {
            parts.push(either(list.iter().map(of).collect()));
        }
    }
    if let Some(value) = schema.get("const") {
        parts.push(value.to_string());
    } else if let Some(Value::Array(values)) = schema.get("enum") {
        parts.push(either(values.iter().map(Value::to_string).collect()));
    } else if schema.get("properties").is_some() {
        parts.push(format!("{{ {} }}", fields(schema, true, "").trim_end().replace('\n', " ")));
    } else if parts.is_empty() {
        parts.push(either(texts(schema.get("type")).into_iter().map(|kind| plain(kind, schema)).collect()));
    }
    parts.retain(|part| !part.is_empty());
    match parts.len() {
        0 => "unknown".to_owned(),
        1 => parts.remove(0),
        _ => parts.into_iter().map(grouped).collect::<Vec<_>>().join(" & "),
    }
}

fn plain(kind: &str, schema: &Value) -> String {
    match kind {
        "string" | "boolean" | "null" => kind.to_owned(),
        "integer" | "number" => "number".to_owned(),
        "array" => {
            let item = schema.get("items").map_or("unknown".to_owned(), of);
            match schema.get("maxItems").and_then(Value::as_u64) {
                Some(length) => format!("[{}]", vec![item; usize::try_from(length).unwrap()].join(", ")),
                None => format!("{}[]", grouped(item)),
            }
        }
        "object" => match schema.get("additionalProperties") {
            Some(values) => format!("Record<string, {}>", of(values)),
            None => "Record<string, never>".to_owned(),
        },
        other => panic!("no TypeScript for {other}"),
    }
}

/// The fields of an object, a line each. What the service says and may skip is not null where it is there.
fn fields(schema: &Value, said: bool, indent: &str) -> String {
    let required = texts(schema.get("required"));
    let mut text = String::new();
    for (name, field) in schema.get("properties").and_then(Value::as_object).unwrap() {
        let optional = !required.contains(&name.as_str());
        let mut kind = of(field);
        if optional && said {
            kind = kind.split(" | ").filter(|part| *part != "null").collect::<Vec<_>>().join(" | ");
        }
        if !indent.is_empty() {
            text.push_str(&doc(field, indent));
        }
        writeln!(text, "{indent}{name}{}: {kind};", if optional { "?" } else { "" }).unwrap();
    }
    text
}

/// A named type.
pub(super) fn declaration(name: &str, schema: &Value, said: bool) -> String {
    let described = doc(schema, "");
    if schema.get("properties").is_none() || schema.get("oneOf").is_some() {
        return format!("{described}export type {name} = {};\n", of(schema));
    }
    format!("{described}export interface {name} {{\n{}}}\n", fields(schema, said, "  "))
}

/// What is told of each name.
pub(super) fn table(name: &str, doc: &str, rows: &[Row]) -> String {
    let rows = rows.iter().map(|(name, data, reply)| match reply {
        Some(reply) => format!("  {name}: {{ data: {data}; reply: {reply} }};\n"),
        None => format!("  {name}: {data};\n"),
    });
    format!("\n/** {doc} */\nexport interface {name} {{\n{}}}\n", rows.collect::<String>())
}
