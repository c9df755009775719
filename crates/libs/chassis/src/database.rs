//! The connection pool, migrations, and what a database error means.
//!
//! The pool is lazy: a service starts while PostgreSQL is away and says "not ready" until it is back. Each connection
//! is cleaned before it is used again, because sqlx 0.9.0 returns one inside an open transaction when `begin()` is
//! cancelled (launchbadge/sqlx #4385), and the next writes on it would be lost.

use std::borrow::Cow;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};

use crate::fault::Fault;
use crate::health::Health;
use crate::settings::DatabaseSettings;

const MAX_LIFETIME: Duration = Duration::from_mins(30);
/// A transaction that does nothing for so long holds locks and blocks vacuum for nobody's good.
const IDLE_IN_TRANSACTION: Duration = Duration::from_mins(1);
/// Every statement of a service looks up rows by key, for a few or for some hundred keys of an array. The planner does
/// not know how long the array will be, and without fresh statistics it prefers to read whole tables: a path that
/// costs more as history grows. So it is told to take indexes, and to plan once for each statement and connection. The
/// penalties would make it compile what it cannot avoid (jit).
const LOOK_UPS_BY_KEY: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
];
/// A connection that came back less than this ago has just proved that it works.
const PROVEN_FOR: Duration = Duration::from_secs(1);
const MIGRATION_DEADLINE: Duration = Duration::from_mins(1);
const MIGRATION_RETRY: Duration = Duration::from_millis(500);

/// A pool for `settings.url`. `application_name` is how PostgreSQL's own views show the service. Times are UTC: sqlx
/// asks for that on every connection.
pub fn connect(settings: &DatabaseSettings, application_name: &str) -> anyhow::Result<PgPool> {
    if settings.url.is_empty() {
        bail!("no database is configured; set LEASELINE_DATABASE_URL");
    }
    let options = PgConnectOptions::from_str(settings.url.expose())
        .context("LEASELINE_DATABASE_URL is not an address such as `postgres://role@host:5432/database`")?
        .application_name(application_name)
        .options([
            ("statement_timeout", settings.statement_timeout_ms.to_string()),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION.as_millis().to_string()),
        ])
        .options(LOOK_UPS_BY_KEY);
    Ok(PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(Duration::from_millis(settings.acquire_timeout_ms))
        .max_lifetime(MAX_LIFETIME)
        .after_release(|connection, _| Box::pin(clean(connection)))
        // The pool's own test before every use costs a round trip; cleaning made one a moment ago.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > PROVEN_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// Ends a transaction that a cancelled `begin()` left open. False: do not use this connection again.
///
/// A bare `rollback` outside a transaction makes PostgreSQL log a warning each time, so the normal case opens one
/// first; both travel in one round trip. In the bad case `begin` is what warns, and `rollback` still ends it. In a
/// failed transaction `begin` is an error, and the pool closes the connection. Measured on loopback: 260 µs for a
/// `select 1` with and without this, because the test before each use is saved; 340 µs with both.
async fn clean(connection: &mut PgConnection) -> sqlx::Result<bool> {
    if connection.is_in_transaction() {
        return Ok(false);
    }
    connection.execute("begin; rollback").await?;
    Ok(true)
}

/// For [`crate::Health::check`].
pub async fn check(pool: PgPool) -> Result<(), String> {
    match pool.execute("select 1").await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::PoolTimedOut) => Err("no connection could be had in time".to_owned()),
        Err(_) => Err("the database does not answer".to_owned()),
    }
}

