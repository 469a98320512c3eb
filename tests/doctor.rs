//! `leeward doctor`: each check seen right, doubtful and broken where that can be staged; what it never does.

use crate::{
    home::{Home, Ran},
    support::{company::Company, eventually},
};
use scripted::{Fault, Moment, Plan, Upstream};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// What all but `--long` may take, and some time for a busy machine to start a program.
pub const BOUND: Duration = Duration::from_secs(25);

/// A home whose upstream is this one, with its authority trusted.
pub fn home(upstream: &Upstream, more: &str) -> Home {
    let home = Home::new();
    let trust = upstream.authority_pem().map_or_else(String::new, |pem| {
        std::fs::write(home.path("ca.pem"), pem).unwrap();
        format!("extra_ca = '{}'\n", home.path("ca.pem").display())
    });
    home.configure(&format!("upstream = '{}'\n{trust}{more}", upstream.url()));
    home
}

/// `leeward doctor` where only the test's own agents are installed.
pub fn command(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(&["doctor"]);
    command.args(args).env("PATH", home.path("bin"));
    command
}

pub struct Examined {
    pub code: Option<i32>,
    pub json: Value,
}

impl Examined {
    pub fn by(mut command: Command) -> Self {
        let began = Instant::now();
        let ran = Ran::from(command.output().unwrap());
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
        let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        Self { code: ran.code, json }
    }

    pub fn of(home: &Home, checks: &[&str]) -> Self {
        Self::by(command(home, &[&["--json"], checks].concat()))
    }

    pub fn rows(&self, id: &str) -> Vec<&Value> {
        self.json["checks"].as_array().unwrap().iter().filter(|row| row["id"] == id).collect()
    }

    /// The only row of a check.
    pub fn row(&self, id: &str) -> &Value {
        let rows = self.rows(id);
        assert_eq!(rows.len(), 1, "{id}: {:#}", self.json);
        rows[0]
    }

