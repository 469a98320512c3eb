//! The command line: what it says and how it ends.

use crate::process::{Serving, Windows, path};
use std::path::Path;

pub fn all(windows: &Windows, home: &Path, serving: &Serving) -> String {
    let (code, said) = windows.run(home, &["status", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("\"address\":\"{}\"", serving.address)) || said.contains(&serving.address.to_string()),
        "{said}"
    );
    let (code, said) = windows.run(home, &["restart"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = windows.run(home, &["env", "--shell", "powershell"]);
    assert!(code == Some(0) && said.contains("$env:ANTHROPIC_BASE_URL"), "{said}");
    assert_eq!(windows.run(home, &["no-such-command"]).0, Some(64));
    let (code, said) = windows.run(home, &["serve", "--listen", "127.0.0.1:0"]);
    assert!(code == Some(75) && said.contains(&format!("already serving on {}", serving.address)), "{code:?} {said}");
    let broken = home.join("broken");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("config.toml"), "retry = 1\n").unwrap();
    let (code, said) = windows.run(&broken, &["config", "check"]);
    assert!(code == Some(78) && said.contains(&path(&broken.join("config.toml"))), "{code:?} {said}");
    "as documented, the file named by its Windows path".into()
}

pub fn wrapped(windows: &Windows, home: &Path) -> String {
    let (code, said) = windows.run(home, &["run", "--", "cmd.exe", "/c", "exit 7"]);
    assert_eq!(code, Some(7), "{said}");
    let (code, said) = windows.run(home, &["run", "--", "no-such-program"]);
    assert!(code == Some(127) && said.contains("no-such-program"), "{code:?} {said}");
    "7 of `cmd /c exit 7`; 127 for one that is not there".into()
}

/// The founding bug itself: an accept loop that gives up on an error, on the API that reports it.
pub fn naive(windows: &Windows, home: &Path) -> String {
    let (code, said) = windows.run(home, &["demo", "--quick", "--json", "--seed", "1"]);
    let json = said.find('{').and_then(|at| serde_json::Deserializer::from_str(&said[at..]).into_iter().next());
    let demo: serde_json::Value = json.and_then(Result::ok).unwrap_or_else(|| panic!("{code:?} {said}"));
    let listener = &demo["listener"];
    let (naive, leeward) = (&listener["without"], &listener["leeward"]);
    assert_eq!((&naive["alive"], &leeward["alive"]), (&false.into(), &true.into()), "{demo:#}");
    assert_eq!(leeward["health_failed"], 0, "{demo:#}");
    let clients = leeward["resets"].as_u64().unwrap();
    format!(
        "naive: lost at client {}, {} of {clients} answered; Leeward: {} of {clients}",
        naive["lost_after"], naive["health_ok"], leeward["health_ok"]
    )
}
