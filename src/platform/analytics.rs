//! Points for Workers Analytics Engine, where the deployment has bound a data set as `ANALYTICS`.

use super::log;
use crate::metrics::Point;
use worker::{AnalyticsEngineDataPointBuilder, Env, Result};

const BINDING: &str = "ANALYTICS";

/// Writes them; nothing where there is no such binding.
pub(super) fn write(env: &Env, points: &[Point]) {
    if points.is_empty() {
        return;
    }
    let Ok(dataset) = env.analytics_engine(BINDING) else { return };
    let written: Result<()> = points.iter().try_for_each(|point| {
        let builder = AnalyticsEngineDataPointBuilder::new().indexes([point.index()]).add_blob(point.room_id.as_str());
        point.doubles.iter().fold(builder, |builder, double| builder.add_double(*double)).write_to(&dataset)
    });
    if let Err(error) = written {
        log::error(&[], format_args!("analytics: {error}"));
    }
}
