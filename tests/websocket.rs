//! WebSockets are carried by both doors: the handshake is repaired like a GET until the 101, then bytes, ends and resets pass.

use crate::{
    hosts::said,
    support::{
        LIMIT, eventually,
        raw::read_response,
        websocket::{ACCEPT, Break, DOORS, Door, End, KEY, REALTIME, SWITCHING, World, field},
    },
};
use leeward::config::{Config, WebSocket};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    net::TcpStream,
    time::timeout,
};

/// A reset is forwarded at once: with room for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

fn refuse(config: &mut Config) {
    config.websocket.insert(None, WebSocket::Refuse);
    config.websocket.insert(Some("anthropic".into()), WebSocket::Refuse);
}

fn carry(config: &mut Config) {
    config.websocket.insert(None, WebSocket::Carry);
    config.websocket.insert(Some("anthropic".into()), WebSocket::Carry);
}

#[tokio::test]
async fn a_handshake_that_breaks_is_made_again_until_the_101() {
    use Break::{AtAccept, BeforeResponse, InTls};
    for door in DOORS {
        for breaks in [
            &[][..],
            &[AtAccept],
            &[InTls],
            &[BeforeResponse],
            &[BeforeResponse, BeforeResponse],
            &[AtAccept, InTls, BeforeResponse],
        ] {
            let what = format!("{door:?} {breaks:?}");
            let mut world = World::tuned(door, breaks, |_| {}).await;
            let mut near = world.near().await;
            near.send(world.handshake(REALTIME, "Authorization: Bearer hush\r\nx-own: 1\r\n")).await;
            let asked = world.server.asked().await;
            let own =
                ["GET /v1/realtime?model=x HTTP/1.1", "x-own: 1", "Sec-WebSocket-Protocol: realtime", "Connection: Upgrade"];
            assert!(own.iter().all(|line| asked.head.contains(&format!("{line}\r\n"))), "{what}: {}", asked.head);
            for (name, value) in [
                ("host", &*world.far_host()),
                ("upgrade", "websocket"),
                ("sec-websocket-key", KEY),
                ("sec-websocket-version", "13"),
                ("authorization", "Bearer hush"),
            ] {
                assert_eq!(asked.field(name), Some(value), "{what}: {name}");
            }
            let mut far = asked.accept(b"").await;
            let head = near.head().await;
            assert!(
                head.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && head.contains("\r\nX-Own-Case: 1\r\n"),
                "{what}: {head}"
            );
            for (name, value) in [
                ("sec-websocket-accept", ACCEPT),
                ("sec-websocket-protocol", "realtime"),
                ("upgrade", "websocket"),
                ("connection", "Upgrade"),
            ] {
                assert_eq!(field(&head, name), Some(value), "{what}: {head}");
            }
            // As for other decrypted requests that are no inference: nothing of ours.
            let ours = (door == Door::BaseUrl).then(|| (breaks.iter().filter(|b| **b == BeforeResponse).count() + 1).to_string());
            assert_eq!(field(&head, "x-leeward-connection"), ours.as_ref().map(|_| "fresh"), "{what}: {head}");
            if breaks.iter().all(|b| *b == BeforeResponse) {
                assert_eq!(field(&head, "x-leeward-attempts"), ours.as_deref(), "{what}: {head}");
            }
            assert_eq!(field(&head, "keep-alive"), None, "{what}: {head}");
            near.send(b"ping").await;
            assert_eq!(far.exactly(4).await, b"ping", "{what}");
            far.send(b"pong").await;
            assert_eq!(near.exactly(4).await, b"pong", "{what}");
            world.server.assert_all_broke(&what);
            world.server.assert_silent(&what);
        }
    }
}

