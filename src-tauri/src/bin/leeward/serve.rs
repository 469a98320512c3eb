//! `leeward serve`.
