//! Where Leeward keeps its files. Creates nothing.

use std::path::{Path, PathBuf};

/// The panel's built files, where they were installed with this program or built beside it.
pub fn panel_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    let folder = program.parent()?;
    // Portable and Windows; Linux packages; the bundle of macOS.
    let mut places = vec![folder.join("ui"), folder.join("../share/leeward/ui"), folder.join("../Resources/ui")];
    if folder.parent().and_then(|p| p.file_name()).is_some_and(|name| name == "target") {
        places.push(folder.join("../../ui/dist")); // cargo's
    }
    places.into_iter().find(|place| place.join("index.html").is_file())?.canonicalize().ok()
}

/// The places of all files, on every platform; `LEEWARD_HOME` moves all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `config.toml`.
    pub config_file: PathBuf,
    /// Folder of `instance.json`, `control.token`, the ledger and the logs.
    pub state_dir: PathBuf,
    /// Set where `state_dir` only stands in for another folder.
    pub stands_in: Option<StandIn>,
}

/// A folder in memory that is used instead of a state folder that cannot keep anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// The folder in memory.
    pub folder: PathBuf,
    /// The state folder that it stands in for.
    pub of: PathBuf,
    /// Why, as the end of a sentence; empty when nobody has asked the system.
    pub why: String,
}

impl Paths {
    /// Everything below one folder: tests and portable use.
    pub fn under(home: &Path) -> Self {
        Self { config_file: home.join("config.toml"), state_dir: home.join("state"), stands_in: None }
    }

    /// The platform's own places; `None` where the user has no home folder.
    pub fn of_platform() -> Option<Self> {
        let dirs = directories::ProjectDirs::from("", "", "leeward")?;
        let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir());
        Some(Self { config_file: dirs.config_dir().join("config.toml"), state_dir: state.to_path_buf(), stands_in: None })
    }

    /// The same with a state folder in memory.
    #[must_use]
    pub fn in_memory(self, stand_in: StandIn) -> Self {
        Self { state_dir: stand_in.folder.clone(), stands_in: Some(stand_in), ..self }
    }

    /// What is kept in memory only and why, in a sentence; `None` when all of it is kept.
    pub fn not_kept(&self) -> Option<String> {
        let StandIn { folder, of, why } = self.stands_in.as_ref()?;
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        let (of, folder) = (of.display(), folder.display());
        Some(format!(
            "Leeward could not use its state folder {of}{why}. Its log and history are in {folder} and are lost when the system \
             restarts. Free some space or mend the folder's permissions, then start Leeward again."
        ))
    }

    /// The text of the config file that was in force last.
    pub fn last_good_file(&self) -> PathBuf {
        self.state_dir.join("config.last-good.toml")
    }

    /// Who serves: address, process, version.
    pub fn instance_file(&self) -> PathBuf {
        self.state_dir.join("instance.json")
    }

    /// Held locked by the process that serves.
    pub fn lock_file(&self) -> PathBuf {
        self.state_dir.join("instance.lock")
    }

    /// Held locked by whoever is just starting a background instance.
    pub fn start_lock_file(&self) -> PathBuf {
        self.state_dir.join("start.lock")
    }

    /// A file for each process that holds the listening socket.
    pub fn holders_dir(&self) -> PathBuf {
        self.state_dir.join("holders")
    }

    /// The bearer token of the control paths, readable by the user alone.
    pub fn token_file(&self) -> PathBuf {
        self.state_dir.join("control.token")
    }

    /// Upstreams that `wrap` sessions brought along, so that a restarted engine knows them at once.
    pub fn session_upstreams_file(&self) -> PathBuf {
        self.state_dir.join("session-upstreams.json")
    }

    /// The certificate authorities of intercept mode; not there until an agent uses it.
    pub fn authority_dir(&self) -> PathBuf {
        self.state_dir.join("authority")
    }

    /// What `leeward setup` has written, and copies of what was there before.
    pub fn setup_dir(&self) -> PathBuf {
        self.state_dir.join("setup")
    }

    /// The history of faults.
    pub fn ledger_file(&self) -> PathBuf {
        self.state_dir.join("ledger.sqlite")
    }

    /// The rotated log.
    pub fn log_file(&self) -> PathBuf {
        self.state_dir.join("logs").join("leeward.log")
    }
}
