//! Where a call to a messages number goes now (rule 6): all licenses' routes, in memory.
//!
//! Follows the bucket `ROUTES` and keeps the last known state while NATS or the numbers service is away. Of one
//! license the highest version counts. Two licenses never share a number: versions of different licenses cannot be
//! compared, so the one that came to the number last has it, and when that one moves on it falls back to whoever still
//! says that it is theirs. A number that changes hands ends up right in whichever order the two are told.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bus::Follower;
use domain::{LicenseId, PhoneNumber};
use proto::numbers::Route;

/// The routes. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Routes(Arc<RwLock<Table>>);

/// Whom a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Callee {
    pub(crate) license_id: LicenseId,
    /// `None`: there is nobody to ring.
    pub(crate) company_phone: Option<PhoneNumber>,
}

/// The routes were never complete since the start: "nobody's number" could be a lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeverCurrent;

#[derive(Default)]
struct Table {
    of_license: HashMap<LicenseId, Known>,
    /// The licenses whose route names this number, the latest comer last. More than one only while a number
    /// changes hands; never none.
    claims: HashMap<PhoneNumber, Vec<LicenseId>>,
    /// Has it ever been complete?
    is_current: bool,
}

struct Known {
    number: PhoneNumber,
    company_phone: Option<PhoneNumber>,
    version: u64,
}

impl Routes {
    /// Whom a call to this number is for; `None` when the number is nobody's.
    ///
    /// A company phone that is a messages number itself is left out: ringing it would be a loop (rule 6).
    pub(crate) fn find(&self, number: &PhoneNumber) -> Result<Option<Callee>, NeverCurrent> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if table.is_current { Ok(table.find(number)) } else { Err(NeverCurrent) }
    }

    /// For readiness.
    pub(crate) fn check(&self) -> Result<(), String> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if table.is_current { Ok(()) } else { Err("the routes of calls have not been read yet".to_owned()) }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Routes")
            .field("licenses", &table.of_license.len())
            .field("is_current", &table.is_current)
            .finish_non_exhaustive()
    }
}

impl Follower<Route> for Routes {
    fn value(&mut self, route: Route) {
        if let Some((license_id, known)) = parse(&route) {
            self.0.write().unwrap_or_else(PoisonError::into_inner).learn(license_id, known);
        } else {
            tracing::error!(version = route.version, "a route cannot be read; the one before stays");
        }
    }

    fn current(&mut self) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !table.is_current {
            tracing::info!(licenses = table.of_license.len(), "the routes of calls are known");
        }
        table.is_current = true;
    }
}

fn parse(route: &Route) -> Option<(LicenseId, Known)> {
    let company_phone = route.company_phone.as_deref().map(PhoneNumber::from_e164).transpose().ok()?;
    let number = PhoneNumber::from_e164(&route.number).ok()?;
    Some((LicenseId::parse(&route.license_id).ok()?, Known { number, company_phone, version: route.version }))
}

impl Table {
    fn find(&self, number: &PhoneNumber) -> Option<Callee> {
        let license_id = self.claims.get(number)?.last()?;
        let company_phone = self.of_license.get(license_id)?.company_phone;
        Some(Callee {
            license_id: license_id.clone(),
            company_phone: company_phone.filter(|phone| !self.claims.contains_key(phone)),
        })
    }

    fn learn(&mut self, license_id: LicenseId, new: Known) {
        let old = self.of_license.get(&license_id);
        if old.is_some_and(|old| old.version >= new.version) {
            return;
        }
        let old_number = old.map(|old| old.number);
        // Who stays with a number does not come to it: another phone takes the number from nobody.
        if old_number != Some(new.number) {
            if let Some(old_number) = old_number {
                self.give_up(&old_number, &license_id);
            }
            self.claims.entry(new.number).or_default().push(license_id.clone());
        }
        self.of_license.insert(license_id, new);
    }

