//! Hosts that are reached without a proxy, in the spellings that `NO_PROXY` has in the field. Pure; resolves no names.

use ipnet::IpNet;
use std::net::IpAddr;

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// Only this port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// Names without a dot: `<local>` of Windows.
    Plain,
    /// The name and all below it; in lower case, without a dot in front.
    Name(String),
    Net(IpNet),
}

impl NoProxy {
    /// Reads entries that are separated by commas, semicolons or blanks; what is no entry is nobody's name either.
    pub fn parse(lists: &[String]) -> Self {
        let entries = lists.iter().flat_map(|l| l.split([',', ';', ' ', '\t', '\n']));
        Self(entries.map(str::trim).filter(|e| !e.is_empty()).map(entry).collect())
    }

    /// True when this host is reached directly.
    pub fn contains(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let ip: Option<IpAddr> = host.parse().ok();
        self.0.iter().any(|Entry { hosts, port: only }| {
            only.is_none_or(|p| p == port)
                && match (hosts, ip) {
                    (Hosts::All, _) => true,
                    (Hosts::Net(net), Some(ip)) => net.contains(&ip),
                    (Hosts::Plain, None) => !host.contains('.'),
                    (Hosts::Name(name), None) => {
                        host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                    }
                    (Hosts::Net(_), None) | (Hosts::Plain | Hosts::Name(_), Some(_)) => false,
                }
        })
    }
}

fn entry(text: &str) -> Entry {
    if let Some(net) = net(text) {
        return Entry { hosts: Hosts::Net(net), port: None };
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.parse().ok()),
        _ => (text, None),
    };
    let host = host.trim_matches(['[', ']']);
    let hosts = match host {
        "*" => Hosts::All,
        "<local>" => Hosts::Plain,
        _ => {
            net(host).map_or_else(|| Hosts::Name(host.trim_start_matches('*').trim_matches('.').to_ascii_lowercase()), Hosts::Net)
        }
    };
    Entry { hosts, port }
}

fn net(text: &str) -> Option<IpNet> {
    let text = text.trim_matches(['[', ']']);
    text.parse().ok().or_else(|| text.parse().ok().map(|ip: IpAddr| ip.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_the_field() {
        for (list, host, port, direct) in [
            ("example.com", "example.com", 443, true),
            ("example.com", "api.Example.com.", 443, true),
            ("example.com", "badexample.com", 443, false),
            (".example.com", "api.example.com", 443, true),
            ("*.example.com", "api.example.com", 443, true),
            ("a, b\tc", "b", 443, true),
            ("a b;c", "c", 443, true),
            ("*", "anything", 1, true),
            ("*", "10.0.0.1", 1, true),
            ("10.0.0.0/8", "10.9.9.9", 443, true),
            ("10.0.0.0/8", "11.9.9.9", 443, false),
            ("10.1.2.3", "10.1.2.3", 443, true),
            ("10.1.2.3:8443", "10.1.2.3", 443, false),
            ("10.1.2.3:8443", "10.1.2.3", 8443, true),
            ("api.corp:8443", "api.corp", 8443, true),
            ("api.corp:8443", "api.corp", 443, false),
            ("::1", "::1", 443, true),
            ("[fd00::1]:8443", "fd00::1", 8443, true),
            ("[fd00::1]:8443", "fd00::1", 443, false),
            ("fd00::/8", "fd12::9", 443, true),
            ("<local>", "intranet", 443, true),
            ("<local>", "api.example.com", 443, false),
            ("1.1", "10.1.1.1", 443, false),
            ("", "example.com", 443, false),
        ] {
            assert_eq!(NoProxy::parse(&[list.to_owned()]).contains(host, port), direct, "{list:?} {host}:{port}");
        }
    }
}
