//! Texts that people write: message bodies and names.
//!
//! A body keeps every character (rule 14): nothing is trimmed, replaced or normalised. It is refused only if
//! no carrier takes it or Postgres cannot store it. A message that is media only has no body at all.
//! Names are trimmed. None of them has a `Display`, and `Debug` tells the length only.

use std::fmt;

/// The text of a message: 1 to 1600 characters, not only whitespace, no NUL.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MessageBody(String);

/// Why a text cannot be sent. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageBodyError {
    #[error("the message is empty")]
    Empty,
    #[error("the message has {characters} characters; at most {} can be sent", MessageBody::MAX_CHARACTERS)]
    TooLong { characters: usize },
    #[error("the message contains a NUL character, which cannot be sent")]
    ContainsNul,
}

impl MessageBodyError {
    /// A stable word for problem documents.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "body_empty",
            Self::TooLong { .. } => "body_too_long",
            Self::ContainsNul => "body_contains_nul",
        }
    }
}

impl MessageBody {
    /// Twilio's limit, counted in characters and not in segments.
    pub const MAX_CHARACTERS: usize = 1600;

    pub fn parse(text: impl Into<String>) -> Result<Self, MessageBodyError> {
        let text = text.into();
        if text.contains('\0') {
            return Err(MessageBodyError::ContainsNul);
        }
        if text.trim().is_empty() {
            return Err(MessageBodyError::Empty);
        }
        let characters = text.chars().count();
        if characters > Self::MAX_CHARACTERS {
            return Err(MessageBodyError::TooLong { characters });
        }
        Ok(Self(text))
    }

    /// The text, for carriers, storage and the wire; never for logs, metrics or subjects.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageBody({} characters)", self.0.chars().count())
    }
}

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name is empty")]
    Empty,
    #[error("the name has {characters} characters; at most {MAX_NAME_CHARACTERS} are kept")]
    TooLong { characters: usize },
    #[error("the name contains a control character")]
    ControlCharacter,
}

impl NameError {
    /// A stable word for problem documents.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "name_empty",
            Self::TooLong { .. } => "name_too_long",
            Self::ControlCharacter => "name_control_character",
        }
    }
}

const MAX_NAME_CHARACTERS: usize = 200;

fn parse_name(text: &str) -> Result<String, NameError> {
    let name = text.trim();
    let characters = name.chars().count();
    if name.is_empty() {
        Err(NameError::Empty)
    } else if characters > MAX_NAME_CHARACTERS {
        Err(NameError::TooLong { characters })
    } else if name.chars().any(char::is_control) {
        Err(NameError::ControlCharacter)
    } else {
        Ok(name.to_owned())
    }
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn parse(text: impl AsRef<str>) -> Result<Self, NameError> {
                parse_name(text.as_ref()).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} characters)"), self.0.chars().count())
            }
        }
    };
}

name! {
    /// The name of a person or of a manager: 1 to 200 characters without control characters, trimmed.
    PersonName
}

name! {
    /// The name of a license's company: 1 to 200 characters without control characters, trimmed.
    CompanyName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_texts_keep_every_character() {
        for text in [" a ", "\r\nHi\t", "e\u{301}", "🇮🇹\u{200d}", "\u{feff}x\u{202e}", "‘“`”’"] {
            assert_eq!(MessageBody::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_text_that_cannot_be_sent_is_refused_with_the_reason() {
        for empty in ["", " ", "\n\t\u{a0}"] {
            assert_eq!(MessageBody::parse(empty), Err(MessageBodyError::Empty));
        }
        assert_eq!(MessageBody::parse("a\0"), Err(MessageBodyError::ContainsNul));
        assert!(MessageBody::parse("😀".repeat(1600)).is_ok());
        let error = MessageBody::parse("é".repeat(1601)).unwrap_err();
        assert_eq!(error.to_string(), "the message has 1601 characters; at most 1600 can be sent");
    }

    #[test]
    fn debug_tells_the_length_and_not_the_text() {
        assert_eq!(format!("{:?}", MessageBody::parse("secret 🔑").unwrap()), "MessageBody(8 characters)");
        assert_eq!(format!("{:?}", PersonName::parse("Ana").unwrap()), "PersonName(3 characters)");
    }

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(PersonName::parse("  Zoë O’Neill \n").unwrap().as_str(), "Zoë O’Neill");
        assert_eq!(CompanyName::parse("Acme & Sons").unwrap().as_str(), "Acme & Sons");
        assert_eq!(PersonName::parse(" \n"), Err(NameError::Empty));
        assert_eq!(PersonName::parse("a\nb"), Err(NameError::ControlCharacter));
        assert!(CompanyName::parse("é".repeat(200)).is_ok());
        assert_eq!(CompanyName::parse("é".repeat(201)), Err(NameError::TooLong { characters: 201 }));
    }
}
