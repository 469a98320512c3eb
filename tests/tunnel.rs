//! CONNECT: who may open a tunnel, what is answered, and what passes through it when the server's end breaks.

use crate::support::{
    LIMIT, client,
    raw::read_response,
    tunnel::{ESTABLISHED, TOKEN, ask, connect, counts, hello, login, open, pair, reset, rest, server, session},
};
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

#[tokio::test]
async fn a_hello_reaches_the_server_whole_although_connections_before_it_broke() {
    let (engine, _session) = session(|_| {}).await;
    for length in [517, 1795, 16 << 10] {
        let (server, address) = server().await;
        let sent = hello(length);
        let mut tunnel = open(&engine, address).await;
        // At accept, after the hello by a reset, after it by an end.
        reset(server.accept().await.unwrap().0);
        let (first, second) = sent.split_at(300);
        tunnel.write_all(first).await.unwrap();
        tunnel.write_all(second).await.unwrap();
        let mut seen = vec![0; length.into()];
        for ends in [false, true] {
            let (mut broken, _) = timeout(LIMIT, server.accept()).await.unwrap().unwrap();
            broken.read_exact(&mut seen).await.unwrap();
            assert_eq!(seen, sent);
            if !ends {
                reset(broken);
            }
        }
        let (mut last, _) = timeout(LIMIT, server.accept()).await.unwrap().unwrap();
        last.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, sent);
        last.write_all(b"hi").await.unwrap();
        let mut answer = [0; 2];
        tunnel.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hi");
        // After a byte of the server's a reset is the client's, at once.
        let began = Instant::now();
        reset(last);
        let end = timeout(LIMIT, tunnel.read(&mut answer)).await.unwrap();
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

/// Byte by byte, it is the same hello.
#[tokio::test]
async fn a_hello_in_single_bytes_is_sent_again_whole() {
    let (engine, _session) = session(|_| {}).await;
    let (server, address) = server().await;
    let sent = hello(517);
    let mut tunnel = open(&engine, address).await;
    let (mut broken, _) = server.accept().await.unwrap();
    for byte in &sent {
        tunnel.write_all(&[*byte]).await.unwrap();
    }
    let mut seen = vec![0; sent.len()];
    broken.read_exact(&mut seen).await.unwrap();
    reset(broken);
    let (mut last, _) = timeout(LIMIT, server.accept()).await.unwrap().unwrap();
    last.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, sent);
}

/// What may be a request is the server's once: a large hello, early data, another protocol.
#[tokio::test]
async fn what_is_no_small_hello_passes_and_is_never_sent_again() {
    let (engine, _session) = session(|_| {}).await;
    let early = [hello(517), vec![23, 3, 3, 0, 1, 7]].concat();
    for sent in [hello((16 << 10) + 1), hello(u16::MAX), early, b"GET / HTTP/1.1\r\n\r\n".to_vec(), b"SSH-2.0-x\r\n".to_vec()] {
        let (server, _) = server().await;
        for answers in [true, false] {
            let (mut tunnel, mut far) = pair(&engine, &server).await;
            tunnel.write_all(&sent).await.unwrap();
            let mut seen = vec![0; sent.len()];
            far.read_exact(&mut seen).await.unwrap();
            assert_eq!(seen, sent);
            if answers {
                far.write_all(b"x").await.unwrap();
                assert_eq!(tunnel.read_u8().await.unwrap(), b'x');
            } else {
                reset(far);
                let end = timeout(LIMIT, tunnel.read_u8()).await.unwrap();
                assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset, "{:?}", &sent[..6]);
            }
        }
        assert!(timeout(Duration::from_millis(50), server.accept()).await.is_err(), "no connection but those two");
    }
    assert_eq!(counts(&engine).await["replayed_hellos"], 0);
}

