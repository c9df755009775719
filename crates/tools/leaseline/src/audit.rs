//! `leaseline numbers audit`: the numbers that each carrier's account owns, beside ours (rule 5).

use std::time::Duration;

use anyhow::{Result, bail};
use chassis::Fault;
use chassis::serve::{ChannelTimeouts, grpc_channel};
use proto::numbers::numbers_service_client::NumbersServiceClient;
use proto::numbers::{AuditFinding, AuditNumbersRequest, CarrierAudit};

/// An account of a hundred thousand numbers is four hundred pages.
const TIMEOUT: Duration = Duration::from_mins(10);

/// What to do with messages numbers.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Compare what the carriers' accounts own with what Leaseline knows.
    Audit {
        /// Also give back what was bought and is not used, and set webhooks that were lost.
        #[arg(long)]
        repair: bool,
    },
}

/// Each kind of finding in words, and what to do about it.
#[rustfmt::skip]
const KINDS: &[(&str, &str)] = &[
    ("orphaned",      "bought by us and nobody's: costs money. `--repair` gives it back"),
    ("foreign",       "owned, and never bought by us: give it back at the carrier, if nobody else uses it"),
    ("missing",       "assigned, and not owned any more: that license cannot text. Buy it again at the carrier, or save another one"),
    ("misconfigured", "assigned, with another tag or other webhooks: answers do not arrive. `--repair` sets them"),
];

/// Carries out one command.
///
/// # Errors
/// When the numbers service does not answer, or an account could not be read to its end.
pub async fn run(numbers_url: String, command: Command) -> Result<()> {
    let Command::Audit { repair } = command;
    println!("asking {numbers_url}, which asks the carriers");
    let audits = ask(&numbers_url, repair).await?;
    let mut incomplete = Vec::new();
    for audit in &audits {
        print_audit(audit);
        incomplete.extend(audit.error.as_ref().map(|error| format!("{}: {error}", audit.carrier)));
    }
    if incomplete.is_empty() {
        Ok(())
    } else {
        bail!("not read to the end, try again later: {}", incomplete.join(", "))
    }
}

/// Mends what is safe and says nothing of it.
///
/// # Errors
/// When the numbers service does not answer, or an account could not be read to its end.
pub async fn repair(numbers_url: &str) -> Result<()> {
    match ask(numbers_url, true).await?.into_iter().find_map(|audit| audit.error) {
        None => Ok(()),
        Some(error) => bail!("the carriers' numbers could not be compared: {error}"),
    }
}

async fn ask(numbers_url: &str, repair: bool) -> Result<Vec<CarrierAudit>> {
    let timeouts = ChannelTimeouts { request: TIMEOUT, ..ChannelTimeouts::default() };
    let mut client = NumbersServiceClient::new(grpc_channel(numbers_url, timeouts)?);
    match client.audit_numbers(AuditNumbersRequest { repair }).await {
        Ok(answer) => Ok(answer.into_inner().audits),
        Err(status) => bail!("the numbers service at {numbers_url}: {}", Fault::from_status(&status)),
    }
}

fn print_audit(audit: &CarrierAudit) {
    println!("\n{}: {} numbers owned, {} known here", audit.carrier, audit.owned, audit.expected);
    if audit.findings.is_empty() && audit.error.is_none() {
        println!("  they agree");
    }
    for (kind, meaning) in KINDS {
        let found: Vec<&AuditFinding> = audit.findings.iter().filter(|finding| finding.kind == *kind).collect();
        if found.is_empty() {
            continue;
        }
        println!("  {kind} ({}): {meaning}", found.len());
        for finding in found {
            let license = finding.license_id.as_deref().unwrap_or("no license");
            let repaired = if finding.repaired { "  repaired" } else { "" };
            println!("    {}  {license}{repaired}", finding.number);
        }
    }
}
