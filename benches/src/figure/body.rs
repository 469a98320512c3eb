//! Request bodies from 1 KiB to 10 MiB, one after the other on one connection: the time from the first byte sent to the
//! response's last.

use super::Subject;
use crate::{load::histogram, record::Record, wire};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Bytes of the body, its name, and how many are sent a round.
pub(crate) const SIZES: [(usize, &str, usize); 4] =
    [(1 << 10, "1 KiB", 200), (100 << 10, "100 KiB", 100), (1 << 20, "1 MiB", 40), (10 << 20, "10 MiB", 10)];

/// Whoever counts the tokens of what passes can need minutes for one body; the others need milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn measure(subject: &Subject<'_>, record: &mut Record) -> Result<()> {
    for (bytes, name, count) in SIZES {
        let request = wire::request(subject.address, "?answer=256", bytes);
        let mut line = wire::Line::open(subject.address).await?;
        let mut times = histogram()?;
        for n in 0..=if subject.slow { count.div_ceil(10) } else { count } {
            let began = Instant::now();
            let answer = timeout(LIMIT, line.ask(&request)).await;
            let answer = answer.with_context(|| format!("a body of {name} was not answered within {LIMIT:?}"))??;
            ensure!(answer.status == 200, "a body of {name} was answered {}", answer.status);
            if answer.closes {
                line = wire::Line::open(subject.address).await?;
            }
            // The first one opens the way.
            if n > 0 {
                times.saturating_record(u64::try_from(began.elapsed().as_nanos())?);
            }
        }
        record.add(subject.name, &format!("body/{name}"), times.value_at_percentile(50.0) as f64 / 1e3);
    }
    Ok(())
}
