//! Reads the one thing the simulator needs from a TwiML answer: whom a call would dial.
//! It refuses document type definitions, and it plays nothing and speaks nothing.

/// The first number inside the first `<Dial>`: of a `<Number>`, or the plain text of the verb.
/// Nothing when the answer is no XML, is no `<Response>` or does not dial.
pub(crate) fn find_dialed(xml: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let root = document.root_element();
    if !root.has_tag_name("Response") {
        return None;
    }
    let dial = root.children().find(|node| node.has_tag_name("Dial"))?;
    let noun = dial.children().find(|node| node.has_tag_name("Number")).unwrap_or(dial);
    let dialed = noun.text()?.trim();
    (!dialed.is_empty()).then(|| dialed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
