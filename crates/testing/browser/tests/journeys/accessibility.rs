//! What axe-core finds in the main states, light and dark.

use std::path::PathBuf;

use serde_json::Value;

use super::browser::say;
use super::window::Window;
use super::world::{journey, phone};

/// Fetched by `scripts/setup`; not a part of the repository.
fn find_axe() -> Option<String> {
    let path = std::env::var_os("LEASELINE_TEST_AXE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../.dev/tools/node_modules/axe-core/axe.min.js"),
        PathBuf::from,
    );
    std::fs::read_to_string(path).ok()
}

/// Notes what is serious or worse.
async fn check(axe: &str, window: &Window, state: &str, findings: &mut Vec<String>) {
    for dark in [false, true] {
        window.look(1280, 800, dark).await;
        window.run(axe, vec![]).await;
        let run = "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, at: nodes.map((node) => node.html).slice(0, 3) }))), (error) => done([{ impact: 'critical', help: String(error) }]));";
        let found = window.run_long(run).await;
        let violations = found.as_array().cloned().unwrap_or_default();
        let (bad, rest): (Vec<Value>, Vec<Value>) = violations
            .into_iter()
            .partition(|violation| ["serious", "critical"].contains(&violation["impact"].as_str().unwrap_or_default()));
        if !rest.is_empty() {
            say(&format!("{state}, less than serious: {}", Value::from(rest)));
        }
        let scheme = if dark { "dark" } else { "light" };
        findings.extend(bad.iter().map(|violation| format!("{state}, {scheme}: {violation:#}")));
        window.save_picture(&format!("{state}-{scheme}")).await;
    }
    window.look(1280, 800, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_serious_in_any_main_state_light_or_dark() {
    let Some(axe) = find_axe() else {
        say("accessibility: left out: axe-core is not in .dev/tools; scripts/setup fetches it where npm is");
        return;
    };
    journey("accessibility", 3, async |world| {
        let mut findings = Vec::new();
        world.send(0, "Welcome").await;
        world.text(0, "Thank you").await;
        world.text(1, "STOP").await;
        let tenant = world.hold_phone(&phone(0)).await;
        tenant.see("Welcome").await;
        check(&axe, &tenant, "axe-phones", &mut findings).await;

        let adam = world.sign_in("Adam Admin").await;
        adam.see_a("row", "Tenant 0").await;
        check(&axe, &adam, "axe-list", &mut findings).await;
        adam.click("row", "Tenant 0").await;
        adam.see("Thank you").await;
        adam.see("Delivered").await;
        check(&axe, &adam, "axe-thread", &mut findings).await;
        adam.click("row", "Tenant 1").await;
        adam.see_a("heading", "Tenant 1").await;
        check(&axe, &adam, "axe-stopped", &mut findings).await;
        adam.choose("What to do with this conversation", "Delete Conversation…").await;
        adam.see_a("dialog", "Delete this conversation?").await;
        check(&axe, &adam, "axe-delete", &mut findings).await;
        adam.click("button", "Cancel").await;
        adam.click("button", "Text Message").await;
        adam.see_a("dialog", "Text Message").await;
        adam.see("Tenant 2").await;
        check(&axe, &adam, "axe-text-message", &mut findings).await;
        adam.click("button", "Close").await;
        adam.click("link", "Settings").await;
        adam.see("Messages Phone Number").await;
        check(&axe, &adam, "axe-settings", &mut findings).await;
        adam.choose("What can be done with the messages number", "Generate a number…").await;
        adam.see_a("dialog", "Generate a number").await;
        check(&axe, &adam, "axe-generate", &mut findings).await;
        // Who may not change the settings sees them otherwise.
        let mia = world.sign_in("Mia Manager").await;
        mia.click("link", "Settings").await;
        mia.see("Only an admin of your company can change them").await;
        check(&axe, &mia, "axe-settings-of-a-manager", &mut findings).await;
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    })
    .await;
}
