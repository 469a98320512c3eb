//! `leeward doctor`: runs the library's checks, shows how far they are, and paints the report. Repairs nothing.

use crate::{
    args, config,
    exit::{Exit, Failure, Outcome},
    out::{Out, Text},
    progress::Bar,
};
use leeward::{
    config::environment,
    doctor::{self, Bundle, Check, Options, Place, Report, Row, Verdict},
    instance,
    view::Level,
};
use std::{path::Path, sync::Arc};

/// Checks wait for the network; two threads keep a burst a burst.
const THREADS: usize = 2;

/// Runs `leeward doctor`.
pub(crate) fn run(args: &args::Doctor, out: &mut Out) -> Outcome {
    let checks = args.checks.iter().filter_map(|id| Check::of(id)).collect::<Vec<_>>();
    if let Some(file) = args.bundle.as_deref().filter(|file| file.exists()) {
        return Err(Failure::new(Exit::CannotWrite, format!("{} exists; name a file that does not", file.display())));
    }
    let config::Examined { config, complaints, paths } = config::examine();
    let in_force = config.as_ref().ok().cloned();
    let config_file = paths.as_ref().map(|paths| paths.config_file.clone());
    let home = leeward::wrap::with_own(|context| context.home.clone());
    let options = Options {
        last_good: config::load_to_ask().ok().filter(|_| config.is_err()),
        config,
        complaints,
        paths,
        env: Arc::new(environment),
        home: home.clone(),
        cwd: std::env::current_dir().unwrap_or_default(),
        place: Place::Terminal,
        long: args.long || checks.iter().any(|check| check.is_long()),
        checks,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Unavailable, format!("cannot start: {e}")))?;
    let mut bar = Bar::new();
    let report = runtime.block_on(doctor::run(options, &mut |step| bar.show(step.check.title(), step.done, step.total)));
    drop(bar);
    let status = args.bundle.as_ref().and_then(|_| runtime.block_on(doctor::status(in_force.as_ref()?)));
    // A name server that does not answer must not keep the command from ending.
    runtime.shutdown_background();
    if args.json {
        out.json(&serde_json::to_value(&report).map_err(|e| Failure::new(Exit::CannotWrite, e))?)?;
    } else if args.markdown {
        out.script(report.markdown())?;
    } else {
        print(&report, out)?;
    }
    if let Some(file) = &args.bundle {
        let bundle = Bundle::new(&report, in_force.as_ref(), config_file.as_deref(), status.as_ref(), &environment, home);
        write(&bundle.map_err(|why| Failure::new(Exit::CannotWrite, why))?, file)?;
    }
    Ok(match report.verdict {
        "broken" => Exit::Broken,
        "warning" => Exit::Warnings,
        _ => Exit::Ok,
    } as i32)
}

/// The contents first, beside the report, then the file, for the user alone.
fn write(bundle: &Bundle, file: &Path) -> Outcome<()> {
    crate::out::say(format!("{} will hold:", file.display()));
    for line in bundle.contents().lines() {
        crate::out::say(format!("  {line}"));
    }
    let bytes = bundle.zip().map_err(|why| Failure::new(Exit::CannotWrite, why))?;
    let unwritten = |e: std::io::Error| Failure::new(Exit::CannotWrite, format!("cannot write {}: {e}", file.display()));
    instance::write_atomically(file, &bytes).map_err(unwritten)?;
    crate::out::say(format!("wrote {}; look into it before you share it", file.display()));
    Ok(())
}

fn print(report: &Report, out: &mut Out) -> Outcome<()> {
    let (level, sentence) = match report.verdict {
        "broken" => (Level::Broken, "Something is broken."),
        "warning" => (Level::Degraded, "It works, and something may go wrong at times."),
        _ => (Level::Ok, "Nothing wrong was measured."),
    };
    out.line(out.bold(out.paint(level, sentence)))?;
    let problems = report.problems();
    for row in &problems {
        out.line("")?;
        out.line(painted(row, out).then("  ").then(out.bold(head(row))))?;
        out.line(format!("           {}", said(row)))?;
        if let Some(advice) = &row.finding.advice {
            out.line(format!("           To do: {advice}."))?;
        }
        out.line(out.dim(&format!("           Why it matters: {}", row.check.why())))?;
    }
    out.line("")?;
    out.line(out.bold("All checks"))?;
    for row in &report.checks {
        let took = format!("  {} ms", row.took.as_millis());
        out.line(painted(row, out).then("  ").then(head(row)).then(out.dim(&took)))?;
        if !problems.contains(&row) && !said(row).is_empty() {
            out.line(out.dim(&format!("           {}", said(row))))?;
        }
        if let Some(facts) = row.finding.facts.as_object().filter(|facts| !facts.is_empty()) {
            let facts = facts.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("  ");
            out.line(out.dim(&format!("           {facts}")))?;
        }
    }
    if !report.hypotheses.is_empty() {
        out.line("")?;
        out.line(out.bold("What may be suspected, and what this machine says to it"))?;
        for h in &report.hypotheses {
            let level = match h.result {
                "cause" => Level::Broken,
                "suspect" => Level::Degraded,
                _ => Level::Ok,
            };
            let result = format!("{:<9}", h.result);
            let result = if h.result == "not-known" { out.dim(&result) } else { out.paint(level, &result) };
            out.line(result.then("  ").then(h.hypothesis))?;
            out.line(out.dim(&format!("           {}: {}", h.test, h.seen)))?;
        }
    }
    Ok(())
}

fn painted(row: &Row, out: &Out) -> Text {
    let word = format!("{:<9}", row.finding.verdict.as_str());
    match row.finding.verdict {
        Verdict::Ok => out.paint(Level::Ok, &word),
        Verdict::Warning => out.paint(Level::Degraded, &word),
        Verdict::Broken => out.paint(Level::Broken, &word),
        Verdict::NotRun(_) | Verdict::NotKnown(_) => out.dim(&word),
    }
}

fn head(row: &Row) -> String {
    match &row.finding.subject {
        Some(subject) => format!("{}: {subject} ({})", row.check.title(), row.check.id()),
        None => format!("{} ({})", row.check.title(), row.check.id()),
    }
}

fn said(row: &Row) -> &str {
    row.finding.verdict.reason().unwrap_or(&row.finding.measured)
}
