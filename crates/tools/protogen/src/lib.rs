//! Turns `proto/**/*.proto` into the Rust code that `crates/libs/proto` commits.
//!
//! A library, so that the freshness test of `libs/proto` runs the very same generation into a
//! temporary folder and compares. Pure Rust: needs no `protoc`. Never runs in a build script.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Generates all packages below `proto_root` into `out_dir`, one file per package.
///
/// # Errors
/// When a `.proto` file does not compile, or `out_dir` cannot be written.
pub fn generate(proto_root: &Path, out_dir: &Path) -> Result<()> {
    let mut files = Vec::new();
    collect_proto_files(proto_root, &mut files)?;
    files.sort();
    let descriptors = protox::compile(&files, [proto_root]).context("the .proto files do not compile")?;
    tonic_prost_build::configure()
        .out_dir(out_dir)
        .build_transport(false)
        // A few entries at a time, each on its way: a box for every one would cost more than it saves.
        .enum_attribute(
            "leaseline.conversations.v1.FeedEntry.content",
            "#[expect(clippy::large_enum_variant, reason = \"moved seldom\")]",
        )
        .compile_fds(descriptors)
        .with_context(|| format!("cannot write the generated code to {}", out_dir.display()))
}

fn collect_proto_files(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect_proto_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