/// The pool of a service, brought up to date and watched by its readiness: [`connect`], [`migrate`], [`check`].
///
/// # Errors
/// When the settings are unusable, or PostgreSQL does not come within a minute.
pub async fn start(
    settings: &DatabaseSettings,
    application_name: &str,
    sets: &[(&str, &'static Migrator)],
    health: &Health,
) -> anyhow::Result<PgPool> {
    let pool = connect(settings, application_name)?;
    health.check("database", {
        let pool = pool.clone();
        move || check(pool.clone())
    });
    migrate(&pool, sets).await.context("the database cannot be brought up to date")?;
    Ok(pool)
}

/// Brings the database up to date. Each set of migrations is numbered on its own and keeps its books in its own table.
///
/// Waits up to a minute for PostgreSQL. Several replicas may do this at once: an advisory lock lets one work and
/// the others find it done. Uses a connection of its own, because migrations may take longer than a statement may.
pub async fn migrate(pool: &PgPool, sets: &[(&str, &'static Migrator)]) -> anyhow::Result<()> {
    let mut connection = connect_patiently(pool).await?;
    for (table, set) in sets {
        let set = Migrator {
            migrations: Cow::Borrowed(&set.migrations),
            table_name: Cow::Owned((*table).to_owned()),
            create_schemas: set.create_schemas.clone(),
            ignore_missing: set.ignore_missing,
            locking: set.locking,
            no_tx: set.no_tx,
        };
        set.run(&mut connection).await.with_context(|| format!("the migrations of `{table}` did not run"))?;
    }
    connection.close().await?;
    Ok(())
}

async fn connect_patiently(pool: &PgPool) -> anyhow::Result<PgConnection> {
    let options = (*pool.connect_options()).clone().options([("statement_timeout", "0")]);
    let deadline = tokio::time::Instant::now() + MIGRATION_DEADLINE;
    loop {
        match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if is_transient(&error) && tokio::time::Instant::now() < deadline => {
                tracing::info!(%error, "waiting for the database");
                tokio::time::sleep(MIGRATION_RETRY).await;
            }
            Err(error) => return Err(error).context("the database cannot be reached"),
        }
    }
}

/// True when no statement can be the cause: the connection is lost, or the server shuts down, takes no connections or no
/// writes. A statement that was too slow is not among it: that may well be its own doing.
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|state| {
            // Connection lost, no resources, shut down, read-only.
            ["08", "53", "57P", "25006"].iter().any(|class| state.starts_with(class))
        }),
        _ => false,
    }
}

/// True when the same statement may well succeed later: the database is away, was too slow, or chose this transaction
/// to give way to another.
pub fn is_transient(error: &sqlx::Error) -> bool {
    let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    is_away(error) || state.is_some_and(|state| state.starts_with("40") || state.starts_with("57"))
}

