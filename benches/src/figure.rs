//! The figures of the benchmark, each a file: what is asked of one running proxy in one round, and what is written down.

pub(crate) mod body;
pub(crate) mod burst;
pub(crate) mod growth;
pub(crate) mod idle;
pub(crate) mod intercept;
pub(crate) mod memory;
pub(crate) mod resets;
pub(crate) mod speed;
pub(crate) mod stream;
pub(crate) mod tunnel;

use crate::process::Process;
use std::{net::SocketAddr, time::Duration};

/// What is measured: a proxy, or nothing between the load and its upstream.
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: SocketAddr,
    /// None when nothing is between.
    pub(crate) process: Option<&'a Process>,
    /// The upstream's process id.
    pub(crate) upstream: u32,
    /// Seconds a measurement, shorter for programs that are slow.
    pub(crate) time: Duration,
    pub(crate) slow: bool,
}
