//! What the doctor says first: each known way to fail, staged, and the first finding, which must name the cause and the next step.
//! And how long it takes where nothing ever answers.

use crate::{
    doctor::{BOUND, Examined, home, issued_by},
    home::{Home, Serving},
    support::company::{Company, WriteOutcome},
};
use scripted::{Fault, Plan, Upstream};
use serde_json::Value;
use std::{any::Any, net::TcpListener, time::Instant};

/// A machine on which something is wrong, and what must live for it to stay so.
struct Stage {
    home: Home,
    serving: Option<Serving>,
    _kept: Vec<Box<dyn Any>>,
}

impl Stage {
    fn new(config: &str) -> Self {
        let home = Home::new();
        home.configure(config);
        Self { home, serving: None, _kept: Vec::new() }
    }

    /// This upstream, with its authority trusted.
    fn of(upstream: Upstream) -> Self {
        Self { home: home(&upstream, ""), serving: None, _kept: vec![Box::new(upstream)] }
    }

    fn keeping(mut self, what: impl Any) -> Self {
        self._kept.push(Box::new(what));
        self
    }

    fn served(mut self) -> Self {
        self.serving = Some(self.home.serve(&[]));
        self
    }
}

/// What stands first on the screen: the worst, in the order of the checks.
fn first(examined: &Examined) -> &Value {
    let rank = |row: &&Value| match row["verdict"].as_str().unwrap() {
        "broken" => 0,
        "warning" => 1,
        _ => 2,
    };
    examined.json["checks"].as_array().unwrap().iter().min_by_key(rank).unwrap()
}

fn closed_port() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn certificate(years: (i32, i32)) -> Stage {
    let (address, pem) = issued_by("A trusted authority", years);
    let stage = Stage::new("");
    std::fs::write(stage.home.path("ca.pem"), pem).unwrap();
    let trusts = format!("upstream = 'https://{address}'\nextra_ca = '{}'\n", stage.home.path("ca.pem").display());
    stage.home.configure(&trusts);
    stage
}

fn behind(company: Company) -> Stage {
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let stage = Stage::new(&format!("upstream = '{}'\n[proxy]\nurl = 'http://{}'\n", upstream.url(), company.address));
    stage.keeping(upstream).keeping(company)
}

fn tls(fault: Fault) -> Stage {
    Stage::of(Upstream::tls(Plan::always(fault)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_finding_names_the_cause_and_the_next_step() {
    let port = closed_port();
    let refusing = Company::http(None).await;
    refusing.script(std::iter::repeat_n(WriteOutcome::Status(403), 500));
    let untrusted = Upstream::tls(Plan::none()).unwrap();
    let plain = Upstream::plain(Plan::none()).unwrap();
    let taken = Stage::new("");
    let stranger = TcpListener::bind(taken.home.address).unwrap();
    let in_the_way = Stage::new("");
    std::fs::write(in_the_way.home.paths().state_dir, "not a folder").unwrap();
    let stages = [
        (
            "no server on this machine",
            Stage::new(&format!("upstream = 'http://{port}'\n")),
            "reach",
            "nothing listens on",
            "start the server there",
        ),
        (
            "refused",
            Stage::new(&format!("upstream = 'https://{port}'\n")),
            "reach",
            "nothing listens on",
            "start the server there",
        ),
        ("no DNS", Stage::new("upstream = 'https://nowhere.invalid'\n"), "dns", "nowhere.invalid", "name servers"),
        (
            "untrusted",
            Stage::new(&format!("upstream = '{}'\n", untrusted.url())).keeping(untrusted),
            "reach",
            "throw-away authority",
            "extra_ca",
        ),
        ("expired", certificate((2001, 2002)), "reach", "has expired on", "only the server's owner can renew it"),
        ("not yet valid", certificate((4000, 4001)), "reach", "is valid from", "set the clock"),
        (
            "plain HTTP behind https",
            Stage::new(&format!("upstream = 'https://{}'\n", plain.address())).keeping(plain),
            "reach",
            "TLS",
            "write http://",
        ),
        ("a stranger has the port", taken.keeping(stranger), "instance", "has its port", "end that program"),
        ("an invalid config", Stage::new("workers = 0\n"), "config", "workers", "mend what is named"),
        ("no state folder", in_the_way, "state", "cannot be written", "LEEWARD_HOME"),
        ("the proxy refuses", behind(refusing), "reach", "403", "proxy.url"),
        (
            "the proxy wants a login",
            behind(Company::http(Some("me:hush")).await),
            "reach",
            "wants user and password",
            "proxy.url",
        ),
        ("resets at accept", tls(Fault::ResetAtAccept), "reach", "eset", "another network"),
        ("resets in the handshake", tls(Fault::ResetInTls), "reach", "eset", "another network"),
        (
            "resets of large hellos",
            tls(Fault::ResetHelloOver(1200)).served(),
            "key-share",
            "Hellos larger than one packet break",
            "MTU",
        ),
    ];
    for (what, stage, check, measured, next) in &stages {
        let examined = Examined::of(&stage.home, &[]);
        let first = first(&examined);
        let has = |field: &str, word: &str| first[field].as_str().is_some_and(|text| text.contains(word));
        assert!(first["id"] == *check && has("measured", measured) && has("advice", next), "{what}: {first:#}");
    }
}

/// Connections are made by the system and never answered, or not even made.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_seconds_are_enough_where_nothing_ever_answers() {
    let silent = tls(Fault::StallInTls).served();
    let began = Instant::now();
    let examined = Examined::of(&silent.home, &[]);
    assert!(examined.json["took_ms"].as_u64().unwrap() <= 20_000 && began.elapsed() < BOUND, "{:#}", examined.json["took_ms"]);
    assert_eq!(examined.row("reach")["verdict"], "broken", "{:#}", examined.json);
    assert!(examined.row("reach").to_string().contains("did not end within"), "{:#}", examined.row("reach"));
}

#[test]
#[cfg(target_os = "linux")]
fn nor_where_no_connection_is_made() {
    // A queue that is full drops what comes: a connection is tried until its limit.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let filling: Vec<_> = (0..4)
        .map(|_| {
            let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            // In progress, or waiting for good.
            client.connect(&address.into()).ok();
            client
        })
        .collect();
    let stage = Stage::new(&format!("upstream = 'https://{address}'\n"));
    let examined = Examined::of(&stage.home, &[]);
    assert!(examined.json["took_ms"].as_u64().unwrap() <= 20_000, "{:#}", examined.json["took_ms"]);
    examined.assert("reach", "broken", "no response within");
    drop(filling);
}