/// What a caller is told about a database error that has no meaning of its own. Log the error before: the fault
/// does not carry it.
pub fn fault_of(error: &sqlx::Error) -> Fault {
    if is_transient(error) { Fault::service_unavailable() } else { Fault::internal() }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use sqlx::migrate::{Migration, MigrationType};
    use sqlx::{AssertSqlSafe, SqlSafeStr as _};

    use super::*;
    use crate::{FaultKind, Secret};

    /// A database of this test's own.
    struct Scratch {
        server: PgConnectOptions,
        name: String,
    }

    impl Scratch {
        async fn new() -> Self {
            let url = std::env::var("LEASELINE_TEST_DATABASE_URL").unwrap_or_default();
            assert!(!url.is_empty(), "LEASELINE_TEST_DATABASE_URL is not set: run the tests with scripts/test");
            let scratch = Self {
                server: PgConnectOptions::from_str(&url).unwrap(),
                name: format!("chassis_{:016x}", rand::random::<u64>()),
            };
            scratch.on_server("create database").await;
            scratch
        }

        async fn on_server(&self, statement: &str) {
            let mut connection = self.server.connect().await.unwrap();
            let statement = format!("{statement} {}", self.name);
            connection.execute(AssertSqlSafe(statement)).await.unwrap();
        }

        fn settings(&self) -> DatabaseSettings {
            let url = self.server.clone().database(&self.name).to_url_lossy();
            settings(url.as_str())
        }

        async fn drop(self, pool: PgPool) {
            pool.close().await;
            self.on_server("drop database").await;
        }
    }

    fn settings(url: &str) -> DatabaseSettings {
        DatabaseSettings {
            url: Secret::from(url),
            max_connections: 1,
            acquire_timeout_ms: 2_000,
            statement_timeout_ms: 5_000,
        }
    }

    /// Gives up after so many polls, each after a real wake-up: before, while and after the server reads `BEGIN`.
    async fn cancel_after<T>(polls: usize, future: impl Future<Output = T>) {
        let mut future = pin!(future);
        let mut left = polls;
        poll_fn(|context| {
            left -= 1;
            let done = future.as_mut().poll(context).is_ready();
            if done || left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Cancels a begin before each insert; returns how many of the inserts that reported success are there.
    async fn insert_after_cancelled_begins(pool: &PgPool, reader: &mut PgConnection) -> i64 {
        for round in 0..40 {
            cancel_after(1 + round % 4, pool.begin()).await;
            pool.execute("insert into written values (1)").await.unwrap();
        }
        sqlx::query_scalar("select count(*) from written").fetch_one(reader).await.unwrap()
    }

    #[tokio::test]
    async fn writes_after_a_cancelled_begin_are_not_lost() {
        let scratch = Scratch::new().await;
        let pool = connect(&scratch.settings(), "chassis").unwrap();
        pool.execute("create table written (n int)").await.unwrap();
        let mut reader = scratch.server.clone().database(&scratch.name).connect().await.unwrap();
        assert_eq!(insert_after_cancelled_begins(&pool, &mut reader).await, 40);
        reader.close().await.unwrap();
        scratch.drop(pool).await;
    }

    #[tokio::test]
    async fn the_pool_sets_limits_and_utc_on_every_connection() {
        let scratch = Scratch::new().await;
        let pool = connect(&scratch.settings(), "numbers").unwrap();
        for (setting, value) in [
            ("statement_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "1min"),
            ("application_name", "numbers"),
            ("TimeZone", "UTC"),
        ] {
            let found: String =
                sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&pool).await.unwrap();
            assert_eq!(found, value, "{setting}");
        }
        scratch.drop(pool).await;
    }

    fn one_migration(sql: &'static str) -> &'static Migrator {
        let kind = MigrationType::Simple;
        let migration = Migration::new(1, "first".into(), kind, sql.into_sql_str(), false);
        Box::leak(Box::new(Migrator::with_migrations(vec![migration])))
    }

    #[tokio::test]
    async fn two_sets_of_migrations_share_a_database_and_two_replicas_run_them_once() {
        let scratch = Scratch::new().await;
        let pool = connect(&scratch.settings(), "chassis").unwrap();
        let sets = [
            ("migrations_bus", one_migration("create table outbox (id int)")),
            ("migrations_numbers", one_migration("create table license (id int)")),
        ];
        let (one, other) = tokio::join!(migrate(&pool, &sets), migrate(&pool, &sets));
        one.unwrap();
        other.unwrap();
        migrate(&pool, &sets).await.unwrap();
        pool.execute("select * from outbox, license, migrations_bus, migrations_numbers").await.unwrap();
        scratch.drop(pool).await;
    }

    #[tokio::test]
    async fn a_service_starts_without_its_database_and_says_that_it_is_away() {
        let mut settings = settings("postgres://nobody@127.0.0.1:1/none");
        settings.acquire_timeout_ms = 50;
        let pool = connect(&settings, "chassis").unwrap();
        let error = pool.execute("select 1").await.unwrap_err();
        assert!(is_transient(&error), "{error}");
        assert_eq!(fault_of(&error).kind, FaultKind::Unavailable);
        assert!(check(pool).await.is_err());
    }

    #[tokio::test]
    async fn a_wrong_statement_is_our_mistake_and_a_slow_one_may_be_tried_again() {
        let scratch = Scratch::new().await;
        let mut settings = scratch.settings();
        settings.statement_timeout_ms = 20;
        let pool = connect(&settings, "chassis").unwrap();
        let wrong = pool.execute("select nothing").await.unwrap_err();
        assert_eq!(fault_of(&wrong).kind, FaultKind::Internal);
        let slow = pool.execute("select pg_sleep(5)").await.unwrap_err();
        assert_eq!(fault_of(&slow).kind, FaultKind::Unavailable);
        scratch.drop(pool).await;
    }

    #[test]
    fn a_missing_address_is_told_with_the_variable_to_set() {
        let error = connect(&settings(""), "chassis").unwrap_err();
        assert!(error.to_string().contains("LEASELINE_DATABASE_URL"));
    }
}
