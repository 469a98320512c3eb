//! A stream of 200 events, one a millisecond: the time to the first, and how long after it was sent each is here.

use super::Subject;
use crate::{clock, load::histogram, record::Record, wire};
use anyhow::{Result, ensure};
use std::time::Instant;

/// Events a stream.
const EVENTS: usize = 200;
/// Streams a round.
const STREAMS: usize = 10;
/// What stands before the time in an event.
const MARK: &[u8] = b"t=";
/// Digits of the time.
const DIGITS: usize = 20;

pub(crate) async fn measure(subject: &Subject<'_>, record: &mut Record) -> Result<()> {
    let request = wire::request(subject.address, &format!("?events={EVENTS}&gap_ms=1"), 1024);
    let (mut firsts, mut delays) = (histogram()?, histogram()?);
    let mut line = wire::Line::open(subject.address).await?;
    for _ in 0..if subject.slow { 3 } else { STREAMS } {
        let began = Instant::now();
        let (mut text, mut seen, mut count, mut first) = (Vec::new(), 0, 0, None);
        let answer = line
            .ask_seeing(&request, |piece| {
                let now = clock::now();
                text.extend_from_slice(piece);
                while let Some(at) = memchr::memmem::find(&text[seen..], MARK) {
                    let digits = seen + at + MARK.len();
                    let Some(sent) = text.get(digits..digits + DIGITS) else { break };
                    // A time that a chunk's border cuts in two is left out; the count below says how many there were.
                    if let Ok(sent) = String::from_utf8_lossy(sent).parse::<u64>() {
                        delays.saturating_record(now.saturating_sub(sent));
                        first.get_or_insert_with(|| began.elapsed());
                        count += 1;
                    }
                    seen = digits + DIGITS;
                }
            })
            .await?;
        ensure!(answer.status == 200, "a stream was answered {}", answer.status);
        ensure!(count * 100 >= EVENTS * 95, "{count} of {EVENTS} events were readable");
        firsts.saturating_record(u64::try_from(first.unwrap_or_default().as_nanos())?);
        if answer.closes {
            line = wire::Line::open(subject.address).await?;
        }
    }
    record.add(subject.name, "first event", firsts.value_at_percentile(50.0) as f64 / 1e3);
    record.add(subject.name, "event delay p50", delays.value_at_percentile(50.0) as f64 / 1e3);
    record.add(subject.name, "event delay p99", delays.value_at_percentile(99.0) as f64 / 1e3);
    Ok(())
}
