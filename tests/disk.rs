//! The built `leeward` and its files: what a disk, a cleaner or a mistake does to them while it runs and before it starts.
//! It serves whatever they say, and says what it cannot keep.

use crate::home::{Home, until};
use std::{fs, path::Path};

/// Each way for a log to vanish that Unix has; Windows keeps names in which files are open.
#[cfg(unix)]
#[test]
fn a_log_that_vanishes_comes_back_and_takes_lines() {
    type Way = fn(&Path, &Path);
    let ways: [(&str, Way); 4] = [
        ("deleted", |log, _| fs::remove_file(log).unwrap()),
        ("moved away", |log, away| fs::rename(log, away).unwrap()),
        ("removed with its folder", |log, _| fs::remove_dir_all(log.parent().unwrap()).unwrap()),
        ("replaced", |log, away| fs::write(away, "theirs\n").and_then(|()| fs::rename(away, log)).unwrap()),
    ];
    let home = Home::new();
    let serving = home.serve(&[]);
    let log = home.paths().log_file();
    let says = |what: &str| fs::read_to_string(&log).unwrap_or_default().contains(what);
    until("the log has lines", || says("accepting"));
    for (what, way) in ways {
        way(&log, &home.path("away"));
        until(what, || says("the log goes on here"));
        assert_eq!(home.run(&["restart"]).code, Some(0), "{what}");
        until(what, || says("accepting"));
        let shown = home.run(&["logs", "-n", "9"]);
        assert!(shown.stdout.contains("accepting"), "{what}: {shown:?}");
    }
    drop(serving);
}
