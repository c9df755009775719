//! Closed sets of words that travel as text: in JSON, SQL and events.
//!
//! One macro, so that every set spells, parses and serialises in the same way: `snake_case`,
//! exact case, no aliases. It refuses to guess; an unknown word is an error that names what was expected.

/// A text is not one of the words of its set. Carries the set, never the text: it may come from anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {set}: expected one of {}", words.join(", "))]
pub struct UnknownWord {
    set: &'static str,
    words: &'static [&'static str],
}

impl UnknownWord {
    pub(crate) const fn new(set: &'static str, words: &'static [&'static str]) -> Self {
        Self { set, words }
    }
}

macro_rules! word_set {
    (
        $(#[$meta:meta])*
        $name:ident, $set:literal {
            $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $word)] $variant, )+
        }

        impl $name {
            /// Every word of the set, in the order of declaration.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The word as it travels and is stored.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $word => Ok(Self::$variant), )+
                    _ => Err($crate::UnknownWord::new($set, &[$( $word, )+])),
                }
            }
        }
    };
}

pub(crate) use word_set;
