//! The proxy in the settings of Windows (registry) and macOS (SystemConfiguration), read once a config load.
//!
//! Scripts (PAC) are not run: who needs one names its proxy in `proxy.url`.

use super::CompanyProxy;
use hyper_util::client::proxy::matcher::Matcher;
use std::sync::Arc;

/// The system's own proxy settings.
#[derive(Clone, Debug, Default)]
pub struct System(Option<Arc<Matcher>>);

/// What was read from the system is no part of what the user wrote, so two configs do not differ in it.
impl PartialEq for System {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for System {}

impl System {
    pub(super) fn read() -> Self {
        Self(Some(Arc::new(Matcher::from_system())))
    }

    pub(super) fn route(&self, tls: bool, host: &str, port: u16) -> Option<CompanyProxy> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let scheme = if tls { "https" } else { "http" };
        let found = self.0.as_ref()?.intercept(&format!("{scheme}://{host}:{port}/").parse().ok()?)?;
        CompanyProxy::parse(&found.uri().to_string(), "the system's settings").ok()
    }
}
