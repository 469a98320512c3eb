//! What the headers of agents and APIs say about time and retries. Read with care, because anybody may write them. Pure.

use http::{HeaderMap, HeaderName};
use std::time::Duration;

/// How long a client waits for its request in all.
pub(super) fn patience(headers: &HeaderMap) -> Option<Duration> {
    seconds(headers, HeaderName::from_static("x-stainless-timeout")).filter(|patience| !patience.is_zero())
}

/// The SDKs count their own retries in every request; Claude Code's loop does not, so the budget is the real bound.
pub(super) fn says_it_retries(headers: &HeaderMap) -> bool {
    headers
        .get("x-stainless-retry-count")
        .and_then(|v| v.to_str().ok()?.trim().parse::<u32>().ok())
        .is_some_and(|count| count > 0)
}

/// A header that holds seconds, possibly with a fraction; a day at most.
pub(super) fn seconds(headers: &HeaderMap, name: HeaderName) -> Option<Duration> {
    let seconds: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds.min(86_400.0)).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header::RETRY_AFTER};

    #[test]
    fn a_clients_own_retries_are_heard() {
        for (value, says) in [("0", false), ("1", true), (" 2 ", true), ("-1", false), ("x", false), ("", false)] {
            let headers: HeaderMap =
                [(HeaderName::from_static("x-stainless-retry-count"), HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(says_it_retries(&headers), says, "{value:?}");
        }
        assert!(!says_it_retries(&HeaderMap::new()));
    }

    #[test]
    fn seconds_are_read_with_care() {
        for (value, wanted) in
            [("3", Some(3_000)), ("0.5", Some(500)), ("1e99", Some(86_400_000)), ("-1", None), ("NaN", None), ("soon", None)]
        {
            let headers: HeaderMap = [(RETRY_AFTER, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(seconds(&headers, RETRY_AFTER), wanted.map(Duration::from_millis), "{value:?}");
        }
    }
}
