//! Which code does which check.

use super::{
    agents, burst, check::Check, connectors, context::Context, finding::Finding, ide, instance_check, intercept, long, machine,
    pac, proxies, remote, way, windows_sockets,
};
use std::sync::Arc;

pub(super) async fn perform(check: Check, context: &Arc<Context>) -> Vec<Finding> {
    match check {
        Check::Instance => vec![instance_check::instance(context)],
        Check::Config => instance_check::config(context),
        Check::State => blocking(context, machine::state).await,
        Check::Disk => blocking(context, machine::disk).await,
        Check::Descriptors => blocking_each(context, machine::descriptors).await,
        Check::Dns => way::each(context, way::dns).await,
        Check::Reach => way::each(context, way::reach).await,
        Check::Certificate => way::each(context, way::certificate).await,
        Check::Clock => way::each(context, way::clock).await,
        Check::KeyShare => way::each(context, way::key_share).await,
        Check::Proxy => proxies::proxy(context).await,
        Check::Pac => vec![pac::pac(context).await],
        Check::Agents => blocking_each(context, agents::agents).await,
        Check::Ide => blocking_each(context, ide::ides).await,
        Check::Connectors => blocking(context, connectors::connectors).await,
        Check::Authority => blocking(context, intercept::authority).await,
        Check::Remote => blocking(context, remote::remote).await,
        Check::Faults => vec![instance_check::faults(context).await],
        Check::PortRanges => vec![windows_sockets::port_ranges(context).await],
        Check::SocketLayers => vec![windows_sockets::layers().await],
        Check::BurstDirect => way::each(context, burst::direct).await,
        Check::BurstLeeward => vec![burst::through(context).await],
        Check::Heads => way::each(context, long::heads).await,
        Check::Idle => way::each(context, long::idle).await,
    }
}

/// Files may be on a disk that does not answer.
async fn blocking(context: &Arc<Context>, look: fn(&Context) -> Finding) -> Vec<Finding> {
    let context = context.clone();
    found(tokio::task::spawn_blocking(move || vec![look(&context)]).await)
}

/// The same, of several subjects.
async fn blocking_each(context: &Arc<Context>, look: fn(&Context) -> Vec<Finding>) -> Vec<Finding> {
    let context = context.clone();
    found(tokio::task::spawn_blocking(move || look(&context)).await)
}

fn found(looked: Result<Vec<Finding>, tokio::task::JoinError>) -> Vec<Finding> {
    looked.unwrap_or_else(|e| vec![Finding::not_known(format!("the check crashed ({e})"))])
}
