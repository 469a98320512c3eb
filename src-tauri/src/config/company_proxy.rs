//! The way out through a company proxy: `proxy.url`, the variables that other programs use, the system's settings.
//!
//! Key and variables are resolved when the config is loaded; whoever dials only asks `Proxying::route`. A password never shows.

mod no_proxy;
mod server;
#[cfg_attr(any(windows, target_os = "macos"), path = "company_proxy/system.rs")]
#[cfg_attr(not(any(windows, target_os = "macos")), path = "company_proxy/no_system.rs")]
mod system;

pub use no_proxy::NoProxy;
pub use server::{CompanyProxy, ProxyKind};
pub use system::System;

use server::is_loopback;
use std::net::SocketAddr;

/// The way out through a company proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxying {
    /// What `proxy.url` says.
    pub url: ProxyChoice,
    /// Hosts that are reached directly, as `proxy.no_proxy` has them.
    pub no_proxy: Vec<String>,
    /// The same with those of `NO_PROXY`.
    pub direct: NoProxy,
    /// What the variables say, for https and for http upstreams.
    pub inherited: [Option<CompanyProxy>; 2],
    /// Inherited ones that are Leeward itself.
    pub dropped: Vec<CompanyProxy>,
    /// What the system says, where no variable does.
    pub system: System,
}

/// What `proxy.url` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// The variables, else the system's settings.
    #[default]
    Auto,
    /// No proxy at all.
    None,
    /// This one.
    Named(CompanyProxy),
}

impl Proxying {
    /// Resolves key and variables.
    ///
    /// # Errors
    /// Key or variable, and a sentence about its value.
    pub(super) fn resolve(
        url: Option<&str>,
        no_proxy: Vec<String>,
        env: &dyn Fn(&str) -> Option<String>,
        listen: SocketAddr,
    ) -> Result<Self, (String, String)> {
        let variable = |name: &str| {
            let names = [name.to_owned(), name.to_ascii_lowercase()];
            names.into_iter().find_map(|n| env(&n).filter(|v| !v.trim().is_empty()).map(|v| (n, v)))
        };
        let mut entries = no_proxy.clone();
        entries.extend(variable("NO_PROXY").map(|(_, v)| v));
        let direct = NoProxy::parse(&entries);
        let mut all = Self { no_proxy, direct, ..Self::default() };
        match url.map(str::trim) {
            Some("none") => all.url = ProxyChoice::None,
            Some(named) if named != "auto" => {
                let at_key = |why: String| ("proxy.url".to_owned(), why);
                let proxy = CompanyProxy::parse(named, "proxy.url").map_err(at_key)?;
                if proxy.is_at(listen) {
                    return Err(at_key(format!("is Leeward's own address ({listen}); requests would go round in a circle")));
                }
                all.url = ProxyChoice::Named(proxy);
            }
            _ => {
                for (slot, name) in all.inherited.iter_mut().zip(["HTTPS_PROXY", "HTTP_PROXY"]) {
                    if let Some((name, value)) = variable(name).or_else(|| variable("ALL_PROXY")) {
                        *slot = Some(CompanyProxy::parse(&value, &name).map_err(|why| (name, why))?);
                    }
                }
                if all.inherited.iter().any(Option::is_none) {
                    all.system = System::ask();
                }
            }
        }
        Ok(all)
    }

    /// Drops inherited proxies that are Leeward itself, as a shell that tunnels through Leeward has them.
    pub fn without(mut self, own: SocketAddr) -> Self {
        self.dropped.extend(self.inherited.iter_mut().filter_map(|slot| slot.take_if(|proxy| proxy.is_at(own))));
        self
    }

    /// The proxy on the way to an upstream; `None`: the way is direct.
    pub fn route(&self, tls: bool, host: &str, port: u16) -> Option<CompanyProxy> {
        if self.direct.contains(host, port) {
            return None;
        }
        match &self.url {
            ProxyChoice::None => None,
            ProxyChoice::Named(proxy) => Some(proxy.clone()),
            ProxyChoice::Auto if is_loopback(host) => None,
            ProxyChoice::Auto => self.inherited[usize::from(!tls)].clone().or_else(|| {
                let known = |p: &CompanyProxy| self.dropped.iter().any(|d| (&d.host, d.port) == (&p.host, p.port));
                self.system.route(tls, host, port).filter(|p| !known(p))
            }),
        }
    }
}

#[cfg(test)]
mod tests;
