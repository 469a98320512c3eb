//! GNOME's and KDE's half of `pac`.

use super::settings::{Read, Settings, of_gnome, of_kde};
use crate::doctor::{
    ask::{Unanswered, ask},
    context::Context,
};
use std::path::Path;

const SCHEMA: &str = "org.gnome.system.proxy";

pub(super) async fn read(context: &Context) -> Read {
    let kde = context.var("XDG_CONFIG_HOME").map(Into::into).or_else(|| Some(context.home.as_ref()?.join(".config")));
    if let Some(settings) = kde.and_then(|folder| kde_script(&folder)) {
        return Ok((settings, "KDE's network settings".into()));
    }
    let mode = match ask("gsettings", &["get", SCHEMA, "mode"]).await {
        Ok(mode) => mode,
        // Neither desktop is there, so nobody's settings can name a script.
        Err(Unanswered::Missing) => return Ok((Settings::default(), "The environment".into())),
        Err(Unanswered::Failed(why)) => return Err(format!("GNOME's proxy settings could not be read: {why}")),
    };
    let url = match ask("gsettings", &["get", SCHEMA, "autoconfig-url"]).await {
        Ok(url) => url,
        Err(Unanswered::Missing) => String::new(),
        Err(Unanswered::Failed(why)) => return Err(format!("GNOME's proxy settings could not be read: {why}")),
    };
    Ok((of_gnome(&mode, &url), "GNOME's proxy settings".into()))
}

fn kde_script(folder: &Path) -> Option<Settings> {
    of_kde(&std::fs::read_to_string(folder.join("kioslaverc")).ok()?)
}
