//! The page of the benchmark: medians with their spread, ratios, and how each figure was taken.

use crate::{
    args,
    figure::{body, growth},
    machine::{self, Cores},
    peer::Peer,
    record::Record,
    table::{Table, figure},
};
use std::time::Duration;

/// The whole page as Markdown.
pub(super) fn page(record: &Record, peers: &[Box<dyn Peer>], args: &args::Bench, cores: Cores, took: Duration) -> String {
    let names: Vec<&str> = std::iter::once("direct")
        .chain(peers.iter().map(|peer| peer.name()))
        .chain(
            ["nginx-retry", "bare relay", "tinyproxy", "mitmproxy"]
                .into_iter()
                .filter(|name| peers.iter().all(|peer| peer.name() != *name)),
        )
        .collect();
    let mut out = String::from("# Benchmarks\n\n");
    out += &format!(
        "Made by `{}` on {}: {}; {} rounds, {} s a load, {:.0} min in all. The programs: {}.\n\n",
        args.field.said,
        machine::said("date", &["+%Y-%m-%d"]),
        machine::description(),
        args.rounds,
        args.seconds,
        took.as_secs_f64() / 60.0,
        peers.iter().map(|peer| format!("{} ({})", peer.name(), peer.version())).collect::<Vec<_>>().join(", "),
    );
    out += &format!(
        "The proxy runs alone on core {}, the upstream on core {}, the load on core {}. A figure is the median of the rounds, \
         in brackets the least and the largest. Absolute figures are this machine's; what counts is what stands beside them.\n",
        cores.proxy, cores.upstream, cores.load
    );
    let page = Page { record, names };
    for (title, text, figures) in SECTIONS {
        if figures.iter().any(|(key, ..)| record.has(key)) {
            out += &format!("\n## {title}\n\n{text}\n\n{}", page.table(figures));
        }
    }
    if record.has("growth rate/1") {
        out += &page.growth();
    }
    out += &page.bodies();
    out += &super::bars::table(record);
    out
}

