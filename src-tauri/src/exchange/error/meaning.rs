//! What an error means, before it is put into a dialect: status, code, sentence, whether trying again helps.

use crate::{message::Told, status::faults::Cause};
use http::StatusCode;
use std::{borrow::Cow, time::Duration};

/// What an error means.
#[derive(Clone, Debug)]
pub(crate) struct Meaning {
    pub(crate) status: StatusCode,
    /// Stable and public: `x-leeward-error`.
    pub(crate) code: &'static str,
    pub(crate) sentence: String,
    /// Whether trying again can help; SDKs obey `x-should-retry`.
    pub(crate) retry: bool,
    /// When trying again is worth it, where that is known.
    pub(crate) retry_after: Option<Duration>,
}

impl Meaning {
    pub(crate) fn new(status: u16, code: &'static str, retry: bool, sentence: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, sentence: sentence.into(), retry, retry_after: None }
    }
}

/// What an agent's user reads is at most this many characters, Leeward's name included: agents cut what is longer.
pub(crate) const LONGEST: usize = 160;
/// Where there is more to read.
const MORE: &str = " More: leeward status";
/// What each dialect puts before it.
const NAME: &str = "Leeward: ";

/// What is the matter, since when, after how many attempts, what to do and where to read on; never longer than `LONGEST`.
pub(super) fn sentence(told: &Told, lasted: Option<Duration>, attempts: u32) -> String {
    let mut says = told.says.clone();
    match (told.unreached, lasted.map(|lasted| lasted.as_secs()).filter(|seconds| *seconds > 0)) {
        (Some(_), Some(seconds)) => says = format!("{}, for {})", says.trim_end_matches(')'), age(seconds)),
        (None, _) if attempts > 1 => says.push_str(&format!(", {attempts} attempts")),
        _ => {}
    }
    let room = LONGEST - NAME.len() - MORE.len() - told.next.len() - ". .".len();
    format!("{}. {}.{MORE}", short(&says, room), told.next)
}

/// A text that may be cut to so many characters.
pub(crate) fn short(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some(_) => Cow::Owned(text.chars().take(most.saturating_sub(1)).chain(['…']).collect()),
        None => Cow::Borrowed(text),
    }
}

/// Seconds as their largest unit.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// Status and code of an upstream failure, and whether another try can help.
pub(super) fn of_cause(cause: Cause, sentence: String) -> Meaning {
    let (status, code, retry) = match cause {
        Cause::Dns => (503, "dns", true),
        Cause::Connect => (503, "connect", true),
        Cause::Tls => (503, "tls", true),
        Cause::Certificate => (502, "certificate", false),
        Cause::Clock => (502, "clock", false),
        Cause::NotTls => (502, "not-tls", false),
        Cause::Loop => (508, "loop", false),
        Cause::StalePooled | Cause::WriteFailed => (503, "write-failed", true),
        Cause::ReusedReset | Cause::FreshReset | Cause::LateReset => (502, "reset", true),
        Cause::BadResponse | Cause::NotHttp => (502, "bad-response", true),
        Cause::CutMidStream | Cause::CutBeforeContent | Cause::CutWhileBuffered => (502, "cut", true),
        Cause::Declined => (503, "declined", true),
        Cause::WriteStalled => (503, "write-stalled", true),
        Cause::CompanyProxy => (503, "company-proxy", true),
        Cause::ProxyLogin => (502, "proxy-login", false),
        Cause::CircuitOpen => (503, "circuit-open", true),
        Cause::PoolFull => (503, "pool-full", true),
        Cause::ResponseTimeout => (504, "response-timeout", true),
    };
    Meaning::new(status, code, retry, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Failure;

    #[test]
    fn the_sentence_of_the_issue() {
        let refused = Failure::new(Cause::Connect, "d").unreached("connection refused").told("api.anthropic.com");
        let text = format!("{NAME}{}", sentence(&refused, Some(Duration::from_secs(41)), 9));
        let wanted =
            "Leeward: can't reach api.anthropic.com (connection refused, for 41 s). Check network or VPN. More: leeward status";
        assert_eq!(text, wanted);
        let blip = sentence(&refused, Some(Duration::from_millis(900)), 2);
        assert!(blip.starts_with("can't reach api.anthropic.com (connection refused). Check"), "{blip}");
        let reset = Failure::new(Cause::FreshReset, "d").told("api.x");
        let text = sentence(&reset, None, 3);
        assert_eq!(
            text,
            "the edge of api.x broke the connection before it answered, 3 attempts. Try again. More: leeward status"
        );
    }

    #[test]
    fn a_long_name_is_cut_and_the_next_step_is_not() {
        let host = "h".repeat(200);
        for cause in Cause::ALL {
            let told = Failure::new(*cause, "d").told(&host);
            let text = sentence(&told, Some(Duration::from_secs(100_000)), 1000);
            assert!(text.chars().count() + NAME.len() <= LONGEST, "{cause:?}: {text}");
            assert!(text.ends_with(&format!(". {}.{MORE}", told.next)), "{cause:?}: {text}");
            assert!(of_cause(*cause, text).status.is_server_error());
        }
    }
}
