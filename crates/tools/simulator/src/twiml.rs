//! Reads what the simulator plays of a TwiML or TeXML answer: the sentence that is spoken first, and the first `<Dial>`.
//! It refuses document type definitions. What follows a `<Dial>` is not played.

/// What a call does with an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// Spoken before anything else.
    pub(crate) said: Option<String>,
    pub(crate) dial: Option<Dial>,
    /// The first verb is a `<Reject>`: the call is not answered at all.
    pub(crate) rejected: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    /// Of the first `<Number>`, or the plain text of the verb; nothing if it dials nobody.
    pub(crate) number: Option<String>,
    pub(crate) caller_id: Option<String>,
    /// Seconds of ringing.
    pub(crate) timeout: u32,
    /// As it stands there, possibly relative to the document.
    pub(crate) action: Option<String>,
    pub(crate) answer_on_bridge: bool,
}

/// Seconds of ringing where the verb names none, at both carriers.
const RING: u32 = 30;

/// Nothing when the answer is no XML or no `<Response>`.
pub(crate) fn read(xml: &str) -> Option<Script> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let root = document.root_element();
    if !root.has_tag_name("Response") {
        return None;
    }
    let mut script = Script::default();
    for (at, verb) in root.children().filter(roxmltree::Node::is_element).enumerate() {
        match verb.tag_name().name() {
            "Say" if script.said.is_none() => script.said = find_text(verb),
            "Dial" => {
                script.dial = Some(read_dial(verb));
                break;
            }
            "Reject" => {
                script.rejected = at == 0;
                break;
            }
            "Hangup" => break,
            _ => {}
        }
    }
    Some(script)
}

fn read_dial(verb: roxmltree::Node<'_, '_>) -> Dial {
    let noun = verb.children().find(|node| node.has_tag_name("Number")).unwrap_or(verb);
    Dial {
        number: find_text(noun),
        caller_id: verb.attribute("callerId").map(str::to_owned),
        timeout: verb.attribute("timeout").and_then(|seconds| seconds.parse().ok()).unwrap_or(RING),
        action: verb.attribute("action").map(str::to_owned),
        answer_on_bridge: verb.attribute("answerOnBridge") == Some("true"),
    }
}

fn find_text(node: roxmltree::Node<'_, '_>) -> Option<String> {
    node.text().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_dialed(xml: &str) -> Option<String> {
        read(xml)?.dial?.number
    }

    #[test]
    fn the_number_of_the_first_dial_is_found() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?><Response><Dial answerOnBridge="true"><Number> +14155550123 </Number></Dial></Response>"#;
        assert_eq!(find_dialed(xml).as_deref(), Some("+14155550123"));
        assert_eq!(find_dialed("<Response><Dial>+14155550124</Dial></Response>").as_deref(), Some("+14155550124"));
    }

    #[test]
    fn an_answer_that_does_not_dial_dials_nobody() {
        for xml in [
            "<Response><Say>Nobody is here.</Say><Hangup/></Response>",
            "<Response><Hangup/><Dial>+14155550123</Dial></Response>",
            "<Response/>",
            "<Response><Dial></Dial></Response>",
            "not xml",
            "",
            "<Other><Dial>+14155550123</Dial></Other>",
            "<!DOCTYPE r [<!ENTITY a \"b\">]><Response><Dial>&a;</Dial></Response>",
        ] {
            assert_eq!(find_dialed(xml), None, "{xml}");
        }
    }

    #[test]
    fn what_is_said_and_how_it_is_dialled_are_found() {
        let xml = r#"<Response><Say>One moment.</Say><Say>No more.</Say><Dial callerId="+14152000001" timeout="20" action="/after?a=b&amp;c=d"><Number>+14155550123</Number></Dial><Say>Never.</Say></Response>"#;
        let script = read(xml).unwrap();
        assert_eq!(script.said.as_deref(), Some("One moment."));
        assert_eq!(
            script.dial,
            Some(Dial {
                number: Some("+14155550123".to_owned()),
                caller_id: Some("+14152000001".to_owned()),
                timeout: 20,
                action: Some("/after?a=b&c=d".to_owned()),
                answer_on_bridge: false,
            })
        );
        assert!(read("<Response><Reject/></Response>").unwrap().rejected);
    }
}
