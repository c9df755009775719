//! The reconciler: compares the numbers that a carrier's account owns with ours, reports what differs, and repairs what
//! is safe (rule 5).
//!
//! It never buys, and it gives back only what we were about to buy ourselves and nobody uses. It reads an account a
//! page at a time and remembers nothing but its findings.

use std::sync::Arc;
use std::time::Duration;

use carriers::{Carrier, NumberOrder, OwnedNumber, WebhookAddresses};
use chassis::Clock;
use chrono::{DateTime, Utc};
use domain::LicenseId;
use tokio_util::sync::CancellationToken;

use crate::calls::Calls;
use crate::error::StoreError;
use crate::model::audit::{Finding, FindingKind, Known, Report, find_fault};
use crate::model::setback::Setback;
use crate::store::Store;

/// How often a replica asks whether it is its turn.
const POLL: Duration = Duration::from_mins(1);
/// Assigned numbers that a run did not see are asked for one by one, at most so many.
const MAX_UNSEEN: i64 = 1_000;

/// Audits. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Auditor {
    store: Store,
    calls: Calls,
    webhooks: WebhookAddresses,
    clock: Clock,
}

impl Auditor {
    pub(crate) fn new(store: Store, calls: Calls, webhooks: WebhookAddresses, clock: Clock) -> Self {
        Self { store, calls, webhooks, clock }
    }

    /// Audits once in each interval, one replica at a time, until `stopping`.
    pub(crate) async fn run(self, interval: Duration, repair: bool, stopping: CancellationToken) -> anyhow::Result<()> {
        while stopping.run_until_cancelled(tokio::time::sleep(POLL.min(interval))).await.is_some() {
            let audit = async {
                if self.store.take_audit_turn(interval, self.clock.now()).await? {
                    self.audit(repair).await?;
                }
                Ok::<_, StoreError>(())
            };
            // An audit that is broken off has left nothing half done.
            if let Some(Err(error)) = stopping.run_until_cancelled(audit).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "the audit failed");
            }
        }
        Ok(())
    }

    /// Every carrier's account, now.
    pub(crate) async fn audit(&self, repair: bool) -> Result<Vec<Report>, StoreError> {
        let mut reports = Vec::new();
        for carrier in self.calls.list() {
            let report = self.audit_carrier(&carrier, repair).await?;
            publish(&report);
            reports.push(report);
        }
        Ok(reports)
    }

    async fn audit_carrier(&self, carrier: &Arc<dyn Carrier>, repair: bool) -> Result<Report, StoreError> {
        let (name, since) = (carrier.name(), self.clock.now());
        let mut report = Report::new(name, self.store.count_expected(name).await?);
        let mut page = None;
        loop {
            let owned = match self.calls.bounded(carrier.list_owned_numbers(page.as_deref())).await {
                Ok(owned) => owned,
                Err(error) => {
                    tracing::warn!(carrier = %name, error = &error as &dyn std::error::Error, "an audit was cut short");
                    report.error = Some(Setback::of(&error).as_str());
                    return Ok(report);
                }
            };
            report.owned += u64::try_from(owned.numbers.len()).unwrap_or(u64::MAX);
            let known = self.store.record_seen(name, &owned.numbers, self.clock.now()).await?;
            for (owned, known) in owned.numbers.iter().zip(known) {
                if let Some(finding) = self.check(carrier, owned, known, repair).await? {
                    report.add(finding);
                }
            }
            page = owned.next;
            if page.is_none() {
                break;
            }
        }
        self.find_missing(carrier, since, &mut report).await?;
        Ok(report)
    }

    async fn check(
        &self,
        carrier: &Arc<dyn Carrier>,
        owned: &OwnedNumber,
        known: Known,
        repair: bool,
    ) -> Result<Option<Finding>, StoreError> {
        let webhooks = self.webhooks.of_number(carrier.name());
        let Some(kind) = find_fault(owned, &known, &webhooks) else { return Ok(None) };
        if kind == FindingKind::Orphaned && self.is_gone(carrier, owned).await {
            return Ok(None);
        }
        let license_id = match known {
            Known::Assigned(license_id) => Some(license_id),
            _ => owned.license_id.clone(),
        };
        let repaired = match (&license_id, repair) {
            (Some(license_id), true) => self.repair(carrier, owned, kind, license_id).await?,
            _ => false,
        };
        Ok(Some(Finding { kind, number: owned.number, license_id, repaired }))
    }

    /// Given back since the page was read.
    async fn is_gone(&self, carrier: &Arc<dyn Carrier>, owned: &OwnedNumber) -> bool {
        let Some(license_id) = &owned.license_id else { return false };
        matches!(self.calls.bounded(carrier.find_owned_number(&owned.number, license_id)).await, Ok(None))
    }

    /// What is safe to do without a person. False: nothing, or it did not work and is found again.
    async fn repair(
        &self,
        carrier: &Arc<dyn Carrier>,
        owned: &OwnedNumber,
        kind: FindingKind,
        license_id: &LicenseId,
    ) -> Result<bool, StoreError> {
        match kind {
            FindingKind::Orphaned => {
                self.store.record_orphan(carrier.name(), owned, license_id, self.clock.now()).await
            }
            FindingKind::Misconfigured => {
                let order = NumberOrder {
                    number: owned.number,
                    license_id: license_id.clone(),
                    webhooks: self.webhooks.of_number(carrier.name()),
                };
                let configured = self.calls.bounded(carrier.configure_number(owned, &order)).await;
                if let Err(error) = &configured {
                    tracing::warn!(%license_id, error = error as &dyn std::error::Error, "a number stays misconfigured");
                }
                Ok(configured.is_ok())
            }
            FindingKind::Foreign | FindingKind::Missing => Ok(false),
        }
    }

    /// A list that changes while it is read may leave a number out, so each missing one is asked for by itself.
    async fn find_missing(
        &self,
        carrier: &Arc<dyn Carrier>,
        since: DateTime<Utc>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        for (number, license_id) in self.store.list_unseen(carrier.name(), since, MAX_UNSEEN).await? {
            match self.calls.bounded(carrier.find_owned_number(&number, &license_id)).await {
                Ok(Some(_)) => {}
                Ok(None) => report.add(Finding {
                    kind: FindingKind::Missing,
                    number,
                    license_id: Some(license_id),
                    repaired: false,
                }),
                Err(error) => {
                    report.error = Some(Setback::of(&error).as_str());
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Gauges and one line, both without numbers.
fn publish(report: &Report) {
    let carrier = report.carrier.as_str();
    // What was cut short says nothing about the rest: the last whole audit stands.
    if report.error.is_none() {
        for kind in FindingKind::ALL {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            metrics::gauge!("numbers_audit_findings", "carrier" => carrier, "kind" => kind.as_str())
                .set(report.count(kind) as f64);
        }
    }
    let error = report.error.unwrap_or("none");
    metrics::counter!("numbers_audits_total", "carrier" => carrier, "error" => error).increment(1);
    tracing::info!(
        carrier,
        owned = report.owned,
        expected = report.expected,
        orphaned = report.count(FindingKind::Orphaned),
        foreign = report.count(FindingKind::Foreign),
        missing = report.count(FindingKind::Missing),
        misconfigured = report.count(FindingKind::Misconfigured),
        repaired = report.repaired,
        error,
        "audited a carrier's account"
    );
}
