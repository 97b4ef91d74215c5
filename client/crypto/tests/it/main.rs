//! Two people, their devices, and a server that may do what it likes.

mod backup;
mod devices;
mod franking;
mod keeping;
mod storm;
mod world;
