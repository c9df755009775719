//! Who may come in, and where to.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::tokens::{SECRET, Token, admin, backend, sign, token};
use super::{World, read};

// Made for these tests; they open nothing else.
const RSA: &[u8] = include_bytes!("keys/rsa.pem");
const P256: &[u8] = include_bytes!("keys/p256.pem");
const ED25519: &[u8] = include_bytes!("keys/ed25519.pem");

#[tokio::test]
async fn a_token_needs_a_known_signature_iss_aud_and_exp() {
    let world = World::start().await;
    let good = Token::default();
    let now = world.clock.now().timestamp();
    let foreign_key = EncodingKey::from_secret(b"another-secret-of-thirty-two-bytes-or-more");
    let own_key = EncodingKey::from_secret(SECRET.as_bytes());
    for (refused, why) in [
        (token(Token { iss: None, ..good.clone() }), "no iss"),
        (token(Token { iss: Some("somebody"), ..good.clone() }), "another iss"),
        (token(Token { aud: None, ..good.clone() }), "no aud"),
        (token(Token { aud: Some("something"), ..good.clone() }), "another aud"),
        (token(Token { exp: None, ..good.clone() }), "no exp"),
        (token(Token { exp: Some(now - 31), ..good.clone() }), "expired"),
        (token(Token { nbf: Some(now + 31), ..good.clone() }), "not yet"),
        (token(Token { role: "king", ..good.clone() }), "no such role"),
        (token(Token { sub: "", ..good.clone() }), "nobody"),
        (token(Token { license_id: None, ..good.clone() }), "no license"),
        (sign(good.clone(), &Header::new(Algorithm::HS256), &foreign_key), "another key"),
        (sign(good.clone(), &Header::new(Algorithm::HS384), &own_key), "another algorithm"),
        ("a.b.c".to_owned(), "no token"),
        (String::new(), "empty"),
    ] {
        let answer = read(world.request("GET", "/v1/people", &refused)).await;
        assert_eq!(answer.problem(), (401, "unauthenticated", None), "{why}");
        assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"), "{why}");
    }
    let anonymous = world.http.get(format!("{}/v1/people", world.gateway.url));
    assert_eq!(read(anonymous).await.problem().0, 401);
    for accepted in [Token { exp: Some(now - 29), ..good.clone() }, Token { nbf: Some(now + 29), ..good }] {
        assert_eq!(read(world.request("GET", "/v1/people", &token(accepted))).await.status, 200);
    }
}

#[tokio::test]
async fn an_unsigned_token_is_refused() {
    let world = World::start().await;
    let signed = token(Token::default());
    let claims = signed.split('.').nth(1).unwrap();
    // {"alg":"none"}
    for unsigned in [format!("eyJhbGciOiJub25lIn0.{claims}."), signed.rsplit_once('.').unwrap().0.to_owned() + "."] {
        assert_eq!(read(world.request("GET", "/v1/people", &unsigned)).await.problem().0, 401);
    }
}

#[tokio::test]
async fn only_the_backend_creates_licenses_and_only_admins_change_the_company() {
    let world = World::start().await;
    let company = json!({"company_name": "Acme", "company_phone": "+12125550100"});
    let manager = token(Token::default());
    for refused in [&manager, &admin()] {
        let answer = world.send("PUT", "/v1/licenses/acme", refused, &company).await;
        assert_eq!(answer.problem(), (403, "forbidden", None));
    }
    assert_eq!(world.send("PUT", "/v1/settings/company", &admin(), &company).await.problem().1, "license_not_found");
    let answer = world.send("PUT", "/v1/licenses/acme", &backend(), &company).await;
    let expected = json!({
        "license_id": "acme", "company_name": "Acme", "company_phone": "+12125550100", "messages_number": null,
        "provisioning": null, "next_change_allowed_at": null, "carrier": "twilio", "last_change_error": null,
        "quiet_hours": null, "registration": null,
    });
    assert_eq!((answer.status, &answer.body), (200, &expected));
    assert_eq!(world.send("PUT", "/v1/settings/company", &manager, &company).await.problem().0, 403);
    assert_eq!(world.send("PUT", "/v1/settings/company", &admin(), &company).await.status, 200);
    assert_eq!(world.get("/v1/settings").await.body, expected);
}

