//! What was measured: for each proxy and figure one value a round. Medians and spread are made from it, nothing is thrown
//! away.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Values by figure and proxy, in the order of the rounds.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Record(BTreeMap<String, BTreeMap<String, Vec<f64>>>);

impl Record {
    /// One more value.
    pub(crate) fn add(&mut self, peer: &str, figure: &str, value: f64) {
        self.0.entry(figure.to_owned()).or_default().entry(peer.to_owned()).or_default().push(value);
    }

    /// What another record holds, after what is here.
    pub(crate) fn merge(&mut self, other: Self) {
        for (figure, peers) in other.0 {
            let here = self.0.entry(figure).or_default();
            peers.into_iter().for_each(|(peer, values)| here.entry(peer).or_default().extend(values));
        }
    }

    /// The figures of an earlier run that this one has none of.
    pub(crate) fn fill_up(&mut self, earlier: Self) {
        for (figure, peers) in earlier.0 {
            self.0.entry(figure).or_insert(peers);
        }
    }

    /// All values of a figure.
    pub(crate) fn values(&self, peer: &str, figure: &str) -> &[f64] {
        self.0.get(figure).and_then(|peers| peers.get(peer)).map_or(&[], Vec::as_slice)
    }

    /// The middle value; of an even number the mean of both.
    pub(crate) fn median(&self, peer: &str, figure: &str) -> Option<f64> {
        median(self.values(peer, figure))
    }

    /// The smallest and the largest value.
    pub(crate) fn spread(&self, peer: &str, figure: &str) -> Option<(f64, f64)> {
        let values = self.values(peer, figure);
        let least = values.iter().copied().reduce(f64::min)?;
        Some((least, values.iter().copied().reduce(f64::max)?))
    }

    /// True when any proxy has this figure.
    pub(crate) fn has(&self, figure: &str) -> bool {
        self.0.contains_key(figure)
    }
}

/// The middle value; of an even number the mean of both.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spread() {
        let mut record = Record::default();
        [3.0, 1.0, 2.0].into_iter().for_each(|value| record.add("nginx", "rate", value));
        assert_eq!(record.median("nginx", "rate"), Some(2.0));
        assert_eq!(record.spread("nginx", "rate"), Some((1.0, 3.0)));
        record.add("nginx", "rate", 9.0);
        assert_eq!(record.median("nginx", "rate"), Some(2.5));
        assert_eq!(record.median("haproxy", "rate"), None);
        assert!(record.has("rate") && !record.has("latency"));
    }

    #[test]
    fn an_earlier_run_fills_what_this_one_left_out() {
        let record = |figure: &str, value| {
            let mut record = Record::default();
            record.add("leeward", figure, value);
            record
        };
        let mut now = record("p50", 1.0);
        let mut earlier = record("p50", 9.0);
        earlier.merge(record("idle", 2.0));
        let read = serde_json::from_str(&serde_json::to_string(&earlier).unwrap()).unwrap();
        now.fill_up(read);
        assert_eq!((now.values("leeward", "p50"), now.values("leeward", "idle")), (&[1.0][..], &[2.0][..]));
    }
}