/// Eight seconds without a byte: a fresh connection gets the hello.
#[tokio::test]
async fn a_server_that_says_nothing_to_a_hello_is_asked_on_a_fresh_connection() {
    let (engine, _session) = session(|_| {}).await;
    let (server, _) = server().await;
    let (mut tunnel, _silent) = pair(&engine, &server).await;
    let sent = hello(517);
    let began = Instant::now();
    tunnel.write_all(&sent).await.unwrap();
    let (mut far, _) = timeout(LIMIT, server.accept()).await.unwrap().unwrap();
    let took = began.elapsed();
    assert!(took > Duration::from_millis(7900) && took < Duration::from_secs(12), "{took:?}");
    let mut seen = vec![0; sent.len()];
    far.read_exact(&mut seen).await.unwrap();
    far.write_all(b"x").await.unwrap();
    assert_eq!((seen == sent, tunnel.read_u8().await.unwrap()), (true, b'x'));
}

/// A server that resets everybody: the hello is sent six times in all, then the client gets the reset.
#[tokio::test]
async fn replays_have_an_end_and_a_time() {
    let (engine, _session) = session(|_| {}).await;
    let (server, _) = server().await;
    let (mut tunnel, mut far) = pair(&engine, &server).await;
    let (began, sent) = (Instant::now(), hello(517));
    tunnel.write_all(&sent).await.unwrap();
    for connection in 1..=6 {
        let mut seen = vec![0; sent.len()];
        far.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, sent);
        reset(far);
        if connection == 6 {
            break;
        }
        far = timeout(LIMIT, server.accept()).await.unwrap().unwrap().0;
    }
    let end = timeout(LIMIT, tunnel.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(timeout(Duration::from_millis(50), server.accept()).await.is_err(), "no seventh connection");
}

#[tokio::test]
async fn ends_pass_one_way_at_a_time_and_resets_at_once_both_ways() {
    let (engine, _session) = session(|_| {}).await;
    let (server, _) = server().await;
    // Who goes first, and how.
    for (by_client, resets) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut near, mut far) = pair(&engine, &server).await;
        far.write_all(b"x").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'x');
        let (mut first, mut second) = if by_client { (near, far) } else { (far, near) };
        if resets {
            reset(first);
            let end = timeout(LIMIT, second.read_u8()).await.unwrap();
            assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset, "{by_client}");
            continue;
        }
        first.write_all(b"bye").await.unwrap();
        first.shutdown().await.unwrap();
        assert_eq!(rest(&mut second).await, b"bye", "{by_client}");
        second.write_all(b"still here").await.unwrap();
        drop(second);
        assert_eq!(rest(&mut first).await, b"still here", "{by_client}");
    }
}

#[tokio::test]
async fn a_mebibyte_each_way_arrives_byte_for_byte() {
    let (engine, _session) = session(|_| {}).await;
    let (server, _) = server().await;
    let (near, far) = pair(&engine, &server).await;
    let data: Vec<u8> = (0..1u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    let (mut down, mut up) = (Vec::new(), Vec::new());
    let all = async {
        tokio::join!(
            async {
                near_write.write_all(&data).await.unwrap();
                near_write.shutdown().await.unwrap();
            },
            async {
                far_write.write_all(&data).await.unwrap();
                far_write.shutdown().await.unwrap();
            },
            async { near_read.read_to_end(&mut down).await.unwrap() },
            async { far_read.read_to_end(&mut up).await.unwrap() },
        )
    };
    timeout(LIMIT, all).await.unwrap();
    assert!(down == data && up == data);
}

/// Some agents wait for ever on an answer that comes in two segments.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_answer_to_a_connect_is_one_segment() {
    let (engine, _session) = session(|_| {}).await;
    let (server, address) = server().await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(engine.address).await.unwrap();
        stream.write_all(connect(address, Some(TOKEN)).as_bytes()).await.unwrap();
        let mut read = vec![0; 1024];
        let n = timeout(LIMIT, stream.read(&mut read)).await.unwrap().unwrap();
        assert_eq!(std::str::from_utf8(&read[..n]).unwrap(), ESTABLISHED);
        assert_eq!(segments_in(&stream).unwrap_or(1), 1);
        server.accept().await.unwrap();
    }
}

