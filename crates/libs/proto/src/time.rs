//! Points in time on the wire: `google.protobuf.Timestamp` ↔ `chrono`, microsecond precision as PostgreSQL stores it.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

/// A timestamp was absent or outside of what `chrono` can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTime;

impl std::fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the time is missing or out of range")
    }
}

impl std::error::Error for InvalidTime {}

/// The wire form of a point in time.
pub fn to_timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        // Below 2^31: less than a second, in nanoseconds.
        nanos: i32::try_from(time.timestamp_subsec_micros() * 1_000).unwrap_or_default(),
    }
}

/// A required timestamp of a message.
///
/// # Errors
/// [`InvalidTime`] when it is absent or out of range.
pub fn from_timestamp(timestamp: Option<Timestamp>) -> Result<DateTime<Utc>, InvalidTime> {
    let timestamp = timestamp.ok_or(InvalidTime)?;
    let nanos = u32::try_from(timestamp.nanos).map_err(|_| InvalidTime)?;
    DateTime::from_timestamp(timestamp.seconds, nanos).ok_or(InvalidTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_the_wire_to_the_microsecond() {
        let time = DateTime::from_timestamp_micros(1_795_430_400_123_456).unwrap();
        assert_eq!(from_timestamp(Some(to_timestamp(time))), Ok(time));
        assert_eq!(from_timestamp(None), Err(InvalidTime));
    }
}
