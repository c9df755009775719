//! The arrows between the crates: services → libs → domain, never service → service.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand};

#[test]
fn services_depend_on_libs_and_libs_on_domain_and_never_a_service_on_a_service() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let group = |manifest: &str| -> &'static str {
        ["crates/services/", "crates/libs/", "crates/testing/", "crates/tools/"]
            .into_iter()
            .find(|group| manifest.contains(group))
            .unwrap_or("elsewhere")
    };
    let groups: BTreeMap<String, &str> = metadata
        .packages
        .iter()
        .map(|package| (package.name.to_string(), group(package.manifest_path.as_str())))
        .collect();
    let mut arrows = Vec::new();
    for package in &metadata.packages {
        let from = groups[package.name.as_str()];
        for dependency in &package.dependencies {
            let Some(to) = groups.get(&dependency.name) else { continue };
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            let allowed = match from {
                "crates/services/" | "crates/libs/" => *to == "crates/libs/",
                _ => true,
            };
            assert!(allowed, "{} must not depend on {}", package.name, dependency.name);
            if from == "crates/libs/" {
                arrows.push(format!("{} → {}", package.name, dependency.name));
            }
        }
    }
    arrows.sort();
    // A new arrow between libs is a decision: write it down here.
    assert_eq!(arrows, ["bus → chassis", "bus → proto", "carriers → chassis", "carriers → domain"]);
}
