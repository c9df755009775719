//! Journeys through the console and the phones page in a real browser: all five services, the carrier simulator and
//! Chromium. Where there is no browser they say so and do nothing.

#![expect(clippy::expect_used, clippy::panic, reason = "a journey stops at the first surprise")]

mod accessibility;
mod attachments;
mod browser;
mod bubbles;
mod deletion;
mod injections;
mod keyboard;
mod managers;
mod many;
mod narrow;
mod number;
mod phones;
mod pictures;
mod read_only;
mod restart;
mod schedule;
mod text_message;
mod window;
mod world;
