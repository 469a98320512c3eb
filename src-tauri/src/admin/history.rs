//! `GET /_leeward/v1/history`: reads what is asked for, and passes the question on. Keeps and knows no history itself.

use super::{
    error::Error,
    extract::{Json, Query},
    state::Admin,
};
use crate::{
    health::unix_ms,
    status::history::{Asked, History, Question, Span},
};
use axum::extract::State;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::timeout};

/// A question over the largest history takes a tenth of this.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What is asked for in the query of a URL, as words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    since: Option<String>,
    until: Option<String>,
    step: Option<String>,
    limit: Option<String>,
}

impl Words {
    fn span(&self, now_unix_ms: u64) -> Result<Span, Error> {
        let Self { since, until, step, limit } = self;
        let asked = Asked { since: since.as_deref(), until: until.as_deref(), step: step.as_deref(), limit: limit.as_deref() };
        Span::parse(asked, now_unix_ms).map_err(Error::BadRequest)
    }
}

/// Asks whoever keeps the history.
pub(super) async fn show(State(admin): State<Arc<Admin>>, Query(words): Query<Words>) -> Result<Json<History>, Error> {
    let span = words.span(unix_ms())?;
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
    use axum::extract::FromRequestParts;

    async fn span(query: &str, now: u64) -> Result<Span, Error> {
        let request = http::Request::builder().uri(format!("/?{query}")).body(()).unwrap();
        let Query(words) = Query::<Words>::from_request_parts(&mut request.into_parts().0, &()).await?;
        words.span(now)
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
}
