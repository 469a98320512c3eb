//! `GET /_leeward/v1/history`: reads what is asked for, and passes the question on. Keeps and knows no history itself.

use crate::{
    health::unix_ms,
    proxy::{Proxy, error::Error},
    status::history::{Asked, History, Question, Span},
};
use std::{borrow::Cow, time::Duration};
use tokio::{sync::oneshot, time::timeout};
use url::form_urlencoded;

/// A question over the largest history takes a tenth of this.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What is asked for in the query of a URL.
pub(super) fn span(query: &str, now_unix_ms: u64) -> Result<Span, Error> {
    let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(query.as_bytes()).collect();
    let mut asked = Asked::default();
    for (name, value) in &pairs {
        let field = match name.as_ref() {
            "since" => &mut asked.since,
            "until" => &mut asked.until,
            "step" => &mut asked.step,
            "limit" => &mut asked.limit,
            _ => return Err(Error::BadRequest(format!("`{name}` is not known here; there are since, until, step and limit."))),
        };
        if field.replace(value.as_ref()).is_some() {
            return Err(Error::BadRequest(format!("`{name}` is there twice.")));
        }
    }
    Span::parse(asked, now_unix_ms).map_err(Error::BadRequest)
}

/// Asks whoever keeps the history.
pub(super) async fn ask(proxy: &Proxy, query: &str) -> Result<History, Error> {
    let span = span(query, unix_ms())?;
    let (reply, answer) = oneshot::channel();
    let asked = async {
        proxy.shared.history.send(Question { span, reply }).await.ok()?;
        answer.await.ok()
    };
    match timeout(ANSWER_WITHIN, asked).await {
        Ok(Some(answer)) => answer.map_err(Error::Undone),
        Ok(None) => {
            Err(Error::Undone("The history is closed: Leeward is ending, or its thread has failed (see the log).".into()))
        }
        Err(_) => Err(Error::Undone(format!("The history did not answer within {ANSWER_WITHIN:?}; its disk may be slow."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused_with_its_word() {
        let now = 1_700_000_000_000;
        let read = span("since=2h&until=1699999000000&step=15m&limit=3", now).unwrap();
        assert_eq!((read.until_unix_ms, read.step_ms, read.faults), (1_699_999_000_000, 900_000, 3));
        assert_eq!(span("", now).unwrap().until_unix_ms, now);
        for (query, word) in
            [("form=1h", "`form`"), ("since=1h&since=2h", "twice"), ("step=x", "`step`"), ("since=%31%68&until=3h", "before")]
        {
            let Err(Error::BadRequest(why)) = span(query, now) else { panic!("{query}") };
            assert!(why.contains(word), "{query}: {why}");
        }
    }
}
