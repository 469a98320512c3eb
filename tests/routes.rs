//! Which requests are repaired, and where they go: every agent's own request at every upstream is known; a name never loses its
//! key, and a redirect never leaves it.

use crate::support::{LIMIT, TestEngine, client, eventually, message};
use leeward::{
    config::{Config, ReplayPath, StreamMode},
    wrap::profiles,
};
use scripted::{Fault, Mark, Plan, Upstream};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What an agent asks for: the upstream (`None`: the default one), and the path behind it.
struct Asks {
    who: String,
    upstream: Option<String>,
    path: String,
}

/// The path that follows a base URL, by the variable that carries it; each is a request that its programs really make.
fn behind_variable(name: &str) -> &'static [&'static str] {
    match name {
        "ANTHROPIC_BASE_URL" => &["/v1/messages?beta=true", "/v1/messages/count_tokens"],
        "ANTHROPIC_API_BASE" | "ANTHROPIC_HOST" => &["/v1/messages"],
        "GOOGLE_GEMINI_BASE_URL" => {
            &["/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse", "/v1beta/models/gemini-3-pro:countTokens"]
        }
        "CODE_ASSIST_ENDPOINT" => &["/v1internal:streamGenerateContent?alt=sse", "/v1internal:generateContent"],
        "GOOGLE_VERTEX_BASE_URL" => &["/v1beta1/publishers/google/models/gemini-3-pro:streamGenerateContent?alt=sse"],
        "GEMINI_API_BASE" => &["/models/gemini-3-pro:generateContent"],
        "GOOGLE_HOST" => &["/v1beta/models/gemini-3-pro:generateContent"],
        "OPENAI_API_BASE" | "OPENAI_BASE_URL" => &["/chat/completions", "/responses", "/embeddings"],
        "OPENROUTER_API_BASE" | "DEEPSEEK_API_BASE" | "KIMI_BASE_URL" => &["/chat/completions"],
        "OPENAI_HOST" => &["/v1/chat/completions", "/v1/responses"],
        "OPENROUTER_HOST" => &["/api/v1/chat/completions"],
        other => panic!("say what is asked for behind {other}"),
    }
}

/// The same of opencode's providers.
fn behind_provider(id: &str) -> &'static [&'static str] {
    match id {
        "anthropic" | "kimi-for-coding" => &["/messages"],
        "openai" => &["/responses", "/chat/completions"],
        "openrouter" | "groq" | "deepseek" | "moonshotai" => &["/chat/completions"],
        "google" => &["/models/gemini-3-pro:streamGenerateContent?alt=sse"],
        other => panic!("say what is asked for of {other}"),
    }
}

/// Upstreams that no row of the agents' table names.
fn behind_upstream(name: &str) -> &'static [&'static str] {
    match name {
        // Codex, whose endpoint is an option.
        "chatgpt" => &["/responses"],
        "openai" => &["/v1/responses"],
        "anthropic" => &["/v1/messages"],
        "dashscope" => &["/compatible-mode/v1/chat/completions", "/api/v1/services/aigc/text-generation/generation"],
        _ => &[],
    }
}

fn all_asks(config: &Config) -> Vec<Asks> {
    let mut all = Vec::new();
    for profile in profiles().unwrap() {
        let bases = profile.base.iter().map(|b| (&b.variable, &b.upstream, &b.path, behind_variable(&b.variable)));
        let providers = profile.provider.iter().map(|p| (&p.id, &p.upstream, &p.path, behind_provider(&p.id)));
        for (who, upstream, base, paths) in bases.chain(providers) {
            all.extend(paths.iter().map(|path| Asks {
                who: format!("{} {who}", profile.name),
                upstream: upstream.clone(),
                path: format!("{base}{path}"),
            }));
        }
        let asks_by_code = profile.base.is_empty() && profile.provider.is_empty();
        assert!(!asks_by_code || profile.name == "codex", "say what {} asks for", profile.name);
    }
    for name in config.upstreams.keys() {
        let paths = behind_upstream(name).iter();
        all.extend(paths.map(|path| Asks { who: "built in".into(), upstream: Some(name.clone()), path: (*path).to_owned() }));
    }
    let missing: Vec<_> =
        config.upstreams.keys().filter(|name| !all.iter().any(|asks| asks.upstream.as_ref() == Some(*name))).collect();
    assert!(missing.is_empty(), "say what is asked for of {missing:?}");
    all
}

