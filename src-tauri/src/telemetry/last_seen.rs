//! When each program was last heard of: its requests, and its session's tunnels. Names and times only.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Agents that are known by name; a client that invents names cannot grow a table.
pub(super) const MAX_AGENTS: usize = 64;

/// Times in milliseconds since 1970, by the program's own name for itself or its session's agent.
#[derive(Debug, Default)]
pub(super) struct LastSeen(Mutex<BTreeMap<String, u64>>);

impl LastSeen {
    /// Something of it has come. Whoever invents names is one of `other`.
    pub(super) fn note(&self, agent: &str, now_unix_ms: u64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = seen.get_mut(agent) {
            *at = now_unix_ms;
            return;
        }
        let name = if seen.len() < MAX_AGENTS { agent } else { "other" };
        seen.insert(name.to_owned(), now_unix_ms);
    }

    pub(super) fn list(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_counts_and_invented_names_cannot_grow_the_table() {
        let seen = LastSeen::default();
        seen.note("claude-cli", 1);
        seen.note("claude-cli", 7);
        (0..MAX_AGENTS * 2).for_each(|n| seen.note(&n.to_string(), 9));
        let list = seen.list();
        assert_eq!((list["claude-cli"], list["other"], list.len()), (7, 9, MAX_AGENTS + 1));
    }
}
