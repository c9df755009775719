//! The pure words of the trade: ids, phone numbers, area codes, texts, segments, statuses.
//!
//! Everything here is parsed once, at the edge, and is valid from then on. No clock but the one that
//! mints ids, no I/O, and no knowledge of tokio, SQL or protobuf: a service can use these types
//! wherever it likes. Phone numbers and message texts have no `Display`, and their `Debug` is masked.

mod area_code;
mod call;
mod carrier;
mod ids;
mod npa_regions;
mod npa_time_zones;
mod opt_out;
mod people;
mod phone;
mod segments;
mod status;
mod text;
mod words;

pub use area_code::{AreaCode, AreaCodeError, Region};
pub use call::CallResult;
pub use carrier::{CarrierName, Direction, Network, SendingLimit};
pub use ids::{
    Attempt, Batch, BlockedNumber, Call, Candidate, Conversation, ConversationEvent, Id, InvalidId, LicenseId,
    ManagerId, Media, Message, PersonId, ScheduledSend, Unmatched,
};
pub use opt_out::{ConsentReason, ConsentReasonError, ConsentSource, ConversationEventKind, Keyword, find_keyword};
pub use people::PersonKind;
pub use phone::{PhoneNumber, PhoneNumberError};
pub use segments::{Encoding, Segments, count_segments};
pub use status::{MessageStatus, decide_status};
pub use text::{CompanyName, MessageBody, MessageBodyError, NameError, PersonName};
pub use words::UnknownWord;