    #[track_caller]
    pub fn assert(&self, id: &str, verdict: &str, word: &str) {
        let row = self.row(id);
        assert!(row["verdict"] == verdict && row.to_string().contains(word), "{id}, wanted {verdict} {word}: {row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_well_is_reported_well_and_nothing_of_it_is_sent() {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let home = home(&upstream, "");
    let _serving = home.serve(&[]);
    let mut command = command(&home, &["--json"]);
    command.env("ANTHROPIC_API_KEY", "planted-key-of-the-test").env("ANTHROPIC_AUTH_TOKEN", "planted-token");
    let examined = Examined::by(command);
    for (id, word) in [
        ("instance", "proved by its token"),
        ("config", "is valid"),
        ("state", "yours alone"),
        ("disk", "free_bytes"),
        ("dns", "1 IPv4"),
        ("reach", "\"alpn\":\"http/1.1\""),
        ("certificate", "throw-away authority"),
        ("key-share", "MLKEM"),
        ("faults", "0 reported to agents"),
        ("burst-direct", "All 20 handshakes"),
        ("burst-leeward", "All 10 requests"),
    ] {
        examined.assert(id, "ok", word);
    }
    for (id, word) in [("heads", "only with --long"), ("idle", "only with --long"), ("agents", "none of these is installed")] {
        examined.assert(id, "not-run", word);
    }
    assert!(examined.rows("proxy").iter().all(|row| row["verdict"] == "ok"), "{:#}", examined.json);
    // The scripted upstream has no clock to compare with: that says nothing against this machine's.
    examined.assert("clock", "not-known", "sends no Date");
    let json = &examined.json;
    assert!(json["schema"] == 1 && json["verdict"] == "ok" && examined.code == Some(0), "{json:#}");
    assert!(json["took_ms"].as_u64().unwrap() <= 20_000);
    let hypotheses = json["hypotheses"].as_array().unwrap();
    let result = |word: &str| &hypotheses.iter().find(|h| h["hypothesis"].as_str().unwrap().contains(word)).unwrap()["result"];
    assert!(result("TLS inspection") == "ruled-out" && result("The burst") == "ruled-out" && result("idle") == "not-known");
    for request in upstream.log().record().requests {
        let head = format!("{:?}", request);
        assert!(
            head.contains("HEAD") && !head.contains("planted") && !head.to_ascii_lowercase().contains("authorization"),
            "{head}"
        );
    }
}

#[test]
fn nobody_serves_or_somebody_else_does() {
    let home = Home::new();
    let examined = Examined::of(&home, &["instance"]);
    examined.assert("instance", "warning", "No Leeward is running");
    assert_eq!(examined.code, Some(1));
    let _foreign = TcpListener::bind(home.address).unwrap();
    let examined = Examined::of(&home, &["instance", "burst-leeward", "faults"]);
    examined.assert("instance", "broken", &format!("\"pid\":{}", std::process::id()));
    examined.assert("burst-leeward", "not-run", "no Leeward is running");
    examined.assert("faults", "not-run", "no Leeward is running");
    assert_eq!(examined.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn an_engine_that_hangs_is_broken_and_the_rest_is_still_examined() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let home = home(&upstream, "");
    let serving = home.serve(&[]);
    crate::home::kill(serving.pid(), "STOP");
    let examined = Examined::of(&home, &[]);
    examined.assert("instance", "broken", "said nothing");
    examined.assert("reach", "ok", "ipv4");
    examined.assert("burst-direct", "ok", "All 10");
    examined.assert("burst-leeward", "not-run", "does not answer");
}

#[test]
fn a_broken_config_is_told_whole_and_the_rest_is_still_examined() {
    let home = Home::new();
    home.configure("workers = 0\nlisen = 1\n");
    let examined = Examined::of(&home, &["config", "state", "disk", "instance"]);
    examined.assert("config", "broken", "did you mean `listen`?");
    let errors = examined.row("config")["facts"]["errors"].as_array().unwrap();
    assert!(errors.len() == 2 && errors.iter().any(|e| e.as_str().unwrap().contains("toml:2: workers")), "{errors:?}");
    examined.assert("state", "ok", "");
    examined.assert("disk", "ok", "");
    examined.assert("instance", "warning", "No Leeward is running");
    assert_eq!(examined.code, Some(2));
}

#[test]
#[cfg(unix)]
fn secrets_that_others_can_read_and_too_few_descriptors_are_found() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let chmod = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    home.configure("client_token = 'planted-token-of-the-test'\n");
    chmod(&home.paths().config_file, 0o644);
    Examined::of(&home, &["config"]).assert("config", "warning", "Other users can read");
    chmod(&home.paths().config_file, 0o600);
    Examined::of(&home, &["config"]).assert("config", "ok", "is valid");
    std::fs::create_dir(home.paths().state_dir).unwrap();
    chmod(&home.paths().state_dir, 0o700);
    std::fs::write(home.paths().token_file(), "0".repeat(64)).unwrap();
    chmod(&home.paths().token_file(), 0o644);
    Examined::of(&home, &["state"]).assert("state", "broken", "chmod 600");
    for (limit, verdict) in [("40", "broken"), ("256", "warning"), ("1024", "ok")] {
        let mut shell = Command::new("/bin/sh");
        let line = format!("ulimit -n {limit}; exec '{}' doctor --json descriptors", crate::home::LEEWARD);
        shell.args(["-c", &line]).env_clear().envs(home.environment());
        Examined::by(shell).assert("descriptors", verdict, limit);
    }
}

#[test]
fn without_a_network_the_name_is_to_blame_and_no_certificate() {
    let home = Home::new();
    home.configure("upstream = 'https://nowhere.invalid'\n");
    let examined = Examined::of(&home, &[]);
    examined.assert("dns", "broken", "nowhere.invalid");
    for id in ["reach", "certificate", "clock", "key-share", "burst-direct"] {
        examined.assert(id, "not-run", "could not be resolved");
    }
    assert_eq!(examined.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_listen_is_broken_and_one_family_of_two_a_warning() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = Home::new();
    home.configure(&format!("upstream = 'http://127.0.0.1:{port}'\n"));
    let examined = Examined::of(&home, &["reach", "burst-direct"]);
    examined.assert("reach", "broken", "nothing listens");
    examined.assert("burst-direct", "broken", "10 of 10");
    let upstream = Upstream::plain(Plan::none()).unwrap();
    home.configure(&format!("upstream = 'http://localhost:{}'\n", upstream.address().port()));
    let examined = Examined::of(&home, &["reach", "certificate"]);
    let families = examined.row("reach")["facts"]["families"].as_array().unwrap().clone();
    let routed = families.iter().filter(|family| family["routed"] == true).count();
    examined.assert("reach", if routed == 2 { "warning" } else { "ok" }, "ipv4");
    examined.assert("certificate", "not-run", "no TLS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_judged_by_trust_and_issuer() {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let home = Home::new();
    home.configure(&format!("upstream = '{}'\n", upstream.url()));
    let examined = Examined::of(&home, &["certificate", "clock", "key-share"]);
    examined.assert("certificate", "broken", "throw-away authority");
    // What a refused certificate keeps from being asked is not called wrong.
    examined.assert("clock", "not-run", "is not trusted");
    examined.assert("key-share", "not-run", "is not trusted");
    let (address, pem) = issued_by("Zscaler Intermediate Root CA", (1975, 4096));
    std::fs::write(home.path("company.pem"), pem).unwrap();
    home.configure(&format!("upstream = 'https://{address}'\n"));
    Examined::of(&home, &["certificate"]).assert("certificate", "broken", "Zscaler inspects TLS, and Leeward does not trust it");
    home.configure(&format!("upstream = 'https://{address}'\nextra_ca = '{}'\n", home.path("company.pem").display()));
    Examined::of(&home, &["certificate"]).assert("certificate", "warning", "Zscaler inspects TLS");
}

/// A server whose certificate this authority has issued for the time from one year to another, and the authority's own.
pub fn issued_by(name: &str, years: (i32, i32)) -> (std::net::SocketAddr, String) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (leaf.not_before, leaf.not_after) = (rcgen::date_time_ymd(years.0, 1, 1), rcgen::date_time_ymd(years.1, 1, 1));
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let signed = leaf.signed_by(&key, &issuer).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![signed.der().clone()], key).unwrap();
    let server = std::sync::Arc::new(server);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut session = rustls::ServerConnection::new(server.clone()).unwrap();
            while session.is_handshaking() && session.complete_io(&mut stream).is_ok() {}
        }
    });
    (address, root.pem())
}

