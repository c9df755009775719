//! A phone texts a number: the carrier notes it, plays its own part of STOP, START and HELP, and tells the number's owner.

use std::sync::Arc;

use chrono::Utc;

use crate::carrier::CarrierName;
use crate::consent::Keyword;
use crate::faults::{Fault, Kind, Point, Subject};
use crate::history::{Direction, Message, Status};
use crate::media::{self, Attachment};
use crate::numbers::Settings;
use crate::segments::count_segments;
use crate::sid;
use crate::state::Simulator;
use crate::telnyx::webhooks::Event;
use crate::webhook::{Delivery, Params};
use crate::{telnyx, twilio};

/// What a phone sends.
pub(crate) struct Text {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) body: String,
    pub(crate) attachments: Vec<Attachment>,
}

/// The message's id, and the status of the last answer to the webhook, if there was one.
pub(crate) struct Texted {
    pub(crate) sid: String,
    pub(crate) webhook_status: Option<u16>,
    pub(crate) media_urls: Vec<String>,
}

/// A webhook as the carrier posts it.
enum Webhook {
    Twilio(Params),
    Telnyx(Event),
}

/// Nothing when nobody owns the number.
pub(crate) async fn play(simulator: &Arc<Simulator>, text: Text) -> Option<Texted> {
    let (carrier, profile_id, settings) = {
        let world = simulator.world();
        let owned = world.numbers.find_by_number(&text.to)?;
        (owned.carrier, owned.profile_id.clone(), world.numbers.get_settings(owned))
    };
    let fault = simulator.take_fault(carrier, Point::Inbound, Subject::number(&text.to));
    let keyword = Keyword::find(carrier, &text.body);
    let message = record(simulator, carrier, profile_id.as_deref(), text, keyword);
    let webhook = match carrier {
        CarrierName::Twilio => {
            Webhook::Twilio(twilio::texts::list_inbound_params(&simulator.config.account_sid, &message))
        }
        CarrierName::Telnyx => Webhook::Telnyx(telnyx::texts::make_inbound(&message, profile_id.as_deref(), keyword)),
    };
    // The webhook goes out whether or not the one who asked for the text stays to hear about it.
    let deliver = deliver(Arc::clone(simulator), settings, webhook, fault);
    let delivery = simulator.tasks.spawn(deliver).await.ok().flatten();
    let webhook_status = delivery.and_then(|delivery| delivery.answer).map(|answer| answer.status);
    Some(Texted { sid: message.sid, webhook_status, media_urls: message.media_urls })
}

/// Notes the text, and what the carrier replies by itself.
fn record(
    simulator: &Simulator,
    carrier: CarrierName,
    profile_id: Option<&str>,
    text: Text,
    keyword: Option<Keyword>,
) -> Message {
    let now = Utc::now();
    let make_sid = |media: bool| match carrier {
        CarrierName::Twilio => sid::make(if media { "MM" } else { "SM" }),
        CarrierName::Telnyx => telnyx::make_uuid(),
    };
    let sid = make_sid(!text.attachments.is_empty());
    let (media_urls, media_types) = keep(simulator, carrier, &sid, text.attachments);
    let message = Message {
        carrier,
        sid,
        direction: Direction::Inbound,
        from: text.from,
        to: text.to,
        segments: count_segments(&text.body),
        body: text.body,
        media_urls,
        media_types,
        status: Status::Received,
        error_code: None,
        on_phone_at: None,
        created_at: now,
        updated_at: now,
        sent_at: Some(now),
    };
    let scope = match carrier {
        CarrierName::Twilio => Some(message.to.as_str()),
        CarrierName::Telnyx => profile_id,
    };
    let mut world = simulator.world();
    let reply =
        keyword.zip(scope).and_then(|(keyword, scope)| world.opt_outs.record_word(&message.from, scope, keyword));
    world.record(message.clone());
    if let Some(reply) = reply {
        world.record(Message {
            sid: make_sid(false),
            direction: Direction::OutboundReply,
            from: message.to.clone(),
            to: message.from.clone(),
            segments: count_segments(reply),
            body: reply.to_owned(),
            media_urls: Vec::new(),
            media_types: Vec::new(),
            status: Status::Delivered,
            on_phone_at: Some(now),
            ..message.clone()
        });
    }
    message
}

/// Keeps what was attached. Returns the addresses that the carrier tells, and the types.
fn keep(
    simulator: &Simulator,
    carrier: CarrierName,
    message_sid: &str,
    attachments: Vec<Attachment>,
) -> (Vec<String>, Vec<String>) {
    let mut world = simulator.world();
    let place = |attachment| match attachment {
        Attachment::Elsewhere(url) => (url, media::USUAL_TYPE.to_owned()),
        Attachment::File { content_type, bytes } => {
            let (key, sid) = world.files.record(carrier, message_sid, &content_type, bytes);
            let url = match carrier {
                CarrierName::Twilio => twilio::media::address(simulator, message_sid, &sid),
                CarrierName::Telnyx => media::address(simulator, &key),
            };
            (url, content_type)
        }
    };
    attachments.into_iter().map(place).unzip()
}

/// Nothing when there is no address or a fault loses the webhook; the last delivery when one doubles it.
async fn deliver(
    simulator: Arc<Simulator>,
    settings: Settings,
    webhook: Webhook,
    fault: Option<Fault>,
) -> Option<Delivery> {
    let url = settings.sms_url?;
    let fallback = settings.sms_fallback_url.as_deref();
    let mut posts = 1;
    if let Some(fault) = fault {
        match fault.kind {
            Kind::Lost => posts = 0,
            Kind::Doubled => posts = 2,
            _ => tokio::select! {
                () = tokio::time::sleep(fault.lateness()) => {}
                () = simulator.shutdown.cancelled() => posts = 0,
            },
        }
    }
    let mut last = None;
    for _ in 0..posts {
        let delivery = match &webhook {
            Webhook::Twilio(params) => simulator.twilio_webhooks.deliver_with_fallback(&url, fallback, params).await,
            Webhook::Telnyx(event) => simulator.telnyx_webhooks.deliver(&url, fallback, event).await,
        };
        simulator.counts.record_webhook(&delivery);
        last = Some(delivery);
    }
    last
}
