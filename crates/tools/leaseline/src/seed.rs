//! `leaseline seed`: a large history in the database of conversations, written with COPY.
//!
//! Licenses `seed-00000`, `seed-00001`, … with a person for each conversation, two years of messages up to eight days ago,
//! their words, and every count as the service would have it. The feed is as it is after its retention: its positions are
//! taken, its entries gone. The messages of all licenses are interleaved, as they come in life. Everything is one
//! transaction, so that nothing of a run that ends early stays; what the service does meanwhile waits for it. The other
//! services know nothing of these licenses until one is put through the API: then it gets its number and can send.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

/// Bytes that are handed over at a time.
const CHUNK: usize = 1 << 20;
/// Between two lines about the progress.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Older than the feed's retention.
const AGE: TimeDelta = TimeDelta::days(8);
const SPAN: TimeDelta = TimeDelta::days(722);
const AREA_CODES: [&str; 10] = ["212", "213", "305", "312", "404", "415", "512", "617", "646", "702"];
/// Indexes are built after the rows, which is several times faster, when there was less than this before.
const FEW_ROWS: i64 = 100_000;

/// How much of it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Size {
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub licenses: u64,
    /// Of all licenses together; at least one each.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=30_000_000))]
    pub conversations: u64,
    /// Of all conversations together; at least one each.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub messages: u64,
}

