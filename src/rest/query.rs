//! Query parameters: checked, never clamped.

use crate::protocol::call::{PageQuery, ReportQuery};
use crate::protocol::report::ReportStatus;
use crate::protocol::{ChatError, ErrorCode, MessageId};

type Pairs<'a> = &'a [(String, String)];

fn invalid(name: &str, message: &str) -> ChatError {
    ChatError::new(ErrorCode::InvalidParameter, message).field(name)
}

/// The parameter, which may be given once.
fn once<'a>(pairs: Pairs<'a>, name: &str) -> Result<Option<&'a str>, ChatError> {
    let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() {
        return Err(invalid(name, &format!("`{name}` is given more than once.")));
    }
    Ok(first)
}

/// The parameter as a whole number within a range; none where it is not given.
fn number(pairs: Pairs<'_>, name: &str, low: u64, high: u64) -> Result<Option<u64>, ChatError> {
    let Some(value) = once(pairs, name)? else { return Ok(None) };
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u64>() {
        Ok(number) if digits && (low..=high).contains(&number) => Ok(Some(number)),
        _ if high == u64::MAX >> 11 => Err(invalid(name, &format!("`{name}` is a whole number from {low}."))),
        _ => Err(invalid(name, &format!("`{name}` is a whole number from {low} to {high}."))),
    }
}

/// The largest number that JavaScript holds exactly.
const SAFE: u64 = u64::MAX >> 11;

/// `page` (from 1) or `before` or `after` (numbers of messages), and `limit` (1–100, default 50).
///
/// # Errors
/// `invalid_parameter`.
pub fn page(pairs: Pairs<'_>) -> Result<PageQuery, ChatError> {
    let limit = number(pairs, "limit", 1, 100)?.unwrap_or(50);
    let page = number(pairs, "page", 1, SAFE)?;
    let before = number(pairs, "before", 0, SAFE)?;
    let after = number(pairs, "after", 0, SAFE)?;
    match (page, before, after) {
        (page, None, None) => Ok(PageQuery::Page { page: page.unwrap_or(1), limit }),
        (None, Some(no), None) => Ok(PageQuery::Before { no, limit }),
        (None, None, Some(no)) => Ok(PageQuery::After { no, limit }),
        (None, Some(_), Some(_)) => Err(invalid("after", "`before` and `after` exclude each other.")),
        (Some(_), _, _) => Err(invalid("page", "`page` excludes `before` and `after`.")),
    }
}

/// `mine=1`: whether the viewer's own reactions are wanted.
///
/// # Errors
/// `invalid_parameter`.
pub fn mine(pairs: Pairs<'_>) -> Result<bool, ChatError> {
    Ok(number(pairs, "mine", 0, 1)? == Some(1))
}

/// `limit` (1–100, default 50) and `cursor` (what `next` said), as how many and after how many.
///
/// # Errors
/// `invalid_parameter`.
pub fn members(pairs: Pairs<'_>) -> Result<(usize, usize), ChatError> {
    let limit = number(pairs, "limit", 1, 100)?.unwrap_or(50);
    let skip = number(pairs, "cursor", 0, u64::from(u32::MAX))?.unwrap_or(0);
    Ok((usize::try_from(limit).unwrap_or(50), usize::try_from(skip).unwrap_or(0)))
}

/// `before` (ms since 1970, exclusive; now without it) and `limit` (1–100, default 50).
///
/// # Errors
/// `invalid_parameter`.
pub fn audit(pairs: Pairs<'_>) -> Result<(u64, u64), ChatError> {
    let limit = number(pairs, "limit", 1, 100)?.unwrap_or(50);
    Ok((number(pairs, "before", 0, SAFE)?.unwrap_or(SAFE), limit))
}

/// `status` (`open` without it), `before` (the id of a report, exclusive) and `limit` (1–100, default 50).
///
/// # Errors
/// `invalid_parameter`.
pub fn reports(pairs: Pairs<'_>) -> Result<ReportQuery, ChatError> {
    let limit = number(pairs, "limit", 1, 100)?.unwrap_or(50);
    let status = match once(pairs, "status")? {
        None => ReportStatus::Open,
        Some(status) => ReportStatus::parse(status)
            .ok_or_else(|| invalid("status", "`status` is `open`, `resolved` or `dismissed`."))?,
    };
    let before = match once(pairs, "before")? {
        None => None,
        Some(id) => Some(MessageId::parse(id).ok_or_else(|| invalid("before", "`before` is the id of a report."))?),
    };
    Ok(ReportQuery { status, before, limit })
}

/// `before` (the id of a hold, exclusive) and `limit` (1–100, default 50).
///
/// # Errors
/// `invalid_parameter`.
pub fn holds(pairs: Pairs<'_>) -> Result<(Option<MessageId>, u64), ChatError> {
    let limit = number(pairs, "limit", 1, 100)?.unwrap_or(50);
    let id = |id| MessageId::parse(id).ok_or_else(|| invalid("before", "`before` is the id of a hold."));
    Ok((once(pairs, "before")?.map(id).transpose()?, limit))
}

/// `after`, the cursor of an export.
///
/// # Errors
/// `invalid_parameter`.
pub fn after(pairs: Pairs<'_>) -> Result<Option<&str>, ChatError> {
    once(pairs, "after")
}

/// `reason`, which the act itself looks at.
///
/// # Errors
/// `invalid_parameter`.
pub fn reason(pairs: Pairs<'_>) -> Result<Option<&str>, ChatError> {
    once(pairs, "reason")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &[(&str, &str)]) -> Result<PageQuery, ChatError> {
        let pairs: Vec<_> = query.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        page(&pairs)
    }

    #[test]
    fn pages() {
        assert_eq!(read(&[]), Ok(PageQuery::Page { page: 1, limit: 50 }));
        assert_eq!(read(&[("page", "3"), ("limit", "100"), ("x", "y")]), Ok(PageQuery::Page { page: 3, limit: 100 }));
        assert_eq!(read(&[("before", "17")]), Ok(PageQuery::Before { no: 17, limit: 50 }));
        assert_eq!(read(&[("after", "0")]), Ok(PageQuery::After { no: 0, limit: 50 }));
    }

    #[test]
    fn what_is_not_clamped() {
        for (query, field) in [
            (vec![("page", "0")], "page"),
            (vec![("limit", "10000")], "limit"),
            (vec![("limit", "0")], "limit"),
            (vec![("limit", "+5")], "limit"),
            (vec![("limit", "")], "limit"),
            (vec![("page", "-1")], "page"),
            (vec![("page", "99999999999999999999")], "page"),
            (vec![("page", "1"), ("page", "2")], "page"),
            (vec![("page", "1"), ("before", "5")], "page"),
            (vec![("before", "1"), ("after", "5")], "after"),
        ] {
            let error = read(&query).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidParameter, Some(field)), "{query:?}");
        }
    }
}
