//! The Prometheus text format (version 0.0.4) of status and traffic. Names are public and stable.

use crate::status::{
    Status,
    faults::Cause,
    stats::{Percentiles, Stats},
    tunnels::TunnelStats,
    websockets::WebSocketStats,
};
use std::collections::BTreeMap;
use std::fmt::{Display, Write};

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        writeln!(self.0, "# HELP leeward_{name} {help}\n# TYPE leeward_{name} {kind}").ok();
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let escaped = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(self.0, "leeward_{name}{labels} {value}").ok();
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn labelled<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.family(name, kind, help);
        for (key, value) in values {
            self.sample(name, &[(label, key)], value);
        }
    }

    /// Phase and owner are labels of the same samples, so that one family can be summed by any of the three.
    fn faults(&mut self, name: &str, help: &str, counts: &BTreeMap<&str, u64>) {
        self.family(name, "counter", help);
        for cause in Cause::ALL {
            let labels = [("cause", cause.as_str()), ("phase", cause.phase().as_str()), ("whose", cause.whose().as_str())];
            self.sample(name, &labels, counts.get(cause.as_str()).copied().unwrap_or_default());
        }
    }

    fn summary(&mut self, name: &str, help: &str, p: &Percentiles) {
        self.family(name, "summary", help);
        for (quantile, ms) in [("0.5", p.p50), ("0.9", p.p90), ("0.99", p.p99), ("1", p.max)] {
            self.sample(name, &[("quantile", quantile)], ms / 1e3);
        }
        self.sample(&format!("{name}_count"), &[], p.count);
    }
}

pub(super) fn text(status: &Status, stats: &Stats) -> String {
    let mut t = Text(String::with_capacity(4096));
    let listener = &status.listener;
    t.family("info", "gauge", "Version and address.");
    t.sample("info", &[("version", &status.version), ("address", &listener.address)], 1);
    t.single("up", "gauge", "1 while the listener accepts.", u8::from(listener.accepting));
    t.single("generation", "gauge", "Number of the engine's generation.", status.generation);
    t.single("start_time_seconds", "gauge", "Start of the process, seconds since 1970.", status.started_unix_ms as f64 / 1e3);
    t.single("accepted_total", "counter", "Client connections accepted.", listener.accepted);
    t.single("accept_errors_total", "counter", "Accepts that failed; each cost one connection at most.", listener.accept_errors);
    t.single("rebinds_total", "counter", "Times the listening socket was bound again.", listener.rebinds);
    t.single("client_connections", "gauge", "Client connections open.", listener.connections);
    t.single("over_cap_total", "counter", "Connections answered 503 for the cap.", listener.over_cap);
    t.single("sessions", "gauge", "Open wrap sessions.", status.sessions.len());
    if let Some(probe) = &status.probe {
        t.single("probe_ok", "gauge", "1 when the last self-probe was answered.", u8::from(probe.ok));
        t.single("probe_time_seconds", "gauge", "When it ended, seconds since 1970.", probe.at_unix_ms as f64 / 1e3);
    }
    t.labelled(
        "condition",
        "gauge",
        "1 for each condition that stands.",
        "code",
        status.conditions.iter().map(|c| (c.code.as_str(), 1)),
    );
    t.single("requests_total", "counter", "Requests that arrived.", stats.requests);
    t.single("requests_in_flight", "gauge", "Requests being answered.", stats.in_flight);
    t.labelled(
        "outcomes_total",
        "counter",
        "Requests by how they ended.",
        "outcome",
        stats.outcomes.iter().map(|(k, v)| (*k, *v)),
    );
    t.faults("retried_total", "Faults after which Leeward tried again.", &stats.retried);
    t.faults("failed_total", "Faults with which a request failed.", &stats.failed);
    t.single("requests_rescued_total", "counter", "Requests that met a fault and still ended well.", stats.rescued);
    t.single("requests_failed_total", "counter", "Requests whose agents saw an error or a broken response.", stats.failed_total);
    t.single("replays_total", "counter", "Requests sent again after they had reached the upstream.", stats.replays);
    t.single(
        "replays_unknown_total",
        "counter",
        "Those of them whose first sending may have been processed.",
        stats.replays_unknown,
    );
    t.single(
        "unknown_inference_total",
        "counter",
        "Requests that name a model and whose path is no known inference API.",
        stats.unknown_inference,
    );
    t.labelled(
        "exchanges_total",
        "counter",
        "Requests by the connection they went on.",
        "connection",
        [("reused", stats.pool.reused), ("fresh", stats.pool.fresh)],
    );
    t.single("dials_total", "counter", "Upstream connection attempts.", stats.pool.dials);
    t.single("dial_failures_total", "counter", "Those that failed.", stats.pool.dial_failures);
    t.labelled(
        "upstream_requests_total",
        "counter",
        "Requests by upstream.",
        "upstream",
        stats.upstreams.iter().map(|(k, v)| (k.as_str(), v.requests)),
    );
    t.labelled(
        "agent_requests_total",
        "counter",
        "Requests by the client's program.",
        "agent",
        stats.agents.iter().map(|(k, v)| (k.as_str(), *v)),
    );
    t.summary("request_seconds", "Head of the request to the last byte of the response.", &stats.latency_ms.total);
    t.summary("first_byte_seconds", "Head of the request to the head of the response.", &stats.latency_ms.first_byte);
    t.summary("own_seconds", "The part of it that Leeward took.", &stats.latency_ms.own);
    t.labelled(
        "by_door_total",
        "counter",
        "Requests, and tunnels, by the door that they came through.",
        "door",
        stats.doors.named(),
    );
    tunnels(&mut t, &stats.tunnels);
    websockets(&mut t, &stats.websockets);
    t.0
}

