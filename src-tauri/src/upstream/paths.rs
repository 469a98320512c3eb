//! What is known of the ways to the upstreams: which address was good, which is tried last, where post-quantum hellos
//! break and where large packets vanish. Outlives generations; bounded; all of it belongs to one network.
//!
//! Remembers and orders only. Dials nothing, and what it knows wrong costs an attempt, never a request.

use crate::network::Network;
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// A path that breaks post-quantum hellos is asked again after this, each time after twice as long, and at the latest after
/// an hour: resets that had another reason must not cost the protection against recorded traffic for long.
const ASK_AGAIN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(60 * 60)];
/// So much must speak against post-quantum hellos before they are left out: three resets, each followed by a classical hello
/// that went through, or one that was swallowed. A large hello that goes through in between wipes it out.
const CONVINCED: u8 = 3;
/// One dial asks again; the others go on without for this long, so that a path which swallows the hello costs one wait.
const ASKING: Duration = Duration::from_secs(60);
/// Entries of each list; the oldest one goes. Few machines ever know a tenth of it.
const MOST: usize = 256;
/// Segment size after large packets vanished: what passes wherever IPv6 does (1280 bytes, RFC 8200 section 5), less the
/// headers of IP and TCP with their options and room for a tunnel's.
const SMALL_SEGMENT: u32 = 1180;

/// Which key shares a hello carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// X25519MLKEM768 and classical ones: about 1.7 kB, so two segments.
    PostQuantum,
    /// Classical ones only.
    Classical,
}

/// How a post-quantum hello failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The connection broke, which has many reasons.
    Reset,
    /// It was never answered, where a classical one was.
    Swallowed,
}

impl Broken {
    fn weight(self) -> u8 {
        match self {
            Self::Reset => 1,
            Self::Swallowed => CONVINCED,
        }
    }
}

/// The same network again has the same name, also after a restart of its interface; an unknown one is known by its epoch.
type Name = (u64, u64);

fn name(network: Network) -> Name {
    (network.fingerprint, if network.fingerprint == 0 { network.epoch } else { 0 })
}

/// The ways, as one engine knows them.
#[derive(Debug)]
pub(crate) struct PathCache {
    network: watch::Receiver<Network>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The network's epoch that quarantine and good addresses belong to.
    epoch: u64,
    /// Hosts whose path breaks post-quantum hellos, when it is asked again, and after how long the next time.
    classical: Recent<(Name, String), (Instant, Duration)>,
    /// What speaks against a host's path, as long as that is not enough.
    doubts: Recent<(Name, String), u8>,
    /// Addresses that failed while another one worked, and until when they go last.
    resting: Recent<SocketAddr, Instant>,
    /// The same for all of IPv4 and all of IPv6.
    families: [Option<Instant>; 2],
    /// Where the last connection to a host and port went, and in which epoch.
    good: Recent<(String, u16), (SocketAddr, u64)>,
    /// Addresses on whose way large packets vanished.
    small: Recent<(Name, IpAddr), ()>,
}

/// How a dial went.
#[derive(Debug)]
pub(super) struct Ended<'a> {
    /// Host and port that were resolved.
    pub(super) host: (&'a str, u16),
    /// What worked.
    pub(super) won: SocketAddr,
    /// What did not, before something else worked.
    pub(super) failed: &'a [SocketAddr],
    /// How long they go last.
    pub(super) quarantine: Duration,
}

impl PathCache {
    pub(crate) fn new(network: watch::Receiver<Network>) -> Self {
        Self { network, known: Mutex::default() }
    }

    /// The lock, with nothing behind it that belongs to a network which is gone.
    fn known(&self) -> (Name, MutexGuard<'_, Known>) {
        let network = *self.network.borrow();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch != network.epoch {
            known.epoch = network.epoch;
            known.resting = Recent::default();
            known.families = [None; 2];
        }
        (name(network), known)
    }

