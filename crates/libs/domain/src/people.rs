//! What a person is to a license.
//!
//! A label for the recipient picker; no rule of sending or reading depends on it.

use crate::words::word_set;

word_set! {
    /// Somebody a manager texts.
    PersonKind, "kind of person" {
        Tenant = "tenant",
        Lead = "lead",
        Vendor = "vendor",
        Owner = "owner",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        for kind in PersonKind::ALL {
            assert_eq!(kind.as_str().parse::<PersonKind>().unwrap(), *kind);
            let json = serde_json::to_string(kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<PersonKind>(&json).unwrap(), *kind);
        }
    }

    #[test]
    fn an_unknown_word_is_refused_with_the_words_that_are_known() {
        let error = "Tenant".parse::<PersonKind>().unwrap_err();
        assert_eq!(error.to_string(), "not a kind of person: expected one of tenant, lead, vendor, owner");
    }
}
