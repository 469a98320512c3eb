//! What the user asked for, checked once: file, environment and flags become one `Config`.
//!
//! Every key is defined in `config/definition.rs`; to add one, add a row there and read the field where it is used.
//! The only room that reads the environment. A `Config` never changes: a reload makes a new one, and running streams finish
//! on the one they started with. Order: defaults < file < `LEEWARD_*` < flags.

// Its macros are for the modules after it.
#[macro_use]
mod section;

mod certificates;
mod check;
mod company_proxy;
mod definition;
mod edit;
mod key;
mod keys;
mod load;
mod names;
mod paths;
#[cfg(test)]
mod reference;
mod relations;
mod schema;
mod settings;
mod types;
mod units;
mod written;

pub use certificates::read_certificates;
pub(crate) use check::{check_upstream, is_upstream_name};
pub use company_proxy::{CompanyProxy, NoProxy, ProxyChoice, ProxyKind, Proxying, System};
pub use definition::{
    Circuit, ClientTimes, Connect, KeyShare, Ledger, Limits, Pool, Retry, Stream, StreamMode, UnknownFate, Watch,
};
pub use keys::{KeyView, View};
pub use load::{Error, Flags, Sources, environment, load};
pub use names::{AllowedHost, AllowedOrigin};
pub use paths::{Paths, panel_folder};
pub use schema::{default_file, schema};
pub use settings::{Changes, Complaint, Refused, Settings};
pub use types::*;
pub use units::{format_size, parse_size};
pub use written::written;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};
use url::Url;

/// The port agents are pointed at unless the user says otherwise.
pub const DEFAULT_PORT: u16 = 8787;
/// The last port that is tried when the default one is taken (8787..=8806).
pub const LAST_FALLBACK_PORT: u16 = 8806;

impl Config {
    /// The defaults with every file below `home`; a `config.toml` there is read, the environment is not.
    ///
    /// # Errors
    /// As `load`.
    pub fn under(home: &std::path::Path) -> Result<Self, Error> {
        let env = |name: &str| (name == "LEEWARD_HOME").then(|| home.display().to_string());
        load(&Sources { env: &env, flags: Flags::default() })
    }
}
