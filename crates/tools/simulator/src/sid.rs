//! Twilio's ids: two letters that say the kind, and 32 hexadecimal digits.

/// A new id with this prefix, for example `SM`.
pub(crate) fn make(prefix: &str) -> String {
    format!("{prefix}{:032x}", rand::random::<u128>())
}
