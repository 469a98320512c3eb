//! The plugin's own writer at a home of its own, what becomes of it, and what would be left without. launchd is not asked:
//! it knows one home only.

use super::{
    super::real::{at_home, launcher},
    *,
};

const TESTS: &str = "autostart::platform::tests";

/// A program below `home` that is there, as the plugin's writer wants it.
fn program_at(home: &Path, path: &str) -> PathBuf {
    let file = home.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "").unwrap();
    // The plugin makes one folder at most.
    fs::create_dir_all(home.join("Library")).unwrap();
    file
}

#[test]
fn whatever_the_path_it_is_read_back_as_it_was() {
    at_home(&format!("{TESTS}::whatever_the_path_it_is_read_back_as_it_was"), ".config", |home| {
        let file = place().unwrap();
        for path in ["Leeward.app/Contents/MacOS/leeward-tray", "a dir/<b> & \"c\"/x", "&lt;/x", "<key>RunAtLoad</key>/x"] {
            let ours = program_at(home, path);
            launcher(NAME, &ours).enable().unwrap();
            mend_file(&file, &spelled(&ours).unwrap()).unwrap();
            let text = fs::read_to_string(&file).unwrap();
            assert_eq!(program(&text).as_deref(), ours.to_str(), "{text}");
            for once in
                ["<key>RunAtLoad</key>", "<string>app.leeward</string>", "<string>--hidden</string>", "<string>Aqua</string>"]
            {
                assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
            }
            assert!(text.starts_with("<?xml") && text.trim_end().ends_with("</plist>"), "{text}");
            launcher(NAME, &ours).disable().unwrap();
            remove(&file).unwrap();
            assert!(!file.exists());
        }
        assert_eq!((program("<plist/>"), mended("<plist/>", "/x")), (None, None));
        assert!(spelled(Path::new("/two\nlines")).is_err());
    });
}

/// Each assertion that fails here is a part of `mend` or `read` that can go.
#[test]
fn the_plugin_still_has_to_be_mended() {
    at_home(&format!("{TESTS}::the_plugin_still_has_to_be_mended"), ".config", |home| {
        let (file, ours) = (place().unwrap(), program_at(home, "a & b/x"));
        launcher(NAME, &ours).enable().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("a &amp; b"), "the plugin escapes now: remove this mend");
        assert!(!text.contains("Aqua"), "the plugin asks for a desktop now: remove this mend");
        fs::write(&file, "").unwrap();
        assert!(launcher(NAME, &ours).is_enabled().unwrap(), "the plugin looks into its file now: remove this reading");
    });
}

#[test]
fn a_switch_in_the_systems_settings_is_seen() {
    assert!(is_disabled("disabled services = {\n\t\t\"app.leeward\" => disabled\n\t\t\"x\" => enabled\n}"));
    assert!(!is_disabled("disabled services = {\n\t\t\"app.leeward\" => enabled\n\t\t\"x\" => disabled\n}"));
}
