//! Finds the Leeward that serves here: the state folder's lock is held, the system names our own user as the owner of the
//! listener at the recorded address, and whoever answers there proves that it has the control token. Until then nothing is
//! sent. Starts nothing.

use super::{
    address::reachable,
    client::{Client, ClientError, PROVEN_WITHIN, Proven},
    holder::is_held_by,
    lock::Lock,
    place::serving_from,
    record::{Record, read_record},
};
use crate::{
    config::{Config, Paths},
    socket_owner::{self, Owner},
};
use std::{net::SocketAddr, time::Duration};
use tokio::time::sleep;

/// Limit of a proof that decides whether there is an instance.
pub(super) const FOUND_WITHIN: Duration = PROVEN_WITHIN;

/// Between two looks whether the one that was asked has ended.
const LOOK: Duration = Duration::from_millis(50);

/// The instance that serves from these files and has proved it; `None` when none does.
///
/// # Errors
/// When the instance is there and does not answer, somebody else answers in its place, or the token cannot be used.
pub async fn running(config: &Config) -> Result<Option<Client>, ClientError> {
    match look(config, FOUND_WITHIN).await? {
        Seen::Ours(client) => Ok(Some(client)),
        Seen::Silent(record) => hangs(record).await.map_or(Ok(None), Err),
        Seen::Stranger(record, why) => Err(ClientError::Stranger { address: record.address, why }),
        Seen::Nobody => Ok(None),
    }
}

/// The instance that serves from these files at this address as well, which its record may not name: it serves those from before
/// for as long as somebody uses them.
///
/// # Errors
/// As `running`.
pub async fn running_at(config: &Config, address: SocketAddr) -> Result<Option<Client>, ClientError> {
    match look_at(config, FOUND_WITHIN, Some(address)).await? {
        Seen::Ours(client) => Ok(Some(client)),
        Seen::Silent(_) | Seen::Stranger(..) | Seen::Nobody => Ok(None),
    }
}

/// What there is at the address of the record.
pub(super) enum Seen {
    /// The instance of the state folder.
    Ours(Client),
    /// Somebody who accepts a connection and says nothing.
    Silent(Record),
    /// Somebody else, and how that was seen.
    Stranger(Record, String),
    /// Nobody.
    Nobody,
}

pub(super) async fn look(config: &Config, limit: Duration) -> Result<Seen, ClientError> {
    look_at(config, limit, None).await
}

/// As `look`, at another address than the record's.
async fn look_at(config: &Config, limit: Duration, other: Option<SocketAddr>) -> Result<Seen, ClientError> {
    let paths = &serving_from(&config.paths);
    let Some(mut record) = read_record(paths) else { return Ok(Seen::Nobody) };
    if is_stale(paths) {
        return Ok(Seen::Nobody);
    }
    record.address = reachable(other.unwrap_or(record.address));
    let address = record.address;
    let owner = tokio::task::spawn_blocking(move || socket_owner::of_listener(address)).await;
    match owner.unwrap_or_else(|e| Owner::Unknown(e.to_string())) {
        Owner::Other(user) => {
            let of = user.map_or_else(String::new, |user| format!(" ({user})"));
            return Ok(Seen::Stranger(record, format!("it belongs to another user{of}")));
        }
        Owner::Nobody => return Ok(Seen::Nobody),
        // The proof decides alone where the system does not say.
        Owner::Own | Owner::Unknown(_) => {}
    }
    let client = match Client::within(limit, record.address, paths) {
        Err(ClientError::NotRunning(_)) => return Ok(Seen::Nobody),
        client => client?.with_client_token(config.client_token.clone()),
    };
    let proven = tokio::select! {
        proven = client.prove() => proven,
        // Whoever was asked may be ended meanwhile, and the question waits in a queue that others hold.
        () = ended(paths) => Proven::Nobody,
    };
    Ok(match proven {
        Proven::Ours => Seen::Ours(client),
        Proven::Silent => Seen::Silent(record),
        Proven::Stranger(why) => Seen::Stranger(record, why),
        Proven::Nobody => Seen::Nobody,
    })
}

/// Returns once nobody holds the lock.
async fn ended(paths: &Paths) {
    loop {
        sleep(LOOK).await;
        if is_stale(paths) {
            return;
        }
    }
}

/// True where nobody holds the lock: the record's process is gone, whoever answers at its address, and the record goes too.
/// Where the lock cannot be asked (a folder that became read-only) the proof alone decides.
fn is_stale(paths: &Paths) -> bool {
    Lock::acquire_now(paths).is_ok()
}

