//! The bars of tunnels and decrypted connections: what was measured, and whether it is enough.

use crate::{
    record::Record,
    table::{Table, figure},
};

/// What is measured, of it Leeward's figure, by whose other figure it is divided (none: it stands alone in its unit), and the bar.
struct Bar {
    what: &'static str,
    key: &'static str,
    beside: Option<&'static str>,
    unit: f64,
    limit: Limit,
}

/// At most, or at least.
enum Limit {
    Most(f64),
    Least(f64),
}

const BARS: [Bar; 5] = [
    Bar {
        what: "CONNECT and TLS handshake, direct = 1",
        key: "tunnel handshake p50",
        beside: Some("direct"),
        unit: 1.0,
        limit: Limit::Most(1.2),
    },
    Bar { what: "relay, bare relay = 1", key: "tunnel relay", beside: Some("bare relay"), unit: 1.0, limit: Limit::Least(0.8) },
    Bar { what: "an idle tunnel, KiB", key: "an idle tunnel", beside: None, unit: 1024.0, limit: Limit::Most(20.0) },
    Bar {
        what: "first decrypted request 50 ms away, direct = 1",
        key: "intercept first request",
        beside: Some("direct"),
        unit: 1.0,
        limit: Limit::Most(0.5),
    },
    Bar { what: "a host's certificate, ms", key: "intercept certificate", beside: None, unit: 1.0, limit: Limit::Most(5.0) },
];

/// The table; empty where none of it was measured.
pub(super) fn table(record: &Record) -> String {
    let mut table = Table::new(["Leeward", "measured", "bar", ""]);
    let mut any = false;
    for Bar { what, key, beside, unit, limit } in BARS {
        let Some(ours) = record.median("leeward", key) else { continue };
        let other = beside.map_or(Some(unit), |name| record.median(name, key));
        let Some(measured) = other.map(|other| ours / other) else { continue };
        any = true;
        let (bar, is_met) = match limit {
            Limit::Most(most) => (format!("at most {most}"), measured <= most),
            Limit::Least(least) => (format!("at least {least}"), measured >= least),
        };
        table.row([what.to_owned(), figure(Some(measured)), bar, if is_met { "met" } else { "missed" }.to_owned()]);
    }
    if any {
        format!("\n## Bars of tunnels and decrypted connections\n\nMedians.\n\n{}", table.markdown())
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_or_missed_and_what_was_not_measured_is_left_out() {
        let mut record = Record::default();
        assert_eq!(table(&record), "");
        for (peer, key, value) in [
            ("leeward", "tunnel handshake p50", 110.0),
            ("direct", "tunnel handshake p50", 100.0),
            ("leeward", "tunnel relay", 70.0),
            ("bare relay", "tunnel relay", 100.0),
            ("leeward", "an idle tunnel", 10.0 * 1024.0),
            ("leeward", "intercept first request", 60.0),
        ] {
            record.add(peer, key, value);
        }
        let shown = table(&record);
        let verdicts: Vec<_> = shown.lines().filter_map(|line| line.split('|').nth(4).map(str::trim)).collect();
        assert_eq!(verdicts[2..], ["met", "missed", "met"], "{shown}");
    }
}
