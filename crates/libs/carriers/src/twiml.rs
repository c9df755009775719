//! The XML that tells a carrier what to do with a call: TwiML, which Telnyx speaks as TeXML (CARRIERS §5).

use crate::{CallInstruction, Forward, WebhookAnswer};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// The answer that gives this instruction.
pub(crate) fn answer(instruction: &CallInstruction) -> WebhookAnswer {
    let verbs = match instruction {
        // The first verb, and bridged only when answered: until then the caller hears ringing and pays nothing.
        CallInstruction::Forward(Forward { to, caller_id, ring_for, then }) => format!(
            "<Dial answerOnBridge=\"true\" callerId=\"{}\" timeout=\"{}\" action=\"{}\" method=\"POST\"><Number>{}</Number></Dial>",
            escape(caller_id),
            ring_for.as_secs(),
            escape(then.as_str()),
            to.as_str(),
        ),
        CallInstruction::Say(sentence) => format!("<Say>{}</Say><Hangup/>", escape(sentence)),
        CallInstruction::HangUp => "<Hangup/>".to_owned(),
    };
    WebhookAnswer { content_type: "text/xml", body: format!("{HEAD}<Response>{verbs}</Response>").into() }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::PhoneNumber;
    use url::Url;

    use super::*;

    #[test]
    fn a_call_rings_the_given_phone_shows_the_caller_and_says_what_came_of_it() {
        let forward = Forward {
            to: PhoneNumber::from_e164("+14152345678").unwrap(),
            caller_id: "+442079460958".to_owned(),
            ring_for: Duration::from_secs(25),
            then: Url::parse("https://in.example.com/webhooks/twilio/voice/after?license=a&b=<c>").unwrap(),
        };
        assert_eq!(
            answer(&CallInstruction::Forward(forward)).body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Dial answerOnBridge=\"true\" callerId=\"+442079460958\" \
             timeout=\"25\" action=\"https://in.example.com/webhooks/twilio/voice/after?license=a&amp;b=%3Cc%3E\" \
             method=\"POST\"><Number>+14152345678</Number></Dial></Response>"
        );
    }

    #[test]
    fn a_sentence_is_spoken_before_the_call_ends() {
        let body = answer(&CallInstruction::Say("Us & you <3")).body;
        assert!(body.ends_with("<Response><Say>Us &amp; you &lt;3</Say><Hangup/></Response>"), "{body}");
        assert!(answer(&CallInstruction::HangUp).body.ends_with("<Response><Hangup/></Response>"));
    }
}
