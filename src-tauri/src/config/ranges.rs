//! Values that are valid by themselves and make no sense for the engine. Reads nothing, decides no default.

use super::{Config, Stream};
use std::time::Duration;

/// Longer than any wait that somebody means; clocks cannot count without end.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// A generation shows that it lives every half second, and the supervisor looks as often.
const SHORTEST_STALL: Duration = Duration::from_secs(1);
/// A lost first packet is sent again after a second (RFC 6298 section 2).
const SHORTEST_WRITE_STALL: Duration = Duration::from_secs(1);
/// Linux refuses longer keep-alive intervals, and every system shorter ones (in whole seconds).
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32_767));
/// A header list of the `http` crate holds 24,576 fields at most; no client sends a hundredth of that.
const MOST_FIELDS: usize = 10_000;
/// No agent waits longer than this for an answer's first byte, so nobody would be there to be released.
const LONGEST_PARK: Duration = Duration::from_secs(10 * 60);
/// Beyond this "held back until its first content" would be another word for "gathered".
const MOST_COMMIT_BYTES: u64 = 16 << 20;
/// So many cuts of one host are remembered.
const MOST_CUTS: u32 = 256;
/// Threads beyond this only cost memory.
const MOST_WORKERS: usize = 256;
/// More replays a second than any machine makes.
const MOST_REPLAYS: u32 = 1_000_000;
/// Some 10,000 faults; below it, the pages that a database needs anyway are most of the file.
const SMALLEST_LEDGER: u64 = 1 << 20;
/// Counts are kept for periods of five minutes, and old ones are removed once an hour.
const SHORTEST_KEEP: Duration = Duration::from_secs(60 * 60);

/// Checks all of them.
///
/// # Errors
/// The key and a sentence for the user.
pub(super) fn check(c: &Config) -> Result<(), (&'static str, String)> {
    counts(c)?;
    durations(c)?;
    // hyper refuses smaller buffers than this, and a browser's or agent's headers fit in it.
    if c.limits.header_bytes < 8192 {
        return Err(("limits.header_bytes", "must be at least 8KiB".into()));
    }
    if !(0.0..=1.0).contains(&c.retry.budget) {
        return Err(("retry.budget", format!("is a share of all requests, so between 0 and 1, and this is {}", c.retry.budget)));
    }
    if c.retry.base > c.retry.cap {
        return Err(("retry.base", "the first pause is longer than the longest one (retry.cap)".into()));
    }
    if !c.retry.total.is_zero() && c.retry.total < c.connect.timeout {
        let (total, connect) = (c.retry.total, c.connect.timeout);
        let why =
            format!("all retrying together ({total:?}) is shorter than one connection may take (connect.timeout, {connect:?})");
        return Err(("retry.total", why));
    }
    stream(&c.stream)?;
    if c.connect.stagger > c.connect.timeout {
        return Err(("connect.stagger", "is longer than an address is tried for at all (connect.timeout)".into()));
    }
    if !c.connect.write_stall.is_zero() && c.connect.write_stall < SHORTEST_WRITE_STALL {
        return Err((
            "connect.write_stall",
            "must be at least 1s, or one lost packet counts as a stall; \"0s\" switches it off".into(),
        ));
    }
    if c.circuit.park > LONGEST_PARK {
        return Err(("circuit.park", "must be at most 10m: by then every agent has given up".into()));
    }
    if let Err(why) = tracing_subscriber::EnvFilter::try_new(&c.log) {
        return Err(("log", format!("`{}` is not a log filter ({why}); write for example \"info\" or \"leeward=debug\"", c.log)));
    }
    if c.watch.stall < SHORTEST_STALL {
        return Err(("watch.stall", "must be at least 1s: the accept loop gives a sign of life every half second".into()));
    }
    if !(KEEPALIVE.0..=KEEPALIVE.1).contains(&c.pool.keepalive) {
        return Err(("pool.keepalive", "must be between 1s and 9h, which is what systems take".into()));
    }
    if c.ledger.size < SMALLEST_LEDGER {
        return Err(("ledger.size", "must be at least 1MiB; `ledger.enabled = false` keeps no history at all".into()));
    }
    if c.ledger.keep < SHORTEST_KEEP {
        return Err(("ledger.keep", "must be at least 1h; `ledger.enabled = false` keeps no history at all".into()));
    }
    Ok(())
}

