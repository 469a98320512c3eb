//! The command line of the harness. Decides nothing.

use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

#[derive(Parser)]
#[command(name = "leeward-bench", about = "Leeward beside other proxies: the benchmark and the torture")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Latency, throughput, streams, bodies, cold starts, memory
    Bench(Bench),
    /// One plan of faults against each
    Torture(Torture),
    /// The upstream they stand before, as a process of its own
    Upstream(Upstream),
    /// A bare relay of sockets, or a source of bytes, as a process of its own
    Relay(Relay),
}

/// Which programs are compared, and where they are.
#[derive(Args)]
pub(crate) struct Field {
    /// The release build of `leeward`
    #[arg(long)]
    pub(crate) leeward: PathBuf,
    /// An earlier release build of `leeward`, measured beside it as `before`
    #[arg(long)]
    pub(crate) before: Option<PathBuf>,
    /// The small proxy on the crate pingora, as `cargo xtask bench` builds it
    #[arg(long)]
    pub(crate) pingora: Option<PathBuf>,
    /// The program `envoy`, as `cargo xtask bench` installs it
    #[arg(long)]
    pub(crate) envoy: Option<PathBuf>,
    /// The folder that `cargo xtask bench --all` installed the Python and Node peers in
    #[arg(long)]
    pub(crate) installed: Option<PathBuf>,
    /// Only these, by name, with commas between them
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Where the table goes (Markdown); the raw figures go beside it as JSON
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// The command line of the user, for the page
    #[arg(long, default_value = "")]
    pub(crate) said: String,
}

#[derive(Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) field: Field,
    /// Rounds; the order of the proxies turns by one each round
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Seconds for each measurement of latency and throughput
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Only these parts, with commas between them
    #[arg(long, value_delimiter = ',')]
    pub(crate) parts: Vec<String>,
    /// The raw figures (JSON) of an earlier run of the same programs, for the parts that this one leaves out
    #[arg(long)]
    pub(crate) earlier: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Torture {
    #[command(flatten)]
    pub(crate) field: Field,
    /// How many of each fault, as a percentage of the full plan
    #[arg(long, default_value_t = 100)]
    pub(crate) percent: u32,
    /// Minutes of the soak at the end; 0 leaves it out
    #[arg(long, default_value_t = 30.0)]
    pub(crate) soak_minutes: f64,
    /// Only these faults, with commas between them
    #[arg(long, value_delimiter = ',')]
    pub(crate) faults: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Upstream {
    /// Where it listens
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Its certificate and key (PEM): then it speaks TLS
    #[arg(long, requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    #[arg(long)]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Relay {
    /// Where it listens
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Where it relays to; without it, it is a source of bytes
    #[arg(long)]
    pub(crate) to: Option<SocketAddr>,
}
