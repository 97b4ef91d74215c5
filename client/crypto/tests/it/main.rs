//! Two people, their devices, and a server that may do what it likes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, clippy::print_stdout)]

mod backup;
mod devices;
mod franking;
mod keeping;
mod storm;
mod world;
