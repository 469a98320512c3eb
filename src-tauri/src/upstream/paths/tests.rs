//! What is remembered of the paths, for how long, and for which network.

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
    convince(&cache);
    assert_eq!((cache.share("api"), cache.share("other")), (Share::Classical, Share::PostQuantum));
    at(2, 78);
    assert_eq!(cache.share("api"), Share::PostQuantum, "another network");
    at(3, 77);
    assert_eq!(cache.share("api"), Share::Classical, "the same network again");
    tokio::time::advance(ASK_AGAIN[0]).await;
    assert_eq!(cache.share("api"), Share::PostQuantum, "asked again, by one dial");
    assert_eq!(cache.share("api"), Share::Classical);
    cache.passed("api", Share::PostQuantum, None);
    assert_eq!(cache.share("api"), Share::PostQuantum, "it passes now");
}

/// Where resets come at random, a large hello goes through now and then.
#[tokio::test(start_paused = true)]
async fn a_few_resets_say_nothing_against_large_hellos() {
    let (_network, cache) = cache();
    for _ in 0..10 {
        cache.passed("api", Share::Classical, Some(Broken::Reset));
        cache.passed("api", Share::Classical, Some(Broken::Reset));
        assert_eq!(cache.share("api"), Share::PostQuantum);
        cache.passed("api", Share::PostQuantum, None);
    }
    cache.passed("api", Share::Classical, None);
    assert_eq!(cache.share("api"), Share::PostQuantum, "nobody had asked");
    cache.passed("api", Share::Classical, Some(Broken::Swallowed));
    assert_eq!(cache.share("api"), Share::Classical, "silence costs too much to ask three times");
}

/// A path that breaks them for good is asked less and less often.
#[tokio::test(start_paused = true)]
async fn large_hellos_are_tried_again_soon_and_then_less_often() {
    let (_network, cache) = cache();
    convince(&cache);
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        let pause = Duration::from_secs(60 * minutes);
        tokio::time::advance(pause - Duration::from_secs(1)).await;
        assert_eq!(cache.share("api"), Share::Classical, "{minutes}");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.share("api"), Share::PostQuantum, "{minutes}");
        cache.passed("api", Share::Classical, Some(Broken::Reset));
    }
}

fn convince(cache: &PathCache) {
    for _ in 0..CONVINCED {
        cache.passed("api", Share::Classical, Some(Broken::Reset));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_network_is_known_by_its_epoch() {
    let (network, cache) = cache();
    convince(&cache);
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
        cache.passed(&format!("host-{n}"), Share::Classical, Some(Broken::Swallowed));
    }
    assert_eq!(cache.known().1.classical.0.len(), MOST);
}
