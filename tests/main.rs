//! The integration tests: one binary, one module a contract.
#![cfg_attr(not(unix), allow(dead_code, reason = "what only tests of signals and terminals use"))]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test fails by panicking and ends with its process"
)]

mod agents;
mod alone;
mod apart;
mod budgets;
mod burst;
mod certificates;
mod circuit;
mod cli;
mod clients;
mod coded;
mod company_proxy;
mod connection_test;
mod coverage;
mod demo;
mod disk;
mod doctor;
mod doctor_causes;
mod doctor_checks;
mod doctor_panel;
mod egress;
mod faults;
mod follow;
mod framing;
mod handover;
mod held;
mod history;
mod home;
mod hosts;
mod init;
mod intercept;
mod intercept_clients;
mod intercept_files;
mod intercept_repair;
mod listener;
mod modes;
mod namespace;
mod network;
mod own_identity;
mod panel_api;
mod paths;
mod permanent;
mod process;
mod proof;
mod refuse;
mod remote;
mod request;
mod restart;
mod room;
mod routes;
mod service;
mod setup;
mod setup_agents;
mod signals;
mod storm;
mod strangers;
mod stream;
mod support;
mod table;
mod takeover;
mod terminal;
mod truth;
mod tunnel;
mod tunnel_clients;
mod tunnel_ends;
mod tunnel_gaps;
mod tunnel_way;
mod websocket;
mod websocket_ends;
mod wrap;
