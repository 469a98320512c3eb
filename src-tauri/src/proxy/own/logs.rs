//! `GET /_leeward/v1/logs`: the end of the log, which is free of secrets since it was written.

use crate::{
    logging::{self, Tail},
    proxy::{Proxy, error::Error},
};
use url::form_urlencoded;

/// As many as a page shows, unless it asks for others.
const LINES: usize = 500;
/// A megabyte, which is all that is read, hardly holds more.
const MOST_LINES: usize = 10_000;

/// Reads what the query asks for: `lines` and `level`.
pub(super) async fn read(proxy: &Proxy, query: &str) -> Result<Tail, Error> {
    let (lines, level) = asked(query)?;
    let path = proxy.config.paths.log_file();
    let tail = super::config::on_disk(move || logging::tail(&path, lines, level.as_deref())).await?;
    tail.map_err(Error::BadRequest)
}

fn asked(query: &str) -> Result<(usize, Option<String>), Error> {
    let (mut lines, mut level) = (LINES, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "lines" => match value.parse() {
                Ok(wanted @ 1..=MOST_LINES) => lines = wanted,
                _ => return Err(Error::BadRequest(format!("`lines` is a number from 1 to {MOST_LINES}."))),
            },
            "level" => level = Some(value.into_owned()),
            _ => return Err(Error::BadRequest(format!("`{name}` is not known here; there are lines and level."))),
        }
    }
    Ok((lines, level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused_with_its_word() {
        assert_eq!(asked("").unwrap(), (500, None));
        assert_eq!(asked("level=warn&lines=7").unwrap(), (7, Some("warn".into())));
        for (query, word) in [("lines=0", "`lines`"), ("lines=many", "`lines`"), ("lines=10001", "`lines`"), ("tail=3", "`tail`")]
        {
            let Err(Error::BadRequest(why)) = asked(query) else { panic!("{query}") };
            assert!(why.contains(word), "{query}: {why}");
        }
    }
}