#[test]
fn the_clock_is_judged_by_the_servers() {
    for (ahead, verdict) in [(0, "ok"), (300, "warning"), (30_000, "broken")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let home = Home::new();
        home.configure(&format!("upstream = 'http://{}'\n", listener.local_addr().unwrap()));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(ahead));
                let mut head = [0; 4096];
                if stream.read(&mut head).is_ok_and(|n| n > 0) {
                    write!(stream, "HTTP/1.1 200 OK\r\nDate: {date}\r\ncontent-length: 0\r\n\r\n").ok();
                }
            }
        });
        Examined::of(&home, &["clock"]).assert("clock", verdict, "ahead_s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_breaks_large_hellos_is_found_and_is_no_broken_upstream() {
    let upstream = Upstream::tls(Plan::always(Fault::ResetHelloOver(1200))).unwrap();
    let home = home(&upstream, "");
    let examined = Examined::of(&home, &["key-share", "reach", "certificate", "burst-direct"]);
    examined.assert("key-share", "warning", "Hellos larger than one packet break");
    examined.assert("reach", "ok", "X25519");
    examined.assert("certificate", "ok", "");
    examined.assert("burst-direct", "warning", "10 of 10 post-quantum");
    assert_eq!(examined.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_burst_fails_direct_and_passes_through_leeward() {
    let every_third = |moment: &Moment<'_>| match moment {
        Moment::Connection { connection } if connection % 3 == 0 => Fault::ResetInTls,
        _ => Fault::None,
    };
    let upstream = Upstream::tls(Plan::by(every_third)).unwrap();
    let home = home(&upstream, "");
    let _serving = home.serve(&[]);
    let examined = Examined::of(&home, &["burst-direct", "burst-leeward"]);
    examined.assert("burst-direct", "warning", "tls");
    examined.assert("burst-leeward", "ok", "All 10");
    upstream.follow(Plan::always(Fault::Status(503, Vec::new())));
    Examined::of(&home, &["burst-leeward"]).assert("burst-leeward", "ok", "answered by the upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_through_leeward_and_whose_fault_it_was_are_told() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let short = "[retry]\ntotal = '1s'\n[connect]\ntimeout = '300ms'\n[circuit]\nmax_wait = '100ms'\n";
    let home = home(&upstream, short);
    let _serving = home.serve(&[]);
    upstream.stop().await;
    let examined = Examined::of(&home, &["burst-leeward"]);
    examined.assert("burst-leeward", "broken", "10 of 10");
    assert_eq!(examined.code, Some(2));
    eventually("the faults are in the history", async || {
        let examined = Examined::of(&home, &["faults"]);
        examined.row("faults")["verdict"] == "warning" && examined.row("faults")["facts"]["whose"]["network"].as_u64() > Some(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn company_proxies_and_the_traps_of_no_proxy_are_found() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let address = upstream.address();
    let (open, closed) = (Company::http(None).await, Company::http(Some("me:hush")).await);
    let through = |proxy: &Company| {
        let home = Home::new();
        // TLS, so that the proxy is asked for a tunnel.
        home.configure(&format!("upstream = 'https://{address}'\n[proxy]\nurl = 'http://{}'\n", proxy.address));
        Examined::of(&home, &["proxy"])
    };
    let on_the_way =
        |examined: &Examined| examined.rows("proxy").into_iter().find(|row| row["subject"] == "default").unwrap().clone();
    let refused = on_the_way(&through(&closed));
    assert!(refused["verdict"] == "broken" && refused["facts"]["cause"] == "proxy-login", "{refused:#}");
    let beyond = on_the_way(&through(&open));
    assert!(beyond["verdict"] == "not-known", "the upstream behind it speaks no TLS, which is not the proxy's fault: {beyond:#}");
    let home = Home::new();
    home.configure(&format!("upstream = '{}'\n", upstream.url()));
    let traps = |variables: &[(&str, &str)]| {
        let mut command = command(&home, &["--json", "proxy"]);
        command.envs(variables.iter().copied());
        let examined = Examined::by(command);
        examined.rows("proxy").into_iter().find(|row| row.get("subject").is_none()).unwrap().clone()
    };
    for (variables, verdict, word) in [
        (&[][..], "ok", "No proxy variable"),
        (&[("HTTPS_PROXY", "http://gate.invalid:1"), ("NO_PROXY", "localhost,127.0.0.1")], "ok", "spare Leeward"),
        (&[("HTTPS_PROXY", "http://gate.invalid:1")], "warning", "agents ask the proxy for Leeward"),
        (&[("HTTPS_PROXY", "http://gate.invalid:1"), ("NO_PROXY", "127.0.0.0/8")], "warning", "by a range or a pattern"),
        (&[("NO_PROXY", "a"), ("no_proxy", "b")], "warning", "lower-case"),
        (&[("NO_PROXY", "http://127.0.0.1")], "warning", "URLs"),
    ] {
        let row = traps(variables);
        assert!(row["verdict"] == verdict && row["measured"].as_str().unwrap().contains(word), "{variables:?}: {row:#}");
    }
}

#[test]
#[cfg(unix)]
fn agents_are_judged_by_build_and_by_where_they_point() {
    let home = Home::new();
    let install = |version: &str| {
        let (file, link) = (home.path(&format!("versions/{version}")), home.path("bin/claude"));
        std::fs::create_dir_all(home.path("versions")).unwrap();
        // Whoever starts it leaves a trace.
        std::fs::write(&file, format!("#!/bin/sh\ntouch '{}'\n", home.path("started").display())).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::remove_file(&link).ok();
        std::os::unix::fs::symlink(file, link).unwrap();
    };
    let settings = |text: &str| {
        std::fs::create_dir_all(home.path(".claude")).unwrap();
        std::fs::write(home.path(".claude/settings.json"), text).unwrap();
    };
    let points_at = |url: &str| settings(&format!(r#"{{"env":{{"ANTHROPIC_BASE_URL":"{url}"}}}}"#));
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    install("2.1.329");
    settings("{}");
    Examined::of(&home, &["agents"]).assert("agents", "ok", "2.1.329");
    install("2.1.139");
    Examined::of(&home, &["agents"]).assert("agents", "warning", "claude-code#58442");
    points_at(&format!("http://{dead}"));
    Examined::of(&home, &["agents"]).assert("agents", "broken", "Nobody listens there");
    install("2.1.329");
    points_at(&format!("http://{}", home.address));
    Examined::of(&home, &["agents"]).assert("agents", "broken", "start Leeward");
    points_at("https://me:planted@gateway.corp/x?key=planted");
    let examined = Examined::of(&home, &["agents"]);
    examined.assert("agents", "ok", "https://gateway.corp/x");
    assert!(!examined.json.to_string().contains("planted"));
    points_at("nonsense");
    Examined::of(&home, &["agents"]).assert("agents", "warning", "is no URL");
    settings("{ planted");
    Examined::of(&home, &["agents"]).assert("agents", "not-known", "is not JSON");
    settings("{}");
    let _serving = home.serve(&[]);
    let mut command = command(&home, &["--json", "agents"]);
    Examined::by({
        command.env("ANTHROPIC_BASE_URL", format!("http://{}", home.address));
        command
    })
    .assert("agents", "ok", "points at Leeward");
    assert!(!home.path("started").exists(), "no agent is started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_holds_what_it_lists_and_no_planted_secret() {
    let upstream = Upstream::plain(Plan::none()).unwrap();
    let plain = "planted-plain-word";
    let home = home(
        &upstream,
        &format!(
            "client_token = '{plain}-client'\n[proxy]\nurl = 'http://planted-user:{plain}-proxy@127.0.0.1:1'\nno_proxy = ['127.0.0.1']\n"
        ),
    );
    let _serving = home.serve(&[]);
    let token = std::fs::read_to_string(home.paths().token_file()).unwrap();
    let mut log = std::fs::OpenOptions::new().append(true).open(home.paths().log_file()).unwrap();
    for line in [
        format!("authorization: Bearer {plain}-log"),
        format!("the word {plain}-env alone, {token} too"),
        format!("https://u:{plain}-url@x/?key={plain}-query sk-ant-{plain}-key"),
    ] {
        writeln!(log, "2026-11-21T05:00:00.123456Z  WARN leeward::x: {line}").unwrap();
    }
    let file = home.path("work/leeward.zip");
    let mut command = command(&home, &["--bundle", "leeward.zip", "instance", "config", "agents", "proxy"]);
    command.env("ANTHROPIC_API_KEY", format!("{plain}-env"));
    let ran = Ran::from(command.output().unwrap());
    let listed = ran.stderr.find("doctor.json").unwrap();
    assert!(listed < ran.stderr.find("wrote leeward.zip").unwrap(), "the contents come first: {}", ran.stderr);
    let mut texts = BTreeMap::new();
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        texts.insert(entry.name().unwrap().into_owned(), text);
    }
    let names: Vec<&str> = texts.keys().map(String::as_str).collect();
    let all = [
        "conditions.json",
        "config.toml",
        "contents.txt",
        "doctor.json",
        "doctor.md",
        "leeward.log",
        "status.json",
        "versions.json",
    ];
    assert_eq!(names, all);
    assert!(texts["leeward.log"].contains("the word [redacted] alone") && texts["config.toml"].contains("upstream"));
    assert!(serde_json::from_str::<Value>(&texts["doctor.json"]).unwrap()["schema"] == 1);
    for (name, text) in &texts {
        for secret in ["planted", token.trim(), home.path("").to_str().unwrap().trim_end_matches('/')] {
            assert!(!text.contains(secret), "{name} holds {secret}: {text}");
        }
        assert!(name == "contents.txt" || texts["contents.txt"].contains(name.as_str()), "{name} is not listed");
    }
    let ran = Ran::from(command.output().unwrap());
    assert!(ran.code == Some(73) && ran.stderr.contains("exists"), "nothing is replaced: {ran:?}");
    // Of an invalid config nobody knows what is secret, and complaints quote it.
    home.configure(
        "client_token = 'planted short'\nworkers = 'planted-too'\n[proxy]\nurl = 'ftp://planted-user:planted-word@x'\n",
    );
    let file = home.path("work/broken.zip");
    let ran = Ran::from(crate::doctor::command(&home, &["--bundle", "broken.zip", "config"]).output().unwrap());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
    let mut text = String::new();
    zip.by_name("doctor.json").unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("client_token") && !text.contains("planted-word") && !text.contains("planted short"), "{text}");
}

#[test]
fn nothing_is_changed_and_the_forms_say_the_same() {
    let home = Home::new();
    std::fs::create_dir(home.paths().state_dir).unwrap();
    let record = r#"{"pid":4194303,"address":"127.0.0.1:1","version":"0","started_unix_ms":1}"#;
    std::fs::write(home.paths().instance_file(), record).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(home.paths().state_dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let before = files(&home.path(""));
    let checks = ["instance", "config", "state", "agents"];
    let examined = Examined::of(&home, &checks);
    examined.assert("instance", "warning", "left its record");
    let screen = Ran::from(command(&home, &checks).output().unwrap());
    let markdown = Ran::from(command(&home, &[&["--markdown"], &checks[..]].concat()).output().unwrap());
    assert_eq!(files(&home.path("")), before);
    for row in examined.json["checks"].as_array().unwrap() {
        for shown in [&screen.stdout, &markdown.stdout] {
            assert!(shown.contains(row["id"].as_str().unwrap()) && shown.contains(row["verdict"].as_str().unwrap()), "{shown}");
        }
    }
    assert!(screen.stdout.find("No Leeward is running").unwrap() < screen.stdout.find("All checks").unwrap(), "the worst first");
    assert!(screen.code == Some(1) && markdown.code == Some(1) && screen.stderr.is_empty());
    let ran = Ran::from(command(&home, &["dsn"]).output().unwrap());
    assert!(ran.code == Some(64) && ran.stderr.contains("dns"), "{ran:?}");
}

/// Every file below a folder, with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => all.extend(files(&entry.path())),
            false => drop(all.insert(entry.path().display().to_string(), std::fs::read(entry.path()).unwrap())),
        }
    }
    all
}
