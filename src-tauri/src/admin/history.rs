//! `GET /_leeward/v1/history`: reads what is asked for, and forwards the question. Keeps and knows no history itself.

use super::{
    error::Error,
    extract::{Json, Query},
    state::Admin,
};
use crate::{
    health::unix_ms,
    status::history::{FAULTS, History, Question, Span},
};
use axum::extract::State;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::timeout};

/// A question over the largest history takes a tenth of this.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What is shown when no beginning is named.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is asked for in the query of a URL: times are milliseconds since 1970 or a duration before now ("7d"), steps are
/// durations.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    /// The beginning; a day ago unless said.
    since: Option<String>,
    /// The end; now unless said.
    until: Option<String>,
    /// Length of a bucket; chosen unless said.
    step: Option<String>,
    /// Single faults.
    limit: Option<String>,
}

impl Words {
    /// What they mean, or a sentence that says which word makes no sense, and what to write.
    fn span(&self, now_unix_ms: u64) -> Result<Span, String> {
        let time = |name: &str, text: &str| match text.parse::<u64>() {
            Ok(unix_ms) => Ok(unix_ms),
            Err(_) => duration(name, text).map(|ago| now_unix_ms.saturating_sub(ago)),
        };
        let since = self.since.as_deref().map_or(Ok(now_unix_ms.saturating_sub(millis(DAY))), |text| time("since", text))?;
        let until = self.until.as_deref().map_or(Ok(now_unix_ms), |text| time("until", text))?;
        let step = self.step.as_deref().map(|text| duration("step", text)).transpose()?;
        let faults = match self.limit.as_deref().map(str::parse::<usize>) {
            None => FAULTS.0,
            Some(Ok(count)) if count <= FAULTS.1 => count,
            Some(_) => return Err(format!("`limit` is a number of faults, at most {}.", FAULTS.1)),
        };
        Span::between(since, until, step, faults)
    }
}

fn duration(name: &str, text: &str) -> Result<u64, String> {
    humantime::parse_duration(text)
        .map(millis)
        .map_err(|_| format!("`{name}` is a duration such as 15m, 24h or 7d; times may also be milliseconds since 1970."))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Asks whoever keeps the history.
pub(super) async fn show(State(admin): State<Arc<Admin>>, Query(words): Query<Words>) -> Result<Json<History>, Error> {
    let span = words.span(unix_ms()).map_err(Error::BadRequest)?;
    let (reply, answer) = oneshot::channel();
    let asked = async {
        admin.history.send(Question { span, reply }).await.ok()?;
        answer.await.ok()
    };
    match timeout(ANSWER_WITHIN, asked).await {
        Ok(Some(answer)) => answer.map(Json).map_err(Error::Undone),
        Ok(None) => {
            Err(Error::Undone("The history is closed: Leeward is ending, or its thread has failed (see the log).".into()))
        }
        Err(_) => Err(Error::Undone(format!("The history did not answer within {ANSWER_WITHIN:?}; its disk may be slow."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::history::PERIOD_MS;
    use axum::extract::FromRequestParts;

    const NOW: u64 = 1_700_000_123_456;

    async fn span(query: &str, now: u64) -> Result<Span, Error> {
        let request = http::Request::builder().uri(format!("/?{query}")).body(()).unwrap();
        let Query(words) = Query::<Words>::from_request_parts(&mut request.into_parts().0, &()).await?;
        words.span(now).map_err(Error::BadRequest)
    }

    #[tokio::test]
    async fn a_query_is_read_or_refused_with_its_word() {
        let now = 1_700_000_000_000;
        let read = span("since=2h&until=1699999000000&step=15m&limit=3", now).await.unwrap();
        assert_eq!((read.until_unix_ms, read.step_ms, read.faults), (1_699_999_000_000, 900_000, 3));
        assert_eq!(span("", now).await.unwrap().until_unix_ms, now);
        for (query, word) in [
            ("form=1h", "`form`"),
            ("form=1h", "`since`, `until`, `step`, `limit`"),
            ("since=1h&since=2h", "duplicate field `since`"),
            ("step=x", "`step`"),
            ("since=%31%68&until=3h", "before"),
        ] {
            let Err(Error::BadRequest(why)) = span(query, now).await else { panic!("{query}") };
            assert!(why.contains(word) && why.ends_with('.'), "{query}: {why}");
        }
    }

    #[test]
    fn a_span_is_read_from_words() {
        let asked = |since: Option<&str>, until: Option<&str>, step: Option<&str>, limit: Option<&str>| {
            let [since, until, step, limit] = [since, until, step, limit].map(|word| word.map(str::to_owned));
            Words { since, until, step, limit }.span(NOW)
        };
        let day = asked(None, None, None, None).unwrap();
        assert_eq!((day.until_unix_ms, day.step_ms, day.faults), (NOW, PERIOD_MS, 200));
        assert_eq!(day.since_unix_ms % PERIOD_MS, 0);
        assert!((86_400_000..86_400_000 + PERIOD_MS).contains(&(NOW - day.since_unix_ms)));
        let week = asked(Some("7d"), Some("1h"), None, Some("0")).unwrap();
        assert_eq!((week.until_unix_ms, week.step_ms, week.faults), (NOW - 3_600_000, 12 * PERIOD_MS, 0));
        assert_eq!(asked(Some("0"), None, None, None).unwrap().step_ms % 86_400_000, 0);
        assert_eq!(asked(Some("1h"), None, Some("7m"), None).unwrap().step_ms, 2 * PERIOD_MS);
        for (since, until, step, limit, word) in [
            (Some("soon"), None, None, None, "`since`"),
            (None, Some("1 apple"), None, None, "`until`"),
            (None, Some("99999999999999999999"), None, None, "`until`"),
            (Some("1h"), Some("2h"), None, None, "before"),
            (None, Some("18446744073709551615"), None, None, "beyond"),
            (Some("365d"), None, Some("5m"), None, "longer `step`"),
            (None, None, Some("0s"), None, "nothing"),
            (None, None, Some("5"), None, "`step`"),
            (None, None, None, Some("1001"), "at most 1000"),
            (None, None, None, Some("-1"), "at most 1000"),
        ] {
            let refused = asked(since, until, step, limit).unwrap_err();
            assert!(refused.contains(word), "{since:?} {until:?} {step:?} {limit:?}: {refused}");
        }
    }
}
