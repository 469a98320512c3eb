//! What a proxy does when nobody asks it anything: processor time and wake-ups in a minute, all of them side by side.

use crate::{process::Process, record::Record};
use std::time::Duration;

pub(crate) async fn measure(running: &[(&str, &Process)], time: Duration, record: &mut Record) {
    let seen = || running.iter().map(|(_, process)| (process.cpu(), process.wakeups())).collect::<Vec<_>>();
    let before = seen();
    tokio::time::sleep(time).await;
    let minute = time.as_secs_f64() / 60.0;
    for ((name, _), (before, after)) in running.iter().zip(before.into_iter().zip(seen())) {
        record.add(name, "idle cpu", (after.0.saturating_sub(before.0)).as_secs_f64() * 1e3 / minute);
        record.add(name, "idle wakeups", after.1.saturating_sub(before.1) as f64 / time.as_secs_f64());
    }
}
