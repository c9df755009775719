//! Files that phones sent: kept in memory under addresses of the simulator's own, as carriers keep them.
//! Bounded: the newest 64 MiB stay. An address answers without credentials, and not with them, as file stores do.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::carrier::CarrierName;
use crate::faults::{Kind, Point, Subject};
use crate::state::Simulator;
use crate::telnyx;

/// The largest file that a phone sends: larger than any that carriers pass on.
pub(crate) const MAX_FILE: usize = 8 * 1024 * 1024;
/// How much is kept in all.
const MAX_KEPT: usize = 64 * 1024 * 1024;
/// The type of a picture that is elsewhere.
pub(crate) const USUAL_TYPE: &str = "image/jpeg";

/// What a phone attaches to a text.
pub(crate) enum Attachment {
    /// It is elsewhere, and its address is passed on as it is.
    Elsewhere(String),
    File {
        content_type: String,
        bytes: Bytes,
    },
}

impl Attachment {
    /// Reads an address; one that begins with `data:` is the file itself. `None`: it is not one that can be read.
    pub(crate) fn parse(url: String) -> Option<Self> {
        let Some(data) = url.strip_prefix("data:") else { return Some(Self::Elsewhere(url)) };
        let (content_type, encoded) = data.split_once(";base64,")?;
        let bytes = STANDARD.decode(encoded).ok().filter(|bytes| bytes.len() <= MAX_FILE)?;
        let fine = content_type.contains('/') && content_type.bytes().all(|byte| byte.is_ascii_graphic());
        fine.then(|| Self::File { content_type: content_type.to_owned(), bytes: bytes.into() })
    }
}

/// A kept file.
#[derive(Clone)]
struct File {
    carrier: CarrierName,
    /// Names the file in its address; nobody guesses it.
    key: String,
    /// Twilio's id of it.
    sid: String,
    message_sid: String,
    content_type: String,
    bytes: Bytes,
}

/// The kept files, oldest first.
#[derive(Default)]
pub(crate) struct Files {
    kept: VecDeque<File>,
    bytes: usize,
}

impl Files {
    /// Keeps a file of a message. Returns its key and Twilio's id of it.
    pub(crate) fn record(
        &mut self,
        carrier: CarrierName,
        message_sid: &str,
        content_type: &str,
        bytes: Bytes,
    ) -> (String, String) {
        let (key, sid) = (crate::sid::make(""), crate::sid::make("ME"));
        self.bytes += bytes.len();
        self.kept.push_back(File {
            carrier,
            key: key.clone(),
            sid: sid.clone(),
            message_sid: message_sid.to_owned(),
            content_type: content_type.to_owned(),
            bytes,
        });
        while self.bytes > MAX_KEPT {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.bytes.len();
        }
        (key, sid)
    }

    /// Where a message's media are got from without credentials: files that are kept here by their path.
    pub(crate) fn locate(&self, message_sid: &str, media_urls: &[String]) -> Vec<String> {
        let of_message = self.kept.iter().filter(|file| file.message_sid == message_sid);
        let files: Vec<&File> = of_message.collect();
        let find = |url: &String| files.iter().find(|file| url.ends_with(&file.key) || url.ends_with(&file.sid));
        media_urls.iter().map(|url| find(url).map_or_else(|| url.clone(), |file| path_of(&file.key))).collect()
    }

    /// The key of a file of a message of Twilio's.
    pub(crate) fn find_key(&self, message_sid: &str, sid: &str) -> Option<&str> {
        let file = self.kept.iter().find(|file| file.sid == sid && file.message_sid == message_sid)?;
        Some(&file.key)
    }
}

/// Where a file is got from.
pub(crate) fn address(simulator: &Simulator, key: &str) -> String {
    simulator.base_url.clone() + &path_of(key)
}

fn path_of(key: &str) -> String {
    format!("/_files/{key}")
}

pub(crate) fn router() -> Router<Arc<Simulator>> {
    Router::new().route("/_files/{key}", get(fetch))
}

async fn fetch(State(simulator): State<Arc<Simulator>>, Path(key): Path<String>, headers: HeaderMap) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "Only one auth mechanism allowed").into_response();
    }
    let file = simulator.world().files.kept.iter().find(|file| file.key == key).cloned();
    let Some(file) = file else { return StatusCode::NOT_FOUND.into_response() };
    // Twilio's own address has played its fault already.
    if file.carrier == CarrierName::Telnyx
        && let Some(fault) = simulator.take_fault(CarrierName::Telnyx, Point::Media, Subject::default())
    {
        return match fault.before_accept() {
            Some(trouble) => telnyx::suffer(trouble).await,
            None if fault.kind == Kind::Lost => StatusCode::NOT_FOUND.into_response(),
            None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
    }
    ([(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_files_stay() {
        let mut files = Files::default();
        let whole = Bytes::from(vec![0; MAX_FILE]);
        let sids: Vec<String> =
            (0..9).map(|_| files.record(CarrierName::Twilio, "MM1", "image/png", whole.clone()).1).collect();
        assert!(files.find_key("MM1", &sids[0]).is_none());
        assert!(files.find_key("MM1", &sids[1]).is_some());
        assert!(files.find_key("MM2", &sids[1]).is_none());
        assert_eq!(files.bytes, MAX_KEPT);
    }

    #[test]
    fn a_data_address_is_a_file_and_one_that_cannot_be_read_is_refused() {
        assert!(matches!(Attachment::parse("https://a.b/c".into()), Some(Attachment::Elsewhere(_))));
        let Some(Attachment::File { content_type, bytes }) = Attachment::parse("data:image/png;base64,aGk=".into())
        else {
            panic!("a file")
        };
        assert_eq!((content_type.as_str(), &bytes[..]), ("image/png", &b"hi"[..]));
        for bad in
            ["data:,hi", "data:image/png,hi", "data:;base64,aGk=", "data:image/png;base64,%%", "data:a b/c;base64,aGk="]
        {
            assert!(Attachment::parse(bad.into()).is_none(), "{bad}");
        }
    }
}
