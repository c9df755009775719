//! Cursors of lists that go by time: a place as an opaque word, microseconds and then the id.

use chassis::Fault;
use chrono::DateTime;
use uuid::Uuid;

use crate::error;
use crate::store::Moment;

/// The end of the year 9999, in microseconds: far beyond any place, and PostgreSQL can store it.
const LAST_MICROSECOND: i64 = 253_402_300_799_999_999;

pub(super) fn write_moment(moment: Moment) -> String {
    format!("{}.{}", moment.at.timestamp_micros(), moment.id)
}

/// Empty: the first page.
pub(super) fn find_moment(cursor: &str) -> Result<Option<Moment>, Fault> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let read = || {
        let (micros, id) = cursor.split_once('.')?;
        let micros = micros.parse().ok().filter(|micros| (0..=LAST_MICROSECOND).contains(micros))?;
        Some(Moment { at: DateTime::from_timestamp_micros(micros)?, id: Uuid::try_parse(id).ok()? })
    };
    read().map(Some).ok_or_else(error::invalid_cursor)
}
