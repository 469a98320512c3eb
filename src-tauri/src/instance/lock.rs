//! The lock of a state folder: one process at a time serves from it. Says who holds it, and takes it from nobody.

use super::{
    private::{create_private_dir, open_private_file},
    record::{Record, read_record, remove_any_record},
};
use crate::config::Paths;
use std::{
    fs::{File, TryLockError},
    io,
    time::Duration,
};

/// Whoever looks whether the lock is free holds it for microseconds.
const LOOK: Duration = Duration::from_millis(2);
const LOOKS: u32 = 10;

/// Held by the one process that serves from a state folder. The system releases it however the process ends.
#[derive(Debug)]
pub struct Lock {
    pub(super) file: File,
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another Leeward serves from this state folder.
    #[error("another Leeward is already serving{}", .0.as_ref().map_or(String::new(), |r| format!(" on {} (pid {}, version {})", r.address, r.pid, r.version)))]
    Held(Option<Record>),
    /// The state folder cannot be written.
    #[error("cannot write to the state folder {}: {why}; check its permissions, or set LEEWARD_HOME", path.display())]
    Unwritable {
        /// The folder.
        path: std::path::PathBuf,
        /// The system's reason.
        why: io::Error,
    },
}

impl Lock {
    /// Takes the lock, creating the state folder (readable by the user alone) if need be. A record that lies there is of an
    /// instance that is gone, and is removed.
    ///
    /// # Errors
    /// `Held` when another process has it, `Unwritable` when the folder cannot be used.
    pub fn acquire(paths: &Paths) -> Result<Self, LockError> {
        let mut looks = 0;
        loop {
            match Self::acquire_now(paths) {
                // Somebody may only have looked whether it is free.
                Err(LockError::Held(_)) if looks < LOOKS => {
                    looks += 1;
                    std::thread::sleep(LOOK);
                }
                done => return done,
            }
        }
    }

    /// As `acquire`, without patience.
    pub(super) fn acquire_now(paths: &Paths) -> Result<Self, LockError> {
        let lock = Self::take(paths)?;
        remove_any_record(paths);
        Ok(lock)
    }

    /// Takes the lock from an instance that gives way: its record stays until the next one's is there.
    pub(super) fn take(paths: &Paths) -> Result<Self, LockError> {
        let unwritable = |why| LockError::Unwritable { path: paths.state_dir.clone(), why };
        create_private_dir(&paths.state_dir).map_err(unwritable)?;
        let file = open_private_file(&paths.lock_file()).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(read_record(paths))),
            Err(TryLockError::Error(why)) => Err(unwritable(why)),
        }
    }

    /// Whether somebody holds it. Asking takes it from nobody, and for a moment it keeps others from taking it.
    pub(super) fn is_held(paths: &Paths) -> bool {
        let file = File::open(paths.lock_file());
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Another handle of the same lock: it is held until the last one is gone.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn share(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()? })
    }
}
