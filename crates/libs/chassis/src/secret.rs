//! A string that must not be seen: passwords, tokens, database addresses.
//!
//! It prints as `***`, so a settings struct can derive `Debug` and be logged. It refuses to be displayed,
//! compared or serialized; whoever needs the value says so with [`Secret::expose`].

use std::fmt;

use serde::Deserialize;

/// A secret value from the settings. `""` means "not set".
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when the setting was left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "(unset)" } else { "***" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_seen_in_debug_output() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(format!("{:?}", Secret::default()), "(unset)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