/// The client may send before it has the 101, and the server right behind it: in one write or in pieces.
#[tokio::test]
async fn what_comes_early_is_not_lost() {
    for door in DOORS {
        for cut in [None, Some(10), Some(3)] {
            let mut world = World::new(door).await;
            let mut near = world.near().await;
            let early = vec![0x16; 5000];
            let said = [world.handshake(REALTIME, "").into_bytes(), early.clone()].concat();
            let (first, second) = said.split_at(said.len() - cut.map_or(0, |cut| early.len() / cut));
            near.send(first).await;
            let asked = world.server.asked().await;
            near.send(second).await;
            let mut far = asked.accept(b"behind the response, in one segment").await;
            near.head().await;
            assert_eq!(near.exactly(35).await, b"behind the response, in one segment", "{door:?} {cut:?}");
            assert_eq!(far.exactly(early.len()).await, early, "{door:?} {cut:?}");
            near.shutdown().await.unwrap();
            assert_eq!(far.rest().await, b"", "{door:?} {cut:?}");
        }
    }
}

#[tokio::test]
async fn an_end_is_forwarded_as_an_end_and_the_other_direction_goes_on() {
    for door in DOORS {
        for client_first in [true, false] {
            let mut world = World::new(door).await;
            let (mut near, mut far) = world.open().await;
            let (first, second) = if client_first { (&mut near, &mut far) } else { (&mut far, &mut near) };
            first.send(b"last words").await;
            first.shutdown().await.unwrap();
            assert_eq!(second.rest().await, b"last words", "{door:?} {client_first}");
            for _ in 0..3 {
                second.send(b"I go on").await;
                assert_eq!(first.exactly(7).await, b"I go on", "{door:?} {client_first}");
            }
            second.shutdown().await.unwrap();
            assert_eq!(first.rest().await, b"", "{door:?} {client_first}");
            eventually("it has ended", async || world.counts().await["ended"]["carried"] == 1).await;
        }
    }
}

#[tokio::test]
async fn a_reset_is_forwarded_as_a_reset_at_once() {
    for door in DOORS {
        for client_first in [true, false] {
            for while_something_comes in [false, true] {
                let what = format!("{door:?} {client_first} {while_something_comes}");
                let mut world = World::new(door).await;
                let (near, far) = world.open().await;
                let (mut first, mut second) = if client_first { (near, far) } else { (far, near) };
                if while_something_comes {
                    second.send(vec![1; 100_000]).await;
                }
                first.send(b"x").await;
                assert_eq!(second.exactly(1).await, b"x", "{what}");
                let began = Instant::now();
                first.reset();
                assert_eq!(second.error().await, std::io::ErrorKind::ConnectionReset, "{what}");
                assert!(began.elapsed() < AT_ONCE, "{what}: {:?}", began.elapsed());
                eventually("it has ended", async || world.counts().await["ended"]["reset"] == 1).await;
            }
        }
    }
}

/// What is no 101 is an ordinary response, and its connection serves on.
#[tokio::test]
async fn other_answers_pass_as_they_are() {
    for door in DOORS {
        let mut world = World::new(door).await;
        let mut near = world.near().await;
        let far_host = world.far_host();
        for (answer, status, name, value) in [
            ("401 Unauthorized\r\nWWW-Authenticate: Bearer", 401, "www-authenticate", "Bearer".to_owned()),
            ("403 Forbidden\r\nx-why: not you", 403, "x-why", "not you".to_owned()),
            ("426 Upgrade Required\r\nSec-WebSocket-Version: 13, 8", 426, "sec-websocket-version", "13, 8".to_owned()),
            ("200 OK\r\nx-kind: no socket here", 200, "x-kind", "no socket here".to_owned()),
            (
                &*format!("302 Found\r\nLocation: https://{far_host}/v2/realtime"),
                302,
                "location",
                match door {
                    Door::BaseUrl => "/v2/realtime".to_owned(),
                    Door::Intercept => format!("https://{far_host}/v2/realtime"),
                },
            ),
        ] {
            near.send(world.handshake(REALTIME, "")).await;
            let mut asked = world.server.asked().await;
            asked.far.send(format!("HTTP/1.1 {answer}\r\nContent-Length: 5\r\n\r\nwords")).await;
            let head = near.head().await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{door:?}: {head}");
            assert_eq!(field(&head, name), Some(&*value), "{door:?}: {head}");
            assert_eq!(near.exactly(5).await, b"words", "{door:?} {status}");
        }
        assert_eq!(world.counts().await["opened"], 0, "{door:?}");
    }
}