/// Segments with data that came in, as the kernel counts them; `None` where the program that shows them is missing.
#[cfg(target_os = "linux")]
fn segments_in(stream: &TcpStream) -> Option<u32> {
    let local = stream.local_addr().unwrap().to_string();
    let ran = std::process::Command::new("ss").args(["-tinH", "src", &local]).output().ok()?;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let count = text.split_whitespace().find_map(|word| word.strip_prefix("data_segs_in:"));
    Some(count.unwrap_or_else(|| panic!("no count in {text}")).parse().unwrap())
}

/// What came with the head is the tunnel's.
#[tokio::test]
async fn bytes_behind_the_head_are_kept_and_forwarded() {
    let (engine, _session) = session(|_| {}).await;
    let (server, address) = server().await;
    let sent = hello(517);
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    stream.write_all(&[connect(address, Some(TOKEN)).as_bytes(), &sent].concat()).await.unwrap();
    let mut seen = vec![0; sent.len()];
    // They are part of the hello: sent again, too.
    for breaks in [true, false] {
        let (mut far, _) = timeout(LIMIT, server.accept()).await.unwrap().unwrap();
        far.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, sent);
        if breaks {
            reset(far);
        } else {
            far.write_all(b"x").await.unwrap();
        }
    }
    assert_eq!(read_response(&mut stream).await, ESTABLISHED);
    assert_eq!(stream.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn without_the_token_a_client_may_ask_again_and_the_token_opens_nothing_else() {
    let (engine, _session) = session(|_| {}).await;
    let (_server, target) = server().await;
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    // The last one has the form of a token: its session may be about to register.
    for token in [None, Some("short"), Some("00000000000000000000000000000000")] {
        stream.write_all(connect(target, token).as_bytes()).await.unwrap();
        let refused = read_response(&mut stream).await;
        assert!(refused.starts_with("HTTP/1.1 407 ") && refused.contains("Basic realm=\"leeward\""), "{refused}");
    }
    stream.write_all(connect(target, Some(TOKEN)).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await, ESTABLISHED);
    let control = client().get(engine.url("/_leeward/v1/config")).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(control.status(), 401);
    // Nor with the token where CONNECT takes it.
    for path in ["/_leeward/v1/config", "/_leeward/v1/sessions"] {
        let control = client().get(engine.url(path)).header("proxy-authorization", login(TOKEN)).send().await.unwrap();
        assert!(matches!(control.status().as_u16(), 401 | 405), "{path} {}", control.status());
    }
    // Leeward itself, by every name of its own, and a place where nobody listens.
    let dead = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() }.to_string();
    let port = engine.address.port();
    for (target, status, code) in [
        (format!("127.0.0.1:{port}"), 403, "tunnel-not-allowed"),
        (format!("localhost:{port}"), 403, "tunnel-not-allowed"),
        (format!("127.7.7.7:{port}"), 403, "tunnel-not-allowed"),
        (format!("[::1]:{port}"), 403, "tunnel-not-allowed"),
        (dead, 502, "connect"),
    ] {
        let (mut stream, refused) = ask(&engine, &target).await;
        assert!(refused.starts_with(&format!("HTTP/1.1 {status} ")) && refused.contains(code), "{target}: {refused}");
        assert!(refused.contains("connection: close") && refused.contains("content-type: application/json"), "{refused}");
        assert!(!refused.contains(TOKEN), "{refused}");
        assert_eq!(refused.matches("Leeward: ").count(), 1, "{refused}");
        assert_eq!(rest(&mut stream).await, b"", "and it closes");
    }
    // No forward proxy for plain requests, whatever they carry.
    let absolute = format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: {}\r\n\r\n", login(TOKEN));
    let answer = crate::support::raw::ask(engine.address, absolute.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("localhost,127.0.0.1,::1 to NO_PROXY"), "{answer}");
}
