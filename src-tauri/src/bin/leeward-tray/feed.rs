//! What changes, sent to the panel as events for as long as its window is there. Without a window nothing is looked at.

use crate::{here::Here, state::PANEL};
use leeward::telemetry::{Seen, Traffic};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tauri::{AppHandle, Emitter};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Requests are looked at this often, as for a browser.
const LOOK: Duration = Duration::from_millis(250);
/// Status and counters every so many looks.
const COUNTERS: u32 = 4;
/// What is not answered within this is asked for again at the next turn.
const LIMIT: Duration = Duration::from_secs(1);

/// Sends until the window is closed.
pub(crate) async fn tell(app: AppHandle, here: Arc<Here>, traffic: Arc<Traffic>, closed: CancellationToken) {
    closed.run_until_cancelled(tell_all(&app, &here, &traffic)).await;
}

async fn tell_all(app: &AppHandle, here: &Here, traffic: &Traffic) {
    let (mut seen, mut stats, mut status) = (Seen::default(), Value::Null, Value::Null);
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0;
    loop {
        looks.tick().await;
        let requests = traffic.activities().changes(&mut seen);
        if !requests.is_empty() {
            emit(app, "activity", &json!({ "requests": requests }));
        }
        if count % COUNTERS == 0 {
            tell_if_new(app, here, "status", &mut status).await;
            tell_if_new(app, here, "stats", &mut stats).await;
        }
        count = count.wrapping_add(1);
    }
}

async fn tell_if_new(app: &AppHandle, here: &Here, name: &str, last: &mut Value) {
    // Where the engine does not answer, `paint` sends the status that says so.
    if let Ok(now) = here.client().get(&format!("/_leeward/v1/{name}"), LIMIT).await
        && now != *last
    {
        emit(app, name, &now);
        *last = now;
    }
}

fn emit(app: &AppHandle, name: &str, what: &Value) {
    if let Err(why) = app.emit_to(PANEL, name, what) {
        tracing::warn!("the panel gets no events: {why}");
    }
}
