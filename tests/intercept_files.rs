//! The certificate authority's files under a running engine: lost, removed, replaced, kept over restarts and deaths.

use crate::{
    home::{Home, LEEWARD},
    support::{
        TestEngine, client,
        company::Company,
        decrypted::{API, Hello, TOKEN, World, get, say, session, tls},
        eventually, silent,
    },
};
use leeward::{config::Trust, supervisor::TestHooks};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use scripted::{Plan, Upstream};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

#[tokio::test]
async fn a_new_generation_of_the_engine_keeps_the_authority_and_the_session() {
    let world = World::new(Plan::none()).await;
    let first = world.session(json!({})).await;
    let (id, root) = (first.id().to_owned(), world.certificate(first.id()));
    let mut open = tls(world.engine.address, API, &Hello::of(API, &root)).await.unwrap();
    let restarted = client().post(world.engine.url("/_leeward/v1/restart")).bearer_auth(world.engine.token()).send().await;
    assert_eq!(restarted.unwrap().status(), 200);
    // Its `wrap` connects again and names the authority that its agent knows; what is open is answered once more.
    assert!(say(&mut open, &get(API, "/api/hello")).await.contains("hello"));
    let again = world.session(json!({ "authority": id })).await;
    assert_eq!(again.id(), id);
    let mut new = tls(world.engine.address, API, &Hello::of(API, &root)).await.unwrap();
    assert!(say(&mut new, &get(API, "/api/hello")).await.contains("hello"));
    assert_eq!(world.session(json!({})).await.id(), id);
}

#[tokio::test]
async fn another_engine_in_the_same_folder_signs_with_the_same_authority() {
    let world = World::new(Plan::none()).await;
    let first = world.session(json!({})).await;
    let (id, root) = (first.id().to_owned(), world.certificate(first.id()));
    drop(first);
    let World { engine, upstream, company } = world;
    let TestEngine { engine: old, home, .. } = engine;
    // Not drained: as one that is killed.
    drop(old);
    let mut config = crate::support::config(home.path(), Some(&upstream));
    config.trust = Trust::Only(vec![upstream.authority().unwrap().to_vec()]);
    let proxy = format!("http://{}", company.address);
    config.proxy.url = leeward::config::ProxyChoice::Named(leeward::config::CompanyProxy::parse(&proxy, "proxy.url").unwrap());
    let again = config.clone();
    let hooks = TestHooks { network: Some(silent()), ..TestHooks::default() };
    let new = leeward::supervisor::Engine::start_with(config, Box::new(move || Ok(again.clone())), hooks).unwrap();
    let engine = TestEngine { address: new.address(), engine: new, home };
    let again = session(&engine, json!({ "authority": id })).await;
    assert_eq!(again.id(), id);
    let mut open = tls(engine.address, API, &Hello::of(API, &root)).await.unwrap();
    assert!(say(&mut open, &get(API, "/api/hello")).await.contains("hello"));
}

#[tokio::test]
async fn without_a_usable_key_a_session_goes_on_without_decryption_and_says_why() {
    let world = World::new(Plan::none()).await;
    let first = world.session(json!({})).await;
    let (id, own) = (first.id().to_owned(), world.certificate(first.id()));
    std::fs::remove_file(world.folder().join(format!("{id}.key"))).unwrap();
    // Whoever runs has it in memory.
    tls(world.engine.address, API, &Hello::of(API, &own)).await.unwrap();
    drop(first);
    eventually("the session has ended", async || world.engine.engine.sessions().list().is_empty()).await;
    for more in [json!({}), json!({ "authority": id })] {
        let blind = world.session(more).await;
        assert!(blind.told["authority"].is_null(), "{}", blind.told);
        assert!(blind.told["trouble"].as_str().unwrap().contains("is missing"), "{}", blind.told);
        let real = world.real();
        let mut open = tls(world.engine.address, API, &Hello::of(API, &real)).await.unwrap();
        assert!(say(&mut open, &get(API, "/api/hello")).await.contains("hello"));
        let conditions = world.conditions().await;
        assert_eq!((conditions.len(), &conditions[0]["code"]), (1, &json!("not-decrypted")));
        assert_eq!(conditions[0]["subject"], "claude (pid 1)");
        drop((open, blind));
        eventually("it ends with the session", async || world.conditions().await.is_empty()).await;
    }
}

#[tokio::test]
async fn an_authority_that_is_removed_under_a_session_is_used_no_more() {
    let world = World::new(Plan::none()).await;
    let first = world.session(json!({})).await;
    let id = first.id().to_owned();
    std::fs::remove_dir_all(world.folder()).unwrap();
    let told = client().post(world.engine.url("/_leeward/v1/authority")).bearer_auth(world.engine.token()).send().await;
    assert_eq!(told.unwrap().status(), 200);
    let real = world.real();
    let mut open = tls(world.engine.address, API, &Hello::of(API, &real)).await.unwrap();
    assert!(say(&mut open, &get(API, "/api/hello")).await.contains("hello"));
    assert!(world.conditions().await[0]["sentence"].as_str().unwrap().contains("has been removed"));
    let again = world.session(json!({ "authority": id })).await;
    assert!(again.told["trouble"].as_str().unwrap().contains("start the agent again"), "{}", again.told);
    assert!(!world.folder().exists(), "nothing is made for an agent that would not trust it");
    assert_ne!(world.session(json!({})).await.id(), id);
}

