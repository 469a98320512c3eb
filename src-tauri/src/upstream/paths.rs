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

/// A path that broke a post-quantum hello is asked again after this: one reset that had another reason must not cost the
/// protection against recorded traffic for longer.
const ASK_AGAIN: Duration = Duration::from_secs(60 * 60);
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
    /// Hosts whose path broke a post-quantum hello, and when it is asked again.
    classical: Recent<(Name, String), Instant>,
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
            Some(until) if *until > now => Share::Classical,
            Some(until) => {
                *until = now + ASKING;
                Share::PostQuantum
            }
            None => Share::PostQuantum,
        }
    }

    /// A hello of this kind went through; `instead`: after a post-quantum one to the same address had failed.
    pub(super) fn passed(&self, host: &str, share: Share, instead: bool) {
        let (network, mut known) = self.known();
        match share {
            Share::PostQuantum => known.classical.remove(&(network, host.to_owned())),
            Share::Classical if instead => {
                known.classical.put((network, host.to_owned()), Instant::now() + ASK_AGAIN);
                tracing::info!("the way to {host} breaks post-quantum TLS hellos; classical ones are sent for {ASK_AGAIN:?}");
            }
            Share::Classical => {}
        }
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
mod tests {
    use super::*;

    const HOST: (&str, u16) = ("api", 443);

    fn cache() -> (watch::Sender<Network>, PathCache) {
        let (send, receive) = watch::channel(Network::default());
        (send, PathCache::new(receive))
    }

    fn list(text: &[&str]) -> Vec<SocketAddr> {
        text.iter().map(|a| a.parse().unwrap()).collect()
    }

    fn won(cache: &PathCache, won: &str, failed: &[&str]) {
        let quarantine = Duration::from_secs(60);
        cache.ended(&Ended { host: HOST, won: won.parse().unwrap(), failed: &list(failed), quarantine });
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_beside_a_good_one_goes_last_for_a_while() {
        let (_network, cache) = cache();
        let all = list(&["1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1"]);
        assert_eq!(cache.order(HOST, all.clone()), all);
        won(&cache, "1.1.1.3:1", &["1.1.1.1:1"]);
        assert_eq!(cache.order(HOST, all.clone()), list(&["1.1.1.3:1", "1.1.1.2:1", "1.1.1.1:1"]));
        assert_eq!(cache.order(HOST, list(&["1.1.1.1:1"])), list(&["1.1.1.1:1"]), "all are tried when all rest");
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(cache.order(HOST, all.clone()), list(&["1.1.1.3:1", "1.1.1.1:1", "1.1.1.2:1"]));
        won(&cache, "1.1.1.1:1", &[]);
        assert_eq!(cache.order(HOST, all.clone()), all);
    }

    #[tokio::test(start_paused = true)]
    async fn a_family_rests_for_every_host_until_it_works_or_the_network_changes() {
        let (network, cache) = cache();
        won(&cache, "1.1.1.1:1", &["[::1]:1", "[::2]:1"]);
        let other = list(&["[::9]:7", "9.9.9.9:7"]);
        assert_eq!(cache.order(("other", 7), other.clone()), list(&["9.9.9.9:7", "[::9]:7"]));
        network.send_replace(Network { epoch: 1, fingerprint: 0 });
        assert_eq!(cache.order(("other", 7), other.clone()), other);
        assert_eq!(cache.order(HOST, list(&["[::1]:1", "1.1.1.1:1"])), list(&["[::1]:1", "1.1.1.1:1"]), "good there, not here");
        assert_eq!(cache.last_good(HOST), Some("1.1.1.1:1".parse().unwrap()), "and still where to look without DNS");
        won(&cache, "1.1.1.1:1", &["[::1]:1"]);
        won(&cache, "[::9]:7", &[]);
        assert_eq!(cache.order(("other", 7), other.clone()), other, "a success ends the rest of its family");
    }

    #[tokio::test(start_paused = true)]
    async fn classical_hellos_belong_to_a_network_and_end() {
        let (network, cache) = cache();
        let at = |epoch, fingerprint| network.send_replace(Network { epoch, fingerprint });
        at(1, 77);
        assert_eq!(cache.share("api"), Share::PostQuantum);
        cache.passed("api", Share::Classical, true);
        assert_eq!((cache.share("api"), cache.share("other")), (Share::Classical, Share::PostQuantum));
        at(2, 78);
        assert_eq!(cache.share("api"), Share::PostQuantum, "another network");
        at(3, 77);
        assert_eq!(cache.share("api"), Share::Classical, "the same network again");
        tokio::time::advance(ASK_AGAIN).await;
        assert_eq!(cache.share("api"), Share::PostQuantum, "asked again, by one dial");
        assert_eq!(cache.share("api"), Share::Classical);
        cache.passed("api", Share::PostQuantum, false);
        assert_eq!(cache.share("api"), Share::PostQuantum, "it passes now");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_network_is_known_by_its_epoch() {
        let (network, cache) = cache();
        cache.passed("api", Share::Classical, true);
        cache.stalled("1.1.1.1:443".parse().unwrap());
        assert_eq!(cache.share("api"), Share::Classical);
        assert_eq!(cache.segment("1.1.1.1:80".parse().unwrap()), Some(SMALL_SEGMENT));
        network.send_replace(Network { epoch: 1, fingerprint: 0 });
        assert_eq!(cache.share("api"), Share::PostQuantum);
        assert_eq!(cache.segment("1.1.1.1:80".parse().unwrap()), None);
    }

    #[tokio::test]
    async fn without_quarantine_nothing_rests_and_lists_stay_short() {
        let (_network, cache) = cache();
        let all = list(&["1.1.1.1:1", "1.1.1.2:1"]);
        let failed = list(&["1.1.1.1:1"]);
        cache.ended(&Ended { host: ("x", 1), won: all[1], failed: &failed, quarantine: Duration::ZERO });
        assert_eq!(cache.order(HOST, all.clone()), all);
        for n in 0..2 * MOST {
            cache.passed(&format!("host-{n}"), Share::Classical, true);
        }
        assert_eq!(cache.known().1.classical.0.len(), MOST);
    }
}
