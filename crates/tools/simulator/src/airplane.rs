//! Phones in airplane mode: what is sent to them is taken, and shows there, with its receipt, when the mode ends.

use std::collections::HashMap;

use crate::receipts::Course;

/// How many phones can be in it at once.
const MAX_PHONES: usize = 1_000;

/// What waits for one phone.
#[derive(Default)]
pub(crate) struct Waiting {
    /// By their ids, in the order in which they were taken.
    pub(crate) texts: Vec<String>,
    /// Their next step is that the text reaches the phone.
    pub(crate) courses: Vec<Course>,
}

#[derive(Default)]
pub(crate) struct Airplanes {
    phones: HashMap<String, Waiting>,
}

impl Airplanes {
    /// Whether the phone is in airplane mode now.
    pub(crate) fn begin(&mut self, phone: &str) -> bool {
        if self.phones.len() >= MAX_PHONES && !self.phones.contains_key(phone) {
            return false;
        }
        self.phones.entry(phone.to_owned()).or_default();
        true
    }

    pub(crate) fn end(&mut self, phone: &str) -> Waiting {
        self.phones.remove(phone).unwrap_or_default()
    }

    /// `None`: the phone is not in airplane mode.
    pub(crate) fn count_texts(&self, phone: &str) -> Option<usize> {
        Some(self.phones.get(phone)?.texts.len())
    }

    /// Keeps a text, if its phone is in airplane mode.
    pub(crate) fn hold_text(&mut self, phone: &str, sid: &str) -> bool {
        let Some(waiting) = self.phones.get_mut(phone) else { return false };
        waiting.texts.push(sid.to_owned());
        true
    }

    /// Keeps a course, if its phone is in airplane mode; else gives it back.
    pub(crate) fn hold_course(&mut self, phone: &str, course: Course) -> Option<Course> {
        let Some(waiting) = self.phones.get_mut(phone) else { return Some(course) };
        waiting.courses.push(course);
        None
    }
}
