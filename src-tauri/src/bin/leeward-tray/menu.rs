//! The menu as a value: which lines it has, and what the first one says.

use leeward::status::{Phase, Status};

/// What a line of the menu does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing: it tells the status.
    Status,
    /// A new engine generation.
    Restart,
    /// Opens the panel.
    Panel,
    /// Ends Leeward.
    Quit,
}

/// The lines that can be chosen, in order, below the status line.
pub(crate) const ITEMS: [(Action, &str); 3] =
    [(Action::Restart, "Restart"), (Action::Panel, "Open panel"), (Action::Quit, "Quit")];

impl Action {
    /// The line's name within Tauri.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Restart => "restart",
            Self::Panel => "panel",
            Self::Quit => "quit",
        }
    }

    /// The action of a chosen line.
    pub(crate) fn of(id: &str) -> Option<Self> {
        [Self::Status, Self::Restart, Self::Panel, Self::Quit].into_iter().find(|action| action.id() == id)
    }
}

/// The first line: the worst condition if there is one, else what the listener does.
pub(crate) fn line(status: &Status) -> String {
    if let Some(condition) = status.conditions.first() {
        return format!("{}: {}", condition.code.as_str(), condition.sentence);
    }
    let address = &status.listener.address;
    match (status.listener.accepting, &status.phase) {
        (true, _) => format!("Accepting on {address}"),
        (false, Phase::Starting) => "Starting".into(),
        (false, Phase::Draining) => "Finishing the last requests".into(),
        (false, Phase::Stopped) => "Stopped".into(),
        (false, Phase::Serving | Phase::Restarting) => format!("Not accepting on {address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leeward::health::{Code, Tracker};

    #[test]
    fn the_first_line_tells_the_worst() {
        let mut status = Status::starting();
        assert_eq!(line(&status), "Starting");
        status.phase = Phase::Serving;
        status.listener.address = "127.0.0.1:8787".into();
        assert_eq!(line(&status), "Not accepting on 127.0.0.1:8787");
        status.listener.accepting = true;
        assert_eq!(line(&status), "Accepting on 127.0.0.1:8787");
        let health = Tracker::default();
        health.set(Code::PortTaken, None, "another program has 8787");
        status.conditions = health.visible();
        assert_eq!(line(&status), "port-taken: another program has 8787");
    }

    #[test]
    fn every_line_is_found_by_its_name() {
        for (action, _) in ITEMS {
            assert_eq!(Action::of(action.id()), Some(action));
        }
        assert_eq!(Action::of("no such line"), None);
    }
}
