//! The proxy in the settings of Windows (registry) and macOS (SystemConfiguration).
//!
//! Asked for each connection that is made, because a laptop takes other settings with another network; that costs less than
//! a millisecond. Scripts (PAC) are not run: who needs one names its proxy in `proxy.url`.

use super::server::CompanyProxy;
use hyper_util::client::proxy::matcher::Matcher;

/// Whether the system's own proxy settings count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct System(bool);

impl System {
    pub(super) fn ask() -> Self {
        Self(true)
    }

    /// The variables are among what is read here; the caller has looked at them before.
    pub(super) fn route(self, tls: bool, host: &str, port: u16) -> Option<CompanyProxy> {
        if !self.0 {
            return None;
        }
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let scheme = if tls { "https" } else { "http" };
        let found = Matcher::from_system().intercept(&format!("{scheme}://{host}:{port}/").parse().ok()?)?;
        CompanyProxy::parse(&found.uri().to_string(), "the system's settings").ok()
    }
}
