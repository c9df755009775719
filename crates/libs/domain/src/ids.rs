//! Ids: ours are typed `UUIDv7`, those of the company's product are short checked texts.
//!
//! An id of one thing does not pass for an id of another. A uuid is read in its hyphenated form only, so
//! that one id has one spelling. A [`LicenseId`] is safe as one token of a NATS subject (design §2, the
//! feed) and fits into a carrier's 64-character tag; nothing wider is accepted.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text is not an id. Names the id and its rule, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what} id: {rule}")]
pub struct InvalidId {
    what: &'static str,
    rule: &'static str,
}

/// One SMS or MMS.
#[derive(Debug)]
pub enum Message {}
/// All messages between a license and one phone number, while it stays with the same people.
#[derive(Debug)]
pub enum Conversation {}
/// A line in a conversation that is no message.
#[derive(Debug)]
pub enum ConversationEvent {}
/// One send to many recipients.
#[derive(Debug)]
pub enum Batch {}
/// A send that waits for its time.
#[derive(Debug)]
pub enum ScheduledSend {}
/// A message of a sender whom nobody knows (rule 8).
#[derive(Debug)]
pub enum Unmatched {}
/// A number of which nothing is kept.
#[derive(Debug)]
pub enum BlockedNumber {}
/// What came with a message beside its text.
#[derive(Debug)]
pub enum Media {}
/// One call to a messages number.
#[derive(Debug)]
pub enum Call {}
/// One try to hand a message to a carrier.
#[derive(Debug)]
pub enum Attempt {}
/// A phone number that is offered and not yet bought (rule 3).
#[derive(Debug)]
pub enum Candidate {}

/// The id of a `T`, as a uuid. Those we make are version 7 and so sort by the time of their making.
pub struct Id<T> {
    uuid: Uuid,
    // A function pointer, so that the id is Send and Sync whatever it is the id of.
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// A new id, made now.
    #[expect(clippy::new_without_default, reason = "a default is a constant; this makes another id each time")]
    pub fn new() -> Self {
        Self::from_uuid(Uuid::now_v7())
    }

    /// An id that was made before, for example one read from a database.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self { uuid, of: PhantomData }
    }

    pub const fn uuid(self) -> Uuid {
        self.uuid
    }
}

// By hand, because a derive would ask the same of `T`, which is only a name.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<T> Eq for Id<T> {}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

fn bare_type_name<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    path.rsplit("::").next().unwrap_or(path)
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", bare_type_name::<T>(), self.uuid)
    }
}

impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}

impl<T> FromStr for Id<T> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The uuid crate also reads bare, braced and URN forms; only the hyphenated one has this length.
        let uuid = (text.len() == uuid::fmt::Hyphenated::LENGTH).then(|| Uuid::try_parse(text).ok()).flatten();
        uuid.map(Self::from_uuid).ok_or(InvalidId { what: bare_type_name::<T>(), rule: "expected a uuid with hyphens" })
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident, $what:literal, $max:literal, $allowed:expr, $rule:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let allowed: fn(u8) -> bool = $allowed;
                if (1..=$max).contains(&text.len()) && text.bytes().all(allowed) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { what: $what, rule: $rule })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

text_id! {
    /// A customer company, the unit of isolation. Chosen by the company's product.
    LicenseId, "license", 50, is_token, "expected 1 to 50 characters of A-Z, a-z, 0-9, _ and -"
}

text_id! {
    /// A person of a license. Chosen by the company's product, unique within the license only.
    PersonId, "person", 50, is_token, "expected 1 to 50 characters of A-Z, a-z, 0-9, _ and -"
}

text_id! {
    /// A user of a license: the `sub` of their token, whatever the company's login makes of it.
    ManagerId, "manager", 128, |byte| byte.is_ascii_graphic(),
    "expected 1 to 128 visible ASCII characters without spaces"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_text_and_json() {
        let id = Id::<Message>::new();
        assert_eq!(id.to_string().parse::<Id<Message>>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<Id<Message>>(&json).unwrap(), id);
        assert_eq!(Id::<Message>::from_uuid(id.uuid()), id);
    }

    #[test]
    fn ids_sort_by_the_time_of_their_making() {
        let made: Vec<_> = (0..100).map(|_| Id::<Conversation>::new()).collect();
        assert!(made.is_sorted());
        assert_eq!(made[0].uuid().get_version_num(), 7);
    }

    #[test]
    fn an_id_tells_what_it_is_the_id_of() {
        let id = Id::<Batch>::from_uuid(Uuid::nil());
        assert_eq!(format!("{id:?}"), "Batch(00000000-0000-0000-0000-000000000000)");
    }

    #[test]
    fn only_the_hyphenated_spelling_of_a_uuid_is_an_id() {
        let uuid = Uuid::now_v7();
        for text in [
            uuid.simple().to_string(),
            uuid.braced().to_string(),
            uuid.urn().to_string(),
            String::new(),
            "x".repeat(36),
        ] {
            let error = text.parse::<Id<Attempt>>().unwrap_err();
            assert_eq!(error.to_string(), "not a valid Attempt id: expected a uuid with hyphens");
        }
    }

    #[test]
    fn a_license_id_is_one_safe_token() {
        let longest = "a".repeat(50);
        for good in ["a", "acme-42", "A_b-9", &longest] {
            assert_eq!(LicenseId::parse(good).unwrap().as_str(), good);
            assert_eq!(good.parse::<PersonId>().unwrap().as_str(), good);
        }
        let too_long = "a".repeat(51);
        for bad in ["", "a.b", "a b", "*", ">", "é", "a\n", &too_long] {
            assert!(LicenseId::parse(bad).is_err(), "{bad:?}");
            assert!(PersonId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_manager_id_is_what_logins_put_into_a_token() {
        for good in ["auth0|5f7c8ec7", "ana@example.com", "1"] {
            assert_eq!(ManagerId::parse(good).unwrap().to_string(), good);
        }
        for bad in [String::new(), "a b".to_owned(), "a\u{7f}".to_owned(), "x".repeat(129)] {
            assert!(ManagerId::parse(bad).is_err());
        }
    }

    #[test]
    fn a_text_id_is_checked_when_it_is_read_from_json() {
        let id: LicenseId = serde_json::from_str("\"acme\"").unwrap();
        assert_eq!(format!("{id:?}"), "LicenseId(acme)");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"acme\"");
        assert!(serde_json::from_str::<LicenseId>("\"a.b\"").is_err());
    }
}