#[tokio::test]
async fn the_backend_acts_for_the_license_it_names_and_nobody_else_reaches_another() {
    let world = World::start().await;
    let person = json!({"kind": "tenant", "name": "Tina", "phones": []});
    let put = world.request("PUT", "/v1/people/t-1", &backend()).json(&person);
    assert_eq!(read(put).await.problem(), (400, "license_missing", Some("Leaseline-License")));
    let put = world.request("PUT", "/v1/people/t-1", &backend()).header("Leaseline-License", "other").json(&person);
    assert_eq!(read(put).await.status, 200);

    assert_eq!(world.get("/v1/people/t-1").await.problem(), (404, "person_not_found", None));
    let stranger = world.request("GET", "/v1/people/t-1", &admin()).header("Leaseline-License", "other");
    assert_eq!(read(stranger).await.problem(), (403, "forbidden", None));
}

#[tokio::test]
async fn every_call_acts_in_the_license_of_the_token_and_in_no_other() {
    let world = World::start().await;
    let stranger = token(Token { license_id: Some("other"), role: "admin", ..Token::default() });
    let id = "01900000-0000-7000-8000-000000000001";
    let send = json!({"recipients": [{"person_id": "t-1"}], "body": "x"});
    let calls = [
        ("DELETE", format!("/v1/conversations/{id}"), json!(null)),
        ("POST", "/v1/messages/preview".to_owned(), send),
        ("GET", "/v1/batches".to_owned(), json!(null)),
        ("GET", format!("/v1/batches/{id}"), json!(null)),
        ("GET", format!("/v1/batches/{id}/messages"), json!(null)),
        ("POST", format!("/v1/batches/{id}/cancel"), json!(null)),
        ("GET", "/v1/scheduled".to_owned(), json!(null)),
        ("GET", format!("/v1/scheduled/{id}"), json!(null)),
        ("PATCH", format!("/v1/scheduled/{id}"), json!({"body": "x"})),
        ("DELETE", format!("/v1/scheduled/{id}"), json!(null)),
        ("GET", "/v1/unmatched".to_owned(), json!(null)),
        ("POST", format!("/v1/unmatched/{id}/tie"), json!({"person_id": "t-1"})),
        ("GET", "/v1/blocked-numbers".to_owned(), json!(null)),
        ("POST", "/v1/blocked-numbers".to_owned(), json!({"unmatched_id": id})),
        ("DELETE", format!("/v1/blocked-numbers/{id}"), json!(null)),
        ("GET", "/v1/search?q=x".to_owned(), json!(null)),
        ("GET", format!("/v1/media/{id}"), json!(null)),
        ("PUT", "/v1/settings/quiet-hours".to_owned(), json!({"from": "21:00", "until": "08:00"})),
        ("DELETE", "/v1/settings/quiet-hours".to_owned(), json!(null)),
    ];
    for (method, path, body) in &calls {
        // The service's refusal passes through, with its code.
        let answer = world.send(method, path, &stranger, body).await;
        assert_eq!(answer.problem(), (404, "nothing_known", None), "{method} {path}");
        let other = world.request(method, path, &stranger).header("Leaseline-License", "acme").json(body);
        assert_eq!(read(other).await.problem(), (403, "forbidden", None), "{method} {path}");
        let nobody = world.http.request(method.parse().unwrap(), format!("{}{path}", world.gateway.url)).json(body);
        assert_eq!(read(nobody).await.problem(), (401, "unauthenticated", None), "{method} {path}");
    }
    assert_eq!(world.services.known().licenses_asked(), vec!["other"; calls.len()]);
}

