//! The config on disk: whether it has changed, and what it says now. Puts nothing in force.

use super::options::{Read, Refilter, ReloadError};
use crate::{config::Config, shortage::is_shortage};
use std::{io, path::Path, time::SystemTime};

/// Where the config comes from, and which state of it was read last.
pub(super) struct ConfigFile {
    reload: Read,
    refilter: Option<Refilter>,
    /// When the file was changed that was read last; `None`: there was none.
    read: Option<SystemTime>,
}

impl ConfigFile {
    /// The config has just been read.
    pub(super) fn new(reload: Read, refilter: Option<Refilter>, config: &Config) -> Self {
        Self { reload, refilter, read: modified(&config.paths.config_file).flatten() }
    }

    /// True when there is something new to read.
    pub(super) fn has_changed(&self, config: &Config) -> bool {
        modified(&config.paths.config_file).is_some_and(|modified| modified != self.read)
    }

    /// Reads it again. What could not be read for a shortage counts as unread.
    pub(super) fn reload(&mut self, config: &Config) -> Result<Config, ReloadError> {
        let modified = modified(&config.paths.config_file);
        let reloaded = (self.reload)();
        if let (Some(modified), Ok(_) | Err(ReloadError::Refused(_))) = (modified, &reloaded) {
            self.read = modified;
        }
        reloaded
    }

    /// Puts the config's log filter in force.
    pub(super) fn refilter(&self, log: &str) {
        let Some(refilter) = &self.refilter else { return };
        match refilter(log) {
            Ok(()) => tracing::info!("the log's filter is `{log}` now"),
            Err(e) => tracing::warn!("the log's filter stays as it was: {e}"),
        }
    }
}

/// When the file was changed last, or that there is none; `None`: the system could not say.
fn modified(file: &Path) -> Option<Option<SystemTime>> {
    known(std::fs::metadata(file).and_then(|metadata| metadata.modified()))
}

/// `None` for what a shortage kept from being asked; any other error is an answer.
fn known<T>(asked: io::Result<T>) -> Option<Option<T>> {
    match asked {
        Ok(answer) => Some(Some(answer)),
        Err(e) if is_shortage(&e) => None,
        Err(_) => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn only_a_shortage_leaves_it_unknown() {
        #[cfg(unix)]
        let (short, other) = {
            use rustix::io::Errno;
            (
                [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(Errno::raw_os_error),
                [Errno::NOENT, Errno::ACCESS].map(Errno::raw_os_error),
            )
        };
        #[cfg(windows)]
        let (short, other) = ([4, 8, 1450], [2, 5]);
        for code in short {
            assert_eq!(known(Err::<(), _>(io::Error::from_raw_os_error(code))), None, "{code}");
        }
        for code in other {
            assert_eq!(known(Err::<(), _>(io::Error::from_raw_os_error(code))), Some(None), "{code}");
        }
        assert_eq!(known(Ok(1)), Some(Some(1)));
    }

    #[test]
    fn a_file_that_could_not_be_read_is_read_later() {
        let home = tempfile::tempdir().unwrap();
        let config = Config::under(home.path()).unwrap();
        let answers = Cell::new(0);
        let reload = move || {
            answers.set(answers.get() + 1);
            match answers.get() {
                1 => Err(ReloadError::Unread("no descriptor".into())),
                2 => Err(ReloadError::Refused("nonsense".into())),
                _ => unreachable!(),
            }
        };
        let mut file = ConfigFile::new(Box::new(reload), None, &config);
        assert!(!file.has_changed(&config), "there is none, as before");
        std::fs::write(&config.paths.config_file, "").unwrap();
        assert!(file.has_changed(&config));
        assert_eq!(file.reload(&config), Err(ReloadError::Unread("no descriptor".into())));
        assert!(file.has_changed(&config), "nobody has read it yet");
        assert_eq!(file.reload(&config), Err(ReloadError::Refused("nonsense".into())));
        assert!(!file.has_changed(&config), "what is wrong with it has been told");
    }
}
