//! The contracts on the Windows build: `leeward.exe` as a process of its own under Wine, and a Linux client beside it.
//! `cargo xtask windows` builds what it looks at and says where that is; it builds nothing itself.
#![cfg_attr(
    unix,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::disallowed_methods,
        unreachable_pub,
        reason = "a test fails by panicking and prints its table"
    )
)]

#[cfg(unix)]
mod commands;
#[cfg(unix)]
mod console;
#[cfg(unix)]
mod held;
#[cfg(unix)]
mod installer;
#[cfg(unix)]
mod listener;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod requests;
#[cfg(unix)]
mod upstream;

#[cfg(unix)]
fn main() {
    let words: Vec<std::path::PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let Ok([wine, exe, agent, setup]) = <[_; 4]>::try_from(words) else {
        eprintln!("leeward-wine WINE LEEWARD AGENT SETUP: `cargo xtask windows` builds these and runs it");
        std::process::exit(64);
    };
    raise_file_limit();
    all(&process::Windows { wine, exe, agent, setup });
}

#[cfg(not(unix))]
fn main() {
    println!("SKIP: this is Wine's; on Windows itself run `cargo test`");
}

/// For thousands of clients, and for what is started here.
#[cfg(unix)]
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(20_000, |most| most.min(20_000));
    if current.is_some_and(|now| now < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).unwrap();
    }
}

/// All of them, in one home with blanks and letters that are not ASCII in its name.
#[cfg(unix)]
fn all(windows: &process::Windows) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a home of Jörg – 风");
    std::fs::create_dir(&home).unwrap();
    let upstream = upstream::Upstream::start();
    // Wine takes seconds to say who has the usual port, if somebody has.
    let config = format!("listen = '{}'\nupstream = '{}'\n", process::free(), upstream.url);
    std::fs::write(home.join("config.toml"), config).unwrap();
    let mut serving = windows.serve(&home, &["--listen", "127.0.0.1:0"]);
    let mut begun = std::time::Instant::now();
    let mut seen = |row: (&'static str, &'static str, String)| {
        println!("{} {:.1?}", row.0, begun.elapsed());
        begun = std::time::Instant::now();
        row
    };
    let rows = [
        // Before there are thousands of connections in TIME_WAIT: Wine looks each of them up to say who holds a port.
        seen((
            "L7",
            "a second process on the same port: named, exit code 75",
            listener::port_taken(windows, folder.path(), &serving),
        )),
        seen(("L1, L2", "resets of four shapes, /health after each", listener::resets(&serving))),
        seen(("L5", "restarts under load", listener::restarts(&serving))),
        seen(("L8", "idle clients", listener::idle_clients(&serving))),
        seen(("requests", "messages and a stream of events", requests::pass(&serving))),
        seen(("U1, U6-U9", "an upstream that resets and cuts", requests::faults(&serving, &upstream))),
        seen(("commands", "status, restart, env; exit codes 0, 64, 75, 78", commands::all(windows, &home, &serving))),
        seen(("L3, L9", "the listening socket closed from outside, a stream in flight", listener::lost(windows, &serving))),
        seen(("wrap", "a program's own exit code", commands::wrapped(windows, &home))),
        seen((
            "L6",
            "killed under load beside a stranger that binds, with one wrap",
            held::killed(windows, folder.path(), &upstream),
        )),
        seen(("installer", "the user's PATH; installed over a `serve` that runs", installer::hooks(windows, &home))),
        seen(("handing on", "told to stop with a stream in flight", listener::handing_on(windows, &home, &mut serving))),
        seen(("console", "Ctrl-C typed into it; the console closed", console::served(windows, &home))),
        seen(("console and wrap", "Ctrl-C twice; Ctrl-Break; the console closed", console::wrapped(windows, &home))),
        seen(("the contrast", "resets that a naive listener survives on Windows' API", commands::naive(windows, &home))),
    ];
    println!("\nThe Windows build under Wine, a Linux client beside it:\n\n| contract | what | seen |\n| --- | --- | --- |");
    rows.iter().for_each(|(contract, what, seen)| println!("| {contract} | {what} | {seen} |"));
}
