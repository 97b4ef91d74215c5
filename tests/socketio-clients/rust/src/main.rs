//! rust_socketio as a test drives it: a line of JSON in is an event to emit; what comes of it is a line out.

use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{Value, json};
use std::error::Error;
use std::time::Duration;

fn values(payload: Payload) -> Vec<Value> {
    match payload {
        Payload::Text(values) => values,
        other => vec![json!(format!("{other:?}"))],
    }
}

fn say(kind: &str, mut rest: Vec<Value>) {
    rest.insert(0, json!(kind));
    println!("{}", Value::Array(rest));
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("usage: socketio-client url transport auth");
    let (url, transport) = (next()?, next()?);
    let auth: Value = serde_json::from_str(&next()?)?;
    let transport = match transport.as_str() {
        "polling" => TransportType::Polling,
        "websocket" => TransportType::Websocket,
        _ => TransportType::Any,
    };
    let mut builder = ClientBuilder::new(url)
        .transport_type(transport)
        .on(Event::Connect, |_, _| say("connected", vec![]))
        .on(Event::Close, |reason, _| say("disconnected", values(reason)))
        // What the client itself has to say comes under this name as well, as text.
        .on(Event::Error, |error, _| match values(error) {
            text if text.first().is_some_and(Value::is_string) => say("refused", text),
            mut data => {
                data.insert(0, json!("error"));
                say("heard", data);
            }
        })
        .on_any(|event, payload, _| {
            let mut data = values(payload);
            data.insert(0, json!(String::from(event)));
            say("heard", data);
        });
    if !auth.is_null() {
        builder = builder.auth(auth);
    }
    let client = builder.connect()?;
    for line in std::io::stdin().lines() {
        let (event, data, number): (String, Value, Option<u64>) = serde_json::from_str(&line?)?;
        match number {
            None => client.emit(event, data)?,
            Some(number) => client.emit_with_ack(event, data, Duration::from_secs(10), move |reply, _| {
                // It hands over all arguments as one.
                let data = values(reply).pop().unwrap_or_default();
                say("reply", vec![json!(number), data.get(0).cloned().unwrap_or(data)]);
            })?,
        }
    }
    client.disconnect()?;
    Ok(())
}
