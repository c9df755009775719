//! A fresh PostgreSQL database for each test, copied from a template that is migrated once.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

/// Keeps two processes from building the same template: any number that nobody else locks.
const TEMPLATE_LOCK: i64 = 0x6c65_6173;

/// A database of one test's own. Dropped with this value, whoever is still connected.
#[derive(Debug)]
pub struct Database {
    pub pool: PgPool,
    /// For a service that makes its own pool.
    pub url: String,
    name: String,
    admin: PgConnectOptions,
}

impl Drop for Database {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        // A test's runtime may be ending: this needs one of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect_with(&admin).await?;
                sqlx::query(AssertSqlSafe(format!("drop database {name} with (force)"))).execute(&mut admin).await
            })
        });
        if !matches!(dropping.join(), Ok(Ok(_))) {
            eprintln!("the database {} is left behind", self.name);
        }
    }
}

/// Until so many transactions of this database wait for what others have locked.
pub async fn until_locked_out(pool: &PgPool, transactions: i64) {
    crate::eventually("the wait for a lock", async || {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(pool)
        .await
        .expect("PostgreSQL answers");
        if waiting == transactions { Ok(()) } else { Err(waiting) }
    })
    .await;
}

/// Creates a database with the given sets of migrations (bookkeeping table, migrations).
pub async fn database(sets: &[(&str, &'static Migrator)]) -> Database {
    let url = crate::engine("LEASELINE_TEST_DATABASE_URL");
    let options: PgConnectOptions = url.parse().expect("LEASELINE_TEST_DATABASE_URL is a PostgreSQL address");
    let template = template_name(sets);
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let mut admin = PgConnection::connect_with(&options).await.expect("PostgreSQL answers");
    sqlx::query("select pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut admin).await.expect("the lock");
    build_template(&mut admin, &options, &template, sets).await;
    sqlx::query("select pg_advisory_unlock($1)").bind(TEMPLATE_LOCK).execute(&mut admin).await.expect("the unlock");
    run(&mut admin, format!("create database {name} template {template}")).await;
    admin.close().await.expect("the administrator's connection closes");
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .connect_with(options.clone().database(&name))
        .await
        .expect("the new database answers");
    let (server, _) = url.rsplit_once('/').expect("the address ends with a database");
    let url = format!("{server}/{name}");
    Database { pool, url, name, admin: options }
}

async fn build_template(
    admin: &mut PgConnection,
    options: &PgConnectOptions,
    template: &str,
    sets: &[(&str, &'static Migrator)],
) {
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(template)
        .fetch_one(&mut *admin)
        .await
        .expect("the list of databases");
    if exists {
        return;
    }
    // Under another name until it is whole: a killed run leaves no half template behind.
    let unfinished = format!("{template}_unfinished");
    run(admin, format!("drop database if exists {unfinished}")).await;
    run(admin, format!("create database {unfinished}")).await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(options.clone().database(&unfinished))
        .await
        .expect("the template answers");
    chassis::database::migrate(&pool, sets).await.expect("the migrations apply");
    pool.close().await;
    run(admin, format!("alter database {unfinished} rename to {template}")).await;
}

/// Names are made here from hashes and UUIDs: nothing of them comes from outside.
async fn run(admin: &mut PgConnection, statement: String) {
    sqlx::query(AssertSqlSafe(statement.as_str()))
        .execute(admin)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

fn template_name(sets: &[(&str, &'static Migrator)]) -> String {
    let mut hasher = DefaultHasher::new();
    for (table, migrator) in sets {
        table.hash(&mut hasher);
        for migration in migrator.iter() {
            migration.checksum.hash(&mut hasher);
        }
    }
    format!("template_{:016x}", hasher.finish())
}
