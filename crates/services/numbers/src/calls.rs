//! Calls to carriers, each with an end. The end is what a lease is reckoned by, so it holds whatever an adapter does.
//!
//! It refuses to retry: the sagas decide what follows.

use std::sync::Arc;
use std::time::Duration;

use carriers::{CallError, Carrier, Carriers};
use domain::CarrierName;

/// What a lease leaves for our own database besides one call to a carrier.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// The carriers of this installation, and how long one call to them may take in all. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    carriers: Carriers,
    limit: Duration,
}

impl Calls {
    pub(crate) fn new(carriers: Carriers, limit: Duration) -> Self {
        Self { carriers, limit }
    }

    /// The one of this name, if it is set up.
    pub(crate) fn find(&self, name: CarrierName) -> Option<Arc<dyn Carrier>> {
        self.carriers.find(name).map(Arc::clone)
    }

    pub(crate) fn list(&self) -> Vec<Arc<dyn Carrier>> {
        self.carriers.iter().map(Arc::clone).collect()
    }

    /// How long whoever claimed some work may hold it without another word.
    pub(crate) fn lease(&self) -> Duration {
        self.limit + LEASE_MARGIN
    }

    /// The answer, or [`CallError::Unknown`] when it takes too long.
    pub(crate) async fn bounded<T>(&self, call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        let late = || CallError::Unknown { cause: "no answer within the limit of one call".into() };
        tokio::time::timeout(self.limit, call).await.unwrap_or_else(|_| Err(late()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_does_not_end_is_unknown_before_the_lease_is_over() {
        let calls = Calls::new(Carriers::new([]), Duration::from_millis(5));
        let answer: Result<(), _> = calls.bounded(std::future::pending()).await;
        assert!(matches!(answer, Err(CallError::Unknown { .. })));
        assert!(calls.lease() > Duration::from_millis(5));
    }
}