/// Without a choice of the user's, agents whose inference streams over HTTP as well are told so by the status that Codex knows.
#[tokio::test]
async fn where_none_is_carried_the_answer_is_426_in_the_apis_dialect() {
    type Tune = fn(&mut Config);
    let nothing: Tune = |_| {};
    for door in DOORS {
        for (tune, path, carried) in [
            (nothing, "/v1/responses", false),
            (nothing, "/backend-api/codex/responses?x=1", false),
            (nothing, "/v1/messages", false),
            (nothing, "/v1/realtime", true),
            (carry, "/v1/responses", true),
            (refuse, "/v1/responses", false),
            (refuse, "/v1/realtime", false),
        ] {
            let what = format!("{door:?} {path}");
            let mut world = World::tuned(door, &[], tune).await;
            let mut near = world.near().await;
            near.send(world.handshake(path, "")).await;
            if carried {
                let _far = world.server.asked().await.accept(b"").await;
                assert!(near.head().await.starts_with("HTTP/1.1 101 "), "{what}");
                continue;
            }
            let head = near.head().await;
            assert!(head.starts_with("HTTP/1.1 426 ") && field(&head, "upgrade") == Some("HTTP/1.1"), "{what}: {head}");
            assert!(head.contains("x-leeward-error: upgrade-not-supported"), "{what}: {head}");
            let body = String::from_utf8(near.rest().await).unwrap();
            let is_openai = path.contains("responses");
            let json: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(json["type"].as_str(), (!is_openai).then_some("error"), "{what}: {body}");
            assert!(json.pointer("/error/message").is_some(), "{what}: {body}");
            world.server.assert_silent(&what);
        }
    }
}

/// A page cannot open one: it may not leave out where it comes from, and cannot name our host by another name.
#[tokio::test]
async fn the_guard_holds_for_websockets_as_for_others() {
    let allowed = said("allowed_origins = ['vscode-webview://mine']").allowed_origins;
    let mut world = World::tuned(Door::BaseUrl, &[], |config| config.allowed_origins = allowed).await;
    let (own, path) = (world.host(), REALTIME);
    for (host, more, status, code) in [
        (&*own, "Origin: https://evil.example\r\n", 403, "foreign-origin"),
        (&own, "Origin: null\r\n", 403, "foreign-origin"),
        (&own, &*format!("Origin: http://{own}\r\n"), 403, "foreign-origin"),
        (&own, "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: websocket\r\n", 403, "from-browser"),
        ("evil.example", "", 421, "foreign-host"),
    ] {
        let mut near = world.near().await;
        near.send(crate::support::websocket::handshake(host, path, more)).await;
        let head = near.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && head.contains(code), "{more}: {head}");
        world.server.assert_silent(more);
    }
    let mut near = world.near().await;
    near.send(world.handshake(path, "Origin: vscode-webview://mine\r\nSec-Fetch-Site: cross-site\r\n")).await;
    let asked = world.server.asked().await;
    assert_eq!(asked.field("origin"), Some("vscode-webview://mine"));
    let _far = asked.accept(b"").await;
    assert!(near.head().await.starts_with("HTTP/1.1 101 "));
}

