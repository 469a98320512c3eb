//! `tunnel.allow`: what tunnels reach on a listener that other machines reach. Pure; resolves no names.

use super::company_proxy::NoProxy;

/// The list, as it is written and as it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelAllow {
    written: Vec<String>,
    entries: NoProxy,
}

impl TunnelAllow {
    /// Reads the list.
    ///
    /// # Errors
    /// A sentence about an entry that names nothing.
    pub fn parse(written: Vec<String>) -> Result<Self, String> {
        for entry in &written {
            let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | ';' | '@' | '?' | '#' | '<' | '>');
            let has_path = entry.contains('/') && entry.parse::<ipnet::IpNet>().is_err();
            if entry.is_empty() || entry.contains(is_odd) || has_path {
                return Err(format!(
                    "`{}` names no host; write a name, an address or a network, with a port or without (\"git.corp:8443\", \"10.0.0.0/8\", \"*.corp\")",
                    crate::escape::line(entry)
                ));
            }
        }
        let entries = NoProxy::parse(&written);
        Ok(Self { written, entries })
    }

    /// As it is written.
    pub fn written(&self) -> &[String] {
        &self.written
    }

    /// Whether the list names this host, name or address, at this port.
    pub fn names(&self, host: &str, port: u16) -> bool {
        self.entries.contains(host, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_hosts_and_nothing_else() {
        for (entry, host, port, named) in [
            ("git.corp", "git.corp", 22, true),
            ("git.corp:8443", "git.corp", 8443, true),
            ("git.corp:8443", "git.corp", 443, false),
            ("*.corp", "a.corp", 443, true),
            ("10.0.0.0/8", "10.1.2.3", 5432, true),
            ("10.0.0.0/8", "11.1.2.3", 5432, false),
            ("[fd00::1]:8443", "fd00::1", 8443, true),
            ("*", "any.where", 1, true),
        ] {
            let allow = TunnelAllow::parse(vec![entry.into()]).unwrap();
            assert_eq!(allow.names(host, port), named, "{entry} {host}:{port}");
            assert_eq!(allow.written(), [entry]);
        }
        for entry in ["", "https://git.corp", "git.corp/x", "a b", "a,b", "me@git.corp", "<local>", "a\nb"] {
            assert!(TunnelAllow::parse(vec![entry.into()]).unwrap_err().contains("names no host"), "{entry:?}");
        }
        assert!(!TunnelAllow::default().names("a", 443), "nothing is named unless somebody does");
    }
}
