//! What agents get: each error in each dialect, short, in words, and known by docs/http.md.

use super::{meaning::LONGEST, *};

const DIALECTS: [Dialect; 5] = [Dialect::Anthropic, Dialect::OpenAi, Dialect::Gemini, Dialect::Bedrock, Dialect::Ollama];

fn spent(cause: Cause, next: Option<Duration>) -> Error {
    let told = Failure::new(cause, "no connection to api.x (Connection refused (os error 111))").told("api.anthropic.com");
    Error::Upstream(Spent { cause, told, lasted: Some(Duration::from_secs(41)), attempts: 3, next })
}

/// The sentence in an error's body.
fn said(dialect: Dialect, body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let place = match dialect {
        Dialect::Anthropic | Dialect::OpenAi | Dialect::Gemini => "/error/message",
        Dialect::Bedrock => "/message",
        Dialect::Ollama => "/error",
    };
    body.pointer(place).unwrap().as_str().unwrap().to_owned()
}

/// Agents show it in a line, and some cut it: it is short, it is Leeward's, and it holds nothing that only a log explains.
#[test]
fn every_error_is_a_short_sentence_in_every_dialect() {
    for meaning in all() {
        for dialect in DIALECTS {
            let text = said(dialect, &dialect.error(&meaning));
            assert!(text.starts_with("Leeward: ") && text.chars().count() <= LONGEST, "{}: {text}", text.chars().count());
            assert!(!text.contains("os error") && !text.contains("::") && !text.contains("  "), "{text}");
            assert!(text.ends_with('.') || text.ends_with("More: leeward status"), "{text}");
        }
    }
}

#[test]
fn each_client_is_told_in_its_own_dialect() {
    let error = spent(Cause::Connect, None).meaning();
    let parsed = |d: Dialect| serde_json::from_str::<serde_json::Value>(&d.error(&error)).unwrap();
    assert_eq!(parsed(Dialect::Anthropic)["error"]["type"], "api_error");
    assert_eq!(parsed(Dialect::OpenAi)["error"]["code"], "connect");
    assert_eq!(parsed(Dialect::Gemini)["error"]["status"], "UNAVAILABLE");
    assert!(parsed(Dialect::Bedrock)["message"].as_str().unwrap().starts_with("Leeward: "));
    assert!(parsed(Dialect::Ollama)["error"].as_str().unwrap().starts_with("Leeward: "));
    let response = respond(&error, Dialect::Anthropic, 3);
    assert_eq!(response.status(), 503);
    for (name, value) in [("retry-after", "1"), ("x-should-retry", "true"), ("x-leeward-attempts", "3")] {
        assert_eq!(response.headers()[name], value, "{name}");
    }
}

#[test]
fn who_was_parked_is_told_when_the_next_probe_is_due() {
    for (next, seconds) in [(0, "1"), (1000, "1"), (1001, "2")] {
        let error = spent(Cause::CircuitOpen, Some(Duration::from_millis(next)));
        let response = respond(&error.meaning(), Dialect::OpenAi, 1);
        assert_eq!(response.headers()["retry-after"], seconds);
    }
}

/// Of every error on an upstream's path, whatever it is made of.
fn all() -> Vec<Meaning> {
    let of_causes = Cause::ALL.iter().map(|cause| spent(*cause, None));
    let others = [
        Error::UnknownUpstream("x".repeat(200)),
        Error::UnclearName,
        Error::BadTarget,
        Error::Circle,
        Error::TooManyUploads,
        Error::BodyTooLarge,
        Error::BodyMalformed("d".repeat(200)),
        Error::BodyBroken("d".repeat(200)),
        spent(Cause::CircuitOpen, Some(Duration::from_secs(3))),
    ];
    // A new one does not compile until it stands above.
    match &others[0] {
        Error::UnknownUpstream(_) | Error::UnclearName | Error::BadTarget | Error::Circle | Error::TooManyUploads => {}
        Error::BodyTooLarge | Error::BodyMalformed(_) | Error::BodyBroken(_) => {}
        Error::Upstream(_) => {}
    }
    of_causes.chain(others).map(|error| error.meaning()).collect()
}

/// Agents decide by status and header, and the page says what they were seen to do. An error that the page does not know has
/// not been tried on an agent.
#[test]
fn what_agents_make_of_every_error_is_known() {
    let page = include_str!("../../../../docs/http.md");
    let (_, seen) = page.split_once("### What agents make of an error").unwrap();
    let rows = |page: &'static str| page.lines().filter_map(|line| line.strip_prefix("| ")).map(|line| line.split(" | "));
    for Meaning { status, code, retry, .. } in all() {
        let status = status.as_str();
        assert!(
            rows(page).any(|mut row| row.next() == Some(&format!("`{code}`")) && row.next().unwrap().starts_with(status)),
            "docs/http.md has no row `{code}` with {status}"
        );
        let header = format!("`{retry}`");
        assert!(
            rows(seen).any(|mut row| row.next().unwrap().split(", ").any(|s| s == status) && row.next() == Some(&header)),
            "nobody has tried {status} with x-should-retry: {retry} on an agent ({code})"
        );
        assert_ne!(status, "404", "{code}: Claude Code then says that the model does not exist");
    }
}

/// After three errors of this type Claude Code gives up, though the outage may end.
#[test]
fn no_error_says_overloaded() {
    for meaning in all() {
        for dialect in DIALECTS {
            assert!(!dialect.error(&meaning).contains("overloaded"), "{}", meaning.code);
        }
        let response = respond(&meaning, Dialect::Anthropic, 1);
        let headers = response.headers();
        assert_eq!(headers["x-should-retry"], if meaning.retry { "true" } else { "false" }, "{}", meaning.code);
        assert_eq!(headers.contains_key("retry-after"), meaning.retry, "{}", meaning.code);
    }
}

#[test]
fn what_cannot_be_cured_by_trying_again_says_so() {
    for cause in [Cause::Certificate, Cause::Loop] {
        let error = spent(cause, None);
        let response = respond(&error.meaning(), Dialect::OpenAi, 1);
        assert_eq!(response.headers()["x-should-retry"], "false", "{cause:?}");
        assert!(!response.headers().contains_key("retry-after"));
    }
}
