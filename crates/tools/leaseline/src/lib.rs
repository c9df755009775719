//! The `leaseline` command as a library: the journeys use its stack and its clients.

#![expect(clippy::print_stdout, reason = "a command speaks to the terminal")]

pub mod audit;
pub mod bench;
pub mod client;
pub mod crash;
pub mod dead;
pub mod demo;
pub mod demo_licenses;
pub mod dev;
pub mod newcomer;
pub mod seed;
pub mod stack;
pub mod token;
