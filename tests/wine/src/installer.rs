//! What the installer does beyond Tauri's own script: the user's PATH, and a program that runs while it is replaced.

use crate::process::{Windows, until};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where ci/installer.nsi puts the program.
fn folder() -> PathBuf {
    let users = Path::new(&std::env::var_os("WINEPREFIX").expect("the folder of this Wine")).join("drive_c").join("users");
    let user = std::fs::read_dir(users).unwrap().flatten().find(|user| user.file_name() != "Public").unwrap();
    user.path().join("AppData").join("Local").join("Leeward's hooks")
}

pub fn hooks(windows: &Windows, home: &Path) -> String {
    let folder = folder();
    let home = home.join("installed");
    std::fs::create_dir_all(&home).unwrap();
    let run = |program: &Path| Command::new(&windows.wine).arg(program).arg("/S").status().unwrap().success();
    let on_path = || {
        let registry = Command::new(&windows.wine).args(["reg", "query", r"HKCU\Environment"]).output().unwrap();
        String::from_utf8_lossy(&registry.stdout).contains("Leeward's hooks")
    };
    assert!(run(&windows.setup) && on_path());
    let program = folder.join("leeward.exe");
    let serving = windows.serve_of(&program, &home, &["--listen", "127.0.0.1:0"]);
    assert!(run(&windows.setup) && on_path(), "installed over a program that runs");
    assert!(program.exists() && serving.health().is_some());
    drop(serving);
    assert!(run(&folder.join("uninstall.exe")));
    // The uninstaller goes on as a copy of itself.
    until("it has gone", || !program.exists() && !on_path());
    "on it, and off it again; the running one goes on with the program it began with".into()
}
