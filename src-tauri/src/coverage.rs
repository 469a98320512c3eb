//! Which coding agents this machine has and runs, and whether their requests come through Leeward.
//!
//! Looks at names of files, manifests, settings and the processes of this user; writes nothing, and starts no agent unless it is
//! asked for versions. Of a process's variables only those that name an endpoint or a proxy are read, and no credential in them is
//! kept. What could not be asked is called not known, never unprotected.

mod installs;
mod judge;
mod leads;
mod places;
mod process;
mod processes;
mod recognise;
mod scan;
mod table;
mod versions;

pub use scan::{Look, look, of_engine};
pub use versions::{ask_versions, read_version};