/// Writes it into a database of conversations, which is brought up to date before.
///
/// # Errors
/// When the database is seeded already or cannot be written.
pub async fn run(database_url: &str, size: Size) -> Result<()> {
    ensure!(
        size.licenses <= size.conversations && size.conversations <= size.messages,
        "every license has a conversation, and every conversation a message: give at least as many"
    );
    let progress = Progress { start: Instant::now() };
    let options: PgConnectOptions = database_url.parse().context("this is no address of a database")?;
    let pool = sqlx::PgPool::connect_with(options).await.context("the database cannot be reached")?;
    let sets = [("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &conversations::MIGRATIONS)];
    chassis::database::migrate(&pool, &sets).await?;
    let mut db = pool.acquire().await?.detach();
    let seeded: bool = sqlx::query_scalar("select exists (select from licenses where license_id = 'seed-00000')")
        .fetch_one(&mut db)
        .await?;
    ensure!(!seeded, "this database is seeded already");
    let history = History { size, now: Utc::now() };
    let mut tx = db.begin().await?;
    write(&mut tx, &history, &progress).await?;
    tx.commit().await?;
    for table in TABLES {
        progress.say(&format!("{table}: statistics"));
        sqlx::query(AssertSqlSafe(format!("vacuum (analyze) {table}"))).execute(&mut db).await?;
    }
    progress.say("done");
    db.close().await?;
    pool.close().await;
    Ok(())
}

/// Those that get rows.
const TABLES: [&str; 8] =
    ["messages", "message_words", "word_marks", "conversations", "conversation_people", "people", "ties", "licenses"];

async fn write(db: &mut PgConnection, history: &History, progress: &Progress) -> Result<()> {
    sqlx::query("set local maintenance_work_mem = '256MB'").execute(&mut *db).await?;
    let before: i64 = sqlx::query_scalar("select count(*) from (select from messages limit $1) as first")
        .bind(FEW_ROWS)
        .fetch_one(&mut *db)
        .await?;
    let indexes = if before < FEW_ROWS { drop_indexes(db).await? } else { Vec::new() };
    let texts = load_texts(db).await?;
    let Size { licenses, conversations, messages } = history.size;

    let columns = "license_id, message_id, conversation_id, direction, body, media_urls, media_types, from_number, to_number, \
                   manager_id, manager_name, status, segments, carrier, carrier_message_id, created_at, sent_at, delivered_at";
    copy(db, progress, &format!("messages ({columns})"), messages, |k, out| history.message(k, &texts, out)).await?;
    let columns = "license_id, message_id, conversation_id, created_at, words";
    copy(db, progress, &format!("message_words ({columns})"), messages, |k, out| history.words(k, &texts, out)).await?;
    let columns = "license_id, conversation_id, number, opened_at, last_message_id, last_activity_at, inbound_count, last_message_seq";
    copy(db, progress, &format!("conversations ({columns})"), conversations, |c, out| history.conversation(c, out))
        .await?;
    let columns = "license_id, conversation_id, person_id, kind, name";
    copy(db, progress, &format!("conversation_people ({columns})"), conversations, |c, out| {
        let (license, id, person, name) = (history.license_of(c), history.conversation_id(c), person_id(c), name(c));
        writeln!(out, "{license}\t{id}\t{person}\ttenant\t{name}")
    })
    .await?;
    let columns = "license_id, person_id, kind, name, updated_at";
    copy(db, progress, &format!("people ({columns})"), conversations, |c, out| {
        let (license, at) = (history.license_of(c), history.opened_at(c).to_rfc3339());
        writeln!(out, "{license}\t{}\ttenant\t{}\t{at}", person_id(c), name(c))
    })
    .await?;
    let columns = "license_id, person_id, number, position, tied_at";
    copy(db, progress, &format!("ties ({columns})"), conversations, |c, out| {
        let (license, at) = (history.license_of(c), history.opened_at(c).to_rfc3339());
        writeln!(out, "{license}\t{}\t{}\t1\t{at}", person_id(c), phone(c))
    })
    .await?;
    let inbound = history.count_inbound();
    let columns = "license_id, feed_head, company_name, inbound_total";
    copy(db, progress, &format!("licenses ({columns})"), licenses, |l, out| {
        let inbound = inbound.get(&l).copied().unwrap_or_default();
        writeln!(out, "{}\t{}\tSeeded Property Management {l}\t{inbound}", license_id(l), history.messages_of(l))
    })
    .await?;
    copy(db, progress, "word_marks (license_id, indexed_to)", licenses, |l, out| {
        writeln!(out, "{}\t{}", license_id(l), history.messages_of(l))
    })
    .await?;
    for (name, definition) in indexes {
        progress.say(&format!("index {name}"));
        sqlx::query(AssertSqlSafe(definition)).execute(&mut *db).await?;
    }
    Ok(())
}

/// Drops the indexes that no constraint needs. Returns their names and definitions.
async fn drop_indexes(db: &mut PgConnection) -> Result<Vec<(String, String)>> {
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, pg_get_indexdef(i.indexrelid)
         from pg_index i join pg_class c on c.oid = i.indexrelid
         where i.indrelid::regclass::text = any($1)
           and not exists (select from pg_constraint where conindid = i.indexrelid) order by 1",
    )
    .bind(TABLES.as_slice())
    .fetch_all(&mut *db)
    .await?;
    for (name, _) in &indexes {
        sqlx::query(AssertSqlSafe(format!("drop index {name}"))).execute(&mut *db).await?;
    }
    Ok(indexes)
}

/// A text, and its words as the service would write them.
struct Text {
    body: String,
    words: String,
}

/// Every text there is.
async fn load_texts(db: &mut PgConnection) -> Result<Vec<Text>> {
    let bodies: Vec<String> = (0..TEXTS.len() * UNITS).map(text).collect();
    let words: Vec<String> = sqlx::query_scalar(
        "select words_of(body)::text from unnest($1::text[]) with ordinality as texts (body, n) order by n",
    )
    .bind(&bodies)
    .fetch_all(db)
    .await?;
    Ok(bodies.into_iter().zip(words).map(|(body, words)| Text { body, words }).collect())
}

/// Sends rows in the text format, made one after another.
async fn copy(
    db: &mut PgConnection,
    progress: &Progress,
    target: &str,
    count: u64,
    row: impl Fn(u64, &mut String) -> std::fmt::Result,
) -> Result<()> {
    let table = target.split(' ').next().unwrap_or_default();
    let mut sink = db.copy_in_raw(&format!("copy {target} from stdin")).await?;
    let mut buffer = String::with_capacity(CHUNK + 4_096);
    let mut reported = Instant::now();
    for index in 0..count {
        row(index, &mut buffer)?;
        if buffer.len() >= CHUNK {
            sink.send(buffer.as_bytes()).await?;
            buffer.clear();
            if reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                progress.say(&format!("{table}: {} of {count}", index + 1));
            }
        }
    }
    sink.send(buffer.as_bytes()).await?;
    sink.finish().await?;
    progress.say(&format!("{table}: {count}"));
    Ok(())
}

