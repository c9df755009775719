//! The committed query data (`.sqlx`) is what the migrations say. The macros trust it: builds run offline.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::{Executor as _, SqlSafeStr as _, SqlStr};

#[tokio::test]
async fn every_stored_query_is_what_the_migrations_say() {
    let bus: (&str, &'static Migrator) = ("_bus_migrations", &bus::MIGRATIONS);
    let services = [&numbers::MIGRATIONS, &conversations::MIGRATIONS, &dispatch::MIGRATIONS];
    let mut databases = Vec::new();
    for migrations in services {
        databases.push(testkit::database(&[bus, ("_migrations", migrations)]).await);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.sqlx");
    let mut checked = 0;
    for entry in std::fs::read_dir(&folder).expect(".sqlx is committed") {
        let path = entry.unwrap().path();
        let stored: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let query: SqlStr = sqlx::AssertSqlSafe(stored["query"].as_str().unwrap().to_owned()).into_sql_str();
        let mut seen = Vec::new();
        for database in &databases {
            if let Ok(described) = (&database.pool).describe(query.clone()).await {
                seen.push(serde_json::to_value(described).unwrap());
            }
        }
        assert!(
            seen.iter().any(|described| described["columns"] == stored["describe"]["columns"]
                && described["parameters"] == stored["describe"]["parameters"]),
            "{} is stale: run scripts/queries\n{}",
            path.display(),
            stored["query"]
        );
        checked += 1;
    }
    assert!(checked > 50, "only {checked} queries stand in .sqlx");
}
