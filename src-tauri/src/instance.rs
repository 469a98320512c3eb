//! Which Leeward serves here: a lock that dies with its process, a record of the address, the control token; finding it, and
//! starting one in the background.
//!
//! Also names whoever holds a port, and takes over from one that gives way. Knows nothing of the engine.

mod address;
mod client;
mod core_files;
mod door;
mod find;
mod handover;
mod holder;
mod holders;
mod holding;
mod hung;
mod keep;
mod lock;
mod place;
mod private;
mod program;
mod proven;
mod record;
mod stand_by;
mod start;
mod takeover;
mod token;

#[cfg(test)]
mod held_tests;
#[cfg(test)]
mod tests;

pub use address::{base_url, reachable};
pub use client::{Client, ClientError};
pub use core_files::{CoreLimit, DEBUGGABLE, hide_memory, no_core_files};
pub use find::{running, running_at};
pub use handover::{Confirmation, Taken, hand_over};
pub use holder::{Holder, holder_of, is_held_by};
pub use holders::{HolderEntry, fetch, held_socket, held_sockets, holders, lend, let_go};
pub use holding::{ACCEPTED_WITHIN, Holding};
pub use keep::{is_kept, keep_serving};
pub use lock::{Lock, LockError};
pub use place::{place, serves, serving_stand_in, why_unusable};
pub use private::write_atomically;
pub(crate) use private::{create_private_dir, how_to_protect, is_exposed};
pub use program::startable;
pub use record::{Record, not_recorded, read_record, remove_record, write_record};
pub use stand_by::stand_by;
pub use start::{Background, IDLE, StartError, TRY_AGAIN, close_inherited, leave_terminal, running_or_start};
pub use takeover::{TakeOver, TakeOverError, take_over};
pub use token::{TokenError, create_token, read_token, unwritten_token};