/// Every byte below a folder.
fn written(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => all.extend(written(&path)),
            kind if kind.is_file() => all.push((path.clone(), std::fs::read(path).unwrap())),
            _ => {}
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leeward_comes_back_with_the_same_authority_and_writes_no_secret() {
    let (upstream, home) = (Upstream::tls(Plan::none()).unwrap(), Home::new());
    let company = Company::leading_to(upstream.address()).await;
    let real = home.path("real.pem");
    std::fs::write(&real, upstream.authority_pem().unwrap()).unwrap();
    home.configure(&format!("log = \"trace\"\nextra_ca = {:?}\nproxy.url = \"http://{}\"\n", real, company.address));
    let mut id = None;
    for round in 0..2 {
        let mut serving = home.serve(&[]);
        let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
        let mut body = json!({ "agent": "claude", "pid": 1, "tunnel_token": TOKEN, "intercept": true });
        if let Some(id) = &id {
            body["authority"] = json!(id);
        }
        let url = format!("http://{}/_leeward/v1/sessions", serving.address);
        let mut stream = client().post(url).bearer_auth(token).json(&body).send().await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&stream.chunk().await.unwrap().unwrap()).unwrap();
        let given = told["authority"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
        assert_eq!(id.get_or_insert_with(|| given.clone()), &given, "round {round}");
        let root = CertificateDer::from_pem_file(home.paths().authority_dir().join(format!("{given}.crt"))).unwrap();
        let mut open = tls(serving.address, API, &Hello::of(API, &root)).await.unwrap();
        let request = "POST /v1/messages?key=SECRET-QUERY HTTP/1.1\r\nHost: api.anthropic.com\r\nAuthorization: Bearer SECRET-LOGIN\r\nCookie: a=SECRET-COOKIE\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n{\"prompt\":\"SECRET-TEXT\"}";
        let response = say(&mut open, &request.replace("Length: 23", "Length: 24")).await;
        assert!(response.starts_with("HTTP/1.1 "), "{response}");
        serving.child.kill().unwrap();
        serving.child.wait().unwrap();
    }
    let key = home.paths().authority_dir().join(format!("{}.key", id.unwrap()));
    let text = std::fs::read_to_string(&key).unwrap();
    let secrets = ["SECRET-QUERY", "SECRET-LOGIN", "SECRET-COOKIE", "SECRET-TEXT", TOKEN, text.lines().nth(1).unwrap()];
    let files = written(&home.path("leeward"));
    assert!(files.iter().any(|(path, bytes)| path.ends_with("leeward.log") && !bytes.is_empty()), "there is a log to look at");
    for (path, bytes) in files.iter().filter(|(path, _)| *path != key) {
        for secret in secrets {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{} in {}", secret, path.display());
        }
    }
}

fn authority(home: &Home, what: &str) -> (i32, String) {
    let ran = Command::new(LEEWARD).args(["authority", what]).env_clear().envs(home.environment()).output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (ran.status.code().unwrap(), said)
}

#[test]
fn the_commands_show_replace_and_remove_it_and_end_with_documented_codes() {
    let home = Home::new();
    let folder = home.paths().authority_dir();
    let (code, said) = authority(&home, "show");
    assert!(code == 0 && said.contains("There is none") && !folder.exists(), "{code} {said}");
    let (code, said) = authority(&home, "rotate");
    assert!(code == 0 && said.contains("made Leeward CA "), "{code} {said}");
    let id = said.split("Leeward CA ").nth(1).unwrap()[..8].to_owned();
    let (code, said) = authority(&home, "show");
    assert!(code == 0 && said.contains(&format!("Leeward CA {id}")), "{code} {said}");
    for host in leeward::authority::hosts() {
        assert!(said.contains(host), "{said}");
    }
    let key = std::fs::read_to_string(folder.join(format!("{id}.key"))).unwrap();
    assert!(!said.contains(key.lines().nth(1).unwrap()));
    std::fs::write(folder.join(format!("{id}.key")), "hello").unwrap();
    let (code, said) = authority(&home, "show");
    assert!(code == 69 && said.contains("holds no key"), "{code} {said}");
    assert_eq!(authority(&home, "rotate").0, 0);
    assert_eq!(authority(&home, "show").0, 0, "what could not be used is gone");
    let (code, said) = authority(&home, "remove");
    assert!(code == 0 && said.contains("removed") && !folder.exists(), "{code} {said}");
    assert_eq!(authority(&home, "remove").0, 0);
    std::fs::write(&folder, "").unwrap();
    assert_eq!(authority(&home, "rotate").0, 73);
}
