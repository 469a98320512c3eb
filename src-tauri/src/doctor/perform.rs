//! Which code does which check.

use super::{
    agents, burst, check::Check, context::Context, finding::Finding, instance_check, long, machine, proxies, remote, way,
};
use std::sync::Arc;

pub(super) async fn perform(check: Check, context: &Arc<Context>) -> Vec<Finding> {
    match check {
        Check::Instance => vec![instance_check::instance(context)],
        Check::Config => instance_check::config(context),
        Check::State => blocking(context, machine::state).await,
        Check::Disk => blocking(context, machine::disk).await,
        Check::Descriptors => vec![machine::descriptors()],
        Check::Dns => way::each(context, way::dns).await,
        Check::Reach => way::each(context, way::reach).await,
        Check::Certificate => way::each(context, way::certificate).await,
        Check::Clock => way::each(context, way::clock).await,
        Check::KeyShare => way::each(context, way::key_share).await,
        Check::Proxy => proxies::proxy(context).await,
        Check::Agents => {
            let context = context.clone();
            let found = tokio::task::spawn_blocking(move || agents::agents(&context)).await;
            found.unwrap_or_else(|e| vec![Finding::not_known(format!("the check crashed ({e})"))])
        }
        Check::Remote => blocking(context, remote::remote).await,
        Check::Faults => vec![instance_check::faults(context).await],
        Check::PortRanges | Check::SocketLayers => vec![machine::only_on_windows()],
        Check::BurstDirect => way::each(context, burst::direct).await,
        Check::BurstLeeward => vec![burst::through(context).await],
        Check::Heads => way::each(context, long::heads).await,
        Check::Idle => way::each(context, long::idle).await,
    }
}

/// Files may be on a disk that does not answer.
async fn blocking(context: &Arc<Context>, look: fn(&Context) -> Finding) -> Vec<Finding> {
    let context = context.clone();
    let found = tokio::task::spawn_blocking(move || look(&context)).await;
    vec![found.unwrap_or_else(|e| Finding::not_known(format!("the check crashed ({e})")))]
}
