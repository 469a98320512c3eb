//! An examination for the panel's window: its steps, asked for one by one, and its bundle as a file. Examines nothing itself.

use crate::{commands::Refusal, here::Here};
use leeward::{health::unix_ms, instance::write_atomically};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};
use tauri::{AppHandle, Manager, State};
use tokio::{sync::Mutex, time::timeout};
use tokio_util::sync::CancellationToken;

const PATH: &str = "/_leeward/v1/doctor";
/// The engine says something every few seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// To put a bundle together and to pack it.
const LIMIT: Duration = Duration::from_secs(20);

/// The examination that runs, if one does.
#[derive(Default)]
pub(crate) struct Examining(std::sync::Mutex<Option<Arc<Run>>>);

impl Examining {
    /// Ends the one that runs, and puts this one in its place.
    fn put(&self, next: Option<Arc<Run>>) {
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), next);
        if let Some(before) = before {
            before.stopped.cancel();
        }
    }

    fn get(&self) -> Option<Arc<Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The stream of one; the engine ends the examination with it.
struct Run {
    lines: Mutex<Lines>,
    stopped: CancellationToken,
}

struct Lines {
    response: reqwest::Response,
    rest: Vec<u8>,
}

impl Lines {
    /// The next step; `None` at the end.
    async fn next(&mut self) -> Result<Option<Value>, Refusal> {
        loop {
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                // An empty one is a sign of life.
                if line.len() > 1 {
                    return serde_json::from_slice(&line).map(Some).map_err(|why| Refusal::new("no-answer", why));
                }
            }
            let piece = timeout(SILENCE, self.response.chunk()).await;
            match piece.map_err(|_| Refusal::new("no-answer", "The engine says nothing more of the examination."))? {
                Ok(Some(piece)) => self.rest.extend_from_slice(&piece),
                Ok(None) => return Ok(None),
                Err(why) => return Err(Refusal::new("no-answer", why.without_url())),
            }
        }
    }
}

/// Begins an examination; one that this window began before ends.
#[tauri::command]
pub(crate) async fn doctor_begin(here: State<'_, Arc<Here>>, examining: State<'_, Examining>, long: bool) -> Result<(), Refusal> {
    examining.put(None);
    let response = here.client().open(PATH, &json!({ "long": long })).await?;
    let lines = Mutex::new(Lines { response, rest: Vec::new() });
    examining.put(Some(Arc::new(Run { lines, stopped: CancellationToken::new() })));
    Ok(())
}

/// Its next step; null at its end.
#[tauri::command]
pub(crate) async fn doctor_next(examining: State<'_, Examining>) -> Result<Option<Value>, Refusal> {
    let Some(run) = examining.get() else { return Ok(None) };
    let next = async { run.lines.lock().await.next().await };
    let step = run.stopped.run_until_cancelled(next).await.unwrap_or(Ok(None));
    if !matches!(step, Ok(Some(_))) {
        examining.put(None);
    }
    step
}

/// Ends it.
#[tauri::command]
pub(crate) fn doctor_stop(examining: State<'_, Examining>) {
    examining.put(None);
}

/// What the bundle of the last one will hold.
#[tauri::command]
pub(crate) async fn doctor_bundle(here: State<'_, Arc<Here>>) -> Result<Value, Refusal> {
    Ok(here.client().get(&format!("{PATH}/bundle"), LIMIT).await?)
}

/// Where a bundle was written.
#[derive(Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct SavedBundle {
    /// The file.
    path: String,
}

/// Writes the bundle that was listed among the user's downloads, for the user alone.
#[tauri::command]
pub(crate) async fn doctor_save(app: AppHandle, here: State<'_, Arc<Here>>) -> Result<SavedBundle, Refusal> {
    let bytes = here.client().bytes(&format!("{PATH}/bundle.zip"), LIMIT).await?;
    let folder = folder(&app).ok_or_else(|| Refusal::new("no-folder", "This user has no folder for downloads."))?;
    let file = folder.join(format!("leeward-doctor-{}.zip", unix_ms()));
    let path = file.display().to_string();
    let written = tauri::async_runtime::spawn_blocking(move || write_atomically(&file, &bytes)).await;
    let unwritten = |why: &dyn std::fmt::Display| Refusal::new("not-written", format!("{path} cannot be written: {why}."));
    written.map_err(|why| unwritten(&why))?.map_err(|why| unwritten(&why))?;
    Ok(SavedBundle { path })
}

/// Where a browser would put it; the home folder where there is no such place.
fn folder(app: &AppHandle) -> Option<PathBuf> {
    let of = app.path();
    [of.download_dir(), of.home_dir()].into_iter().flatten().find(|folder| folder.is_dir())
}
