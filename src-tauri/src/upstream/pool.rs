//! The pool of one origin: idle connections last in first out, a few dials at once, waiting requests in order.
//!
//! A request takes the first connection that becomes free, whoever dialled it. The circuit says when a dial may begin.
//! Locks are held for bookkeeping only, never while waiting, and no connection is dropped under the lock: its permit takes
//! it again.

mod checkout;
mod dialing;
mod origin;
mod permit;
mod release;
mod tend;
#[cfg(test)]
mod tests;
mod vanished;
mod waiters;

pub(crate) use checkout::Lease;
pub(super) use origin::Parts;
pub(crate) use origin::{CONDITIONS, Origin};
