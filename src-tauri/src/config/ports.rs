//! The ports that Leeward is looked for at. Binds none.

/// The port agents are pointed at unless the user says otherwise.
pub const DEFAULT_PORT: u16 = 8787;
/// The last port that is tried when the default one is taken (8787..=8806).
pub const LAST_FALLBACK_PORT: u16 = 8806;
