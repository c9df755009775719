//! Texts with merge fields (`{{person.name}}`): what is refused before anything is sent, and what each recipient reads.
//!
//! A text without `{{` is sent as it is and counted once. Names are filled in as they are: a field in a name is no field.

use std::ops::Range;

use domain::{MessageBody, MessageBodyError, count_segments};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    FirstName,
    Company,
}

impl Field {
    fn find(name: &str) -> Option<Self> {
        match name {
            "person.name" => Some(Self::Name),
            "person.first_name" => Some(Self::FirstName),
            "company.name" => Some(Self::Company),
            _ => None,
        }
    }
}

/// Why a text with merge fields cannot be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MergeError<'a> {
    /// The name is the caller's own word: for the caller, never for a log.
    #[error("there is no such merge field")]
    Unknown { name: &'a str },
    #[error("a merge field has no end")]
    Unbalanced,
}

/// A part of a template: where it stands in the text, or what is put in its place.
#[derive(Debug, Clone)]
enum Piece {
    Text(Range<usize>),
    Field(Field),
}

/// What a manager wrote.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    source: MessageBody,
    /// Of the text as it is.
    segments: u32,
    /// Empty: there is nothing to fill in.
    pieces: Vec<Piece>,
}

/// What one recipient reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filled {
    pub body: MessageBody,
    pub segments: u32,
}

impl Text {
    /// Nothing is filled in, whatever it holds.
    pub(crate) fn verbatim(source: MessageBody) -> Self {
        let segments = count_segments(source.as_str()).segments;
        Self { source, segments, pieces: Vec::new() }
    }

    pub(crate) fn parse(source: &MessageBody) -> Result<Self, MergeError<'_>> {
        let text = source.as_str();
        let mut pieces = Vec::new();
        let mut rest = 0;
        while let Some(open) = text[rest..].find(OPEN).map(|at| rest + at) {
            let name = open + OPEN.len();
            let close = text[name..].find(CLOSE).map(|at| name + at).ok_or(MergeError::Unbalanced)?;
            let name = text[name..close].trim();
            // The next field begins before this one ends.
            if name.contains(OPEN) {
                return Err(MergeError::Unbalanced);
            }
            pieces.push(Piece::Text(rest..open));
            pieces.push(Piece::Field(Field::find(name).ok_or(MergeError::Unknown { name })?));
            rest = close + CLOSE.len();
        }
        if !pieces.is_empty() {
            pieces.push(Piece::Text(rest..text.len()));
        }
        Ok(Self { source: source.clone(), segments: count_segments(text).segments, pieces })
    }

    /// As it was written.
    pub(crate) fn source(&self) -> &MessageBody {
        &self.source
    }

    pub(crate) fn has_fields(&self) -> bool {
        !self.pieces.is_empty()
    }

    pub(crate) fn names_company(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Field(Field::Company)))
    }

    /// For these people, who share a number. Names and company may make it too long to be sent.
    pub(crate) fn fill(&self, names: &[&str], company: &str) -> Result<Filled, MessageBodyError> {
        if self.pieces.is_empty() {
            return Ok(Filled { body: self.source.clone(), segments: self.segments });
        }
        let mut filled = String::with_capacity(self.source.as_str().len() + 50);
        for piece in &self.pieces {
            match piece {
                Piece::Text(range) => filled.push_str(&self.source.as_str()[range.clone()]),
                Piece::Field(Field::Company) => filled.push_str(company),
                Piece::Field(Field::Name) => push_joined(&mut filled, names.iter().copied()),
                Piece::Field(Field::FirstName) => {
                    let first = names.iter().map(|name| name.split_whitespace().next().unwrap_or(name));
                    push_joined(&mut filled, first);
                }
            }
        }
        let segments = count_segments(&filled).segments;
        Ok(Filled { body: MessageBody::parse(filled)?, segments })
    }
}

fn push_joined<'a>(filled: &mut String, names: impl Iterator<Item = &'a str>) {
    for (n, name) in names.enumerate() {
        if n > 0 {
            filled.push_str(" and ");
        }
        filled.push_str(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> MessageBody {
        MessageBody::parse(text).unwrap()
    }

    fn filled(text: &str, names: &[&str]) -> String {
        Text::parse(&body(text)).unwrap().fill(names, "Acme Homes").unwrap().body.as_str().to_owned()
    }

    #[test]
    fn merge_fields_are_filled_for_each_recipient_with_or_without_spaces_inside_the_braces() {
        assert_eq!(filled("Dear {{person.name}}, yours, {{company.name}}", &["Ann Torres"]), {
            "Dear Ann Torres, yours, Acme Homes"
        });
        assert_eq!(filled("{{ person.first_name }}{{person.first_name}}!", &["Ann Torres"]), "AnnAnn!");
        assert_eq!(filled("ümläut {{\tperson.name \n}} 👩‍👩‍👧", &["Zoë"]), "ümläut Zoë 👩‍👩‍👧");
    }

    #[test]
    fn several_people_of_one_number_are_joined_with_and() {
        assert_eq!(filled("Hi {{person.first_name}}", &["Ann Torres", "Bob Ray"]), "Hi Ann and Bob");
        assert_eq!(filled("Hi {{person.name}}", &["Ann Torres", "Bob Ray"]), "Hi Ann Torres and Bob Ray");
    }

    #[test]
    fn a_field_that_stands_in_a_name_is_no_field() {
        assert_eq!(filled("Hi {{person.name}}", &["{{company.name}} }}"]), "Hi {{company.name}} }}");
    }

    #[test]
    fn a_text_without_open_braces_is_sent_as_it_is() {
        for text in ["plain", "a } and a }} and a {", "{ {person.name} }"] {
            assert!(!Text::parse(&body(text)).unwrap().has_fields(), "{text}");
            assert_eq!(filled(text, &["Ann"]), text);
        }
    }

    #[test]
    fn unknown_and_unbalanced_fields_are_refused() {
        for (text, error) in [
            ("{{person.age}}", MergeError::Unknown { name: "person.age" }),
            ("{{ }}", MergeError::Unknown { name: "" }),
            ("{{Person.Name}}", MergeError::Unknown { name: "Person.Name" }),
            ("{{{person.name}}}", MergeError::Unknown { name: "{person.name" }),
            ("{{person.name}} and {{person.nam}}", MergeError::Unknown { name: "person.nam" }),
            ("{{person.name", MergeError::Unbalanced),
            ("{{person.name}", MergeError::Unbalanced),
            ("{{person.name {{company.name}}", MergeError::Unbalanced),
            ("}} {{", MergeError::Unbalanced),
        ] {
            assert_eq!(Text::parse(&body(text)).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn segments_and_length_are_those_of_the_filled_text() {
        let written = body(&format!("{{{{person.name}}}}{}", "x".repeat(150)));
        let text = Text::parse(&written).unwrap();
        assert_eq!(text.fill(&["Ann"], "").unwrap().segments, 1);
        assert_eq!(text.fill(&["Ann Torres-Blackwood"], "").unwrap().segments, 2);
        assert_eq!(text.fill(&["你好"], "").unwrap().segments, 3, "the whole text changes its encoding");
        let name = "n".repeat(1_600 - 150);
        assert!(text.fill(&[&name], "").is_ok());
        let error = text.fill(&[&format!("{name}n")], "").unwrap_err();
        assert_eq!(error, MessageBodyError::TooLong { characters: 1_601 });
    }

    #[test]
    fn the_text_never_shows_in_its_debug_form() {
        let shown = format!("{:?}", Text::parse(&body("secret {{person.name}}")).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
