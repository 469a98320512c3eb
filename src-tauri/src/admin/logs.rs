//! `GET /_leeward/v1/logs`: the end of the log, which is free of secrets since it was written.

use super::{
    config::on_disk,
    error::Error,
    extract::{Json, Query},
    state::Admin,
};
use crate::logging::{self, Tail};
use axum::extract::State;
use serde::{Deserialize, Deserializer, de};
use std::sync::Arc;

/// As many as a page shows, unless it asks for others.
const LINES: usize = 500;
/// A megabyte, which is all that is read, hardly holds more.
const MOST_LINES: usize = 10_000;

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default = "lines", deserialize_with = "bounded")]
    lines: usize,
    level: Option<String>,
}

fn lines() -> usize {
    LINES
}

fn bounded<'de, D: Deserializer<'de>>(text: D) -> Result<usize, D::Error> {
    match String::deserialize(text)?.parse() {
        Ok(wanted @ 1..=MOST_LINES) => Ok(wanted),
        _ => Err(de::Error::custom(format_args!("it is a number from 1 to {MOST_LINES}"))),
    }
}

pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Query(Wanted { lines, level }): Query<Wanted>,
) -> Result<Json<Tail>, Error> {
    let path = admin.config.paths.log_file();
    let tail = on_disk(move || logging::tail(&path, lines, level.as_deref())).await?;
    tail.map(Json).map_err(Error::BadRequest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::FromRequestParts;

    async fn wanted(query: &str) -> Result<(usize, Option<String>), Error> {
        let request = http::Request::builder().uri(format!("/?{query}")).body(()).unwrap();
        let Query(Wanted { lines, level }) = Query::from_request_parts(&mut request.into_parts().0, &()).await?;
        Ok((lines, level))
    }

    #[tokio::test]
    async fn a_query_is_read_or_refused_with_its_word() {
        assert_eq!(wanted("").await.unwrap(), (500, None));
        assert_eq!(wanted("level=warn&lines=7").await.unwrap(), (7, Some("warn".into())));
        for (query, words) in [
            ("lines=0", "lines: it is a number from 1 to 10000."),
            ("lines=many", "lines: it is a number from 1 to 10000."),
            ("lines=10001", "lines: it is a number from 1 to 10000."),
            ("tail=3", "`tail`, expected `lines` or `level`"),
        ] {
            let Err(Error::BadRequest(why)) = wanted(query).await else { panic!("{query}") };
            assert!(why.contains(words), "{query}: {why}");
        }
    }
}
