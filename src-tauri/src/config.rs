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
mod distrust;
mod edit;
mod egress;
mod error;
mod errors;
mod fallback;
mod key;
mod keys;
mod load;
mod mode;
mod names;
mod own_proxy;
mod paths;
mod ports;
#[cfg(test)]
mod reference;
mod relations;
mod required;
mod schema;
mod secret;
mod settings;
mod sources;
mod trust;
mod tunnel_allow;
mod types;
mod units;
mod upstream_entry;
mod written;

pub use certificates::read_certificates;
pub(crate) use check::{check_upstream, is_upstream_name};
pub use company_proxy::{CompanyProxy, NoProxy, ProxyChoice, ProxyKind, Proxying, System};
pub use definition::{
    Circuit, ClientTimes, Connect, Connectors, KeyShare, Ledger, Limits, Mode, Modes, Pool, Retry, Stream, StreamMode,
    UnknownFate, Watch, WebSocket, Wrap,
};
pub use edit::Changes;
pub use egress::Egress;
pub use error::Error;
pub use errors::{errors, unknown_variables};
pub use fallback::load_or_last_good;
pub use keys::{KeyView, View};
pub use load::{load, paths};
pub use mode::{Covers, Door};
pub use names::{AllowedHost, AllowedOrigin};
pub use own_proxy::{NOT_SET, OUTER_PROXY, PROXY_VARIABLES, is_tunnel_proxy, tunnel_proxy};
pub use paths::{Paths, StandIn, panel_folder};
pub use ports::{DEFAULT_PORT, LAST_FALLBACK_PORT};
pub use required::requires_wrap;
pub use schema::{default_file, schema};
pub use secret::Secret;
pub use settings::{Complaint, Refused, Settings};
pub use sources::{Flags, Sources, environment, environment_names};
pub use trust::exposed;
pub use tunnel_allow::TunnelAllow;
pub use types::{CLIENT_TOKEN_HEADER, ClientIdentity, Config, Tls, Trust};
pub use units::{format_size, parse_size};
pub use upstream_entry::ReplayPath;
pub use written::written;