/// Where an error's sentence stands in the dialect of a path's clients.
fn sentence_at(path: &str) -> (&'static str, &'static str) {
    if path.contains("/messages") {
        ("/error/message", "/error/type")
    } else if path.contains("/models/") || path.contains("v1internal") {
        ("/error/message", "/error/status")
    } else {
        ("/error/message", "/error/code")
    }
}

/// Sends all built-in upstreams to one, below their own paths.
fn all_to(upstream: &Upstream, config: &mut Config) {
    for url in config.upstreams.values_mut() {
        let own = url.path().to_owned();
        *url = upstream.url().join(&own).unwrap();
    }
}

async fn newest(engine: &TestEngine) -> Value {
    let list = client().get(engine.url("/_leeward/v1/activity")).bearer_auth(engine.token()).send().await.unwrap();
    list.json::<Value>().await.unwrap()["requests"][0].clone()
}

fn url_of(engine: &TestEngine, upstream: Option<&str>, path: &str) -> String {
    engine.url(&upstream.map_or_else(|| path.to_owned(), |name| format!("/@{name}{path}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_agents_own_request_is_repaired_and_told_in_its_dialect_and_names_its_model() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| all_to(&upstream, c));
    let mut known = BTreeSet::new();
    for Asks { who, upstream: name, path } in all_asks(&Config::under(engine.home.path()).unwrap()) {
        let url = url_of(&engine, name.as_deref(), &path);
        let what = format!("{who}: {url}");
        if !known.insert(url.clone()) {
            continue;
        }
        let in_path = path.contains("gemini-3-pro");
        let body = if in_path { json!({ "contents": [] }) } else { json!({ "model": "model-of-body", "stream": true }) };
        // Each from a session of its own: the same request again would be an agent's own retry.
        let ask = || client().post(&url).header("x-claude-code-session-id", &what).json(&body).send();
        upstream.follow(Plan::times(1, Fault::ResetBeforeHeaders));
        let response = ask().await.unwrap();
        assert!(!response.headers().contains_key("x-leeward-error"), "{what}: {response:?}");
        assert_eq!(response.headers()["x-leeward-attempts"], "2", "{what}");
        response.bytes().await.unwrap();
        let shown = newest(&engine).await;
        assert_eq!(shown["model"], if in_path { "gemini-3-pro" } else { "model-of-body" }, "{what}: {shown}");

        upstream.follow(Plan::always(Fault::ResetBeforeHeaders));
        let response = ask().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["x-leeward-error"].to_str().unwrap()),
            (502, "reset"),
            "{what}"
        );
        let told: Value = response.json().await.unwrap();
        let (sentence, kind) = sentence_at(&path);
        assert!(told.pointer(sentence).is_some_and(Value::is_string), "{what}: {told}");
        assert!(told.pointer(kind).is_some_and(Value::is_string), "{what}: {told}");
    }
    assert!(known.len() > 20, "{known:?}");
    assert_eq!(engine.stats().await["unknown_inference"], 0);
}

/// Codex with a ChatGPT login, the first row: early cuts, the clean end and hold mode as for any other inference.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codex_with_a_chatgpt_login_gets_every_repair() {
    for (mode, fault, cause) in [
        (StreamMode::Pass, Fault::ResetBeforeHeaders, "fresh-reset"),
        (StreamMode::Pass, Fault::TruncateAfter(Mark::Events(1)), "cut-before-content"),
        (StreamMode::Pass, Fault::TruncateAfter(Mark::End), ""),
        (StreamMode::Hold, Fault::TruncateAfter(Mark::Events(6)), "cut-while-buffered"),
    ] {
        let upstream = Upstream::plain(Plan::none()).unwrap();
        let engine = TestEngine::tuned(&upstream, |c| {
            all_to(&upstream, c);
            c.stream.mode = mode;
        });
        let ask = || async {
            let response = client().post(engine.url("/@chatgpt/responses")).json(&message(true)).send().await.unwrap();
            (response.status().as_u16(), response.text().await)
        };
        let (status, wanted) = ask().await;
        let wanted = wanted.unwrap();
        assert!(status == 200 && wanted.contains("response.completed"), "{wanted}");
        upstream.follow(Plan::times(1, fault));
        let (status, text) = ask().await;
        assert_eq!((status, text.ok().as_deref()), (200, Some(&wanted[..])), "{mode:?} {cause}");
        let stats = engine.stats().await;
        if cause.is_empty() {
            assert_eq!(stats["replays"], 0, "{stats}");
        } else {
            assert!(stats["retried"].as_object().unwrap().values().any(|n| n == 1), "{cause}: {stats}");
        }
    }
}

