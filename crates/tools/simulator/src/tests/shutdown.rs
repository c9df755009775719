//! The end, and many messages at once.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn a_shutdown_takes_less_than_a_second_with_held_and_idle_connections() {
    let receiver = Receiver::start().await;
    let mut carrier = Carrier::with_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "send", "kind": "timeout_after_accept", "to": PHONE }, { "on": "receipt", "kind": "late", "delay_ms": 60_000 }])).await;
    let form = [("To", PHONE), ("From", NUMBER), ("Body", "x")];
    let idle = tokio::net::TcpStream::connect(carrier.base.trim_start_matches("http://")).await.unwrap();
    let held = carrier.try_post("Messages.json", &form);
    let stop = async {
        while carrier.inbox().await.is_empty() {
            tokio::task::yield_now().await;
        }
        carrier.shutdown.cancel();
        Instant::now()
    };
    let (held, stopped_at) = tokio::join!(held, stop);
    assert!(held.is_err());
    let ended = tokio::time::timeout(Duration::from_secs(1), &mut carrier.running).await;
    assert!(ended.is_ok_and(|ended| ended.unwrap().is_ok()));
    assert!(stopped_at.elapsed() < Duration::from_secs(1));
    drop(idle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_all_get_their_receipts() {
    const MESSAGES: usize = 500;
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let callback = receiver.url("/status");
    let form = [("To", PHONE), ("From", NUMBER), ("Body", "x"), ("StatusCallback", callback.as_str())];
    let sends = futures_util::future::join_all((0..MESSAGES).map(|_| carrier.post("Messages.json", &form)));
    assert!(sends.await.iter().all(|(status, _)| *status == StatusCode::CREATED));
    receiver.wait_for(2 * MESSAGES).await;
    // The last answers are counted a moment after the receiver gave them.
    for _ in 0..100 {
        let (_, counts) = carrier.control_get("counts").await;
        if counts["receipts_delivered"] == 2 * MESSAGES {
            assert_eq!((&counts["messages_taken"], &counts["receipts_failed"]), (&json!(MESSAGES), &json!(0)));
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not every receipt was counted: {:?}", carrier.control_get("counts").await);
}