/// Title, how it was measured, and the figures: key, heading, and what the value is divided by to be shown.
type Section = (&'static str, &'static str, &'static [(&'static str, &'static str, f64)]);

const MIB: f64 = 1024.0 * 1024.0;

const SECTIONS: &[Section] = &[
    (
        "Latency at one client",
        "One connection, a request of 1 KiB of JSON, a response of 1 KiB, the next as soon as it is there. \"Corrected\" counts \
         the requests that a pause kept from being sent (coordinated omission).",
        &[
            ("p50/1", "p50 µs", 1.0),
            ("p99/1", "p99 µs", 1.0),
            ("p99 corrected/1", "p99 corrected µs", 1.0),
            ("cpu/1", "CPU µs a request", 1.0),
        ],
    ),
    (
        "Throughput at 16 clients",
        "As many as come, 16 connections. Where the share of the load and the upstream is near 100 %, the proxy could do more \
         than it was asked for; its processor time a request then says by how much.",
        &[
            ("rate/16", "requests/s", 1.0),
            ("cpu/16", "CPU µs a request", 1.0),
            ("p50/16", "p50 µs", 1.0),
            ("p99/16", "p99 µs", 1.0),
            ("share of proxy/16", "proxy's core %", 0.01),
            ("share of upstream/16", "upstream's share %", 0.01),
            ("share of load/16", "load's share %", 0.01),
        ],
    ),
    (
        "Throughput at 64 clients",
        "The same with 64 connections.",
        &[
            ("rate/64", "requests/s", 1.0),
            ("cpu/64", "CPU µs a request", 1.0),
            ("p50/64", "p50 µs", 1.0),
            ("p99/64", "p99 µs", 1.0),
            ("share of proxy/64", "proxy's core %", 0.01),
            ("share of upstream/64", "upstream's share %", 0.01),
            ("share of load/64", "load's share %", 0.01),
        ],
    ),
    (
        "Streams",
        "Ten streams a round of 200 server-sent events, one a millisecond, in Anthropic's form; each event carries the time at \
         which it was sent, on the clock that all processes share.",
        &[
            ("first event", "first event µs", 1.0),
            ("event delay p50", "event delay p50 µs", 1.0),
            ("event delay p99", "event delay p99 µs", 1.0),
            ("stream cpu", "CPU µs an event", 1.0),
        ],
    ),
    (
        "Compressed streams",
        "The same in gzip, flushed behind each event, as APIs send it to agents that ask for it. All figures hold the client's \
         decoding; Leeward looks through a decoder of its own and passes the bytes as they are.",
        &[
            ("gzip first event", "first event µs", 1.0),
            ("gzip event delay p50", "event delay p50 µs", 1.0),
            ("gzip event delay p99", "event delay p99 µs", 1.0),
            ("gzip stream cpu", "CPU µs an event", 1.0),
        ],
    ),
    (
        "Request bodies",
        "One after the other on one connection: from the first byte sent to the last of a short response. nginx, Envoy and \
         Leeward read a body whole before they send it, so that it can be sent again; HAProxy and pingora pass it on as it comes.",
        &[
            ("body/1 KiB", "1 KiB µs", 1.0),
            ("body/100 KiB", "100 KiB µs", 1.0),
            ("body/1 MiB", "1 MiB µs", 1.0),
            ("body/10 MiB", "10 MiB ms", 1000.0),
        ],
    ),
    (
        "An agent's start",
        "Four requests at the same moment over HTTPS to an upstream 50 ms away (a link in the harness); direct means four TLS \
         connections of the agent's own. Before it, each proxy gets the `HEAD /api/hello` that agents send, and half a second. \
         Start is from the program's start to the first accepted connection.",
        &[("burst", "four responses ms", 1.0), ("start", "start to accepting ms", 1.0)],
    ),
    (
        "Tunnels",
        "A CONNECT and a TLS handshake through it, one after the other, to a server at no distance; direct has no CONNECT. Then \
         1 GiB from a source on the server's core. The bare relay is two threads that read and write 64 KiB; tinyproxy is \
         Debian's, where it is installed. Then 1,000 tunnels that have carried 1 KiB in each direction and rest for a second \
         (proportional memory).",
        &[
            ("tunnel handshake p50", "CONNECT and handshake p50 µs", 1.0),
            ("tunnel handshake p99", "p99 µs", 1.0),
            ("tunnel relay", "relayed MiB/s", MIB),
            ("an idle tunnel", "an idle tunnel KiB", 1024.0),
        ],
    ),
    (
        "Decrypted connections",
        "A server 50 ms away (a link in the harness), behind a company's proxy that leads every host to it; direct has neither \
         proxy. A first request is a new connection of an agent, its CONNECT and TLS handshake and one request, where there was \
         one before. Leeward has a host's certificate before it answers the CONNECT, so what the first one \
         of a host takes longer than later ones is what issuing it takes. mitmproxy asks the server before it answers.",
        &[
            ("intercept first request", "first request ms", 1.0),
            ("intercept handshake", "CONNECT and handshake ms", 1.0),
            ("intercept first answer", "first CONNECT of a host ms", 1.0),
            ("intercept later answer", "later ones ms", 1.0),
            ("intercept certificate", "difference ms", 1.0),
        ],
    ),
    (
        "Agent starts under resets",
        "Four requests at the same moment over HTTPS, a start every 0.4 s, at an edge that resets 40 % of all new connections \
         (half of them at accept, half in the TLS handshake); of the requests on a kept connection 20 % are reset and 20 % are \
         the last of their connection. Milliseconds until the last of the four is answered, and requests that failed. nginx \
         (`nginx-retry`, three tries) and Envoy (eleven, from 1 ms on) are told to send again.",
        &[
            ("resets 0 ms p50", "p50 ms", 1.0),
            ("resets 0 ms p90", "p90 ms", 1.0),
            ("resets 0 ms p99", "p99 ms", 1.0),
            ("resets 0 ms failed", "failed", 1.0),
        ],
    ),
    (
        "Agent starts under resets, 50 ms away",
        "The same over a link with a round trip of 50 ms.",
        &[
            ("resets 50 ms p50", "p50 ms", 1.0),
            ("resets 50 ms p90", "p90 ms", 1.0),
            ("resets 50 ms p99", "p99 ms", 1.0),
            ("resets 50 ms failed", "failed", 1.0),
        ],
    ),
    (
        "Memory",
        "Resident memory (pages shared by processes counted in each); a silent client has connected and said nothing, a kept \
         one has been answered once and keeps its connection (5,000 of each; proportional memory).",
        &[
            ("memory idle rss", "idle MiB", MIB),
            ("memory idle pss", "idle, proportional MiB", MIB),
            ("a silent client", "a silent client KiB", 1024.0),
            ("a kept client", "a kept client KiB", 1024.0),
            ("a resting client", "12 s later KiB", 1024.0),
            ("memory under load rss", "under load MiB", MIB),
            ("memory after rss", "after MiB", MIB),
        ],
    ),
    (
        "Idle",
        "All of them side by side for a minute, asked nothing. Leeward asks itself every 5 s whether it responds, and looks \
         after its accept loop and the clocks once a second.",
        &[("idle cpu", "CPU ms a minute", 1.0), ("idle wakeups", "wake-ups/s", 1.0)],
    ),
];

struct Page<'a> {
    record: &'a Record,
    names: Vec<&'a str>,
}

