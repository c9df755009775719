//! Calls to the messages number, as ingest tells of them: rule 6.

use std::time::Duration;

use bus::Handler as _;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::events::CallUpdated;
use crate::push::Pusher;

impl World {
    /// A call of now that rings.
    pub(super) fn call(&self, id: &str, from: Option<&str>) -> ingest::CallUpdated {
        ingest::CallUpdated {
            license_id: ACME.to_owned(),
            carrier: "twilio".to_owned(),
            carrier_call_id: id.to_owned(),
            from: from.map(str::to_owned),
            to: OFFICE.to_owned(),
            result: None,
            duration_s: None,
            occurred_at: Some(to_timestamp(self.clock.now())),
        }
    }

    async fn call_page(&self, license_id: &str, limit: u32, cursor: &str) -> Result<wire::ListCallsResponse, Fault> {
        let request = wire::ListCallsRequest { license_id: license_id.to_owned(), limit, cursor: cursor.to_owned() };
        answer(self.calls.clone().list_calls(request).await)
    }

    pub(super) async fn list_calls(&self) -> Vec<wire::Call> {
        self.call_page(ACME, 200, "").await.unwrap().calls
    }
}

fn ended(call: ingest::CallUpdated, result: &str, duration_s: Option<u32>) -> ingest::CallUpdated {
    ingest::CallUpdated { result: Some(result.to_owned()), duration_s, ..call }
}

fn names(call: &wire::Call) -> Vec<&str> {
    call.people.iter().map(|each| each.person_id.as_str()).collect()
}

#[tokio::test]
async fn a_call_is_recorded_with_its_caller_and_its_result_and_appears_on_the_feed() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "call me").await.conversation_id;
    let head = world.head(ACME).await;
    let start = world.clock.now();
    world.apply(&[world.call("CA-1", Some(ANN))]).await;
    let ringing = world.list_calls().await.remove(0);
    let ann =
        wire::ConversationPerson { person_id: "ann".to_owned(), kind: "tenant".to_owned(), name: "ann".to_owned() };
    let expected = wire::Call {
        license_id: ACME.to_owned(),
        call_id: ringing.call_id.clone(),
        from: Some(ANN.to_owned()),
        to: OFFICE.to_owned(),
        people: vec![ann],
        conversation_id: Some(home),
        result: None,
        duration_s: None,
        started_at: Some(to_timestamp(start)),
        ended_at: None,
    };
    assert_eq!(ringing, expected);

    world.clock.advance(Duration::from_secs(75));
    world.apply(&[ended(world.call("CA-1", Some(ANN)), "answered", Some(60))]).await;
    let answered = wire::Call {
        result: Some("answered".to_owned()),
        duration_s: Some(60),
        ended_at: Some(to_timestamp(world.clock.now())),
        ..expected
    };
    assert_eq!(world.list_calls().await, std::slice::from_ref(&answered));
    let entries = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&entries), ["call.updated"; 2]);
    // Entries show the call as it is now.
    assert!(entries.into_iter().all(|entry| entry.content == Some(Content::CallUpdated(answered.clone()))));
    world.finish().await;
}

#[tokio::test]
async fn the_events_of_a_call_come_in_any_order_and_doubled_and_are_one_call_whose_first_result_stays() {
    let world = World::with_ann().await;
    let head = world.head(ACME).await;
    let start = world.clock.now();
    let ringing = world.call("CA-1", Some(ANN));
    world.clock.advance(Duration::from_secs(20));
    let busy = ended(world.call("CA-1", Some(ANN)), "busy", None);
    let end = world.clock.now();
    world.clock.advance(Duration::from_secs(20));
    let answered = ended(world.call("CA-1", Some(ANN)), "answered", Some(9));
    for event in [&busy, &answered, &ringing, &busy, &ringing] {
        world.apply(std::slice::from_ref(event)).await;
    }
    let calls = world.list_calls().await;
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].result.as_deref(), calls[0].duration_s), (Some("busy"), None));
    assert_eq!((calls[0].started_at, calls[0].ended_at), (Some(to_timestamp(start)), Some(to_timestamp(end))));
    // The call, and then its beginning: what says nothing new takes no position.
    assert_eq!(kinds(&world.feed_after(ACME, head).await), ["call.updated"; 2]);

    // The same id at another carrier, or in another license, is another call.
    let telnyx = ingest::CallUpdated { carrier: "telnyx".to_owned(), ..ringing.clone() };
    let birch = ingest::CallUpdated { license_id: "birch".to_owned(), ..ringing };
    world.apply(&[telnyx, birch]).await;
    assert_eq!(world.list_calls().await.len(), 2);
    let theirs = world.call_page("birch", 200, "").await.unwrap().calls;
    assert_eq!((theirs.len(), names(&theirs[0]), &theirs[0].conversation_id), (1, vec![], &None));
    world.finish().await;
}

