//! Who calls, for which license, and what they may do.
//!
//! A handler names the role that it needs as an argument: [`Manager`], [`Admin`] or [`Backend`]. The license comes
//! from the token; only the company's backend (role `service`) may name one. Every call to a service
//! carries this license, so the ids of another one are simply not found there.

mod jwks;
mod keys;
mod token;

use axum::extract::FromRequestParts;
use chassis::Fault;
use chrono::{DateTime, Utc};
use domain::{LicenseId, ManagerId};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

pub(crate) use token::{Caller, Role, Verifier};

use crate::error::Problem;
use crate::http::App;

/// Names the license for which the company's backend acts.
pub(crate) const LICENSE_HEADER: &str = "leaseline-license";

/// Somebody who acts within one license.
pub(crate) struct Actor {
    pub(crate) license: LicenseId,
    pub(crate) id: ManagerId,
    pub(crate) name: String,
    /// From then on the token is not accepted.
    pub(crate) accepted_until: DateTime<Utc>,
}

/// Any user of a license, or the backend on its behalf.
pub(crate) struct Manager(pub(crate) Actor);

/// Somebody who may also change the license's settings, or the backend.
pub(crate) struct Admin(pub(crate) Actor);

/// The company's backend, before any license.
pub(crate) struct Backend;

impl FromRequestParts<App> for Manager {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = authenticate(&parts.headers, &app.verifier).await?;
        Ok(Self(decide_actor(caller, &parts.headers)?))
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = authenticate(&parts.headers, &app.verifier).await?;
        if caller.role == Role::Manager {
            return Err(forbidden("Only an admin may do this.").into());
        }
        Ok(Self(decide_actor(caller, &parts.headers)?))
    }
}

impl FromRequestParts<App> for Backend {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = authenticate(&parts.headers, &app.verifier).await?;
        if caller.role == Role::Service {
            return Ok(Self);
        }
        Err(forbidden("Only the company's backend may do this, with a token of role `service`.").into())
    }
}

async fn authenticate(headers: &HeaderMap, verifier: &Verifier) -> Result<Caller, Problem> {
    let header = headers.get(AUTHORIZATION).ok_or_else(Problem::token_missing)?;
    let token = header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(Problem::token_missing)?;
    Ok(verifier.verify(token).await?)
}

/// Which license a caller acts in.
fn decide_actor(caller: Caller, headers: &HeaderMap) -> Result<Actor, Fault> {
    let named = headers.get(LICENSE_HEADER).map(parse_license).transpose()?;
    let license = match (caller.role, caller.license, named) {
        (Role::Service, _, Some(named)) => named,
        (Role::Service, None, None) => {
            let detail = "Name the license in the header `Leaseline-License`.";
            return Err(Fault::malformed("license_missing", detail).at("Leaseline-License"));
        }
        (_, Some(own), Some(named)) if own != named => {
            return Err(forbidden("The token belongs to another license than `Leaseline-License` names."));
        }
        (_, Some(own), _) => own,
        (_, None, _) => return Err(forbidden("The token belongs to no license.")),
    };
    Ok(Actor { license, id: caller.id, name: caller.name, accepted_until: caller.accepted_until })
}

fn parse_license(value: &http::HeaderValue) -> Result<LicenseId, Fault> {
    let text = value.to_str().unwrap_or_default();
    LicenseId::parse(text).map_err(|error| Fault::invalid("Leaseline-License", "invalid_id", error.to_string()))
}

fn forbidden(detail: &str) -> Fault {
    Fault::forbidden("forbidden", detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn decide(role: Role, own: Option<&str>, named: Option<&'static str>) -> Result<String, u16> {
        let caller = Caller {
            id: ManagerId::parse("m-1").unwrap(),
            name: "Mia".to_owned(),
            license: own.map(|license| LicenseId::parse(license).unwrap()),
            role,
            accepted_until: DateTime::UNIX_EPOCH,
        };
        let headers = named.map(|license| (LICENSE_HEADER.parse().unwrap(), HeaderValue::from_static(license)));
        let actor = decide_actor(caller, &headers.into_iter().collect());
        actor.map(|actor| actor.license.to_string()).map_err(|fault| fault.http_status().as_u16())
    }

    #[test]
    fn a_token_never_reaches_another_license_than_its_own() {
        for role in [Role::Manager, Role::Admin] {
            assert_eq!(decide(role, Some("acme"), None), Ok("acme".to_owned()));
            assert_eq!(decide(role, Some("acme"), Some("acme")), Ok("acme".to_owned()));
            assert_eq!(decide(role, Some("acme"), Some("other")), Err(403));
            assert_eq!(decide(role, None, Some("other")), Err(403));
        }
    }

    #[test]
    fn the_backend_names_the_license_it_acts_for() {
        assert_eq!(decide(Role::Service, None, Some("acme")), Ok("acme".to_owned()));
        assert_eq!(decide(Role::Service, Some("home"), Some("acme")), Ok("acme".to_owned()));
        assert_eq!(decide(Role::Service, Some("home"), None), Ok("home".to_owned()));
        assert_eq!(decide(Role::Service, None, None), Err(400));
        assert_eq!(decide(Role::Service, None, Some("not a license")), Err(422));
    }
}
