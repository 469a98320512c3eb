//! The panel's API over real sockets: what passes, what changes, the config, the log, the panel's own files.

use crate::support::{LIMIT, TestEngine, client, eventually, message};
use leeward::demo::upstream::{Fault, Plan, Upstream};
use serde_json::{Value, json};

async fn get(engine: &TestEngine, path: &str) -> Value {
    let response = client().get(engine.url(&format!("/_leeward/v1/{path}"))).bearer_auth(engine.token()).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

async fn newest(engine: &TestEngine) -> Value {
    get(engine, "activity").await["requests"][0].clone()
}

#[tokio::test]
async fn activity_tells_of_a_requests_attempts() {
    let upstream = Upstream::plain(Plan::queue([Fault::ResetBeforeHeaders, Fault::None])).unwrap();
    let engine = TestEngine::start(&upstream);
    let request = client().post(engine.url("/v1/messages?beta=hidden")).header("user-agent", "claude-cli/2.1");
    assert_eq!(request.json(&message(false)).send().await.unwrap().status(), 200);
    eventually("the request ends", async || newest(&engine).await["phase"] == "done").await;
    let shown = newest(&engine).await;
    for (field, want) in [
        ("method", json!("POST")),
        ("path", json!("/v1/messages")),
        ("upstream", json!("default")),
        ("agent", json!("claude-cli")),
        ("model", json!("claude-test")),
        ("status", json!(200)),
        ("outcome", json!("answered")),
        ("bytes_up", json!(message(false).to_string().len())),
    ] {
        assert_eq!(shown[field], want, "{field} of {shown}");
    }
    let attempts = shown["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{shown}");
    assert_eq!((&attempts[0]["cause"], &attempts[0]["connection"]), (&json!("fresh-reset"), &json!("fresh")));
    assert_eq!((&attempts[1]["cause"], &attempts[1]["replay"]), (&Value::Null, &json!(true)));
    assert!(shown["bytes_down"].as_u64() > Some(0) && shown["took_ms"].as_f64() >= shown["first_byte_ms"].as_f64(), "{shown}");
    assert!(attempts[1]["head_ms"].as_f64() >= attempts[1]["sent_ms"].as_f64(), "{shown}");
}

#[tokio::test]
async fn activity_tells_of_requests_that_were_refused_or_failed() {
    let upstream = Upstream::plain(Plan::always(Fault::GarbageStatusLine)).unwrap();
    let engine = TestEngine::start(&upstream);
    client().get(engine.url("/@nobody/x?key=hidden")).send().await.unwrap();
    let shown = newest(&engine).await;
    assert_eq!((&shown["outcome"], &shown["status"], &shown["attempts"]), (&json!("refused"), &json!(404), &json!([])));
    assert!(!shown.to_string().contains("hidden"), "{shown}");
    client().post(engine.url("/v1/files")).body("x").send().await.unwrap();
    eventually("the request ends", async || newest(&engine).await["phase"] == "done").await;
    let shown = newest(&engine).await;
    assert_eq!((&shown["outcome"], &shown["status"]), (&json!("failed"), &json!(502)), "{shown}");
    assert_eq!(shown["attempts"][0]["cause"], "bad-response");
    assert_eq!(shown["model"], Value::Null);
}

/// The events of an open stream, by name.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(engine: &TestEngine) -> Self {
        let response = client().get(engine.url("/_leeward/v1/events")).bearer_auth(engine.token()).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event; `None` at the stream's end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                if let Some((name, data)) = event.strip_prefix("event: ").and_then(|e| e.split_once("\ndata: ")) {
                    return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
                }
                continue;
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await.expect("an event in time").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn until(&mut self, wanted: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (name, data) = self.next().await.expect("the stream goes on");
            if name == wanted && fits(&data) {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn events_begin_with_how_things_are_and_tell_what_changes() {
    let upstream = Upstream::plain(Plan::always(Fault::None)).unwrap();
    let engine = TestEngine::start(&upstream);
    let mut events = Events::open(&engine).await;
    let status = events.until("status", |_| true).await;
    assert_eq!(status["phase"], "serving");
    assert_eq!(events.until("stats", |_| true).await["requests"], 0);
    client().post(engine.url("/v1/messages")).json(&message(true)).send().await.unwrap().bytes().await.unwrap();
    let done = events.until("activity", |data| data["requests"][0]["phase"] == "done").await;
    assert_eq!(done["requests"].as_array().unwrap().len(), 1);
    assert_eq!(done["requests"][0]["outcome"], "answered");
    events.until("stats", |data| data["outcomes"]["answered"] == 1).await;
}

#[tokio::test]
async fn events_end_with_their_generation() {
    let upstream = Upstream::plain(Plan::always(Fault::None)).unwrap();
    let engine = TestEngine::start(&upstream);
    let mut events = Events::open(&engine).await;
    events.until("status", |_| true).await;
    let restart = client().post(engine.url("/_leeward/v1/restart")).bearer_auth(engine.token()).send().await.unwrap();
    assert_eq!(restart.status(), 200);
    while events.next().await.is_some() {}
    let mut again = Events::open(&engine).await;
    assert_eq!(again.until("status", |_| true).await["generation"], 2);
}

#[tokio::test]
async fn nothing_of_it_is_for_strangers() {
    let upstream = Upstream::plain(Plan::always(Fault::None)).unwrap();
    let engine = TestEngine::start(&upstream);
    for path in ["activity", "events", "stats", "config", "logs"] {
        let url = engine.url(&format!("/_leeward/v1/{path}"));
        assert_eq!(client().get(&url).send().await.unwrap().status(), 401, "{path}");
        assert_eq!(client().get(&url).bearer_auth("wrong").send().await.unwrap().status(), 401, "{path}");
    }
    assert_eq!(get(&engine, "stats").await["requests"], 0);
}
