//! What is done once a second: ended generations are taken in, everything is checked; less often the config file.

use super::state::Run;
use crate::health::Code;

/// The config file is checked every so many ticks.
const SLOW_TICKS: u64 = 2;
/// More ticks than lie between two self-probes, which are clients as well.
const ROOM_FOR: u64 = 7;

impl Run {
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        self.generations.reap();
        self.check();
        self.tell_log();
        self.tell_full();
        self.try_wanted_port();
        self.tend_former();
        if self.ticks.is_multiple_of(SLOW_TICKS) {
            if self.file.has_changed(&self.config) {
                tracing::info!("the config file has changed");
                self.restart(Vec::new());
            }
            // A changed mode changes no time that the file shows.
            if self.shared.health.stands(Code::ConfigExposed) {
                self.tell_exposed();
            }
            if !self.listener.leaving {
                self.hold_other();
            }
        }
    }

    /// Tells that clients have all the connections that they may have, until for some seconds nobody came who was one too many.
    fn tell_full(&mut self) {
        let over = self.shared.counters.over_cap_total();
        if over > self.over_cap.0 {
            self.over_cap = (over, self.ticks);
            let sentence = format!(
                "{} connections of clients are open, as many as Leeward takes (limits.connections), and requests on more are refused. Close some agents, or raise limits.connections.",
                self.config.limits.connections
            );
            self.shared.health.set(Code::ConnectionsFull, None, sentence);
        } else if self.shared.health.stands(Code::ConnectionsFull) && self.ticks - self.over_cap.1 >= ROOM_FOR {
            self.shared.health.clear(Code::ConnectionsFull, None);
        }
    }

    /// Tells that lines of the log are lost, until they are not.
    pub(super) fn tell_log(&self) {
        match self.log_trouble.as_ref().and_then(|trouble| trouble()) {
            Some(sentence) => self.shared.health.set(Code::LogUnwritable, None, sentence),
            None => self.shared.health.clear(Code::LogUnwritable, None),
        }
    }
}
