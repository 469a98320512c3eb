//! Which fault strikes where: a plan is asked once per connection and once per request.
//!
//! Plans decide and remember; they touch no socket.

use super::{
    fault::{Fault, When},
    log::Head,
};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Where a fault could strike now.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// A connection was accepted; nothing is read yet.
    Connection {
        /// Its number, from 0.
        connection: u64,
    },
    /// A request's head was read.
    Request {
        /// The connection's number, from 0.
        connection: u64,
        /// How many requests came before it on this connection.
        nth: u64,
        /// How many requests came before it on this upstream.
        ordinal: u64,
        /// Its request line and headers.
        head: &'a Head,
    },
}

impl Moment<'_> {
    /// Whether this fault can strike now.
    pub fn fits(&self, fault: &Fault) -> bool {
        match (fault.when(), self) {
            (When::Connecting, Moment::Connection { .. }) | (When::Request, Moment::Request { .. }) => true,
            (When::Reused, Moment::Request { nth, .. }) => *nth > 0,
            (When::Connecting, Moment::Request { .. }) | (When::Request | When::Reused, Moment::Connection { .. }) => false,
        }
    }

    /// A number that is the same for the same moment of every run.
    fn identity(&self) -> u64 {
        match self {
            Moment::Connection { connection } => connection << 1,
            Moment::Request { ordinal, .. } => (ordinal << 1) | 1,
        }
    }
}

type Choose = dyn Fn(&Moment<'_>) -> Fault + Send + Sync;

/// Chooses the faults. A fault that does not fit its moment is not acted out.
pub struct Plan(Box<Choose>);

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plan(…)")
    }
}

impl Plan {
    /// No fault ever.
    pub fn none() -> Self {
        Self::by(|_| Fault::None)
    }

    /// The same fault wherever it fits.
    pub fn always(fault: Fault) -> Self {
        Self::by(move |_| fault.clone())
    }

    /// The same fault at the first `times` moments that it fits, then none.
    pub fn times(times: usize, fault: Fault) -> Self {
        Self::queue(vec![fault; times])
    }

    /// The faults one after another, each at the first moment that it fits, then none. `Fault::None` lets one request pass.
    pub fn queue(faults: impl IntoIterator<Item = Fault>) -> Self {
        let left = Mutex::new(faults.into_iter().collect::<VecDeque<_>>());
        Self::by(move |moment| {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            match left.front() {
                Some(next) if moment.fits(next) => left.pop_front().unwrap_or_default(),
                _ => Fault::None,
            }
        })
    }

    /// At each moment, with a chance of `percent` in 100, one of those faults that fit it.
    ///
    /// The draw depends on the seed and on the number of the connection or request alone, so a seed gives the same
    /// faults however the tasks are scheduled.
    pub fn seeded(seed: u64, percent: u8, faults: Vec<Fault>) -> Self {
        Self::by(move |moment| {
            let mut dice = fastrand::Rng::with_seed(seed.wrapping_add(moment.identity().wrapping_mul(0x9E37_79B9_7F4A_7C15)));
            let fitting: Vec<&Fault> = faults.iter().filter(|f| moment.fits(f)).collect();
            if fitting.is_empty() || dice.u8(0..100) >= percent {
                return Fault::None;
            }
            fitting[dice.usize(0..fitting.len())].clone()
        })
    }

    /// Only faults that a proxy can repair without harm. `percent` in 100 new connections are reset, half of them before a
    /// byte is read and half in the TLS handshake. Of the requests on a reused connection half that share is reset before
    /// the response's headers, and after the other half the connection is closed, so that whoever keeps it finds it dead.
    ///
    /// A fresh connection's first request is never reset after it was read whole: nobody can know whether such a request
    /// was processed.
    pub fn repairable(seed: u64, percent: u8) -> Self {
        let connecting = Self::seeded(seed, percent, vec![Fault::ResetAtAccept, Fault::ResetInTls]);
        let reused = Self::seeded(seed, percent, vec![Fault::ResetOnReuse, Fault::CloseIdle(Duration::ZERO)]);
        Self::by(move |moment| match moment {
            Moment::Connection { .. } => connecting.choose(moment),
            Moment::Request { nth: 0, .. } => Fault::None,
            Moment::Request { .. } => reused.choose(moment),
        })
    }

    /// Whatever the closure says. It is called from several tasks at once.
    pub fn by(choose: impl Fn(&Moment<'_>) -> Fault + Send + Sync + 'static) -> Self {
        Self(Box::new(choose))
    }

    /// The fault for this moment; `Fault::None` when the chosen one does not fit it.
    pub fn choose(&self, moment: &Moment<'_>) -> Fault {
        let fault = (self.0)(moment);
        if moment.fits(&fault) { fault } else { Fault::None }
    }
}
