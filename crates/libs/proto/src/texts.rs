//! A text that came in, whoever tells of it: the carrier's webhook, or its list. Both make one and the same event of it.

use crate::ingest::MessageReceived;

/// Twilio's ids have 34 characters, UUIDs 36, Telnyx' ids of calls about 60. The id becomes part of a header.
const MAX_CARRIER_ID: usize = 128;

/// A carrier's id of something is none that could stand in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCarrierId;

impl std::fmt::Display for InvalidCarrierId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the carrier's id is empty, too long, or holds more than visible ASCII")
    }
}

impl std::error::Error for InvalidCarrierId {}

/// A carrier's id goes into a header of the event, where a line break would be fatal.
///
/// # Errors
/// [`InvalidCarrierId`]
pub fn check_carrier_id(id: &str) -> Result<(), InvalidCarrierId> {
    let fits = (1..=MAX_CARRIER_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(()) } else { Err(InvalidCarrierId) }
}

impl MessageReceived {
    /// The event as it is published, and the id under which repeats of it are known: `<carrier>:<carrier's id>`.
    ///
    /// Texts keep every character (rule 14), with one exception: U+0000, which no text message can hold and PostgreSQL
    /// cannot store, becomes U+FFFD here, once, so that it stops no consumer.
    ///
    /// # Errors
    /// [`InvalidCarrierId`]
    pub fn identify(mut self) -> Result<(String, Self), InvalidCarrierId> {
        check_carrier_id(&self.carrier_message_id)?;
        replace_nul(&mut self.body);
        for media in &mut self.media {
            replace_nul(&mut media.content_type);
        }
        Ok((format!("{}:{}", self.carrier, self.carrier_message_id), self))
    }
}

fn replace_nul(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Media;

    fn text(body: &str) -> MessageReceived {
        MessageReceived {
            carrier: "twilio".to_owned(),
            carrier_message_id: "SM1".to_owned(),
            body: body.to_owned(),
            ..MessageReceived::default()
        }
    }

    #[test]
    fn message_texts_keep_every_character() {
        for body in ["", " both ends ", "a\r\nb\tc\u{1}", "«ünï» 日本 😀 🏳️‍🌈 e\u{301}", "\u{feff}\u{202e}x\u{200d}"]
        {
            assert_eq!(text(body).identify().unwrap().1.body, body);
        }
    }

    #[test]
    fn a_nul_that_postgresql_cannot_store_becomes_a_replacement_character() {
        let media =
            Media { url: "https://api.twilio.com/Media/ME1".to_owned(), content_type: "image/\0png".to_owned() };
        let (_, event) = MessageReceived { media: vec![media], ..text("a\0b\0") }.identify().unwrap();
        assert_eq!(event.body, "a\u{fffd}b\u{fffd}");
        assert_eq!(event.media[0].content_type, "image/\u{fffd}png");
    }

    #[test]
    fn a_text_has_the_same_id_whatever_else_differs() {
        assert_eq!(text("one").identify().unwrap().0, "twilio:SM1");
        assert_eq!(text("two").identify().unwrap().0, "twilio:SM1");
    }

    #[test]
    fn an_id_that_could_not_stand_in_a_header_is_refused() {
        for id in ["", "SM1\r\nNats-Rollup: all", "SM 1", "SMé", &"S".repeat(129)] {
            let text = MessageReceived { carrier_message_id: id.to_owned(), ..text("x") };
            assert_eq!(text.identify(), Err(InvalidCarrierId), "{id:?}");
        }
    }
}
