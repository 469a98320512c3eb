//! Leeward's engine: a local proxy between coding agents and their APIs whose listener cannot be lost.
//!
//! This file is the door: the list of rooms and nothing else. Facts go up
//! (`inbound … upstream -> health -> supervisor -> watch<Status> -> view`), commands go down (`control::Command -> supervisor`);
//! `tests/house.rs` holds each room to what it may see.

pub(crate) mod admin;
pub mod authority;
pub mod config;
pub mod control;
pub mod coverage;
pub mod demo;
pub mod doctor;
pub mod escape;
pub mod examination;
pub mod exchange;
pub mod files;
pub mod health;
pub mod inbound;
pub mod instance;
pub mod ledger;
pub mod logging;
pub mod message;
pub mod network;
pub mod proof;
mod proxy;
mod second;
pub mod service;
pub mod setup;
mod shortage;
pub mod socket_owner;
pub mod status;
pub mod supervisor;
pub mod tasks;
pub mod telemetry;
pub(crate) mod upstream;
pub mod view;
pub mod window;
pub mod wrap;