#[tokio::test]
async fn paths_of_the_users_own_are_repaired_and_what_nobody_knows_is_counted() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.upstreams.insert("corp".into(), upstream.url().join("/team").unwrap());
        c.replay.insert(Some("corp".into()), vec![ReplayPath::parse("/team/v2/complete/*").unwrap()]);
        c.replay.insert(None, vec![ReplayPath::parse("/ask").unwrap()]);
    });
    for (path, repaired, unknown) in [
        ("/@corp/v2/complete/now", true, 0),
        ("/ask", true, 0),
        ("/@corp/v2/embed", false, 1),
        ("/@corp/ask", false, 2),
        ("/v2/complete/now", false, 3),
    ] {
        upstream.follow(Plan::times(1, Fault::ResetBeforeHeaders));
        let response = client().post(engine.url(path)).json(&json!({ "model": "m" })).send().await.unwrap();
        assert_eq!(!response.headers().contains_key("x-leeward-error"), repaired, "{path}");
        let shown = newest(&engine).await;
        assert_eq!((&shown["model"], &engine.stats().await["unknown_inference"]), (&json!("m"), &json!(unknown)), "{path}");
    }
    let metrics = client().get(engine.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("leeward_unknown_inference_total 3"), "{metrics}");
    // What names no model, or is no JSON, is no inference.
    for (kind, body) in [("application/json", "{\"events\":[]}"), ("text/plain", "{\"model\":\"m\"}")] {
        client().post(engine.url("/api/event_logging")).header("content-type", kind).body(body).send().await.unwrap();
    }
    assert_eq!(engine.stats().await["unknown_inference"], 3);
}

