//! Leeward's engine: a local proxy between coding agents and their APIs whose listener cannot be lost.
//!
//! This file is the door: the list of rooms and nothing else. Facts go up
//! (`proxy -> health -> supervisor -> watch<Status> -> view`), commands go down (`control::Command -> supervisor`);
//! `tests/house.rs` holds each room to what it may see.

pub mod config;
pub mod control;
pub mod demo;
pub mod files;
pub mod health;
pub mod instance;
pub mod ledger;
pub mod logging;
pub mod network;
pub mod proxy;
mod second;
mod shortage;
pub mod status;
pub mod supervisor;
pub mod tasks;
#[cfg(test)]
mod typescript;
pub mod view;
pub mod wrap;