#[tokio::test]
async fn a_client_token_and_the_cap_of_connections_hold_for_websockets() {
    let token = "a-token-of-this-test";
    let tune = |config: &mut Config| {
        config.client_token = Some(leeward::config::Secret::new(token.to_owned()));
        config.limits.connections = 2;
    };
    let mut world = World::tuned(Door::BaseUrl, &[], tune).await;
    let mut near = world.near().await;
    near.send(world.handshake(REALTIME, "")).await;
    let refused = near.head().await;
    assert!(refused.starts_with("HTTP/1.1 401 ") && refused.contains("client-token"), "{refused}");
    world.server.assert_silent("without a token");
    let more = format!("X-Leeward-Token: {token}\r\n");
    let mut near = world.near().await;
    near.send(world.handshake(REALTIME, &more)).await;
    let asked = world.server.asked().await;
    assert_eq!(asked.field("x-leeward-token"), None, "it is for Leeward alone");
    let _far = asked.accept(b"").await;
    assert!(near.head().await.starts_with("HTTP/1.1 101 "));
    let _other = world.near().await;
    let mut third = world.near().await;
    third.send(world.handshake(REALTIME, &more)).await;
    let refused = third.head().await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("too-many-connections"), "{refused}");
}

/// What is not a handshake is an ordinary request, whose offer is ignored; what is a bad one, the server judges.
#[tokio::test]
async fn what_is_no_handshake_is_an_ordinary_request_and_a_bad_one_is_the_servers_to_judge() {
    const OFFER: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n";
    for door in DOORS {
        let mut world = World::new(door).await;
        let host = world.host();
        for (what, first, fields, passes) in [
            ("POST", "POST /v1/realtime HTTP/1.1", format!("{OFFER}Content-Length: 0\r\n"), false),
            ("a body", "GET /v1/realtime HTTP/1.1", format!("{OFFER}Content-Length: 1\r\n"), false),
            ("not in Connection", "GET /v1/realtime HTTP/1.1", OFFER.replace("Upgrade\r\nUp", "keep-alive\r\nUp"), false),
            ("no Connection", "GET /v1/realtime HTTP/1.1", OFFER.replace("Connection: Upgrade\r\n", ""), false),
            ("HTTP/1.0", "GET /v1/realtime HTTP/1.0", OFFER.to_owned(), false),
            ("another protocol", "GET /v1/realtime HTTP/1.1", OFFER.replace("websocket", "h2c"), false),
            ("another version", "GET /v1/realtime HTTP/1.1", OFFER.replace("13", "8"), true),
            ("no key", "GET /v1/realtime HTTP/1.1", OFFER.replace("Sec-WebSocket-Key: x\r\n", ""), true),
            ("two offers", "GET /v1/realtime HTTP/1.1", OFFER.replace("websocket", "h2c, websocket"), true),
        ] {
            let what = format!("{door:?} {what}");
            let mut near = world.near().await;
            let body = if fields.contains("Length: 1") { "x" } else { "" };
            near.send(format!("{first}\r\nHost: {host}\r\n{fields}\r\n{body}")).await;
            let mut asked = world.server.asked().await;
            let offered = passes.then_some(("Upgrade", "websocket"));
            assert_eq!(asked.field("connection").zip(asked.field("upgrade")), offered, "{what}: {}", asked.head);
            if !body.is_empty() {
                assert_eq!(asked.far.exactly(1).await, b"x", "{what}");
            }
            asked.far.send(b"HTTP/1.1 400 Bad Request\r\nx-says: no\r\nContent-Length: 0\r\n\r\n").await;
            let head = near.head().await;
            assert!(head.contains(" 400 ") && field(&head, "x-says") == Some("no"), "{what}: {head}");
        }
    }
}

/// A server that switches without having been asked would have its client read frames as responses.
#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_no_response() {
    for door in DOORS {
        let mut world = World::new(door).await;
        let mut near = world.near().await;
        near.send(format!("GET /v1/models HTTP/1.1\r\nHost: {}\r\nUpgrade: h2c\r\n\r\n", world.host())).await;
        let _far = world.server.asked().await.accept(b"frames").await;
        let head = near.head().await;
        assert!(head.starts_with("HTTP/1.1 502 ") && head.contains("bad-response"), "{door:?}: {head}");
        assert_eq!(world.counts().await["opened"], 0);
    }
}

