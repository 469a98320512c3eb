//! What is reported of this machine's network: which one it is, and why it counts as another one. Data only.

use serde::{Deserialize, Serialize};

/// The network as this machine sees it; a new value is published whenever it has changed or the machine has slept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Counts the changes, from 0.
    pub epoch: u64,
    /// The same for the same addresses and default routes, so that a network can be known again; 0: not known.
    pub fingerprint: u64,
}

/// Why the network counts as another one from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum NetworkWhy {
    /// Addresses of the interfaces that lead out of this machine.
    Addresses,
    /// Default routes: another gateway or interface, or none.
    Routes,
    /// The system said that the machine has slept.
    Woke,
    /// The clocks say that the machine, or this process, has slept.
    ClockJumped,
    /// Another part of Leeward reported it.
    Reported,
}

impl NetworkWhy {
    /// The end of the sentence "the network changed: …".
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Addresses => "other addresses",
            Self::Routes => "another default route",
            Self::Woke => "the machine woke from sleep",
            Self::ClockJumped => "the clock jumped, as after sleep",
            Self::Reported => "reported by another part of Leeward",
        }
    }
}

/// News of the network, on their way to the supervisor. Fingerprints are as in `Network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkNews {
    /// It was looked at for the first time; nothing has changed.
    Known {
        /// What it looks like.
        fingerprint: u64,
    },
    /// What was connected before may be dead.
    Changed {
        /// What it was seen by.
        why: NetworkWhy,
        /// `None`: as it was, or not known.
        fingerprint: Option<u64>,
    },
}
