//! What the own paths ask of the engine that they belong to, without seeing it.

use crate::status::{self, traffic::OriginStats};
use std::{collections::BTreeMap, fmt::Debug, io};
use url::Url;

/// The listener's counters.
pub(crate) trait Counters: Debug + Send + Sync {
    /// Puts the numbers of this moment into the picture.
    fn fill(&self, listener: &mut status::Listener);
}

/// The upstreams of a generation.
pub(crate) trait Upstreams: Debug + Send + Sync {
    /// Opens connections to the upstream of that name before they are asked for, and says how many; `None` as a name is the
    /// default upstream, as an answer that there is none of that name.
    fn warm(&self, name: Option<&str>) -> Option<usize>;

    /// The connections, by origin.
    fn stats(&self) -> BTreeMap<String, OriginStats>;

    /// Makes the upstreams of a session known, here and to engines to come. Writes a file.
    fn learn(&self, given: BTreeMap<String, Url>) -> io::Result<()>;
}
