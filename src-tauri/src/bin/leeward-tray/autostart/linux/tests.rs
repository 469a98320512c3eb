//! The plugin's own writer at a home of its own, what becomes of it, and what would be left without.

use super::{
    super::{
        real::{at_home, launcher},
        state, switch_off, switch_on,
    },
    *,
};

const PATHS: [&str; 5] =
    ["/usr/bin/leeward-tray", "/opt/a dir/leeward tray", r#"/opt/"quoted" $HOME `x`/t"#, r"/opt/back\slash/t", "/opt/100%/t"];
const TESTS: &str = "autostart::platform::tests";

#[test]
fn whatever_the_path_it_is_read_back_as_it_was() {
    at_home(&format!("{TESTS}::whatever_the_path_it_is_read_back_as_it_was"), ".config", |home| {
        let file = home.join(".config/autostart/leeward-tray.desktop");
        assert_eq!(place().unwrap(), file);
        for path in PATHS {
            let real = launcher(NAME, Path::new(path));
            assert_eq!(state(&real, &file).unwrap(), Entry::Absent);
            switch_on(&real, &file, Path::new(path)).unwrap();
            assert_eq!(state(&real, &file).unwrap(), Entry::Starts(path.into()));
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("[Desktop Entry]\nType=Application\n"), "{text}");
            assert_eq!(text.matches("\nName=Leeward\n").count(), 1, "{text}");
            assert!(text.lines().any(|line| line == format!("Exec={} --hidden", quoted(path))), "{text}");
            switch_off(&real, &file).unwrap();
            switch_off(&real, &file).unwrap();
            assert!(!file.exists());
        }
        let lines = Path::new("/opt/two\nlines");
        assert!(switch_on(&launcher(NAME, lines), &file, lines).is_err(), "a line break would be an entry of its own");
        assert!(!file.exists());
    });
}

#[test]
fn it_lies_where_the_session_looks() {
    at_home(&format!("{TESTS}::it_lies_where_the_session_looks"), "elsewhere", |home| {
        let (file, program) = (home.join("elsewhere/autostart/leeward-tray.desktop"), Path::new(PATHS[1]));
        assert_eq!(place().unwrap(), file);
        let real = launcher(NAME, program);
        for _ in 0..2 {
            switch_on(&real, &file, program).unwrap();
            assert_eq!(state(&real, &file).unwrap(), Entry::Starts(PATHS[1].into()));
            assert!(!home.join(".config").exists(), "nothing is left where the plugin wrote");
        }
        switch_off(&real, &file).unwrap();
        assert_eq!(state(&real, &file).unwrap(), Entry::Absent);
        assert!(!file.exists());
    });
}

/// A dotfiles folder may have one of the two as a link to the other.
#[test]
fn a_link_from_one_place_to_the_other_loses_nothing() {
    at_home(&format!("{TESTS}::a_link_from_one_place_to_the_other_loses_nothing"), "elsewhere", |home| {
        let (file, program) = (place().unwrap(), Path::new(PATHS[0]));
        fs::create_dir(home.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", home.join(".config")).unwrap();
        switch_on(&launcher(NAME, program), &file, program).unwrap();
        assert_eq!(read(&file, true).unwrap(), Entry::Starts(PATHS[0].into()));
    });
}

/// What cannot be mended starts nothing: unquoted it could be another program.
#[test]
fn an_entry_that_cannot_be_mended_is_taken_back() {
    at_home(&format!("{TESTS}::an_entry_that_cannot_be_mended_is_taken_back"), "elsewhere", |home| {
        fs::write(home.join("elsewhere"), "no folder").unwrap();
        let program = Path::new(PATHS[1]);
        switch_on(&launcher(NAME, program), &place().unwrap(), program).unwrap_err();
        assert!(!plugins_place().unwrap().exists());
    });
}

/// Each assertion that fails here is a part of `mend` or `read` that can go.
#[test]
fn the_plugin_still_has_to_be_mended() {
    at_home(&format!("{TESTS}::the_plugin_still_has_to_be_mended"), "elsewhere", |home| {
        let real = launcher(NAME, Path::new(PATHS[1]));
        real.enable().unwrap();
        let written = plugins_place().unwrap();
        let there = written.exists() && !home.join("elsewhere").exists();
        assert!(there, "the plugin obeys XDG_CONFIG_HOME now: remove this mend");
        let text = fs::read_to_string(&written).unwrap();
        assert_ne!(entry(&text), Entry::Starts(PATHS[1].into()), "the plugin quotes now: remove this mend");
        for off in ["Hidden=true", "X-GNOME-Autostart-enabled=false"] {
            fs::write(&written, format!("{text}\n{off}\n")).unwrap();
            assert_eq!(read(&written, true).unwrap(), Entry::SwitchedOff);
            assert!(real.is_enabled().unwrap(), "the plugin sees {off} now: remove this reading of the file");
        }
    });
}

/// The specification's quoting is a part of the shell's, so a shell must read the same words.
#[test]
fn a_shell_reads_the_same_path() {
    for path in PATHS.into_iter().filter(|path| !path.contains('%')) {
        // What the file's own escapes leave.
        let exec = quoted(path).replace("\\\\", "\\");
        let said = std::process::Command::new("sh").args(["-c", &format!("printf %s {exec}")]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), path);
    }
    assert_eq!(quoted("/a/100%"), "\"/a/100%%\"");
}

#[test]
fn a_switch_in_the_desktops_settings_is_seen() {
    for off in ["Hidden=true", "Hidden = True", "X-GNOME-Autostart-enabled=false"] {
        assert_eq!(entry(&format!("# x\n[Desktop Entry]\nExec=/bin/x\n{off}\n")), Entry::SwitchedOff, "{off}");
    }
    assert_eq!(entry("[Desktop Entry]\nExec=/bin/x --hidden\n[Other]\nHidden=true\n"), Entry::Starts("/bin/x".into()));
    assert_eq!(entry("Hidden=true\n[Desktop Entry]\nExec=x"), Entry::Starts("x".into()));
    for damaged in ["", "[Desktop Entry]\n", "[Desktop Entry]\nExec=\n", "[Desktop Entry]\nExec=\\"] {
        assert_eq!(entry(damaged), Entry::Absent, "{damaged}");
    }
}
