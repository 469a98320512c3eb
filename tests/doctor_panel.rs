//! The doctor as the panel asks for it: step by step, one at a time, ended with its reader; the bundle, listed before it is packed.

use crate::{
    home::{Home, Serving},
    support::{LIMIT, client, eventually},
};
use scripted::{Fault, Plan, Upstream};
use serde_json::{Value, json};
use std::{io::Read, path::Path};
use tokio::time::{Instant, timeout};

/// A served Leeward, and who holds its token.
struct Panel {
    home: Home,
    serving: Serving,
    token: String,
}

impl Panel {
    fn new(config: &str) -> Self {
        let home = Home::new();
        home.configure(config);
        let serving = home.serve(&[]);
        let token = std::fs::read_to_string(home.paths().token_file()).unwrap().trim().to_owned();
        Self { home, serving, token }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/_leeward/v1/doctor{path}", self.serving.address)
    }

    async fn begin(&self, asked: Value) -> reqwest::Response {
        client().post(self.url("")).bearer_auth(&self.token).json(&asked).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        client().get(self.url(path)).bearer_auth(&self.token).send().await.unwrap()
    }
}

/// The steps that a stream holds, to its end.
async fn steps(response: reqwest::Response) -> Vec<Value> {
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    let text = timeout(LIMIT * 3, response.text()).await.unwrap().unwrap();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn code(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_appear_as_they_end_and_the_report_is_the_commands() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let panel = Panel::new(&format!("upstream = '{}'\n", upstream.url()));
    let all = steps(panel.begin(json!({})).await).await;
    let [first, found @ .., last] = &all[..] else { panic!("{all:#?}") };
    let planned: Vec<&Value> = first["checks"].as_array().unwrap().iter().map(|check| &check["id"]).collect();
    assert!(first["event"] == "begun" && planned.len() == found.len(), "each check is told once: {all:#?}");
    assert!(found.iter().all(|step| step["event"] == "found" && planned.contains(&&step["check"])));
    let (long, quick): (Vec<&Value>, Vec<&Value>) = first["checks"].as_array().unwrap().iter().partition(|c| c["long"] == true);
    assert!(long.len() >= 2 && quick.len() >= 17);
    let report = &last["report"];
    assert_eq!((&last["event"], &report["schema"]), (&json!("ended"), &json!(1)));
    let row = |id: &str| report["checks"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();
    for (id, verdict, word) in [
        ("instance", "ok", "proved by its token"),
        ("reach", "ok", "ipv4"),
        ("burst-leeward", "ok", "All 10"),
        ("idle", "not-run", "was not asked for"),
    ] {
        assert!(row(id)["verdict"] == verdict && row(id).to_string().contains(word), "{id}: {:#}", row(id));
    }
    let told: Vec<&Value> = found.iter().flat_map(|step| step["rows"].as_array().unwrap()).collect();
    assert!(report["checks"].as_array().unwrap().iter().all(|row| told.contains(&row)), "the rows are those that were told");
    let markdown = last["markdown"].as_str().unwrap();
    assert!(markdown.starts_with("# leeward doctor: ") && markdown.contains("## What may be suspected"), "{markdown}");
    let command = panel.home.command(&["doctor", "--json", "instance"]).output().unwrap();
    let command: Value = serde_json::from_slice(&command.stdout).unwrap();
    assert_eq!(command["checks"][0]["measured"], row("instance")["measured"], "whoever asks hears the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_runs_at_a_time_and_ends_with_its_reader() {
    // Nobody answers there: the checks wait for their own limits.
    let upstream = Upstream::tls(Plan::always(Fault::StallInTls)).unwrap();
    let panel = Panel::new(&format!("upstream = '{}'\n", upstream.url()));
    let mut running = panel.begin(json!({})).await;
    assert!(String::from_utf8_lossy(&running.chunk().await.unwrap().unwrap()).contains("begun"));
    assert_eq!(code(panel.begin(json!({})).await).await, (409, "busy".into()));
    let began = Instant::now();
    drop(running);
    eventually("the next one may run", async || panel.begin(json!({ "checks": ["disk"] })).await.status() == 200).await;
    assert!(began.elapsed().as_secs() < 5, "an examination ends with its reader: {:?}", began.elapsed());
    for (asked, word) in [(json!({ "checks": ["dsn"] }), "no check `dsn`"), (json!({ "lon": true }), "unknown field")] {
        let refused = panel.begin(asked).await;
        let (status, text) = (refused.status().as_u16(), refused.text().await.unwrap());
        assert!(status == 400 && text.contains(word), "{status} {text}");
    }
    for path in ["", "/bundle", "/bundle.zip"] {
        let asked = client().get(panel.url(path)).send().await.unwrap();
        assert_eq!(code(asked).await, (401, "control-token".into()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_listed_before_it_is_packed_and_holds_what_was_listed() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let panel = Panel::new(&format!(
        "upstream = '{}'\n[proxy]\nurl = 'http://planted-user:planted-word@127.0.0.1:1'\nno_proxy = ['127.0.0.1']\n",
        upstream.url()
    ));
    assert_eq!(code(panel.get("/bundle").await).await, (409, "not-yet".into()));
    assert_eq!(code(panel.get("/bundle.zip").await).await, (409, "not-yet".into()));
    steps(panel.begin(json!({ "checks": ["instance", "config"] })).await).await;
    assert_eq!(code(panel.get("/bundle.zip").await).await, (409, "not-yet".into()), "nothing is packed that nobody has seen");
    let listing: Value = panel.get("/bundle").await.json().await.unwrap();
    assert!(Path::new(listing["name"].as_str().unwrap()).extension().is_some_and(|end| end == "zip"), "{listing}");
    let listed = listing["entries"].as_array().unwrap();
    assert!(!listing.to_string().contains("planted") && !listing["left_out"].as_array().unwrap().is_empty());
    let zip = panel.get("/bundle.zip").await;
    assert_eq!(zip.headers()["content-type"], "application/zip");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(zip.bytes().await.unwrap())).unwrap();
    assert_eq!(zip.len(), listed.len() + 1, "the list itself is in it, too");
    for entry in listed {
        let mut text = String::new();
        zip.by_name(entry["name"].as_str().unwrap()).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(entry["text"], text);
        assert_eq!(entry["bytes"], text.len());
    }
}