/// Every row, by its number. Conversations take turns with their messages, and licenses with their conversations.
struct History {
    size: Size,
    now: DateTime<Utc>,
}

impl History {
    fn license_of(&self, conversation: u64) -> String {
        license_id(conversation % self.size.licenses)
    }

    fn time(&self, message: u64) -> DateTime<Utc> {
        let span = u128::try_from(SPAN.num_milliseconds()).unwrap_or_default();
        let offset = span * u128::from(message) / u128::from(self.size.messages);
        self.now - AGE - SPAN + TimeDelta::milliseconds(i64::try_from(offset).unwrap_or_default())
    }

    /// A moment before its first message.
    fn opened_at(&self, conversation: u64) -> DateTime<Utc> {
        self.time(conversation) - TimeDelta::seconds(1)
    }

    fn conversation_id(&self, conversation: u64) -> Uuid {
        id(self.opened_at(conversation), conversation)
    }

    /// Of a license: how many numbers below `limit` are its.
    fn share(&self, license: u64, limit: u64) -> u64 {
        limit / self.size.licenses + u64::from(license < limit % self.size.licenses)
    }

    fn messages_of(&self, license: u64) -> u64 {
        let Size { conversations, messages, .. } = self.size;
        messages / conversations * self.share(license, conversations) + self.share(license, messages % conversations)
    }

    /// Of the license's feed.
    fn seq(&self, message: u64) -> u64 {
        let Size { licenses, conversations, .. } = self.size;
        let (round, conversation) = (message / conversations, message % conversations);
        round * self.share(conversation % licenses, conversations) + conversation / licenses + 1
    }

    fn count_messages(&self, conversation: u64) -> u64 {
        let Size { conversations, messages, .. } = self.size;
        messages / conversations + u64::from(conversation < messages % conversations)
    }

    fn is_inbound(&self, message: u64) -> bool {
        let conversations = self.size.conversations;
        (message / conversations + message % conversations).is_multiple_of(2)
    }

    fn count_inbound_of(&self, conversation: u64) -> u64 {
        let messages = self.count_messages(conversation);
        if conversation.is_multiple_of(2) { messages.div_ceil(2) } else { messages / 2 }
    }

    /// By license.
    fn count_inbound(&self) -> HashMap<u64, u64> {
        let mut counts = HashMap::new();
        for conversation in 0..self.size.conversations {
            *counts.entry(conversation % self.size.licenses).or_default() += self.count_inbound_of(conversation);
        }
        counts
    }

    fn message(&self, k: u64, texts: &[Text], out: &mut String) -> std::fmt::Result {
        let conversation = k % self.size.conversations;
        let at = self.time(k);
        let (license, conversation_id) = (self.license_of(conversation), self.conversation_id(conversation));
        let (person, office) = (phone(conversation), office(conversation % self.size.licenses));
        let Text { body, .. } = texts.get(choose_text(k)).ok_or(std::fmt::Error)?;
        let (id, sid, time) = (id(at, k), mix(k), at.to_rfc3339());
        if self.is_inbound(k) {
            writeln!(
                out,
                "{license}\t{id}\t{conversation_id}\tinbound\t{body}\t{{}}\t{{}}\t{person}\t{office}\t\\N\t\\N\treceived\t1\
                 \ttwilio\tSM{sid:032x}\t{time}\t\\N\t\\N"
            )
        } else {
            writeln!(
                out,
                "{license}\t{id}\t{conversation_id}\toutbound\t{body}\t{{}}\t{{}}\t{office}\t{person}\tseed-mia\tMia Manager\
                 \tdelivered\t1\ttwilio\tSM{sid:032x}\t{time}\t{time}\t{time}"
            )
        }
    }

    fn words(&self, k: u64, texts: &[Text], out: &mut String) -> std::fmt::Result {
        let conversation = k % self.size.conversations;
        let at = self.time(k);
        let Text { words, .. } = texts.get(choose_text(k)).ok_or(std::fmt::Error)?;
        let (license, conversation_id) = (self.license_of(conversation), self.conversation_id(conversation));
        writeln!(out, "{license}\t{}\t{conversation_id}\t{}\t{words}", id(at, k), at.to_rfc3339())
    }