#[tokio::test]
async fn the_events_of_a_call_that_come_in_one_batch_show_as_one_change() {
    let world = World::with_ann().await;
    let head = world.head(ACME).await;
    let call = world.call("CA-1", Some(ANN));
    let events = [call.clone(), ended(call.clone(), "answered", Some(9)), call].map(|event| bus::Received {
        event_id: Uuid::now_v7().to_string(),
        event,
        occurred_at: world.clock.now(),
    });
    let (pusher, _) = Pusher::new(world.pool().clone(), world.bus.clone(), CancellationToken::new());
    let mut tx = world.pool().begin().await.unwrap();
    let ranges = CallUpdated::new(pusher).handle(&mut tx, &events).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ranges.len(), 1);
    let entries = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&entries), ["call.updated"]);
    let Some(Content::CallUpdated(shown)) = &entries[0].content else { panic!("{entries:?}") };
    assert_eq!((shown.result.as_deref(), shown.duration_s), (Some("answered"), Some(9)));
    world.finish().await;
}

#[tokio::test]
async fn events_of_many_calls_at_once_make_one_call_each() {
    let world = World::with_ann().await;
    let mut events = Vec::new();
    for n in 0..50 {
        let call = world.call(&format!("CA-{n}"), Some(&phone(n)));
        events.extend([ended(call.clone(), "no_answer", None), call.clone(), call]);
    }
    world.apply(&events).await;
    let calls = world.list_calls().await;
    assert_eq!(calls.len(), 50);
    assert!(calls.iter().all(|call| call.result.as_deref() == Some("no_answer")));
    world.finish().await;
}

#[tokio::test]
async fn a_call_names_those_to_whom_the_number_belonged_when_it_came_and_never_a_strangers_conversation() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[ANN]).await.unwrap();
    let home = world.send_one(person("ann"), "to you two").await.conversation_id;
    world.apply(&[world.call("CA-1", Some(ANN))]).await;
    let shared = world.list_calls().await.remove(0);
    assert_eq!((names(&shared), shared.conversation_id.as_deref()), (vec!["ann", "bob"], Some(home.as_str())));

    // The number goes to somebody else; what was noted stays.
    for id in ["ann", "bob"] {
        world.put_person(ACME, id, &[]).await.unwrap();
    }
    world.put_person(ACME, "cat", &[ANN]).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.apply(&[ended(world.call("CA-1", Some(ANN)), "answered", None), world.call("CA-2", Some(ANN))]).await;
    let calls = world.list_calls().await;
    assert_eq!((names(&calls[0]), &calls[0].conversation_id), (vec!["cat"], &None));
    assert_eq!((names(&calls[1]), &calls[1].conversation_id), (vec!["ann", "bob"], &shared.conversation_id));

    // Nobody we know, and nobody who says who they are.
    world.clock.advance(Duration::from_secs(1));
    world.apply(&[world.call("CA-3", Some(BOB))]).await;
    world.clock.advance(Duration::from_secs(1));
    world.apply(&[world.call("CA-4", None)]).await;
    let calls = world.list_calls().await;
    assert_eq!((calls[0].from.as_deref(), names(&calls[0])), (None, vec![]));
    assert_eq!((calls[1].from.as_deref(), names(&calls[1])), (Some(BOB), vec![]));
    world.finish().await;
}

#[tokio::test]
async fn calls_come_in_pages_newest_first_and_only_those_of_the_license() {
    let world = World::with_ann().await;
    for n in 0..5_u32 {
        world.apply(&[world.call(&n.to_string(), Some(&phone(n)))]).await;
        // The first two at the same moment.
        world.clock.advance(Duration::from_secs(u64::from(n)));
    }
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.call_page(ACME, 2, &cursor).await.unwrap();
        pages.push(page.calls.into_iter().filter_map(|call| call.from).collect::<Vec<_>>());
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [vec![phone(4), phone(3)], vec![phone(2), phone(1)], vec![phone(0)]]);
    assert_eq!(world.call_page("birch", 200, "").await.unwrap().calls, []);
    for (license_id, limit, cursor, code, field) in [
        (ACME, 0, "", "out_of_range", "limit"),
        (ACME, 201, "", "out_of_range", "limit"),
        (ACME, 1, "x", "invalid_cursor", "cursor"),
        ("a.b", 1, "", "invalid_id", "license_id"),
    ] {
        let refused = refusal(world.call_page(license_id, limit, cursor).await);
        assert_eq!(refused, (code.to_owned(), Some(field.to_owned())));
    }
    world.finish().await;
}