fn stream(s: &Stream) -> Result<(), (&'static str, String)> {
    let alarm = |what: &str, wait: Duration| {
        format!("{what} ({wait:?}) comes only after the idle alarm (stream.stall_alarm, {:?}); make it shorter", s.stall_alarm)
    };
    if s.ping_after >= s.stall_alarm {
        return Err(("stream.ping_after", alarm("the ping", s.ping_after)));
    }
    if s.hold_ping >= s.stall_alarm {
        return Err(("stream.hold_ping", alarm("the ping", s.hold_ping)));
    }
    if s.commit_wait >= s.stall_alarm {
        return Err(("stream.commit_wait", alarm("the first ping", s.commit_wait)));
    }
    if s.commit_bytes > MOST_COMMIT_BYTES {
        return Err(("stream.commit_bytes", "must be at most 16MiB: it is held in memory for each answer".into()));
    }
    if s.adaptive_cuts == 0 || s.adaptive_cuts > MOST_CUTS {
        let why = format!("must be between 1 and {MOST_CUTS}; `stream.mode = \"hold\"` gathers every answer");
        return Err(("stream.adaptive_cuts", why));
    }
    Ok(())
}

fn counts(c: &Config) -> Result<(), (&'static str, String)> {
    let bounds = [
        ("limits.header_count", c.limits.header_count, MOST_FIELDS),
        ("limits.connections", c.limits.connections, usize::MAX),
        ("connect.parallel", c.connect.parallel, usize::MAX),
        ("circuit.failures", c.circuit.failures as usize, usize::MAX),
        ("pool.size", c.pool.size, usize::MAX),
        ("workers", c.workers, MOST_WORKERS),
    ];
    for (key, value, most) in bounds {
        if value == 0 {
            return Err((key, "must be at least 1".into()));
        }
        if value > most {
            return Err((key, format!("must be at most {most}")));
        }
    }
    if c.retry.budget_floor > MOST_REPLAYS {
        return Err(("retry.budget_floor", format!("must be at most {MOST_REPLAYS}")));
    }
    Ok(())
}

fn durations(c: &Config) -> Result<(), (&'static str, String)> {
    // Without any time nothing of this kind ever succeeds.
    let needed = [
        ("client.idle", c.client.idle),
        ("client.rest", c.client.rest),
        ("client.head", c.client.head),
        ("client.body_idle", c.client.body_idle),
        ("connect.timeout", c.connect.timeout),
        ("connect.tls_timeout", c.connect.tls_timeout),
        ("connect.dns_timeout", c.connect.dns_timeout),
        ("retry.base", c.retry.base),
        ("circuit.probe", c.circuit.probe),
        ("stream.hold_ping", c.stream.hold_ping),
        ("stream.ping_after", c.stream.ping_after),
        ("stream.stall_alarm", c.stream.stall_alarm),
        ("response_timeout", c.response_timeout),
        ("watch.probe", c.watch.probe),
        ("watch.probe_timeout", c.watch.probe_timeout),
    ];
    // Zero switches these off.
    let optional = [
        ("client.linger", c.client.linger),
        ("connect.stagger", c.connect.stagger),
        ("connect.quarantine", c.connect.quarantine),
        ("connect.write_stall", c.connect.write_stall),
        ("pool.idle", c.pool.idle),
        ("retry.total", c.retry.total),
        ("retry.cap", c.retry.cap),
        ("circuit.park", c.circuit.park),
        ("stream.commit_wait", c.stream.commit_wait),
        ("stream.adaptive_within", c.stream.adaptive_within),
        ("retry.absorb_within", c.retry.absorb_within),
        ("drain", c.drain),
        ("watch.stall", c.watch.stall),
        ("ledger.keep", c.ledger.keep),
    ];
    if let Some((key, _)) = needed.iter().find(|(_, d)| d.is_zero()) {
        return Err((key, "must be above zero".into()));
    }
    match needed.iter().chain(&optional).find(|(_, d)| *d > LONGEST) {
        Some((key, _)) => Err((key, "must be at most a year".into())),
        None => Ok(()),
    }
}
