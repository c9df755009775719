//! The console as a browser gets it.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use super::{Answer, World, read};
use crate::console::{Files, content_type};

async fn world_with_console() -> World {
    World::with(|settings| settings.console.enabled = true).await
}

/// Asks as a browser does: without a token.
async fn open(world: &World, path: &str) -> reqwest::Response {
    world.http.get(format!("{}{path}", world.gateway.url)).send().await.unwrap()
}

async fn open_json(world: &World, path: &str) -> Answer {
    read(world.http.get(format!("{}{path}", world.gateway.url))).await
}

fn policy(response: &reqwest::Response) -> String {
    response.headers()["content-security-policy"].to_str().unwrap().to_owned()
}

/// The names and contents of all embedded files with one of these extensions.
fn list_files(extensions: &[&str]) -> Vec<(String, String)> {
    let names = Files::iter().filter(|name| extensions.iter().any(|each| name.ends_with(each)));
    let content = |name: &str| String::from_utf8(Files::get(name).unwrap().data.into_owned()).unwrap();
    names.map(|name| (name.to_string(), content(&name))).collect()
}

/// What stands in quotes after each of the words.
fn quoted_after<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    let each = words.iter().flat_map(|word| text.split(word).skip(1));
    each.filter_map(|rest| rest.strip_prefix('"')?.split('"').next()).collect()
}

#[tokio::test]
async fn the_console_is_off_by_default_and_then_there_is_nothing_at_its_address() {
    let world = World::start().await;
    for path in ["/console", "/console/", "/console/main.js", "/console/config.json"] {
        let answer = open_json(&world, path).await;
        assert_eq!(answer.problem(), (404, "not_found", None), "{path}");
        assert!(!answer.headers.contains_key("content-security-policy"), "{path}");
    }
}

#[tokio::test]
async fn the_page_comes_without_a_token_and_with_a_policy_that_lets_in_nothing_from_elsewhere() {
    let world = world_with_console().await;
    let moved = open(&world, "/console").await;
    assert_eq!((moved.status().as_u16(), moved.url().path()), (200, "/console/"));
    let page = open(&world, "/console/").await;
    let expected = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
        img-src 'self' blob: data:; media-src blob:; font-src 'self'; base-uri 'none'; form-action 'none'; \
        frame-ancestors 'none'";
    assert_eq!(policy(&page), expected);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.headers()[name], value, "{name}");
    }
    assert!(page.text().await.unwrap().contains("<title>"));
}

