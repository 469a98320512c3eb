//! The doctor as an engine lends it to its panel: one examination at a time, told step by step; and the bundle of the last one,
//! listed before it is packed. Writes nothing.

use super::{
    bundle::{self, Bundle},
    check::Check,
    context::Options,
    finding::Row,
    report::Report,
    run::run,
};
use crate::{
    config::{Config, Settings},
    examination::{Asked, Examine, Lines, Refusal},
};
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, once},
};
use serde::Serialize;
use serde_json::Value;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::spawn_blocking,
};

/// A check as it is announced.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Planned {
    /// Its name; public and stable.
    #[cfg_attr(test, ts(type = "string"))]
    pub id: Check,
    /// What is looked at.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// It takes a minute, and runs only when it is asked for.
    pub long: bool,
}

/// One line of an examination.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Step {
    /// The checks that are about to run, in the order of the report.
    Begun {
        /// Each of them.
        checks: Vec<Planned>,
    },
    /// A check has ended.
    Found {
        /// Its name.
        #[cfg_attr(test, ts(type = "string"))]
        check: Check,
        /// What it found, one row a subject.
        #[cfg_attr(test, ts(type = "Array<DoctorRow>"))]
        rows: Vec<Row>,
    },
    /// All have.
    Ended {
        /// What `leeward doctor --json` prints.
        #[cfg_attr(test, ts(type = "DoctorReport"))]
        report: Box<Report>,
        /// What `leeward doctor --markdown` prints.
        markdown: String,
    },
}

/// What a bundle will hold, before anything is written.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Listing {
    /// A name for the file.
    pub name: String,
    /// The files in it.
    pub entries: Vec<Listed>,
    /// What is left out, and why.
    pub left_out: Vec<String>,
}

/// One file of a bundle.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Listed {
    /// Its name in the zip.
    pub name: &'static str,
    /// What is in it.
    pub what: &'static str,
    /// Its length.
    pub bytes: usize,
    /// All of it, without secrets.
    pub text: String,
}

/// What a bundle is made of, beside the report.
struct Around {
    config: Option<Config>,
    file: Option<PathBuf>,
    env: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
    home: Option<PathBuf>,
}

#[derive(Default)]
struct Last {
    report: Option<Report>,
    bundle: Option<Bundle>,
}

/// Examines for a panel.
pub struct Doctor {
    /// Looks at config and surroundings again for each examination.
    options: Arc<dyn Fn() -> Options + Send + Sync>,
    turn: Arc<Semaphore>,
    last: Arc<Mutex<Last>>,
}

impl std::fmt::Debug for Doctor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doctor").finish_non_exhaustive()
    }
}

impl Doctor {
    /// Examines what an engine with these settings is for.
    pub fn of(settings: Arc<Settings>, home: Option<PathBuf>) -> Self {
        Self::new(move || Options::of(&settings, home.clone()))
    }

    /// Examines what `options` gives each time; which checks is asked for later.
    pub fn new(options: impl Fn() -> Options + Send + Sync + 'static) -> Self {
        Self { options: Arc::new(options), turn: Arc::new(Semaphore::new(1)), last: Arc::default() }
    }
}

impl Examine for Doctor {
    fn examine(&self, asked: Asked) -> Result<Lines, Refusal> {
        let of = |id: String| Check::of(&id).ok_or(Refusal::UnknownCheck(id));
        let checks = asked.checks.into_iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let turn = self.turn.clone().try_acquire_owned().map_err(|_| Refusal::AlreadyRuns)?;
        let (look, last) = (self.options.clone(), self.last.clone());
        let long = asked.long || checks.iter().any(|check| check.is_long());
        // A step a check, and two: nothing is ever dropped.
        let (said, mut heard) = mpsc::channel(Check::ALL.len() + 2);
        let work = async move {
            let options = Options { checks, long, ..spawn_blocking(move || look()).await.ok()? };
            say(&said, &Step::Begun { checks: planned(&options) });
            let step = &mut |step: super::run::Progress<'_>| {
                say(&said, &Step::Found { check: step.check, rows: step.rows.to_vec() });
            };
            let report = run(options, step).await;
            lock(&last).report = Some(report.clone());
            let markdown = report.markdown();
            say(&said, &Step::Ended { report: Box::new(report), markdown });
            drop(turn);
            None
        };
        let lines = stream::poll_fn(move |cx| heard.poll_recv(cx));
        Ok(stream::select(lines, once(work).filter_map(std::future::ready)).boxed())
    }

    fn list(&self) -> BoxFuture<'static, Result<Value, Refusal>> {
        let (look, last) = (self.options.clone(), self.last.clone());
        let failed = |e: &dyn std::fmt::Display| Refusal::Failed(format!("The bundle could not be made: {e}."));
        async move {
            let report = lock(&last).report.clone().ok_or(Refusal::NotYet)?;
            let around = spawn_blocking(move || Around::of(look())).await.map_err(|e| failed(&e))?;
            let status = match &around.config {
                Some(config) => bundle::status(config).await,
                None => None,
            };
            let made = spawn_blocking(move || {
                let Around { config, file, env, home } = around;
                Bundle::new(&report, config.as_ref(), file.as_deref(), status.as_ref(), &*env, home)
                    .map(|made| (made, format!("leeward-doctor-{}.zip", report.at_unix_ms / 1000)))
            });
            let (made, name) = made.await.map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
            let listing = serde_json::to_value(listing(name, &made)).map_err(|e| failed(&e))?;
            lock(&last).bundle = Some(made);
            Ok(listing)
        }
        .boxed()
    }

    fn pack(&self) -> BoxFuture<'static, Result<Vec<u8>, Refusal>> {
        let last = self.last.clone();
        async move {
            let bundle = lock(&last).bundle.clone().ok_or(Refusal::NotYet)?;
            let packed = spawn_blocking(move || bundle.zip()).await.map_err(|e| e.to_string()).flatten();
            packed.map_err(|e| Refusal::Failed(format!("The bundle could not be packed: {e}.")))
        }
        .boxed()
    }
}

impl Around {
    fn of(options: Options) -> Self {
        let file = options.paths.as_ref().map(|paths| paths.config_file.clone());
        Self { config: options.config.ok(), file, env: options.env, home: options.home }
    }
}

fn lock(last: &Mutex<Last>) -> std::sync::MutexGuard<'_, Last> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

fn planned(options: &Options) -> Vec<Planned> {
    let plan = |check: Check| Planned { id: check, title: check.title(), why: check.why(), long: check.is_long() };
    options.chosen().map(plan).collect()
}

fn say(said: &mpsc::Sender<Value>, step: &Step) {
    match serde_json::to_value(step) {
        // Nobody listens once the examination has been dropped, and this with it.
        Ok(line) => drop(said.try_send(line)),
        Err(e) => tracing::warn!("a step of the examination cannot be written: {e}"),
    }
}

fn listing(name: String, bundle: &Bundle) -> Listing {
    let listed =
        |entry: &bundle::Entry| Listed { name: entry.name, what: entry.what, bytes: entry.text.len(), text: entry.text.clone() };
    Listing { name, entries: bundle.entries.iter().map(listed).collect(), left_out: bundle.left_out.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leeward_typescript::keep;
    use ts_rs::TypeVisitor;

    #[test]
    fn the_panels_types_are_those_of_the_doctor() {
        keep(concat!(env!("CARGO_MANIFEST_DIR"), "/ui/src/generated-doctor.ts"), "cargo test --lib typescript", |all| {
            all.visit::<Step>();
            all.visit::<super::super::finding::Shown<'static>>();
            all.visit::<Report>();
            all.visit::<Listing>();
        });
    }
}
