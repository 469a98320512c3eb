//! The test of a connection over real sockets: what each step says on ways that break in different places, one at a time, and
//! without a key.

use crate::support::{TestEngine, client, eventually};
use leeward::supervisor::TestHooks;
use scripted::{Fault, Plan, Upstream};
use serde_json::{Value, json};

async fn test(engine: &TestEngine, upstream: Option<&str>) -> (u16, Value) {
    let request = client().post(engine.url("/_leeward/v1/test")).bearer_auth(engine.token());
    let response = request.json(&json!({ "upstream": upstream })).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn verdicts(answer: &Value) -> Vec<&str> {
    answer["steps"].as_array().unwrap().iter().map(|step| step["verdict"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_step_says_where_the_way_ends() {
    const NO_NAME: &str = "not-needed";
    for (fault, tls, trusted, expected) in [
        (Fault::None, false, true, [NO_NAME, "ok", "not-needed", "ok"]),
        (Fault::None, true, true, [NO_NAME, "ok", "ok", "ok"]),
        (Fault::None, true, false, [NO_NAME, "ok", "failed", "not-known"]),
        (Fault::CloseInTls, true, true, [NO_NAME, "ok", "failed", "not-known"]),
        (Fault::GarbageStatusLine, true, true, [NO_NAME, "ok", "ok", "failed"]),
        (Fault::CloseBeforeHeaders, false, true, [NO_NAME, "ok", "not-needed", "failed"]),
    ] {
        let what = format!("{fault:?} {tls} {trusted}");
        let plan = Plan::always(fault);
        let upstream = if tls { Upstream::tls(plan) } else { Upstream::plain(plan) }.unwrap();
        let stranger = Upstream::tls(Plan::none()).unwrap();
        let engine = TestEngine::tuned(&upstream, |config| {
            if !trusted {
                config.trust = leeward::config::Trust::Only(vec![stranger.authority().unwrap().to_vec()]);
            }
        });
        let (status, answer) = test(&engine, None).await;
        assert_eq!((status, verdicts(&answer)), (200, expected.to_vec()), "{what}: {answer}");
        assert_eq!(answer["upstream"], upstream.url().origin().ascii_serialization(), "{what}");
        for step in answer["steps"].as_array().unwrap() {
            let is_timed = step["verdict"] == "ok";
            assert_eq!(step["took_ms"].is_f64(), is_timed, "{what}: {step}");
            assert!(!step["sentence"].as_str().unwrap().contains("os error"), "{what}: {step}");
        }
        for request in upstream.log().record().requests {
            let secret = ["authorization", "x-api-key", "cookie"].iter().find_map(|name| request.head.header(name));
            assert_eq!((request.head.method.as_str(), secret), ("HEAD", None), "{what}");
        }
        assert_eq!(engine.stats().await["requests"], 0, "{what}: it is no request of an agent's");
    }
}

#[tokio::test]
async fn nobody_there_and_nobody_known() {
    let gone = Upstream::plain(Plan::none()).unwrap();
    let (address, url) = (gone.address(), gone.url().clone());
    gone.stop().await;
    let engine = TestEngine::with(None, |config| config.upstream = url, TestHooks::default());
    let (status, answer) = test(&engine, None).await;
    assert_eq!((status, verdicts(&answer)), (200, vec!["not-needed", "failed", "not-needed", "not-known"]), "{answer}");
    assert_eq!(answer["steps"][1]["sentence"], format!("Nothing listens on {address}."));
    assert_eq!(answer["steps"][1]["next"], "Start the server there");
    let (status, answer) = test(&engine, Some("nobody")).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("unknown-upstream")));
}

#[tokio::test]
async fn there_is_one_test_at_a_time_and_who_leaves_ends_it() {
    let upstream = Upstream::plain(Plan::times(1, Fault::StallBeforeHeaders)).unwrap();
    let engine = TestEngine::start(&upstream);
    let arrived = async || upstream.log().read(|record| record.requests.len()) == 1;
    {
        let first = test(&engine, None);
        let busy = async {
            eventually("the first one asks", arrived).await;
            test(&engine, None).await
        };
        tokio::select! {
            (_, answer) = first => panic!("it waits for an answer: {answer}"),
            (status, answer) = busy => assert_eq!((status, &answer["error"]["code"]), (409, &json!("busy"))),
        }
    }
    // The first one's client has left.
    eventually("another one can be made", async || test(&engine, None).await.0 == 200).await;
}
