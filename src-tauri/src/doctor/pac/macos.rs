//! macOS half of `pac`.

use super::settings::{Read, of_scutil};
use crate::doctor::{
    ask::{Unanswered, ask},
    context::Context,
};

pub(super) async fn read(_context: &Context) -> Read {
    match ask("/usr/sbin/scutil", &["--proxy"]).await {
        Ok(text) => Ok((of_scutil(&text), "The system's network settings".into())),
        Err(Unanswered::Missing) => Err("`scutil` is not there".into()),
        Err(Unanswered::Failed(why)) => Err(format!("the system's proxy settings could not be read: {why}")),
    }
}