/// What to report of one that says nothing, if it is the process of the record. The system names a user's own processes.
pub(super) async fn hangs(Record { pid, address, .. }: Record) -> Option<ClientError> {
    let held = tokio::task::spawn_blocking(move || is_held_by(address, pid));
    let why = || {
        let waited = FOUND_WITHIN.as_secs();
        format!("process {pid} accepts there and said nothing for {waited} s; if that goes on, end it and start Leeward again")
    };
    held.await.unwrap_or(false).then(|| ClientError::Broken { address, why: why() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        instance::{create_token, write_record},
        proof::{Challenge, PATH},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    /// Of a home of its own, whose record names this process and a listener of it.
    async fn recorded() -> (tempfile::TempDir, Config, Lock, TcpListener) {
        let home = tempfile::tempdir().unwrap();
        let config = Config::under(home.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (pid, address) = (std::process::id(), listener.local_addr().unwrap());
        let lock = Lock::acquire(&config.paths).unwrap();
        create_token(&config.paths).unwrap();
        write_record(&config.paths, &Record { pid, address, version: "1".into(), started_unix_ms: 1 }).unwrap();
        (home, config, lock, listener)
    }

    /// The head of the next request on a connection.
    async fn head(client: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && client.read_buf(&mut head).await.is_ok_and(|n| n > 0) {}
        String::from_utf8(head).unwrap()
    }

    async fn answer(client: &mut TcpStream, body: &str) {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        // Whoever has heard enough may be gone.
        client.write_all(format!("{head}{body}").as_bytes()).await.ok();
    }

    /// What whoever holds `token` at `address` answers to a request for its proof.
    fn proof(asked: &str, token: &crate::config::Secret, address: std::net::SocketAddr) -> String {
        let challenge = asked.split_once(&format!("GET {PATH}?challenge=")).unwrap().1.split(' ').next().unwrap();
        format!("{{\"proof\":\"{}\"}}", Challenge::parse(challenge).unwrap().answer(token, address))
    }

    #[tokio::test]
    async fn an_instance_that_a_busy_machine_makes_wait_is_found_on_the_connection_that_it_proved() {
        let (_home, config, _lock, listener) = recorded().await;
        let (token, address) = (crate::instance::read_token(&config.paths).unwrap(), listener.local_addr().unwrap());
        let serve = async {
            let (mut client, _) = listener.accept().await.unwrap();
            let asked = head(&mut client).await;
            assert!(!asked.contains(token.reveal()), "nothing is sent before the proof");
            // Many times as long as a machine takes that has nothing else to do.
            sleep(Duration::from_secs(1)).await;
            answer(&mut client, &proof(&asked, &token, address)).await;
            let then = head(&mut client).await;
            assert!(then.starts_with("GET /livez ") && then.contains(token.reveal()), "the same connection carries the rest");
            answer(&mut client, "ok").await;
            client
        };
        let (found, _client) = tokio::join!(running(&config), serve);
        assert_eq!(found.unwrap().map(|client| client.address()), Some(address));
    }

    #[tokio::test]
    async fn a_stranger_at_the_recorded_address_gets_nothing() {
        let (_home, config, lock, listener) = recorded().await;
        let config = Config { client_token: Some(crate::config::Secret::new("c".repeat(20))), ..config };
        let (token, address) = (crate::instance::read_token(&config.paths).unwrap(), listener.local_addr().unwrap());
        let other = crate::config::Secret::new("0".repeat(64));
        let elsewhere = "127.0.0.1:1".parse().unwrap();
        let heard = proof(&format!("GET {PATH}?challenge={} ", "0".repeat(64)), &token, address);
        type Answer<'a> = Box<dyn Fn(&str) -> String + 'a>;
        let answers: [(&str, Answer<'_>); 6] = [
            ("it says that it is one", Box::new(|_| format!("{{\"pid\":{}}}", std::process::id()))),
            ("another token", Box::new(|asked| proof(asked, &other, address))),
            ("passed on to the true one, which is elsewhere", Box::new(|asked| proof(asked, &token, elsewhere))),
            ("heard before", Box::new(|_| heard.clone())),
            ("nothing", Box::new(|_| String::new())),
            ("too much", Box::new(|_| "x".repeat(1 << 16))),
        ];
        for (what, reply) in answers {
            let serve = async {
                let (mut client, _) = listener.accept().await.unwrap();
                let asked = head(&mut client).await;
                answer(&mut client, &reply(&asked)).await;
                let more = head(&mut client).await;
                (asked, more)
            };
            let (found, (asked, more)) = tokio::join!(running(&config), serve);
            assert!(matches!(found, Err(ClientError::Stranger { .. })), "{what}: {found:?}");
            assert!(!asked.contains(token.reveal()) && !asked.contains("cccc"), "{what}: {asked}");
            assert_eq!(more, "", "{what}");
        }
        drop(lock);
        assert!(running(&config).await.unwrap().is_none(), "without a lock nobody serves, whoever answers");
        assert_eq!(read_record(&config.paths), None, "a stale record goes");
    }

    #[tokio::test]
    async fn an_instance_that_hangs_is_not_said_to_be_none() {
        let (_home, config, _lock, listener) = recorded().await;
        let told = running(&config).await.unwrap_err().to_string();
        let (address, pid) = (listener.local_addr().unwrap(), std::process::id());
        assert!(told.contains(&address.to_string()) && told.contains(&format!("process {pid} accepts there")), "{told}");
        drop(listener);
        assert!(running(&config).await.unwrap().is_none());
    }
}