    fn give_up(&mut self, number: &PhoneNumber, license_id: &LicenseId) {
        if let Some(claims) = self.claims.get_mut(number) {
            claims.retain(|claim| claim != license_id);
            if claims.is_empty() {
                self.claims.remove(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N1: &str = "+14152345671";
    const N2: &str = "+14152345672";
    const N3: &str = "+14152345673";
    const PHONE: &str = "+12125550123";

    /// License, number, version; the license's own name tells its phone.
    type Told<'a> = (&'a str, &'a str, u64);

    fn route((license, number, version): Told<'_>, company_phone: Option<&str>) -> Route {
        let company_phone = company_phone.map(str::to_owned);
        Route { license_id: license.to_owned(), number: number.to_owned(), company_phone, version }
    }

    fn told(all: &[Told<'_>]) -> Routes {
        let mut routes = Routes::default();
        for one in all {
            routes.value(route(*one, Some(PHONE)));
        }
        routes.current();
        routes
    }

    fn find(routes: &Routes, number: &str) -> Option<Callee> {
        routes.find(&PhoneNumber::from_e164(number).unwrap()).unwrap()
    }

    fn owner(routes: &Routes, number: &str) -> Option<String> {
        find(routes, number).map(|callee| callee.license_id.as_str().to_owned())
    }

    #[test]
    fn of_one_license_the_highest_version_counts_in_whatever_order_they_come() {
        for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [3, 1, 2]] {
            let mut routes = told(&[]);
            for version in order {
                let phone = format!("+1212555012{version}");
                routes.value(route(("a", N1, version), Some(&phone)));
            }
            let callee = find(&routes, N1).unwrap();
            assert_eq!(callee.company_phone.unwrap().as_str(), "+12125550123", "{order:?}");
        }
    }

    #[test]
    fn the_old_number_of_a_license_is_nobodys() {
        let routes = told(&[("a", N1, 1), ("a", N2, 2)]);
        assert_eq!((owner(&routes, N1), owner(&routes, N2)), (None, Some("a".to_owned())));
        let backwards = told(&[("a", N2, 2), ("a", N1, 1)]);
        assert_eq!((owner(&backwards, N1), owner(&backwards, N2)), (None, Some("a".to_owned())));
    }

    /// Every order of these; at the end each number has this owner.
    fn check_every_order(all: &[Told<'_>], expected: &[(&str, Option<&str>)]) {
        let mut orders: Vec<Vec<Told<'_>>> = vec![Vec::new()];
        for one in all {
            orders = orders
                .into_iter()
                .flat_map(|order| {
                    (0..=order.len()).map(move |at| {
                        let mut order = order.clone();
                        order.insert(at, *one);
                        order
                    })
                })
                .collect();
        }
        for order in orders {
            let routes = told(&order);
            for (number, license) in expected {
                assert_eq!(owner(&routes, number).as_deref(), *license, "{number} after {order:?}");
            }
        }
    }

    #[test]
    fn a_number_that_moves_from_one_license_to_another_is_the_new_ones_in_whichever_order_they_are_told() {
        check_every_order(&[("a", N1, 1), ("a", N2, 2), ("b", N1, 1)], &[(N1, Some("b")), (N2, Some("a"))]);
        // There and back again, with a late word of the time between.
        check_every_order(
            &[("a", N1, 1), ("a", N2, 2), ("b", N1, 1), ("b", N3, 2), ("a", N1, 3)],
            &[(N1, Some("a")), (N2, None), (N3, Some("b"))],
        );
    }

    #[test]
    fn two_licenses_never_share_a_number_the_one_that_came_to_it_last_has_it() {
        let mut routes = told(&[("a", N1, 7), ("b", N1, 1)]);
        assert_eq!(owner(&routes, N1).as_deref(), Some("b"));
        routes.value(route(("a", N1, 8), None));
        assert_eq!(owner(&routes, N1).as_deref(), Some("b"), "another phone takes the number from nobody");
        routes.value(route(("b", N2, 2), Some(PHONE)));
        assert_eq!(owner(&routes, N1).as_deref(), Some("a"), "its number is not lost with the other's leaving");
    }

    #[test]
    fn a_company_phone_that_is_a_messages_number_is_not_rung() {
        let mut routes = told(&[("a", N1, 1)]);
        routes.value(route(("a", N1, 2), Some(N2)));
        assert_eq!(find(&routes, N1).unwrap().company_phone.unwrap().as_str(), N2);
        routes.value(route(("b", N2, 1), None));
        assert_eq!(find(&routes, N1).unwrap().company_phone, None);
        routes.value(route(("b", N1, 3), Some(N1)));
        assert_eq!(find(&routes, N1).unwrap().company_phone, None, "nor its own");
    }

    #[test]
    fn a_route_that_cannot_be_read_leaves_the_one_before() {
        let mut routes = told(&[("a", N1, 1)]);
        routes.value(route(("a", "nobody", 2), None));
        routes.value(route(("a", N2, 2), Some("911")));
        routes.value(Route::default());
        assert_eq!(find(&routes, N1).unwrap().company_phone.unwrap().as_str(), PHONE);
    }

    #[test]
    fn nothing_is_said_of_a_number_until_the_routes_have_been_complete_once() {
        let mut routes = Routes::default();
        let number = PhoneNumber::from_e164(N1).unwrap();
        routes.value(route(("a", N1, 1), Some(PHONE)));
        assert_eq!(routes.find(&number), Err(NeverCurrent));
        assert!(routes.check().is_err());
        routes.current();
        assert!(routes.find(&number).unwrap().is_some() && routes.check().is_ok());
    }

    #[test]
    fn no_number_is_in_the_debug_output() {
        assert_eq!(format!("{:?}", told(&[("a", N1, 1)])), "Routes { licenses: 1, is_current: true, .. }");
    }
}