    fn conversation(&self, c: u64, out: &mut String) -> std::fmt::Result {
        let last = (self.count_messages(c) - 1) * self.size.conversations + c;
        let (at, opened_at) = (self.time(last), self.opened_at(c).to_rfc3339());
        writeln!(
            out,
            "{}\t{}\t{}\t{opened_at}\t{}\t{}\t{}\t{}",
            self.license_of(c),
            self.conversation_id(c),
            phone(c),
            id(at, last),
            at.to_rfc3339(),
            self.count_inbound_of(c),
            self.seq(last),
        )
    }
}

/// The id of the `n`-th license.
pub fn license_id(n: u64) -> String {
    format!("seed-{n:05}")
}

/// The id of the person of the `n`-th conversation. It belongs to license `n` modulo their number.
pub fn person_id(n: u64) -> String {
    format!("p-{n:08}")
}

/// The phone of that person.
pub fn phone(n: u64) -> String {
    number(n)
}

/// From which a license sent in those days. It has no number now.
fn office(license: u64) -> String {
    number(34_000_000 + license)
}

/// The `n`-th valid number of ten area codes: exchanges end with 12 to 54, so that none is N11, 555 or 976. There are
/// 34,400,000 of them.
fn number(n: u64) -> String {
    let area = usize::try_from(n % 10).ok().and_then(|index| AREA_CODES.get(index)).unwrap_or(&"212");
    let (line, block) = (n / 10 % 10_000, n / 100_000);
    format!("+1{area}{}{line:04}", 100 * (2 + block / 43 % 8) + 12 + block % 43)
}

fn name(n: u64) -> String {
    const FIRST: [&str; 12] =
        ["Ana", "Ben", "Carla", "David", "Elena", "Frank", "Grace", "Hugo", "Irene", "James", "Karen", "Luis"];
    const LAST: [&str; 11] =
        ["Torres", "Smith", "Nguyen", "Garcia", "Brown", "Lee", "Martinez", "Jones", "Patel", "Kim", "Okafor"];
    let pick =
        |names: &[&'static str], n: u64| usize::try_from(n).ok().and_then(|n| names.get(n % names.len()).copied());
    format!("{} {} {n}", pick(&FIRST, n).unwrap_or_default(), pick(&LAST, n / 12).unwrap_or_default())
}

/// A `UUIDv7` of this time.
fn id(at: DateTime<Utc>, n: u64) -> Uuid {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80 | 0x7 << 76 | 0b10 << 62 | u128::from(mix(n) >> 2))
}

/// Bits that look random, each value once.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// What people write. The first ones are written most often.
const TEXTS: [&str; 32] = [
    "Thanks, that works for me.",
    "When is the rent due this month?",
    "I paid the rent online this morning, could you confirm that it arrived?",
    "The plumber comes tomorrow between 9 and 11, please let him in.",
    "The kitchen sink is leaking again, there is water on the floor.",
    "Ok",
    "Could somebody look at the heating? It is very cold in the bedroom.",
    "Reminder: the water will be off on Friday from 10 to 12.",
    "My parking permit expired, where do I get a new one?",
    "Your package is at the front desk.",
    "The light in the hallway is out since Monday.",
    "Please send me the lease so that I can sign it.",
    "Gracias, ya pagué la renta.",
    "Hay una gotera en el baño, ¿puede venir alguien hoy?",
    "We would like to renew the lease for another year.",
    "The neighbors upstairs are very loud at night.",
    "The inspection is scheduled for next week, we need access to all rooms.",
    "The dishwasher stopped in the middle of a cycle and does not drain.",
    "Is the two bedroom apartment on Oak Street still available?",
    "We painted the stairs, please use the elevator until tomorrow.",
    "I lost my key, can you open the door for me?",
    "The garbage disposal is jammed.",
    "There are ants in the kitchen, please call the exterminator.",
    "What is the deposit for a small dog?",
    "The invoice for the roof is attached to the email.",
    "The smoke detector beeps every minute.",
    "Fire drill on Tuesday at 3 pm.",
    "The elevator is out of service, a technician is on his way.",
    "May I sublet my room in July and August?",
    "The window in the living room does not close any more.",
    "The gardener cut the hedge too low.",
    "A raccoon sits in the laundry room.",
];
const UNITS: usize = 200;