#[tokio::test]
async fn every_embedded_file_is_served_with_its_type_and_again_only_when_it_changed() {
    let world = world_with_console().await;
    let names: Vec<_> = Files::iter().collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        let response = open(&world, &format!("/console/{name}")).await;
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(response.headers()["content-type"], content_type(&name).unwrap(), "{name}");
        assert!(policy(&response).starts_with("default-src 'none'"), "{name}");
        let tag = response.headers()["etag"].clone();
        assert_eq!(response.bytes().await.unwrap().as_ref(), Files::get(&name).unwrap().data.as_ref(), "{name}");
        let again = world.http.get(format!("{}/console/{name}", world.gateway.url));
        let again = again.header("If-None-Match", &tag).send().await.unwrap();
        assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &tag), "{name}");
        assert!(again.bytes().await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn nothing_but_the_files_of_the_page_is_served() {
    let world = world_with_console().await;
    for path in [
        "/console/README.md",
        "/console/client.test.js",
        "/console/../Cargo.toml",
        "/console/%2e%2e/Cargo.toml",
        "/console/..%2fsrc%2flib.rs",
        "/console/%2fetc%2fpasswd",
        "/console/messages",
        "/console/messages/",
        "/console/nothing.js",
        "/console/config.json/",
    ] {
        let answer = open_json(&world, path).await;
        assert_eq!(answer.problem(), (404, "not_found", None), "{path}");
    }
    assert!(Files::iter().all(|name| !name.contains(".test.") && content_type(&name).is_some()));
    let write = world.http.post(format!("{}/console/", world.gateway.url));
    assert_eq!(read(write).await.problem(), (405, "method_not_allowed", None));
}

#[tokio::test]
async fn the_console_is_no_part_of_the_api() {
    let world = world_with_console().await;
    let api = open_json(&world, "/v1/openapi.json").await.body;
    let paths: Vec<_> = api["paths"].as_object().unwrap().keys().collect();
    assert!(paths.iter().all(|path| path.starts_with("/v1/")), "{paths:?}");
    assert_eq!(open_json(&world, "/v1/people").await.problem(), (401, "unauthenticated", None));
}

#[tokio::test]
async fn other_pages_may_not_read_who_signs_in_whatever_cors_allows() {
    let world = World::with(|settings| {
        settings.console.enabled = true;
        settings.cors.allowed_origins = vec!["*".to_owned()];
    })
    .await;
    let asked =
        |path: &str| world.http.get(format!("{}{path}", world.gateway.url)).header("Origin", "https://a.example");
    let configuration = asked("/console/config.json").send().await.unwrap();
    assert_eq!(configuration.status(), 200);
    assert!(!configuration.headers().contains_key("access-control-allow-origin"));
    let api = asked("/v1/openapi.json").send().await.unwrap();
    assert_eq!(api.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn the_page_learns_whom_it_may_offer_where_the_phones_are_and_who_embeds_it() {
    let plain = open_json(&world_with_console().await, "/console/config.json").await;
    assert_eq!(plain.body, json!({"sign_in": [], "phones_url": null, "embedding_origins": []}));
    assert_eq!(plain.headers["cache-control"], "no-store");

    let mia = json!({
        "label": "Mia, Acme Homes", "name": "Mia", "role": "manager", "license_id": "acme", "token": "a.b.c",
    });
    let file = std::env::temp_dir().join(format!("leaseline-sign-in-{}", std::process::id()));
    fs::write(&file, json!([mia]).to_string()).unwrap();
    let world = World::with(|settings| {
        settings.console.enabled = true;
        settings.console.sign_in_file = file.to_str().unwrap().to_owned();
        settings.console.phones_url = "http://127.0.0.1:8090/phones".to_owned();
        settings.console.embedding_origins = vec!["https://app.example.com".to_owned()];
    })
    .await;
    fs::remove_file(&file).unwrap();
    let answer = open_json(&world, "/console/config.json").await;
    let expected = json!({
        "sign_in": [mia], "phones_url": "http://127.0.0.1:8090/phones",
        "embedding_origins": ["https://app.example.com"],
    });
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn only_the_origins_of_the_settings_may_embed_the_console() {
    let origins = ["https://app.example.com", "http://localhost:3000"].map(str::to_owned).to_vec();
    let world = World::with(|settings| {
        settings.console.enabled = true;
        settings.console.embedding_origins = origins;
    })
    .await;
    let page = open(&world, "/console/").await;
    let expected = "; frame-ancestors https://app.example.com http://localhost:3000";
    assert!(policy(&page).ends_with(expected), "{}", policy(&page));
}

#[test]
fn settings_that_would_open_the_console_to_others_or_cannot_work_are_refused() {
    let settings: crate::Settings = chassis::config::load(crate::DEFAULTS, None, &|_| None).unwrap();
    let refusal = |change: &dyn Fn(&mut crate::ConsoleSettings)| {
        let mut console = crate::ConsoleSettings { enabled: true, ..settings.console.clone() };
        change(&mut console);
        crate::console::pages(&console).err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    let too_much =
        ["*", "https://*.example.com", "'self'", "https://a.example/", "https://a.example;script-src", "data:"];
    for origin in too_much {
        let said = refusal(&|console| console.embedding_origins = vec![origin.to_owned()]);
        assert!(said.contains("console.embedding_origins"), "{origin}: {said}");
    }
    let said = refusal(&|console| console.phones_url = "javascript:alert(1)".to_owned());
    assert!(said.contains("console.phones_url"), "{said}");
    let said = refusal(&|console| console.sign_in_file = "/nowhere/sign-in.json".to_owned());
    assert!(said.contains("console.sign_in_file"), "{said}");
}

#[test]
fn no_page_has_a_script_a_style_or_a_listener_of_its_own() {
    let pages = list_files(&[".html"]);
    assert!(!pages.is_empty());
    for (name, page) in pages {
        let page = page.to_lowercase();
        for script in page.split("<script").skip(1) {
            let (head, body) = script.split_once('>').unwrap();
            assert!(head.contains("src=\"./") && body.starts_with("</script>"), "{name}: <script{head}>");
        }
        for forbidden in ["<style", " style=", "javascript:", "http://", "https://", "src=\"//", "<base", "<iframe"] {
            assert!(!page.contains(forbidden), "{name}: {forbidden}");
        }
        let tags = page.split('<').skip(1).filter_map(|rest| rest.split('>').next());
        for attribute in tags.flat_map(str::split_whitespace).filter_map(|word| word.split_once('=')) {
            assert!(!attribute.0.starts_with("on"), "{name}: {}", attribute.0);
        }
    }
    for (name, script) in list_files(&[".js"]) {
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
            assert!(!script.contains(forbidden), "{name}: {forbidden}");
        }
    }
}

#[test]
fn every_file_that_a_page_a_module_or_a_style_sheet_names_is_embedded() {
    let embedded: BTreeSet<String> = Files::iter().map(|name| name.to_string()).collect();
    for (name, text) in list_files(&[".html", ".js", ".css"]) {
        let named = match name.rsplit_once('.').unwrap().1 {
            "html" => quoted_after(&text, &[" src=", " href="]),
            "js" => list_imports(&text),
            _ => quoted_after(&text, &["@import ", "url("]),
        };
        for file in named.into_iter().filter(|file| !file.starts_with('#')) {
            assert!(file.starts_with('.'), "{name} names {file}, which is not relative");
            let found = resolve(&name, file);
            assert!(embedded.contains(&found), "{name} names {file}; {found} is not embedded");
        }
    }
}

/// Also those of the types in comments.
fn list_imports(module: &str) -> Vec<&str> {
    let statements =
        module.lines().filter(|line| ["import ", "export ", "} from "].iter().any(|word| line.starts_with(word)));
    let named = statements.filter_map(|line| line.rsplit_once("from \"").or_else(|| line.split_once("import \"")));
    let named = named.filter_map(|(_, rest)| rest.strip_suffix("\";"));
    named.chain(quoted_after(module, &["import("])).collect()
}

/// A relative address as seen from a file of the folder.
fn resolve(from: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}
