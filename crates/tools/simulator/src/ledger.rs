//! The file that keeps what the account has at its carriers from one run to the next: numbers of both carriers,
//! Telnyx's messaging profiles and TeXML applications. It is written anew on each change: they are few and change rarely.
//! A file that is a bare list of numbers is from the time when there was only Twilio; it is still read.

use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::numbers::OwnedNumber;

/// A messaging profile of Telnyx: where the texts of its numbers are posted, and the scope of a STOP.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) destinations: Vec<String>,
    pub(crate) webhook_url: Option<String>,
    pub(crate) webhook_failover_url: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A TeXML application of Telnyx: where the calls to its numbers are posted.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Application {
    pub(crate) id: String,
    pub(crate) friendly_name: String,
    pub(crate) voice_url: String,
    pub(crate) voice_fallback_url: Option<String>,
    pub(crate) status_callback: Option<String>,
    /// Without one the application cannot dial out.
    pub(crate) outbound_voice_profile_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// What is in the file, oldest first.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) numbers: Vec<OwnedNumber>,
    pub(crate) messaging_profiles: Vec<Profile>,
    pub(crate) texml_applications: Vec<Application>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Now(Ledger),
    BeforeTelnyx(Vec<OwnedNumber>),
}

impl Ledger {
    /// An empty one when the file is not there.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        if !file.exists() {
            return Ok(Self::default());
        }
        let unreadable = || format!("{} is not a list of owned numbers", file.display());
        let text = std::fs::read(file).with_context(unreadable)?;
        Ok(match serde_json::from_slice(&text).with_context(unreadable)? {
            Written::Now(ledger) => ledger,
            Written::BeforeTelnyx(numbers) => Self { numbers, ..Self::default() },
        })
    }

    /// All or nothing: a reader never sees half a file.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&unfinished, file)?;
        Ok(())
    }
}