/// Which text a message has.
fn choose_text(k: u64) -> usize {
    let bits = usize::try_from(mix(k ^ 0x5eed) >> 8).unwrap_or_default();
    let (one, other) = (bits % TEXTS.len(), bits / TEXTS.len() % TEXTS.len());
    one * other / TEXTS.len() * UNITS + bits / 1_024 % UNITS
}

fn text(index: usize) -> String {
    format!("{} Unit {}.", TEXTS.get(index / UNITS).copied().unwrap_or_default(), index % UNITS)
}

struct Progress {
    start: Instant,
}

impl Progress {
    fn say(&self, what: &str) {
        println!("[{:6.1} s] {what}", self.start.elapsed().as_secs_f32());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_are_valid_and_each_is_one_persons() {
        let numbers: HashSet<String> =
            (0..200_000).chain(33_900_000..34_100_000).map(number).inspect(|each| assert_eq!(each.len(), 12)).collect();
        assert_eq!(numbers.len(), 400_000);
        assert!(numbers.iter().all(|number| !number[5..].starts_with("555") && &number[6..8] != "11"));
    }

    #[tokio::test]
    async fn every_count_is_that_of_the_rows() {
        let server = std::env::var("LEASELINE_TEST_DATABASE_URL").unwrap();
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let name = format!("seed_{}", Uuid::now_v7().simple());
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.unwrap();
        let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
        let size = Size { licenses: 3, conversations: 10, messages: 47 };
        run(&url, size).await.unwrap();
        assert!(run(&url, size).await.is_err(), "only once");
        let mut db = PgConnection::connect(&url).await.unwrap();
        for (what, statement) in [
            ("messages", "select count(*) = 47 and count(distinct message_id) = 47 from messages"),
            (
                "ids",
                "select bool_and(message_id < later) from (select message_id, lead(message_id) over (order by created_at) as later from messages) as ids",
            ),
            (
                "words",
                "select count(*) = 47 and bool_and(w.words = words_of(m.body)) from messages m join message_words w using (license_id, message_id, conversation_id, created_at)",
            ),
            (
                "heads",
                "select bool_and(feed_head = (select count(*) from messages m where m.license_id = l.license_id)) from licenses l",
            ),
            (
                "inbound totals",
                "select bool_and(inbound_total = (select count(*) from messages m where m.license_id = l.license_id and direction = 'inbound')) from licenses l",
            ),
            (
                "inbound counts",
                "select bool_and(inbound_count = (select count(*) from messages m where m.conversation_id = c.conversation_id and direction = 'inbound')) from conversations c",
            ),
            (
                "last messages",
                "select bool_and(last_message_id = (select message_id from messages m where m.conversation_id = c.conversation_id order by created_at desc limit 1)) from conversations c",
            ),
            (
                "last times",
                "select bool_and(last_activity_at = created_at) from conversations join messages on message_id = last_message_id",
            ),
            (
                "positions",
                "select bool_and(last_message_seq = (select count(*) from messages o where o.license_id = m.license_id and o.created_at <= m.created_at)) from conversations join messages m on message_id = last_message_id",
            ),
            (
                "ties",
                "select count(*) = 10 from conversations join conversation_people using (license_id, conversation_id) join people using (license_id, person_id) join ties using (license_id, person_id, number)",
            ),
            (
                "marks",
                "select bool_and(indexed_to = feed_head and scan_after is null) from licenses join word_marks using (license_id)",
            ),
            (
                "indexes",
                "select count(*) >= 12 from pg_indexes where tablename in ('messages', 'message_words', 'conversations', 'people', 'ties', 'licenses')",
            ),
        ] {
            let holds: Option<bool> = sqlx::query_scalar(statement).fetch_one(&mut db).await.unwrap();
            assert_eq!(holds, Some(true), "{what}");
        }
        db.close().await.unwrap();
        sqlx::query(AssertSqlSafe(format!("drop database {name} with (force)"))).execute(&mut admin).await.unwrap();
    }
}