impl Page<'_> {
    /// A row for each program: medians, and for the first figure the ratio to Leeward's.
    fn table(&self, figures: &[(&str, &str, f64)]) -> String {
        let figures: Vec<_> = figures.iter().filter(|(key, ..)| self.record.has(key)).collect();
        let heads = figures.iter().map(|(_, head, _)| (*head).to_owned());
        let first = figures.first().map_or("", |figure| figure.0);
        let mut table = Table::new(std::iter::once(String::new()).chain(heads).chain(["first figure, Leeward's = 1".to_owned()]));
        for name in &self.names {
            if figures.iter().all(|(key, ..)| self.record.median(name, key).is_none()) {
                continue;
            }
            let cells = figures.iter().map(|(key, _, unit)| self.cell(name, key, *unit));
            let ours = self.record.median("leeward", first);
            let ratio = self.record.median(name, first).zip(ours).map(|(theirs, ours)| theirs / ours);
            table.row(std::iter::once((*name).to_owned()).chain(cells).chain([figure(ratio)]));
        }
        table.markdown()
    }

    fn cell(&self, name: &str, key: &str, unit: f64) -> String {
        let middle = figure(self.record.median(name, key).map(|value| value / unit));
        match self.record.spread(name, key) {
            Some((least, most)) if self.record.values(name, key).len() > 1 => {
                format!("{middle} ({}-{})", figure(Some(least / unit)), figure(Some(most / unit)))
            }
            _ => middle,
        }
    }

    fn growth(&self) -> String {
        let mut out = String::from(
            "\n## How cost grows with clients\n\nAll of them asking all the time; one run each. The first figure is requests a \
             second, the second the median latency in milliseconds, the third the proxy's processor time a request in µs.\n\n",
        );
        let heads = growth::CLIENTS.iter().map(|clients| format!("{clients}"));
        let mut table = Table::new(std::iter::once("clients".to_owned()).chain(heads));
        for name in &self.names {
            if self.record.median(name, "growth rate/1").is_none() {
                continue;
            }
            let cells = growth::CLIENTS.iter().map(|clients| {
                let value = |key: &str| self.record.median(name, &format!("growth {key}/{clients}"));
                let failed = value("failed").filter(|failed| *failed > 0.0).map_or(String::new(), |n| format!(", {n} failed"));
                let shown = [value("rate"), value("p50").map(|us| us / 1e3), value("cpu")].map(figure);
                format!("{}{failed}", shown.join(" / "))
            });
            table.row(std::iter::once((*name).to_owned()).chain(cells));
        }
        out += &table.markdown();
        out
    }

    /// What a body costs above an empty one, a MiB: the slope from 1 KiB to 10 MiB.
    fn bodies(&self) -> String {
        let [(least, first, _), .., (most, last, _)] = body::SIZES;
        let mut table = Table::new(["", "µs for each MiB of body"]);
        let mut any = false;
        for name in &self.names {
            let [small, large] = [first, last].map(|size| self.record.median(name, &format!("body/{size}")));
            let Some((small, large)) = small.zip(large) else { continue };
            any = true;
            table.row([(*name).to_owned(), figure(Some((large - small) / ((most - least) as f64 / MIB)))]);
        }
        if any { format!("\n## How cost grows with the body\n\n{}", table.markdown()) } else { String::new() }
    }
}
