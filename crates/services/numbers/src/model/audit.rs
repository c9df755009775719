//! What the account at a carrier should hold, beside what it does (rule 5).
//!
//! Only a number that we were about to buy, for the license that its tag names, is ours to give back. Everything
//! else that is strange is reported and left alone.

use std::collections::BTreeMap;

use carriers::{NumberWebhooks, OwnedNumber};
use domain::{CarrierName, LicenseId, PhoneNumber};

/// Of each kind so many are reported one by one; all are counted.
const MAX_FINDINGS: u64 = 1_000;

/// What is wrong with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FindingKind {
    /// Owned, and nobody's here.
    Orphaned,
    /// Owned, and we never bought it.
    Foreign,
    /// Assigned here and not owned.
    Missing,
    /// Assigned, with another tag or other webhooks.
    Misconfigured,
}

impl FindingKind {
    pub(crate) const ALL: [Self; 4] = [Self::Orphaned, Self::Foreign, Self::Missing, Self::Misconfigured];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Orphaned => "orphaned",
            Self::Foreign => "foreign",
            Self::Missing => "missing",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// One number that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: FindingKind,
    pub(crate) number: PhoneNumber,
    /// Whose it is here, or whom the tag names.
    pub(crate) license_id: Option<LicenseId>,
    /// This run repaired it, or began to.
    pub(crate) repaired: bool,
}

/// What our tables say of a number that the account owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Somebody's messages number, at this carrier.
    Assigned(LicenseId),
    /// Being bought or being given back: those loops see to it.
    UnderWay,
    /// We were about to buy it for the license that the tag names, and nobody uses it.
    Bought,
    Stranger,
}

/// What is wrong with an owned number, if anything.
pub(crate) fn find_fault(owned: &OwnedNumber, known: &Known, webhooks: &NumberWebhooks) -> Option<FindingKind> {
    match known {
        Known::Assigned(license_id) => {
            let tagged = owned.license_id.as_ref() == Some(license_id);
            let reports_here = owned.message_url.as_ref().is_none_or(|url| *url == webhooks.message_url);
            (!(tagged && reports_here)).then_some(FindingKind::Misconfigured)
        }
        Known::UnderWay => None,
        Known::Bought => Some(FindingKind::Orphaned),
        Known::Stranger => Some(FindingKind::Foreign),
    }
}

/// One carrier's account beside our tables.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) carrier: CarrierName,
    /// Numbers that the account owns.
    pub(crate) owned: u64,
    /// Numbers that are assigned, being bought or being given back here.
    pub(crate) expected: u64,
    /// All of them, by kind.
    pub(crate) counts: BTreeMap<FindingKind, u64>,
    pub(crate) repaired: u64,
    /// The first of each kind.
    pub(crate) findings: Vec<Finding>,
    /// Why the account could not be read to its end.
    pub(crate) error: Option<&'static str>,
}

impl Report {
    pub(crate) fn new(carrier: CarrierName, expected: u64) -> Self {
        Self {
            carrier,
            owned: 0,
            expected,
            counts: FindingKind::ALL.map(|kind| (kind, 0)).into(),
            repaired: 0,
            findings: Vec::new(),
            error: None,
        }
    }

    /// Counts it, and keeps it while there is room.
    pub(crate) fn add(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.kind).or_default();
        *count += 1;
        self.repaired += u64::from(finding.repaired);
        if *count <= MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    pub(crate) fn count(&self, kind: FindingKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or_default()
    }
}

impl From<Report> for proto::numbers::CarrierAudit {
    fn from(report: Report) -> Self {
        Self {
            carrier: report.carrier.to_string(),
            owned: report.owned,
            expected: report.expected,
            findings: report.findings.into_iter().map(Into::into).collect(),
            error: report.error.map(str::to_owned),
        }
    }
}

impl From<Finding> for proto::numbers::AuditFinding {
    fn from(finding: Finding) -> Self {
        Self {
            kind: finding.kind.as_str().to_owned(),
            number: finding.number.as_str().to_owned(),
            license_id: finding.license_id.map(|license_id| license_id.to_string()),
            repaired: finding.repaired,
        }
    }
}

#[cfg(test)]
mod tests {
    use carriers::WebhookAddresses;

    use super::*;

    #[test]
    fn a_number_is_as_it_should_be_only_with_our_tag_and_our_webhooks() {
        let webhooks = WebhookAddresses::parse("https://in.example.com").unwrap().of_number(CarrierName::Twilio);
        let acme = LicenseId::parse("acme").unwrap();
        let owned = |tag: Option<&str>, url: Option<&str>| OwnedNumber {
            carrier_number_id: "PN1".into(),
            number: PhoneNumber::from_e164("+14152345678").unwrap(),
            license_id: tag.map(|tag| LicenseId::parse(tag).unwrap()),
            message_url: url.map(|url| url.parse().unwrap()),
        };
        let ours = "https://in.example.com/webhooks/twilio/message";
        for (tag, url, fault) in [
            (Some("acme"), Some(ours), None),
            // A carrier that does not say it with the number.
            (Some("acme"), None, None),
            (Some("acme"), Some("https://elsewhere.example.com/"), Some(FindingKind::Misconfigured)),
            (Some("other"), Some(ours), Some(FindingKind::Misconfigured)),
            (None, Some(ours), Some(FindingKind::Misconfigured)),
        ] {
            let assigned = Known::Assigned(acme.clone());
            assert_eq!(find_fault(&owned(tag, url), &assigned, &webhooks), fault, "{tag:?} {url:?}");
        }
        let owned = owned(Some("acme"), None);
        assert_eq!(find_fault(&owned, &Known::UnderWay, &webhooks), None);
        assert_eq!(find_fault(&owned, &Known::Bought, &webhooks), Some(FindingKind::Orphaned));
        assert_eq!(find_fault(&owned, &Known::Stranger, &webhooks), Some(FindingKind::Foreign));
    }

    #[test]
    fn a_report_counts_all_and_shows_at_most_a_thousand_of_each_kind() {
        let mut report = Report::new(CarrierName::Twilio, 0);
        for _ in 0..1_001 {
            report.add(Finding {
                kind: FindingKind::Foreign,
                number: PhoneNumber::from_e164("+14152345678").unwrap(),
                license_id: None,
                repaired: false,
            });
        }
        assert_eq!((report.findings.len(), report.count(FindingKind::Foreign)), (1_000, 1_001));
        assert_eq!(report.count(FindingKind::Missing), 0);
    }
}
