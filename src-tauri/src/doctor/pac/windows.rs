//! Windows half of `pac`.

use super::settings::{Read, Settings};
use crate::doctor::context::Context;
use windows_registry::CURRENT_USER;

const KEY: &str = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings";

pub(super) async fn read(_context: &Context) -> Read {
    let read = tokio::task::spawn_blocking(|| {
        let key = CURRENT_USER.open(KEY).map_err(|e| e.to_string())?;
        let script = key.get_string("AutoConfigURL").ok().filter(|text| !text.trim().is_empty());
        Ok::<_, String>(Settings { script, discovers: false })
    });
    let settings = read.await.map_err(|e| e.to_string()).flatten();
    let settings = settings.map_err(|e| format!("the system's proxy settings could not be read ({e})"))?;
    Ok((settings, "Windows' proxy settings".into()))
}
