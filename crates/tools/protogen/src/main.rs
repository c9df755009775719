//! `cargo run -p protogen`: writes `crates/libs/proto/src/generated` anew.

use std::path::Path;

use anyhow::Result;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let out = root.join("crates/libs/proto/src/generated");
    protogen::generate(&root.join("proto"), &out)?;
    eprintln!("wrote crates/libs/proto/src/generated");
    Ok(())
}
