//! The config: never a panic; what is refused is refused in a sentence that names a place, what is taken can be written
//! down and is taken again.
#![no_main]

use leeward::config::{self, Flags, Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), text).unwrap();
    let folder = home.path().to_str().unwrap().to_owned();
    let env = move |name: &str| (name == "LEEWARD_HOME").then(|| folder.clone());
    match config::load(&Sources { env: &env, flags: Flags::default() }) {
        Err(e) => {
            let sentence = e.to_string();
            assert!(sentence.contains("config.toml"), "{sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
        Ok(taken) => {
            let written = config::written(&taken).to_string();
            std::fs::write(home.path().join("config.toml"), &written).unwrap();
            let again = config::load(&Sources { env: &env, flags: Flags::default() });
            let again = again.unwrap_or_else(|e| panic!("{e}\n{written}"));
            assert_eq!(config::written(&again).to_string(), written);
        }
    }
});
