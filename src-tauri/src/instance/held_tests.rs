//! What passes through a door, between two ends in this process; and what does not.

use super::{
    Holding,
    door::{Word, knock},
    fetch, held_socket, holders, lend, let_go,
};
use crate::config::Paths;
use std::{
    io::{self, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};
use tokio::{task::spawn_blocking, time::timeout};

const LIMIT: Duration = Duration::from_secs(10);

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Runs `ask` beside a holder that attends to its door.
async fn beside<T: Send + 'static>(holding: &Holding, ask: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::select! {
        never = holding.attend() => match never {},
        done = timeout(LIMIT, spawn_blocking(ask)) => done.unwrap().unwrap(),
    }
}

#[test]
fn a_word_is_one_byte_and_no_other_byte_is_a_word() {
    let known: Vec<_> = Word::ALL.iter().map(|word| word.byte()).collect();
    for byte in 0..=u8::MAX {
        match Word::of(byte) {
            Ok(word) => assert_eq!(word.byte(), byte),
            Err(why) => assert!(!known.contains(&byte), "{byte}: {why}"),
        }
    }
}

#[tokio::test]
async fn a_socket_is_held_given_and_let_go() {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::under(home.path());
    let holding = Holding::open(&paths).unwrap();
    let (door, listener) = (holding.door().to_owned(), listener());
    let address = listener.local_addr().unwrap();
    assert_eq!(holders(&paths).len(), 1);
    let again = paths.clone();
    assert!(beside(&holding, move || held_socket(&again, address)).await.is_none(), "nothing is held yet");
    let to = door.clone();
    beside(&holding, move || lend(&to, &listener).unwrap()).await;
    assert!(holding.is_held());
    holding.filled().await;
    // The process that served is gone, and connections wait.
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"x").unwrap();
    assert_eq!(TcpListener::bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse, "nobody else gets the port");
    let again = paths.clone();
    let socket = beside(&holding, move || held_socket(&again, address)).await.unwrap();
    assert_eq!(socket.accept().unwrap().0.peer_addr().unwrap(), client.local_addr().unwrap());
    drop((socket, client));
    let to = door.clone();
    beside(&holding, move || let_go(&to).unwrap()).await;
    assert!(!holding.is_held() && holding.is_let_go());
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    drop(holding);
    assert!(holders(&paths).is_empty(), "its entry goes with it");
}

#[tokio::test]
async fn the_wanted_address_is_preferred_and_whoever_is_gone_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::under(home.path());
    let mut holdings = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let (holding, listener) = (Holding::open(&paths).unwrap(), listener());
        addresses.push(listener.local_addr().unwrap());
        let to = holding.door().to_owned();
        beside(&holding, move || lend(&to, &listener).unwrap()).await;
        holdings.push(holding);
    }
    // One of a holder that was killed.
    let gone = Holding::open(&paths).unwrap();
    let entry = std::fs::read_dir(paths.holders_dir())
        .unwrap()
        .flatten()
        .find(|file| std::fs::read_to_string(file.path()).unwrap().contains(&serde_json::to_string(gone.door()).unwrap()));
    let (entry, text) = (entry.as_ref().unwrap().path(), std::fs::read(entry.unwrap().path()).unwrap());
    drop(gone);
    std::fs::write(&entry, text).unwrap();
    let nobodys = "127.0.0.1:1".parse().unwrap();
    for wanted in addresses.iter().copied().chain([nobodys]) {
        let asked = {
            let paths = paths.clone();
            spawn_blocking(move || held_socket(&paths, wanted))
        };
        let [a, b, c] = &holdings[..] else { panic!("three") };
        let found = tokio::select! {
            found = timeout(LIMIT, asked) => found.unwrap().unwrap().unwrap(),
            never = a.attend() => match never {},
            never = b.attend() => match never {},
            never = c.attend() => match never {},
        };
        let found = found.local_addr().unwrap();
        assert!(if wanted == nobodys { addresses.contains(&found) } else { found == wanted }, "{wanted}: {found}");
    }
    assert!(!entry.exists(), "all were asked at last, and nobody is behind that door");
    assert_eq!(holders(&paths).len(), 3);
}

/// Whatever comes, the next one is served.
#[tokio::test]
async fn what_says_nothing_known_is_sent_away() {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::under(home.path());
    let holding = Holding::open(&paths).unwrap();
    let door = holding.door().to_owned();
    let mut noise: Vec<Vec<u8>> = (0..=u8::MAX).filter(|byte| Word::of(*byte).is_err()).map(|byte| vec![byte; 3]).collect();
    // Words whose socket does not come, replies to nothing, and nothing at all.
    noise.extend([b"h".to_vec(), b"s".to_vec(), b"n".to_vec(), b"d".to_vec(), Vec::new()]);
    beside(&holding, move || {
        for bytes in noise {
            let mut line = knock(&door).unwrap();
            line.write_all(&bytes).ok();
            drop(line);
        }
        assert!(fetch(&door).unwrap().is_none());
    })
    .await;
    assert!(!holding.is_held() && !holding.is_let_go());
}

#[tokio::test]
async fn a_socket_that_nobody_accepts_on_is_let_go_at_last() {
    let home = tempfile::tempdir().unwrap();
    let holding = Holding::open(&Paths::under(home.path())).unwrap();
    let (door, listener) = (holding.door().to_owned(), listener());
    let address = listener.local_addr().unwrap();
    beside(&holding, move || lend(&door, &listener).unwrap()).await;
    holding.expire();
    assert!(holding.has_expired() && !holding.is_held() && !holding.is_let_go());
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}
