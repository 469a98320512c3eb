//! Each wrapped agent has its own way out: another shell's company proxy and certificates are used for its agent, and for no
//! other one.
#![cfg(unix)]

use crate::home::{Home, Running, get, until, variable};
use scripted::{Plan, Upstream};
use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

/// Says where it would send its requests, and runs until it is told to end.
const AGENT: &str = "echo \"base=$ANTHROPIC_BASE_URL\" > \"$OUT/.$NAME\"; echo \"openai=$OPENAI_BASE_URL\" >> \"$OUT/.$NAME\"; \
                     mv \"$OUT/.$NAME\" \"$OUT/$NAME\"; while [ ! -e \"$OUT/done\" ]; do sleep 0.02; done";

/// An agent that runs, and what is after Leeward's address in its base URLs.
struct Agent {
    wrap: Running,
    base: String,
    openai: String,
}

fn start(home: &Home, name: &str, vars: &[(&str, &str)]) -> Agent {
    let mut command = home.command(&["run", "sh", "-c", AGENT]);
    command.env("NAME", name).envs(vars.iter().copied());
    let wrap = Running::start(&mut command);
    until("the agent runs", || home.path(name).exists());
    let own = format!("http://{}", home.record().unwrap().address);
    let after = |key: &str| variable(&home.read(name), key).unwrap().strip_prefix(&own).unwrap().to_owned();
    Agent { wrap, base: after("base"), openai: after("openai") }
}

/// A company proxy for plain HTTP: answers by itself and tells the targets it was asked for.
fn company_proxy() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let send = send.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut first = String::new();
                // A connection in advance asks for nothing.
                while reader.read_line(&mut first).is_ok_and(|read| read > 0) {
                    let mut line = String::new();
                    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                        line.clear();
                    }
                    send.send(first.split(' ').nth(1).unwrap_or_default().to_owned()).ok();
                    (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nvia proxy").ok();
                    first.clear();
                }
            });
        }
    });
    (address, heard)
}

fn finish(home: &Home, agents: Vec<Agent>) {
    std::fs::write(home.path("done"), "").unwrap();
    for mut agent in agents {
        assert_eq!(agent.wrap.ended(), Some(0));
    }
}

#[test]
fn an_agent_goes_out_by_the_company_proxy_of_its_own_shell() {
    let home = Home::new();
    let (first, heard_first) = company_proxy();
    let (second, heard_second) = company_proxy();
    home.configure("upstream = 'http://api.test/v9'\n[upstreams]\nopenai = 'http://openai.test'");
    let [of_first, of_second] = [first, second].map(|address| format!("http://{address}"));
    // The first one starts Leeward, which has the same way out.
    let starter = start(&home, "starter", &[("HTTP_PROXY", &of_first)]);
    let same = start(&home, "same", &[("http_proxy", &of_first)]);
    let other = start(&home, "other", &[("HTTP_PROXY", &of_second)]);
    assert_eq!((starter.base.as_str(), starter.openai.as_str(), same.base.as_str()), ("", "/@openai/v1", ""));
    assert!(other.base.starts_with("/@gw-") && other.openai.starts_with("/@gw-"), "{} {}", other.base, other.openai);
    let address = home.record().unwrap().address;
    for (path, heard, target) in [
        (&starter.base, &heard_first, "http://api.test/v9/models"),
        (&other.base, &heard_second, "http://api.test/v9/models"),
        (&other.openai, &heard_second, "http://openai.test/v1/models"),
        (&same.base, &heard_first, "http://api.test/v9/models"),
    ] {
        let answer = get(address, &format!("{path}/models")).unwrap();
        assert!(answer.ends_with("via proxy"), "{path}: {answer}");
        assert_eq!(heard.recv_timeout(Duration::from_secs(10)).unwrap(), target, "{path}");
    }
    assert!(heard_first.try_recv().is_err() && heard_second.try_recv().is_err(), "each was asked for its own agents alone");
    // A killed Leeward starts again with another environment, and is told again.
    crate::home::kill(home.record().unwrap().pid, "KILL");
    let again = || get(address, &format!("{}/models", other.base)).is_some_and(|answer| answer.ends_with("via proxy"));
    until("the agent's way out is known again", again);
    until("its own proxy was asked", || heard_second.try_recv().is_ok());
    finish(&home, vec![starter, same, other]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_trusts_is_trusted_for_that_agent() {
    let home = Home::new();
    let upstream = Upstream::tls(Plan::none()).unwrap();
    let authority = home.path("authority.pem");
    std::fs::write(&authority, upstream.authority_pem().unwrap()).unwrap();
    home.configure(&format!("upstream = 'https://localhost:{}'", upstream.address().port()));
    let plain = start(&home, "plain", &[]);
    let trusting = start(&home, "trusting", &[("NODE_EXTRA_CA_CERTS", authority.to_str().unwrap())]);
    assert_eq!(plain.base, "");
    let address = home.record().unwrap().address;
    let answer = get(address, &format!("{}/v1/models", trusting.base)).unwrap();
    assert!(!answer.contains("not trusted") && !answer.starts_with("HTTP/1.1 502"), "{answer}");
    let answer = get(address, &format!("{}/v1/models", plain.base)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("is not trusted"), "{answer}");
    finish(&home, vec![plain, trusting]);
}