/// The client's end is the cancellation, as for others.
#[tokio::test]
async fn who_leaves_during_the_handshake_ends_it_upstream() {
    for door in DOORS {
        let mut world = World::new(door).await;
        let mut near = world.near().await;
        near.send(world.handshake(REALTIME, "")).await;
        let mut asked = world.server.asked().await;
        near.reset();
        assert_eq!(timeout(AT_ONCE, asked.far.read(&mut [0])).await.expect("at once").unwrap_or_default(), 0, "{door:?}");
        eventually("it is counted", async || {
            let stats = world.engine.stats().await;
            (&stats["outcomes"]["client-gone"], &stats["websockets"]["opened"]) == (&1.into(), &0.into())
        })
        .await;
    }
}

/// Much in both directions at once, in pieces of all sizes; every byte is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_pass_unchanged_in_both_directions_at_once() {
    const BYTES: usize = 8 << 20;
    let pattern = |seed: usize| (0..BYTES).map(move |i| ((i * 31 + i / 251 + seed) % 256) as u8).collect::<Vec<u8>>();
    for door in DOORS {
        let mut world = World::new(door).await;
        let (near, far) = world.open().await;
        let one = async |end: End, sends: Vec<u8>, gets: Vec<u8>| {
            let (mut read, mut write) = split(end);
            let sending = async {
                let (mut at, mut piece) = (0, 1);
                while at < sends.len() {
                    let next = (at + piece).min(sends.len());
                    write.write_all(&sends[at..next]).await.unwrap();
                    (at, piece) = (next, piece * 7 % 65_537 + 1);
                }
                write.shutdown().await.unwrap();
            };
            let mut got = Vec::new();
            let (read, ()) = timeout(LIMIT * 3, async { tokio::join!(read.read_to_end(&mut got), sending) }).await.unwrap();
            read.unwrap();
            assert!(got == gets, "{door:?}: {} bytes", got.len());
        };
        tokio::join!(one(near, pattern(1), pattern(2)), one(far, pattern(2), pattern(1)));
        eventually("all is counted", async || {
            let counts = world.counts().await;
            (&counts["bytes_up"], &counts["bytes_down"]) == (&BYTES.into(), &BYTES.into())
        })
        .await;
    }
}

/// Who does not read is not read for: what the engine holds meanwhile is bounded, and all of it comes later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_slows_its_sender() {
    let piece = vec![7; 64 << 10];
    for door in DOORS {
        for up in [true, false] {
            let mut world = World::new(door).await;
            let (near, far) = world.open().await;
            let (mut fast, mut slow) = if up { (near, far) } else { (far, near) };
            let mut sent = 0;
            while let Ok(wrote) = timeout(Duration::from_millis(500), fast.write(&piece)).await {
                sent += wrote.unwrap();
                assert!(sent < 64 << 20, "{door:?} {up}: nothing holds it back");
            }
            let finish = async {
                fast.flush().await.unwrap();
                fast.shutdown().await.unwrap();
            };
            let mut got = Vec::new();
            let (read, ()) = timeout(LIMIT * 3, async { tokio::join!(slow.read_to_end(&mut got), finish) }).await.unwrap();
            read.unwrap();
            assert!(got.len() >= sent && got.iter().all(|b| *b == 7), "{door:?} {up}: {} of {sent}", got.len());
        }
    }
}

/// A plain reader, for the raw response of a refused handshake: nothing that follows it is a request.
#[tokio::test]
async fn nothing_behind_a_refused_handshake_is_answered() {
    let world = World::tuned(Door::BaseUrl, &[], refuse).await;
    let mut stream = TcpStream::connect(world.engine.address).await.unwrap();
    let next = format!("GET /livez HTTP/1.1\r\nHost: {}\r\n\r\n", world.host());
    stream.write_all((world.handshake(REALTIME, "") + &next).as_bytes()).await.unwrap();
    assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 426 "));
    assert_eq!(timeout(LIMIT, stream.read(&mut [0])).await.unwrap().unwrap(), 0, "a polite end and no reset");
    assert!(SWITCHING.starts_with(b"HTTP/1.1 101 "));
}