/// Tunnels are no requests, and have families of their own.
fn tunnels(t: &mut Text, tunnels: &TunnelStats) {
    t.single("tunnels_open", "gauge", "Tunnels open.", tunnels.open);
    t.single("tunnels_opened_total", "counter", "CONNECTs that became a tunnel.", tunnels.opened);
    let ended = tunnels.ended.iter().map(|(end, n)| (*end, *n));
    t.labelled("tunnels_ended_total", "counter", "CONNECTs by how they ended.", "end", ended);
    t.faults("tunnels_failed_total", "Faults with which a tunnel failed.", &tunnels.failed);
    let reconnects = "Connections made anew before a server's first byte.";
    t.single("tunnel_reconnects_total", "counter", reconnects, tunnels.reconnects);
    let replayed = "Those of them on which a TLS hello was sent again.";
    t.single("tunnel_hellos_replayed_total", "counter", replayed, tunnels.replayed_hellos);
    t.single("tunnels_waited_total", "counter", "CONNECTs that waited for their session to register.", tunnels.waited);
    let bytes = [("up", tunnels.bytes_up), ("down", tunnels.bytes_down)];
    t.labelled("tunnel_bytes_total", "counter", "Bytes through tunnels.", "direction", bytes);
}

/// From their 101 on; what leads to it is a request.
fn websockets(t: &mut Text, websockets: &WebSocketStats) {
    t.single("websockets_open", "gauge", "WebSockets open.", websockets.open);
    t.single("websockets_opened_total", "counter", "Handshakes that were answered with 101.", websockets.opened);
    let ended = websockets.ended.iter().map(|(end, n)| (*end, *n));
    t.labelled("websockets_ended_total", "counter", "WebSockets by how they ended.", "end", ended);
    let bytes = [("up", websockets.bytes_up), ("down", websockets.bytes_down)];
    t.labelled("websocket_bytes_total", "counter", "Bytes through WebSockets.", "direction", bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Traffic;
    use std::sync::Arc;

    #[test]
    fn every_sample_has_its_family_and_a_number() {
        let traffic = Arc::new(Traffic::default());
        traffic.begin().from_agent("a\"b");
        traffic.begin().failed_with(Cause::Tls, 1);
        let text = text(&Status::starting(), &traffic.snapshot());
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} is not of {family}");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(text.contains(r#"leeward_agent_requests_total{agent="a\"b"} 1"#), "{text}");
        assert!(text.contains(r#"leeward_failed_total{cause="tls",phase="handshake",whose="network"} 1"#), "{text}");
        for family in ["retried_total", "failed_total"] {
            let samples = text.lines().filter(|l| l.starts_with(&format!("leeward_{family}{{"))).count();
            assert_eq!(samples, Cause::ALL.len(), "one sample a cause in {family}");
        }
    }
}
