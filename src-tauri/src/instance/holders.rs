//! Who holds the listening socket: a file for each in the state folder, for whoever starts a Leeward and would find the port
//! taken. Brings the socket to a holder's door, asks for it there, and says that it is to be let go. Holds nothing itself.

use super::{
    door::{self, Word},
    place::all_places,
    private::{create_private_dir, write_atomically},
    token::random_key,
};
use crate::{config::Paths, files};
use serde::{Deserialize, Serialize};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Holders answer in a fraction of a millisecond. One that was stopped with its agent does not, and there may be many: then
/// the port is taken, and another one is served.
const ASKED_WITHIN: Duration = Duration::from_secs(2);

/// A holder as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderEntry {
    /// Its process.
    pub pid: u32,
    /// Where it is asked.
    pub door: PathBuf,
    /// Which port's socket it holds, once it does.
    #[serde(default)]
    pub port: Option<u16>,
}

/// An entry that goes with its holder.
#[derive(Debug)]
pub(super) struct Registered {
    file: PathBuf,
    door: PathBuf,
}

impl Registered {
    pub(super) fn register(paths: &Paths, door: &Path) -> io::Result<Self> {
        let folder = paths.holders_dir();
        create_private_dir(&folder)?;
        let name = random_key()?;
        let file = folder.join(format!("{}.json", &name[..16]));
        let registered = Self { file, door: door.to_owned() };
        registered.write(None)?;
        Ok(registered)
    }

    /// The socket of this port is held from now on.
    pub(super) fn holds(&self, port: u16) {
        if let Err(why) = self.write(Some(port)) {
            tracing::debug!("which port is held is not written down: {why}");
        }
    }

    fn write(&self, port: Option<u16>) -> io::Result<()> {
        let entry = HolderEntry { pid: std::process::id(), door: self.door.clone(), port };
        write_atomically(&self.file, &serde_json::to_vec(&entry)?)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // One that stays is found out: nobody is behind its door.
        std::fs::remove_file(&self.file).ok();
    }
}

/// The entries, each with its file, wherever the state was kept when they came. What cannot be read is none.
fn entries(paths: &Paths) -> Vec<(PathBuf, HolderEntry)> {
    let folders = all_places(paths).into_iter().filter_map(|place| std::fs::read_dir(place.holders_dir()).ok());
    let files = folders.flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|file| file.extension().is_some_and(|e| e == "json"));
    files.filter_map(|file| Some((file.clone(), serde_json::from_slice(&files::read(&file).ok()?).ok()?))).collect()
}

/// Processes that hold the socket, as they say.
pub fn holders(paths: &Paths) -> Vec<HolderEntry> {
    entries(paths).into_iter().map(|(_, entry)| entry).collect()
}

/// The socket from one of its holders, of the address that is wanted where they hold several. See `held_sockets`.
pub fn held_socket(paths: &Paths, wanted: SocketAddr) -> Option<TcpListener> {
    held_sockets(paths, wanted).into_iter().next()
}

/// One socket of each address that is held, the one of the wanted address first. Entries of holders that are gone are removed.
/// For whoever has the state folder's lock. Called within a runtime, on a thread that may block; for two seconds at most.
pub fn held_sockets(paths: &Paths, wanted: SocketAddr) -> Vec<TcpListener> {
    let until = Instant::now() + ASKED_WITHIN;
    let mut held: Vec<(SocketAddr, TcpListener)> = Vec::new();
    let mut all = entries(paths);
    all.sort_by_key(|(_, entry)| entry.port != Some(wanted.port()));
    for (file, HolderEntry { pid, door, port }) in all {
        // Who does not say what it holds is asked until the wanted one is there.
        let is_known = held.iter().any(|(at, _)| port.map_or(*at == wanted, |port| at.port() == port));
        if is_known {
            continue;
        }
        if Instant::now() >= until {
            tracing::warn!("not every holder of the port was asked: some do not answer");
            break;
        }
        match fetch(&door) {
            Ok(Some(socket)) => match socket.local_addr() {
                Ok(at) if held.iter().all(|(known, _)| *known != at) => held.push((at, socket)),
                Ok(_) | Err(_) => {}
            },
            Ok(None) => {}
            Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                forget(&file, &door);
            }
            Err(why) => tracing::debug!("process {pid} was asked for the port: {why}"),
        }
    }
    held.sort_by_key(|(at, _)| *at != wanted);
    held.into_iter().map(|(_, socket)| socket).collect()
}

/// What a holder that was killed has left: its entry, and on Unix the socket of its door in a folder of its own.
fn forget(file: &Path, door: &Path) {
    std::fs::remove_file(file).ok();
    if std::fs::remove_file(door).is_ok()
        && let Some(folder) = door.parent()
    {
        std::fs::remove_dir(folder).ok();
    }
}

/// Asks the holder behind a door for the socket; `None` when it has none. Called within a runtime, on a thread that may block.
///
/// # Errors
/// When nobody is there, it is another user's process, or it does not answer.
pub fn fetch(door: &Path) -> io::Result<Option<TcpListener>> {
    let mut line = door::knock(door)?;
    door::send(&mut line, Word::Give, None)?;
    match door::receive(&mut line)? {
        (Word::Here, socket) => Ok(socket),
        (Word::None, _) => Ok(None),
        (word, _) => Err(unexpected(word)),
    }
}

/// Brings the socket to a door, to be held there. Called within a runtime, on a thread that may block.
///
/// # Errors
/// As `fetch`.
pub fn lend(door: &Path, socket: &TcpListener) -> io::Result<()> {
    let mut line = door::knock(door)?;
    door::send(&mut line, Word::Hold, Some(socket))?;
    done(&mut line)
}

/// Has the holder behind a door let go of the socket, and start no Leeward in its place. Called within a runtime, on a thread
/// that may block.
///
/// # Errors
/// As `fetch`.
pub fn let_go(door: &Path) -> io::Result<()> {
    let mut line = door::knock(door)?;
    door::send(&mut line, Word::LetGo, None)?;
    done(&mut line)
}

fn done(line: &mut door::Line) -> io::Result<()> {
    match door::receive(line)? {
        (Word::Done, _) => Ok(()),
        (word, _) => Err(unexpected(word)),
    }
}

fn unexpected(word: Word) -> io::Error {
    io::Error::other(format!("the holder said {word:?}"))
}
