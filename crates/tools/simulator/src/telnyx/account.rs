//! What Telnyx remembers for a while: which numbers a search has shown, and orders. Both are bounded and end with the program;
//! what an order delivered does not.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// How long a number that a search showed can be ordered. The real carrier says only "recent".
const SHOWN: Duration = Duration::from_mins(30);
/// Above this, numbers that were shown too long ago are forgotten.
const MAX_SHOWN: usize = 20_000;
const MAX_ORDERS: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderStatus {
    Pending,
    Success,
    Failure,
}

impl OrderStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// An order of one number.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) id: String,
    /// The id of the number within the order, which is not the one that the number gets.
    pub(super) line_id: String,
    pub(super) number: String,
    pub(super) status: OrderStatus,
    pub(super) customer_reference: Option<String>,
    pub(super) profile_id: Option<String>,
    pub(super) application_id: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

#[derive(Default)]
pub(crate) struct Account {
    shown: HashMap<String, Instant>,
    orders: VecDeque<Order>,
}

impl Account {
    pub(super) fn record_shown(&mut self, numbers: &[String]) {
        let now = Instant::now();
        if self.shown.len() > MAX_SHOWN {
            self.shown.retain(|_, at| now.duration_since(*at) < SHOWN);
        }
        self.shown.extend(numbers.iter().map(|number| (number.clone(), now)));
    }

    pub(super) fn was_shown(&self, number: &str) -> bool {
        self.shown.get(number).is_some_and(|at| at.elapsed() < SHOWN)
    }

    pub(super) fn record_order(&mut self, order: Order) {
        if self.orders.len() >= MAX_ORDERS {
            self.orders.pop_front();
        }
        self.orders.push_back(order);
    }

    /// The order in its final state; nothing if it is not remembered.
    pub(super) fn record_settled(&mut self, id: &str, status: OrderStatus, now: DateTime<Utc>) -> Option<Order> {
        let order = self.orders.iter_mut().rev().find(|order| order.id == id)?;
        order.status = status;
        order.updated_at = now;
        Some(order.clone())
    }

    pub(super) fn find_order(&self, id: &str) -> Option<&Order> {
        self.list_orders().find(|order| order.id == id)
    }

    /// Newest first.
    pub(super) fn list_orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter().rev()
    }
}