/// The company's login, as far as the gateway sees it.
struct Login {
    url: String,
    keys: Arc<Mutex<Value>>,
    away: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Login {
    async fn start() -> Self {
        let listener = testkit::listener().await;
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let (keys, away, asked) = (Arc::new(Mutex::new(json!([]))), Arc::default(), Arc::default());
        let login = Self { url, keys, away, asked };
        let (keys, away, asked) = (login.keys.clone(), login.away.clone(), login.asked.clone());
        let answer = async move || {
            asked.fetch_add(1, Ordering::SeqCst);
            if away.load(Ordering::SeqCst) {
                return Err(http::StatusCode::BAD_GATEWAY);
            }
            Ok(axum::Json(json!({"keys": *keys.lock().unwrap()})))
        };
        let router = axum::Router::new().route("/jwks", axum::routing::get(answer));
        let _served = tokio::spawn(async move { axum::serve(listener, router).await });
        login
    }

    fn publish(&self, id: &str, key: &EncodingKey, algorithm: Algorithm) {
        let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        self.keys.lock().unwrap().as_array_mut().unwrap().push(serde_json::to_value(jwk).unwrap());
    }
}

fn signed_by(id: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let header = Header { kid: Some(id.to_owned()), ..Header::new(algorithm) };
    sign(Token::default(), &header, key)
}

#[tokio::test]
async fn published_keys_open_the_door_each_with_its_own_algorithm_only() {
    let login = Login::start().await;
    let keys = [
        ("r", EncodingKey::from_rsa_pem(RSA).unwrap(), Algorithm::RS256),
        ("e", EncodingKey::from_ec_pem(P256).unwrap(), Algorithm::ES256),
        ("d", EncodingKey::from_ed_pem(ED25519).unwrap(), Algorithm::EdDSA),
    ];
    login.keys.lock().unwrap().as_array_mut().unwrap().push(json!({"kty": "new", "use": "unheard of"}));
    for (id, key, algorithm) in &keys {
        login.publish(id, key, *algorithm);
    }
    let world = World::with(|settings| settings.auth.jwks_url.clone_from(&login.url)).await;
    for (id, key, algorithm) in &keys {
        let accepted = signed_by(id, key, *algorithm);
        assert_eq!(read(world.request("GET", "/v1/people", &accepted)).await.status, 200, "{id}");
    }
    // The static key still works beside them.
    assert_eq!(world.get("/v1/people").await.status, 200);
    let (_, rsa, _) = &keys[0];
    let published = serde_json::to_string(&login.keys.lock().unwrap()[1]).unwrap();
    for refused in [
        signed_by("r", rsa, Algorithm::RS384),
        signed_by("e", rsa, Algorithm::RS256),
        // A public key is no secret.
        signed_by("r", &EncodingKey::from_secret(published.as_bytes()), Algorithm::HS256),
    ] {
        assert_eq!(read(world.request("GET", "/v1/people", &refused)).await.problem().0, 401);
    }
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_at_most_every_ten_seconds_and_old_keys_survive_a_failure() {
    let login = Login::start().await;
    let key = EncodingKey::from_ed_pem(ED25519).unwrap();
    login.publish("old", &key, Algorithm::EdDSA);
    let world = World::with(|settings| settings.auth.jwks_url.clone_from(&login.url)).await;
    let status =
        async |id: &str| read(world.request("GET", "/v1/people", &signed_by(id, &key, Algorithm::EdDSA))).await.status;
    assert_eq!(status("old").await, 200);
    let asked = login.asked.load(Ordering::SeqCst);
    login.away.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(status("made-up").await, 401);
    }
    assert_eq!(login.asked.load(Ordering::SeqCst), asked);
    assert_eq!(status("old").await, 200);
}

#[tokio::test]
async fn while_the_keys_were_never_seen_the_answer_is_try_again_and_not_go_away() {
    let login = Login::start().await;
    login.away.store(true, Ordering::SeqCst);
    let world = World::with(|settings| settings.auth.jwks_url.clone_from(&login.url)).await;
    let key = EncodingKey::from_ed_pem(ED25519).unwrap();
    let answer = read(world.request("GET", "/v1/people", &signed_by("d", &key, Algorithm::EdDSA))).await;
    assert_eq!(answer.problem(), (503, "service_unavailable", None));
}

#[tokio::test]
async fn settings_with_which_nobody_could_come_in_are_refused() {
    let (clock, lifecycle) = (testkit::clock(), chassis::Lifecycle::new());
    let mut settings: crate::Settings = chassis::config::load(crate::DEFAULTS, None, &|_| None).unwrap();
    let refusal = |settings: &crate::Settings| {
        let started = crate::auth::Verifier::start(&settings.auth, clock.clone(), &lifecycle);
        started.err().map(|error| error.to_string()).unwrap()
    };
    assert!(refusal(&settings).contains("auth.static_keys"));
    settings.auth.static_keys = vec![chassis::Secret::new("short")];
    assert!(refusal(&settings).contains("32 bytes"));
}
