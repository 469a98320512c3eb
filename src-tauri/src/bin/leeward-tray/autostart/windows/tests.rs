//! The plugin's own writer under a name of its own, so that the user's value stays as it is: what becomes of what it writes,
//! and what would be left without.

use super::{super::real::launcher, *};

const PROGRAM: &str = r"C:\Users\Jörg 风\a dir\leeward-tray.exe";
/// As the task manager writes it: 3, and when.
const OFF: [u8; 12] = [3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

/// Values that are gone when the test ends, whichever way.
struct Own(String);

impl Own {
    fn new(test: &str) -> Self {
        Self(format!("Leeward-test-{}-{test}", std::process::id()))
    }

    fn values(&self) -> Values<'_> {
        Values { name: &self.0, ..VALUES }
    }

    fn command(&self, root: &Key) -> Option<String> {
        root.open(VALUES.run).and_then(|key| key.get_string(&self.0)).ok()
    }

    fn approve(&self, root: &Key, value: &[u8]) {
        root.create(VALUES.approved).unwrap().set_bytes(&self.0, Type::Bytes, value).unwrap();
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.values().remove().ok();
    }
}

#[test]
fn the_registry_gives_back_what_was_written_and_obeys_the_other_switch() {
    let own = Own::new("mended");
    let (values, program) = (own.values(), Path::new(PROGRAM));
    let (real, starts) = (launcher(&own.0, program), Entry::Starts(PROGRAM.into()));
    let nowhere = Values { run: r"Software\Leeward-test\no", approved: r"Software\Leeward-test\no", ..values };
    assert_eq!(nowhere.read(true).unwrap(), Entry::Absent, "keys that are not there");
    nowhere.remove().unwrap();
    assert_eq!(values.read(real.is_enabled().unwrap()).unwrap(), Entry::Absent);
    real.enable().unwrap();
    values.mend(&spelled(program).unwrap()).unwrap();
    assert_eq!(values.read(real.is_enabled().unwrap()).unwrap(), starts);
    assert_eq!(own.command(CURRENT_USER), Some(format!("\"{PROGRAM}\" --hidden")));
    assert_eq!(own.command(LOCAL_MACHINE), None, "the machine's other users did not ask for it");

    own.approve(CURRENT_USER, &OFF);
    assert_eq!(values.read(real.is_enabled().unwrap()).unwrap(), Entry::SwitchedOff);
    real.enable().unwrap();
    values.mend(&spelled(program).unwrap()).unwrap();
    assert_eq!(values.read(real.is_enabled().unwrap()).unwrap(), starts, "switched on here is on");
    real.disable().unwrap();
    values.remove().unwrap();
    assert_eq!(values.read(real.is_enabled().unwrap()).unwrap(), Entry::Absent);
    let switch = CURRENT_USER.open(VALUES.approved).and_then(|key| key.get_value(&own.0));
    assert!(switch.is_err(), "nothing is left of it");
}

/// An administrator has switched it on for everybody: it is on, whoever asks, and whoever may removes it.
#[test]
fn what_is_started_for_every_user_is_told() {
    let own = Own::new("machine");
    let real = launcher(&own.0, Path::new(PROGRAM));
    let Ok(run) = LOCAL_MACHINE.options().write().open(VALUES.run) else {
        assert_eq!(own.values().read(true).unwrap(), Entry::Absent, "not an administrator: there is nothing to find");
        return;
    };
    run.set_string(&own.0, format!("\"{PROGRAM}\"")).unwrap();
    assert_eq!(own.values().read(real.is_enabled().unwrap()).unwrap(), Entry::Starts(PROGRAM.into()));
    own.values().remove().unwrap();
    assert_eq!(own.command(LOCAL_MACHINE), None);
}

/// Each assertion that fails here is a part of `mend` or `read` that can go.
#[test]
fn the_plugin_still_has_to_be_mended() {
    let own = Own::new("raw");
    let real = launcher(&own.0, Path::new(PROGRAM));
    real.enable().unwrap();
    let administrator = LOCAL_MACHINE.options().write().open(VALUES.run).is_ok();
    let root = if administrator { LOCAL_MACHINE } else { CURRENT_USER };
    let command = own.command(root);
    assert!(command.is_some(), "the plugin writes to the user's key now: remove this mend");
    assert_ne!(command.as_deref().and_then(first_word).as_deref(), Some(PROGRAM), "the plugin quotes now: remove this mend");
    own.approve(root, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(real.is_enabled().unwrap(), "the plugin reads the task manager's switch right now: remove this reading");
    real.disable().unwrap();
    let switch = root.open(VALUES.approved).and_then(|key| key.get_value(&own.0));
    assert!(switch.is_ok(), "the plugin removes the switch as well now: remove this mend");
}

#[test]
fn the_program_is_the_first_word_blanks_and_all() {
    assert_eq!(first_word(r#""C:\a dir\leeward-tray.exe" --hidden"#).as_deref(), Some(r"C:\a dir\leeward-tray.exe"));
    assert_eq!(first_word(r"C:\leeward-tray.exe --hidden").as_deref(), Some(r"C:\leeward-tray.exe"));
    assert_eq!(first_word(""), None);
    assert_eq!(first_word("\"\" x"), None);
}
