//! `leeward demo`: the two faults that Leeward was born from, replayed on this machine without an account.

pub mod upstream;
