//! One connection to PostgreSQL through Hyperdrive, and queries that answer one row of JSON text.

use super::log;
use std::rc::Rc;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls};
use worker::Env;

/// A typed argument.
pub(super) type Argument<'a> = (&'a (dyn ToSql + Sync), Type);

/// Connects; `drive` is given the connection's future, which has to be polled while the client is used.
///
/// # Errors
/// In words for the operator's log.
pub(super) async fn connect(env: &Env, drive: impl FnOnce(Driver)) -> Result<Rc<Client>, String> {
    let hyperdrive = env.hyperdrive("DB").map_err(|error| error.to_string())?;
    let config: Config = hyperdrive.connection_string().parse().map_err(|_| "the connection string cannot be read")?;
    let socket = hyperdrive.connect().map_err(|error| error.to_string())?;
    let (client, connection) = config.connect_raw(socket, NoTls).await.map_err(|error| words(&error))?;
    drive(Box::pin(async move {
        if let Err(error) = connection.await {
            log::error(&[], format_args!("postgres connection: {}", words(&error)));
        }
    }));
    Ok(Rc::new(client))
}

/// The future that moves a connection's bytes.
pub(super) type Driver = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// The first column of the first row as text; none where there is no row.
///
/// # Errors
/// In words for the operator's log.
pub(super) async fn one(client: &Client, query: &str, arguments: &[Argument<'_>]) -> Result<Option<String>, String> {
    let rows = client.query_typed(query, arguments).await.map_err(|error| words(&error))?;
    rows.first().map(|row| row.try_get(0).map_err(|error| words(&error))).transpose()
}

fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} {}", db.code().code(), db.message()),
        None => error.to_string(),
    }
}