    /// The order to try them in: what rests goes last, the last good one first, else as they came.
    pub(super) fn order(&self, host: (&str, u16), mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let (_, known) = self.known();
        let now = Instant::now();
        let good = known.good.get(&(host.0.to_owned(), host.1)).filter(|(_, epoch)| *epoch == known.epoch).map(|(a, _)| *a);
        let rests = |a: &SocketAddr| {
            known.resting.get(a).is_some_and(|until| *until > now) || known.families[family(a)].is_some_and(|until| until > now)
        };
        addresses.sort_by_cached_key(|a| (rests(a), good != Some(*a)));
        addresses
    }

    /// Where the last connection to this host and port went, on whatever network.
    pub(super) fn last_good(&self, host: (&str, u16)) -> Option<SocketAddr> {
        self.known().1.good.get(&(host.0.to_owned(), host.1)).map(|(a, _)| *a)
    }

    /// Takes a dial's end into account.
    pub(super) fn ended(&self, ended: &Ended<'_>) {
        let Ended { host, won, failed, quarantine } = ended;
        let (_, mut known) = self.known();
        let epoch = known.epoch;
        known.good.put((host.0.to_owned(), host.1), (*won, epoch));
        known.resting.remove(won);
        known.families[family(won)] = None;
        if quarantine.is_zero() {
            return;
        }
        let until = Instant::now() + *quarantine;
        for address in failed.iter().filter(|a| *a != won) {
            known.resting.put(*address, until);
            if family(address) != family(won) {
                known.families[family(address)] = Some(until);
            }
        }
    }

    /// What the first hello to this host carries.
    pub(super) fn share(&self, host: &str) -> Share {
        let (network, mut known) = self.known();
        let now = Instant::now();
        match known.classical.get_mut(&(network, host.to_owned())) {
            Some((until, _)) if *until > now => Share::Classical,
            Some((until, _)) => {
                *until = now + ASKING;
                Share::PostQuantum
            }
            None => Share::PostQuantum,
        }
    }

    /// A hello of this kind went through; `after`: what became of a post-quantum one to the same address before it.
    pub(super) fn passed(&self, host: &str, share: Share, after: Option<Broken>) {
        let (network, mut known) = self.known();
        let key = (network, host.to_owned());
        let Some(broken) = after.filter(|_| share == Share::Classical) else {
            if share == Share::PostQuantum {
                known.classical.remove(&key);
                known.doubts.remove(&key);
            }
            return;
        };
        let before = known.classical.get(&key).map(|(_, pause)| *pause);
        let doubts = known.doubts.get(&key).copied().unwrap_or_default() + broken.weight();
        if before.is_none() && doubts < CONVINCED {
            known.doubts.put(key, doubts);
            return;
        }
        let pause = before.map_or(ASK_AGAIN[0], |pause| (pause * 2).min(ASK_AGAIN[1]));
        known.doubts.remove(&key);
        known.classical.put(key, (Instant::now() + pause, pause));
        tracing::info!("the way to {host} breaks post-quantum TLS hellos; classical ones are sent for {pause:?}");
    }

    /// A request stalled on its way to this address.
    pub(super) fn stalled(&self, address: SocketAddr) {
        let (network, mut known) = self.known();
        known.small.put((network, address.ip()), ());
    }

    /// The segment size to ask for; `None`: the system's own.
    pub(super) fn segment(&self, address: SocketAddr) -> Option<u32> {
        let (network, known) = self.known();
        known.small.get(&(network, address.ip())).map(|()| SMALL_SEGMENT)
    }
}

fn family(address: &SocketAddr) -> usize {
    usize::from(address.is_ipv6())
}

/// A short list, the newest entry last; looked through from end to end, which at this length is faster than hashing.
#[derive(Debug)]
struct Recent<K, V>(Vec<(K, V)>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, V> Recent<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    fn remove(&mut self, key: &K) {
        self.0.retain(|(k, _)| k != key);
    }

    fn put(&mut self, key: K, value: V) {
        self.remove(&key);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push((key, value));
    }
}

#[cfg(test)]
mod tests;
