//! What one key demands of another, and the log's filter, which only its own parser can judge. Reads nothing, decides no
//! default; the range of a key by itself stands in `definition.rs`.

use super::{definition::Stream, types::Config};
use std::time::Duration;

/// Checks all of them.
///
/// # Errors
/// The key and a sentence for the user.
pub(super) fn check(c: &Config) -> Result<(), (&'static str, String)> {
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
    if let Err(why) = tracing_subscriber::EnvFilter::try_new(&c.log) {
        return Err(("log", format!("`{}` is not a log filter ({why}); write for example \"info\" or \"leeward=debug\"", c.log)));
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
    Ok(())
}
