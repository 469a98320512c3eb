//! `leeward demo`: runs the library's demo, shows how far it is, and paints its report.

use crate::{
    args,
    exit::{Exit, Failure, Outcome},
    out::Out,
    progress::Bar,
};
use leeward::{
    demo::{self, Error, Options, Report},
    view::Level,
};

/// The demo plays the network, the upstream and the agents at the same time.
const THREADS: usize = 2;

/// Runs `leeward demo`.
pub(crate) fn run(args: &args::Demo, out: &mut Out) -> Outcome {
    let options = if args.quick { Options::quick() } else { Options::default() };
    let options = Options { seed: args.seed.unwrap_or(options.seed), ..options };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Unavailable, format!("cannot start: {e}")))?;
    let mut bar = Bar::new();
    let report = runtime.block_on(demo::run(options, &mut |step| bar.show(step.stage, step.done, step.total)));
    drop(bar);
    let report = report.map_err(failure)?;
    if args.json {
        out.json(&serde_json::to_value(&report).map_err(|e| Failure::new(Exit::CannotWrite, e))?)?;
    } else {
        print(&report, out)?;
    }
    Ok(if report.passed { Exit::Ok } else { Exit::Broken } as i32)
}

fn print(report: &Report, out: &mut Out) -> Outcome<()> {
    for line in report.to_string().lines() {
        let painted = match line {
            l if l.starts_with("FAILED") => out.paint(Level::Broken, l),
            l if l.starts_with("Passed") => out.paint(Level::Ok, l),
            l if l.starts_with(|c: char| c.is_ascii_digit()) => out.bold(l),
            l => l.into(),
        };
        out.line(painted)?;
    }
    Ok(())
}

fn failure(error: Error) -> Failure {
    let exit = if matches!(error, Error::Config(_)) { Exit::ConfigInvalid } else { Exit::Unavailable };
    Failure::new(exit, error)
}
