//! The table of checks: what each is called, why it matters, when it runs and how long it may take. Measures nothing.

use serde::Serialize;
use std::time::Duration;

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $stage:ident, $title:literal, $why:literal;)*) => {
        /// A check.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check { $($(#[$doc])* $name,)* }

        impl Check {
            /// All of them, in the order in which they are reported.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// Its name on the command line and in JSON; public and stable.
            pub fn id(self) -> &'static str { match self { $(Self::$name => $id,)* } }
            /// What is looked at.
            pub fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
            /// Why it matters.
            pub fn why(self) -> &'static str { match self { $(Self::$name => $why,)* } }
            pub(super) fn stage(self) -> Stage { match self { $(Self::$name => Stage::$stage,)* } }
        }
    };
}

checks! {
    /// Who serves here.
    Instance = "instance", First, "The running Leeward",
        "Agents behind Leeward are refused when nobody, or somebody else, has its port.";
    /// File, environment and flags.
    Config = "config", First, "The config",
        "What is invalid is not in force: Leeward goes on with the last config that was good, or with the defaults.";
    /// The state folder and what is secret in it.
    State = "state", First, "The state folder and the control token",
        "Commands find the running Leeward by it, and whoever reads the token controls Leeward.";
    /// Room for history and log.
    Disk = "disk", First, "Free disk space",
        "Without space there is no history, no log and no record by which commands find Leeward.";
    /// Open files.
    Descriptors = "descriptors", First, "The limit of open files",
        "Each connection takes one, on both sides; without them no connection is accepted.";
    /// Names to addresses.
    Dns = "dns", First, "Names of the upstreams",
        "Each connection begins with it; after a change of VPN it is often the first to fail.";
    /// TCP and TLS.
    Reach = "reach", First, "Connections to the upstreams, by address family",
        "A family that connects and then breaks (often IPv6) looks to agents like a broken API.";
    /// Who signs.
    Certificate = "certificate", First, "Who issued the upstreams' certificates",
        "TLS inspection replaces certificates; agents that don't trust it fail at once and never retry.";
    /// This machine's time.
    Clock = "clock", First, "This machine's clock",
        "A clock that is wrong makes good certificates look expired.";
    /// Large hellos.
    KeyShare = "key-share", First, "Post-quantum and classical handshakes",
        "The post-quantum hello needs two packets; some firewalls reset it, and agents then see ECONNRESET.";
    /// Proxies and the variables that name them.
    Proxy = "proxy", First, "Company proxies and NO_PROXY",
        "A proxy that is asked for 127.0.0.1 hides Leeward from agents; one that fails hides the API from Leeward.";
    /// Scripts that name proxies.
    Pac = "pac", First, "Proxy scripts (PAC) of the system",
        "A script that names the only way out is run by browsers, and by no agent: everything else looks offline.";
    /// Agents on this machine.
    Agents = "agents", First, "Installed agents",
        "Some builds lose connections by themselves, and a base URL that leads nowhere refuses every request.";
    /// WSL, containers, remote sessions.
    Remote = "remote", First, "WSL, containers and remote sessions",
        "There 127.0.0.1 is not the machine in front of you, so a Leeward on the other side is not reached.";
    /// What IDEs give to their extensions.
    Ide = "ide", First, "Settings of VS Code and JetBrains IDEs",
        "Extensions start agents with the IDE's own variables and proxy, whatever a terminal says.";
    /// Claude Code's claude.ai connectors.
    Connectors = "connectors", First, "Connectors of Claude Code",
        "Each connector that is not linked costs a 401 and a refresh of the login at every start.";
    /// Intercept mode's certificate authority.
    Authority = "authority", First, "The certificate authority of intercept mode",
        "Agents in intercept mode trust it alone; where it cannot be used, their start-up is not repaired.";
    /// What went wrong lately.
    Faults = "faults", First, "Faults of the last hour",
        "They say whose fault it was: this network's, a proxy's, the API's, or Leeward's.";
    /// Windows: ports that nobody may listen on.
    PortRanges = "port-ranges", First, "Excluded port ranges",
        "Hyper-V and WSL reserve ports at random; Leeward's may be one of them.";
    /// Windows: layers in the socket stack.
    SocketLayers = "socket-layers", First, "Layered socket providers and endpoint protection",
        "They sit between programs and the network and were seen to reset connections of agents.";
    /// The start-up burst without Leeward.
    BurstDirect = "burst-direct", Direct, "Ten handshakes at once, direct",
        "Agents start with a burst of parallel connections; some networks reset part of it.";
    /// The start-up burst with Leeward.
    BurstLeeward = "burst-leeward", Through, "Ten requests at once, through Leeward",
        "It is what Leeward is for: the same burst without a failure.";
    /// `--long`: one after another.
    Heads = "heads", Long, "Thirty requests one after another",
        "It shows faults that strike now and then.";
    /// `--long`: a connection that nobody uses.
    Idle = "idle", Long, "A connection without traffic for 60 s",
        "Firewalls and NAT drop idle connections; the next request on them fails.";
}

impl Check {
    /// The check of this name.
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|check| check.id() == id)
    }

    /// True for those that take a minute and only run when they are asked for.
    pub fn is_long(self) -> bool {
        self.stage() == Stage::Long
    }

    /// How long it may take.
    pub fn limit(self) -> Duration {
        self.stage().limit()
    }
}

impl Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// Checks of one stage run at the same time, and the stages one after another: a burst is not disturbed by other checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    First,
    Direct,
    Through,
    Long,
}

impl Stage {
    pub(super) const ALL: [Self; 4] = [Self::First, Self::Direct, Self::Through, Self::Long];

    pub(super) const fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::First => 7,
            Self::Direct => 5,
            Self::Through => 4,
            Self::Long => 75,
        })
    }
}

/// To find whoever serves here, before the checks.
pub(super) const FIND_LIMIT: Duration = Duration::from_secs(4);
/// All that is not `--long`.
pub(super) const ALL_LIMIT: Duration = Duration::from_secs(20);

const _: () = assert!(
    FIND_LIMIT.as_secs() + Stage::First.limit().as_secs() + Stage::Direct.limit().as_secs() + Stage::Through.limit().as_secs()
        <= ALL_LIMIT.as_secs()
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_have_names_of_their_own_and_their_limits_keep_to_twenty_seconds() {
        for check in Check::ALL {
            assert_eq!(Check::of(check.id()), Some(*check));
            assert!(check.why().ends_with('.') && !check.title().ends_with('.'), "{check:?}");
        }
        let stages = Stage::ALL.into_iter().filter(|stage| *stage != Stage::Long).map(Stage::limit).sum::<Duration>();
        assert!(stages + FIND_LIMIT <= ALL_LIMIT);
        assert!(Check::ALL.iter().all(|check| Stage::ALL.contains(&check.stage())));
    }
}