/// What may have run and leaves something behind is not run again; what cannot have run is.
#[tokio::test]
async fn a_request_with_an_effect_is_not_sent_twice() {
    for (path, fields, has_effect) in [
        ("/v1/responses", json!({ "background": true }), true),
        ("/v1/responses", json!({ "conversation": "conv_1" }), true),
        ("/v1/responses", json!({ "previous_response_id": "resp_1" }), true),
        ("/v1/responses", json!({ "previous_response_id": "resp_1", "store": false }), false),
        ("/v1/messages", json!({ "mcp_servers": [{ "type": "url", "url": "https://mcp.example" }] }), true),
        ("/v1/messages", json!({ "container": "container_1" }), true),
        ("/v1/messages", json!({ "tools": [{ "type": "code_execution_20250825", "name": "code_execution" }] }), true),
        ("/v1/messages", json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search" }] }), false),
    ] {
        let mut body = message(true);
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        for (fault, repaired) in [
            (Fault::ResetBeforeHeaders, !has_effect),
            (Fault::TruncateAfter(Mark::Events(1)), !has_effect),
            (Fault::ResetMidRequest(10), true),
        ] {
            let upstream = Upstream::plain(Plan::times(1, fault.clone())).unwrap();
            let engine = TestEngine::start(&upstream);
            let response = client().post(engine.url(path)).json(&body).send().await.unwrap();
            let told = response.headers().contains_key("x-leeward-error");
            // A request of one packet is out whole before its reset arrives, and then nobody knows.
            let context = format!("{path} {fields} {fault:?}: {}", engine.stats().await["retried"]);
            if fault == Fault::ResetMidRequest(10) {
                let whole = engine.stats().await["failed"]["fresh-reset"] == 1;
                assert!(!told || whole, "{context}");
            } else {
                assert_eq!(!told, repaired, "{context}");
                let asked = upstream.log().record().requests.len();
                assert_eq!(asked, if repaired { 2 } else { 1 }, "{context}");
            }
        }
    }
}

#[tokio::test]
async fn a_name_that_is_not_written_as_one_never_goes_to_the_default_upstream() {
    let (default, named) = (Upstream::plain(Plan::none()).unwrap(), Upstream::plain(Plan::none()).unwrap());
    let engine = TestEngine::tuned(&default, |c| {
        c.upstreams.insert("openai".into(), named.url().clone());
    });
    for target in [
        "//@openai/v1/responses",
        "/%40openai/v1/responses",
        "/%2540openai/v1/responses",
        "/%2f@openai/v1/responses",
        "/@nobody/v1/responses",
        "/@OpenAI/v1/responses",
        "/@/v1/responses",
    ] {
        let head = format!("POST {target} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer key\r\n", engine.address);
        let said = format!("{head}content-length: 2\r\n\r\n{{}}");
        let answer = crate::support::raw::ask(engine.address, said.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 40") && answer.contains("Leeward: "), "{target}: {answer}");
        let shown = newest(&engine).await;
        assert_eq!(shown["outcome"], "refused", "{target}: {shown}");
    }
    assert_eq!(default.log().record().connections.len() + named.log().record().connections.len(), 0);
    let right = client().post(engine.url("/@openai/v1/responses")).json(&message(false)).send().await.unwrap();
    assert_eq!((right.status().as_u16(), named.log().record().requests.len()), (200, 1));
}

#[tokio::test]
async fn a_redirect_stays_behind_its_upstreams_name() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let engine = TestEngine::tuned(&upstream, |c| {
        c.upstreams.insert("corp".into(), upstream.url().join("/team").unwrap());
    });
    let root = upstream.url().as_str().trim_end_matches('/').to_owned();
    let asks = reqwest::Client::builder().no_proxy().timeout(LIMIT).redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (path, location, wanted) in [
        ("/@corp/v1/chat/completions", "/team/v1/chat/completions/".to_owned(), "/@corp/v1/chat/completions/".to_owned()),
        ("/@corp/v1/chat/completions", format!("{root}/team/v1/x?y"), "/@corp/v1/x?y".to_owned()),
        ("/@corp/v1/chat/completions", "/login".to_owned(), format!("{root}/login")),
        ("/@corp/v1/chat/completions", "https://other.example/x".to_owned(), "https://other.example/x".to_owned()),
        ("/v1/files", "/v1/files/".to_owned(), "/v1/files/".to_owned()),
        ("/v1/files", "/@corp/v1/files".to_owned(), format!("{root}/@corp/v1/files")),
    ] {
        upstream.follow(Plan::times(1, Fault::Status(307, vec![("location".into(), location.clone())])));
        let response = asks.post(engine.url(path)).json(&message(false)).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["location"].to_str().unwrap()), (307, &*wanted), "{location}");
    }
    // An agent that follows it asks the same upstream again.
    upstream.follow(Plan::times(1, Fault::Status(307, vec![("location".into(), "/team/v1/messages/".into())])));
    client().post(engine.url("/@corp/v1/messages")).json(&message(false)).send().await.unwrap();
    eventually("it was asked there", async || {
        upstream.log().record().requests.last().is_some_and(|r| r.head.target == "/team/v1/messages/")
    })
    .await;
}
