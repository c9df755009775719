//! The license row: the lock of every change, the head of the feed, the messages number, and the company.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{
    Batch, Call, CompanyName, Conversation, ConversationEvent, Direction, Id, LicenseId, ManagerId, Message, PersonId,
    PhoneNumber, ScheduledSend,
};
use uuid::Uuid;

use super::messages::NewMessage;
use super::{Result, Tx, stored};

/// What a feed entry refers to.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    MessageCreated(Id<Conversation>, Id<Message>),
    MessageUpdated(Id<Conversation>, Id<Message>),
    ConversationUpdated(Id<Conversation>),
    PersonUpdated(PersonId),
    NumberChanged,
    CallUpdated(Id<Call>),
    ConversationEvent(Id<Conversation>, Id<ConversationEvent>),
    CompanyUpdated,
    /// What this manager has read of the conversation. For nobody else.
    ReadUpdated(ManagerId, Id<Conversation>),
    ConversationDeleted(Id<Conversation>),
    BatchUpdated(Id<Batch>),
    ScheduledUpdated(Id<ScheduledSend>),
    UnmatchedUpdated,
}

/// Entries of one license: from `first` to `last`, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedRange {
    pub license_id: LicenseId,
    pub first: i64,
    pub last: i64,
}

/// Licenses that this transaction alone may change.
#[derive(Debug, Default)]
pub(crate) struct Locked {
    licenses: BTreeMap<LicenseId, LockedLicense>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct LockedLicense {
    head_before: i64,
    head: i64,
    /// Inbound messages that came with this transaction, less those that went.
    inbound: i64,
}

impl LockedLicense {
    fn at(head: i64) -> Self {
        Self { head_before: head, head, inbound: 0 }
    }
}

#[derive(Debug)]
struct Entry {
    license_id: LicenseId,
    seq: i64,
    subject: Subject,
    occurred_at: DateTime<Utc>,
}

/// Locks licenses, in a fixed order, and creates the rows of those that were never heard of.
pub(crate) async fn lock(tx: &mut Tx<'_>, license_ids: impl IntoIterator<Item = LicenseId>) -> Result<Locked> {
    let wanted: BTreeSet<LicenseId> = license_ids.into_iter().collect();
    let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let mut locked = select_for_update(tx, &names).await?;
    if locked.licenses.len() < wanted.len() {
        sqlx::query!(
            "insert into licenses (license_id) select license_id from unnest($1::text[]) as license_id
             order by license_id on conflict do nothing",
            &names,
        )
        .execute(&mut **tx)
        .await?;
        locked = select_for_update(tx, &names).await?;
    }
    Ok(locked)
}

async fn select_for_update(tx: &mut Tx<'_>, names: &[String]) -> Result<Locked> {
    let rows = sqlx::query!(
        "select license_id, feed_head from licenses where license_id = any($1) order by license_id for update",
        names,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut locked = Locked::default();
    for row in rows {
        let license_id = stored(LicenseId::parse(row.license_id), "license id")?;
        locked.licenses.insert(license_id, LockedLicense::at(row.feed_head));
    }
    Ok(locked)
}

/// Locks a license, unless somebody else has it just now.
pub(crate) async fn try_lock(tx: &mut Tx<'_>, license_id: &LicenseId) -> Result<Option<Locked>> {
    let head = sqlx::query_scalar!(
        "select feed_head from licenses where license_id = $1 for update skip locked",
        license_id.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(head.map(|head| Locked {
        licenses: BTreeMap::from([(license_id.clone(), LockedLicense::at(head))]),
        entries: Vec::new(),
    }))
}

/// What the company of a license is called. `None`: nobody has said yet.
pub(crate) async fn find_company_name(tx: &mut Tx<'_>, license_id: &LicenseId) -> Result<Option<String>> {
    let name = sqlx::query_scalar!("select company_name from licenses where license_id = $1", license_id.as_str())
        .fetch_optional(&mut **tx)
        .await?;
    Ok(name.flatten())
}

/// Locks the licenses whose messages number is one of these *now*, and says whose each is.
pub(crate) async fn lock_by_number(
    tx: &mut Tx<'_>,
    numbers: &[PhoneNumber],
) -> Result<(Locked, BTreeMap<PhoneNumber, LicenseId>)> {
    let numbers: Vec<String> = numbers.iter().map(|number| number.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select license_id, feed_head, number as "number!", number_assigned_at
           from licenses where number = any($1) order by license_id for update"#,
        &numbers,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut locked = Locked::default();
    let mut owners: BTreeMap<PhoneNumber, (Option<DateTime<Utc>>, LicenseId)> = BTreeMap::new();
    for row in rows {
        let license_id = stored(LicenseId::parse(row.license_id), "license id")?;
        let number = stored(PhoneNumber::from_e164(&row.number), "number")?;
        locked.licenses.insert(license_id.clone(), LockedLicense::at(row.feed_head));
        // Two owners for a moment: news of the change from one to the other are still on their way.
        let owner = (row.number_assigned_at, license_id);
        owners.entry(number).and_modify(|known| *known = owner.clone().max(known.clone())).or_insert(owner);
    }
    Ok((locked, owners.into_iter().map(|(number, (_, license_id))| (number, license_id)).collect()))
}

impl Locked {
    /// Notes a change that clients of the license see. It takes the license's next position, which is returned.
    ///
    /// A license that is not locked here has no position to give: the entry is dropped, and a test would see it.
    pub(crate) fn record(&mut self, license_id: &LicenseId, subject: Subject, occurred_at: DateTime<Utc>) -> i64 {
        let Some(license) = self.licenses.get_mut(license_id) else {
            debug_assert!(false, "{license_id} is not locked");
            return 0;
        };
        license.head += 1;
        self.entries.push(Entry { license_id: license_id.clone(), seq: license.head, subject, occurred_at });
        license.head
    }

    /// Notes new messages, which clients see and inbound ones of which somebody has to read. Returns their positions.
    pub(crate) fn record_messages(&mut self, messages: &[NewMessage]) -> Vec<i64> {
        self.record_messages_at(messages, |message| message.created_at)
    }

    /// The same of messages that may be old already. Entries are swept by their time: one that is older than those before
    /// it would leave a gap.
    pub(crate) fn record_late_messages(&mut self, messages: &[NewMessage], now: DateTime<Utc>) -> Vec<i64> {
        self.record_messages_at(messages, |_| now)
    }

    fn record_messages_at(
        &mut self,
        messages: &[NewMessage],
        occurred_at: impl Fn(&NewMessage) -> DateTime<Utc>,
    ) -> Vec<i64> {
        let record = |message: &NewMessage| {
            if let (Direction::Inbound, Some(license)) = (message.direction, self.licenses.get_mut(&message.license_id))
            {
                license.inbound += 1;
            }
            let subject = Subject::MessageCreated(message.conversation_id, message.message_id);
            self.record(&message.license_id, subject, occurred_at(message))
        };
        messages.iter().map(record).collect()
    }

    /// Inbound messages that are erased: nobody has to read them any more.
    pub(crate) fn forget_inbound(&mut self, license_id: &LicenseId, messages: i32) {
        if let Some(license) = self.licenses.get_mut(license_id) {
            license.inbound -= i64::from(messages);
        }
    }

    /// Writes the entries and the new heads. The last thing in a transaction.
    pub(crate) async fn write(self, tx: &mut Tx<'_>) -> Result<Vec<FeedRange>> {
        if self.entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut columns = Columns::default();
        for entry in &self.entries {
            columns.push(entry);
        }
        let moved = self.licenses.into_iter().filter(|(_, license)| license.head > license.head_before);
        let (ranges, inbound): (Vec<FeedRange>, Vec<i64>) = moved
            .map(|(license_id, LockedLicense { head_before, head, inbound })| {
                (FeedRange { license_id, first: head_before + 1, last: head }, inbound)
            })
            .unzip();
        let (names, heads): (Vec<String>, Vec<i64>) =
            ranges.iter().map(|range| (range.license_id.to_string(), range.last)).unzip();
        // One round trip while others wait for the lock, not two.
        sqlx::query!(
            "with entries as (
               insert into feed (license_id, seq, kind, conversation_id, message_id, person_id, call_id,
                 manager_id, event_id, send_id, occurred_at)
               select * from unnest($1::text[], $2::bigint[], $3::text[], $4::uuid[], $5::uuid[], $6::text[],
                 $7::uuid[], $8::text[], $9::uuid[], $10::uuid[], $11::timestamptz[]))
             update licenses set feed_head = new.head, inbound_total = inbound_total + new.inbound
             from unnest($12::text[], $13::bigint[], $14::bigint[]) as new (license_id, head, inbound)
             where licenses.license_id = new.license_id",
            &columns.license_ids,
            &columns.seqs,
            &columns.kinds as _,
            &columns.conversation_ids as _,
            &columns.message_ids as _,
            &columns.person_ids as _,
            &columns.call_ids as _,
            &columns.manager_ids as _,
            &columns.event_ids as _,
            &columns.send_ids as _,
            &columns.times,
            &names,
            &heads,
            &inbound,
        )
        .execute(&mut **tx)
        .await?;
        Ok(ranges)
    }
}

#[derive(Default)]
struct Columns {
    license_ids: Vec<String>,
    seqs: Vec<i64>,
    kinds: Vec<&'static str>,
    conversation_ids: Vec<Option<Uuid>>,
    message_ids: Vec<Option<Uuid>>,
    person_ids: Vec<Option<String>>,
    call_ids: Vec<Option<Uuid>>,
    manager_ids: Vec<Option<String>>,
    event_ids: Vec<Option<Uuid>>,
    send_ids: Vec<Option<Uuid>>,
    times: Vec<DateTime<Utc>>,
}

impl Columns {
    fn push(&mut self, entry: &Entry) {
        let kind = match &entry.subject {
            Subject::MessageCreated(..) => "message.created",
            Subject::MessageUpdated(..) => "message.updated",
            Subject::ConversationUpdated(_) => "conversation.updated",
            Subject::PersonUpdated(_) => "person.updated",
            Subject::NumberChanged => "number.changed",
            Subject::CallUpdated(_) => "call.updated",
            Subject::ConversationEvent(..) => "conversation.event",
            Subject::CompanyUpdated => "company.updated",
            Subject::ReadUpdated(..) => "read.updated",
            Subject::ConversationDeleted(_) => "conversation.deleted",
            Subject::BatchUpdated(_) => "batch.updated",
            Subject::ScheduledUpdated(_) => "scheduled.updated",
            Subject::UnmatchedUpdated => "unmatched.updated",
        };
        let (mut conversation_id, mut message_id, mut person_id, mut call_id) = (None, None, None, None);
        let (mut manager_id, mut event_id, mut send_id) = (None, None, None);
        match &entry.subject {
            Subject::MessageCreated(conversation, message) | Subject::MessageUpdated(conversation, message) => {
                (conversation_id, message_id) = (Some(conversation.uuid()), Some(message.uuid()));
            }
            Subject::ConversationUpdated(conversation) | Subject::ConversationDeleted(conversation) => {
                conversation_id = Some(conversation.uuid());
            }
            Subject::PersonUpdated(person) => person_id = Some(person.to_string()),
            Subject::CallUpdated(call) => call_id = Some(call.uuid()),
            Subject::ConversationEvent(conversation, event) => {
                (conversation_id, event_id) = (Some(conversation.uuid()), Some(event.uuid()));
            }
            Subject::ReadUpdated(manager, conversation) => {
                (manager_id, conversation_id) = (Some(manager.to_string()), Some(conversation.uuid()));
            }
            Subject::BatchUpdated(batch) => send_id = Some(batch.uuid()),
            Subject::ScheduledUpdated(scheduled) => send_id = Some(scheduled.uuid()),
            Subject::NumberChanged | Subject::CompanyUpdated | Subject::UnmatchedUpdated => {}
        }
        self.license_ids.push(entry.license_id.to_string());
        self.seqs.push(entry.seq);
        self.kinds.push(kind);
        self.conversation_ids.push(conversation_id);
        self.message_ids.push(message_id);
        self.person_ids.push(person_id);
        self.call_ids.push(call_id);
        self.manager_ids.push(manager_id);
        self.event_ids.push(event_id);
        self.send_ids.push(send_id);
        self.times.push(entry.occurred_at);
    }
}

/// A license's messages number, as `numbers` announced it.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub license_id: LicenseId,
    pub number: PhoneNumber,
    pub carrier: String,
    pub assigned_at: DateTime<Utc>,
    pub version: i64,
}

/// Keeps the newest assignment of each license. Returns the licenses whose number changed.
pub(crate) async fn record_assignments(tx: &mut Tx<'_>, assignments: &[Assignment]) -> Result<Vec<LicenseId>> {
    let license_ids: Vec<String> = assignments.iter().map(|each| each.license_id.to_string()).collect();
    let numbers: Vec<String> = assignments.iter().map(|each| each.number.as_str().to_owned()).collect();
    let carriers: Vec<String> = assignments.iter().map(|each| each.carrier.clone()).collect();
    let times: Vec<DateTime<Utc>> = assignments.iter().map(|each| each.assigned_at).collect();
    let versions: Vec<i64> = assignments.iter().map(|each| each.version).collect();
    let changed = sqlx::query_scalar!(
        "update licenses
         set number = new.number, carrier = new.carrier, number_assigned_at = new.assigned_at, number_version = new.version
         from (select distinct on (license_id) *
               from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[])
                 as news (license_id, number, carrier, assigned_at, version)
               order by license_id, version desc) as new
         where licenses.license_id = new.license_id and licenses.number_version < new.version
         returning licenses.license_id",
        &license_ids,
        &numbers,
        &carriers,
        &times,
        &versions,
    )
    .fetch_all(&mut **tx)
    .await?;
    changed.into_iter().map(|license_id| stored(LicenseId::parse(license_id), "license id")).collect()
}

/// What a license's company says about itself, as `numbers` announced it.
#[derive(Debug)]
pub(crate) struct Company {
    pub license_id: LicenseId,
    pub name: CompanyName,
    pub phone: Option<PhoneNumber>,
    pub changed_at: DateTime<Utc>,
    pub version: i64,
}

/// Keeps the newest word of each license's company. Returns the licenses of which it was news.
pub(crate) async fn record_companies(tx: &mut Tx<'_>, companies: &[Company]) -> Result<Vec<LicenseId>> {
    let license_ids: Vec<String> = companies.iter().map(|each| each.license_id.to_string()).collect();
    let names: Vec<&str> = companies.iter().map(|each| each.name.as_str()).collect();
    let phones: Vec<Option<&str>> = companies.iter().map(|each| each.phone.as_ref().map(PhoneNumber::as_str)).collect();
    let versions: Vec<i64> = companies.iter().map(|each| each.version).collect();
    let changed = sqlx::query_scalar!(
        "update licenses
         set company_name = new.name, company_phone = new.phone, company_version = new.version
         from (select distinct on (license_id) *
               from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as news (license_id, name, phone, version)
               order by license_id, version desc) as new
         where licenses.license_id = new.license_id and licenses.company_version < new.version
         returning licenses.license_id",
        &license_ids,
        &names as _,
        &phones as _,
        &versions,
    )
    .fetch_all(&mut **tx)
    .await?;
    changed.into_iter().map(|license_id| stored(LicenseId::parse(license_id), "license id")).collect()
}
