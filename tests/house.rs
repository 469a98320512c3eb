//! The rules of the house, each a failing test that gives its reason. Extend the tables, not the code.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, reason = "a test fails by panicking")]

#[path = "house/dependencies.rs"]
mod dependencies;
#[path = "house/documents.rs"]
mod documents;
#[path = "house/imports.rs"]
mod imports;
#[path = "house/picture.rs"]
mod picture;
#[path = "house/planted.rs"]
mod planted;
#[path = "house/source.rs"]
mod source;
#[path = "house/words.rs"]
mod words;

use imports::Imports;
use source::{Source, crate_paths, sources};
use std::{fs, path::Path, process::Command};

/// Which rooms of the library a room may see. A room that is not listed here fails: decide first, then write.
const ROOMS: &[(&str, &[&str], &str)] = &[
    ("files", &[], "how a file is replaced says nothing about what is in it"),
    ("config", &["escape", "files"], "the config is read before anything else exists and knows nobody"),
    ("health", &["escape"], "whoever sees a fault reports it; the list of faults knows no reporter"),
    ("tasks", &[], "an owner of tasks must not know what they do"),
    ("second", &[], "a tick does not know what is done in it"),
    ("escape", &[], "what makes a text harmless does not depend on what it says"),
    ("shortage", &[], "an error's number says the same to everybody"),
    ("socket_owner", &[], "whose a socket is does not depend on who asks"),
    ("logging", &["escape"], "the log starts first and takes everybody's lines"),
    ("control", &["config", "health"], "commands are a vocabulary; only the supervisor acts on them"),
    ("proof", &["config"], "a proof is a hash of a token, whoever asks and whoever answers"),
    ("window", &[], "who asks for the panel's window knows no desktop"),
    ("examination", &[], "who asks for an examination knows no check"),
    ("network", &["second", "shortage"], "it watches the machine and tells; it knows nobody who listens"),
    ("status", &["control", "health", "network"], "the picture that others see holds data, it decides nothing"),
    (
        "instance",
        &["config", "control", "files", "proof", "shortage", "socket_owner"],
        "who holds the port is a question about files and processes, not about the engine",
    ),
    (
        "service",
        &["config", "instance", "socket_owner"],
        "a service manager is asked about files and units; what the service runs is a program like any other",
    ),
    (
        "authority",
        &["config", "files", "instance"],
        "what signs knows its own files, and neither the connection nor the session that it signs for",
    ),
    ("telemetry", &["health", "status"], "whoever counts knows what others read of it, and nobody who reads"),
    ("ledger", &["config", "health", "status", "telemetry"], "the history listens to the traffic; nobody waits for it"),
    // The engine's layers, from the last one up: none sees one above it.
    ("message", &["escape", "shortage", "status", "telemetry"], "what both sides of a request share knows neither side"),
    (
        "upstream",
        &["config", "escape", "health", "message", "network", "status", "tasks", "telemetry"],
        "a connection to an API knows no client, and decides nothing about sending again",
    ),
    (
        "exchange",
        &["config", "health", "message", "status", "telemetry", "upstream"],
        "a request's life does not depend on how its client is connected",
    ),
    (
        "admin",
        &[
            "authority",
            "config",
            "control",
            "examination",
            "exchange",
            "health",
            "logging",
            "network",
            "proof",
            "status",
            "tasks",
            "telemetry",
            "upstream",
            "window",
        ],
        "Leeward's own paths are answered without a client's connection in sight",
    ),
    (
        "inbound",
        &[
            "admin",
            "authority",
            "config",
            "control",
            "exchange",
            "health",
            "message",
            "socket_owner",
            "status",
            "tasks",
            "telemetry",
            "upstream",
        ],
        "a client's connection never asks who supervises it",
    ),
    (
        "proxy",
        &[
            "admin",
            "authority",
            "config",
            "control",
            "examination",
            "exchange",
            "health",
            "inbound",
            "message",
            "network",
            "status",
            "tasks",
            "telemetry",
            "upstream",
            "window",
        ],
        "it puts the layers together; the engine never asks who is watching: facts go up through health, status and telemetry",
    ),
    (
        "supervisor",
        &[
            "config",
            "control",
            "examination",
            "files",
            "health",
            "inbound",
            "instance",
            "ledger",
            "message",
            "network",
            "proxy",
            "second",
            "shortage",
            "status",
            "tasks",
            "telemetry",
            "upstream",
            "window",
        ],
        "it owns the socket and the state, and knows neither wrap nor any painting of them",
    ),
    ("view", &["health", "status"], "a painting of the status is a pure value"),
    (
        "doctor",
        &[
            "authority",
            "config",
            "escape",
            "examination",
            "files",
            "health",
            "instance",
            "logging",
            "message",
            "socket_owner",
            "status",
            "upstream",
        ],
        "it examines the machine by the engine's own dial and asks a running engine over the socket; it starts neither",
    ),
    ("wrap", &["authority", "config", "escape", "instance"], "it talks to a running engine over the socket, like a stranger"),
    (
        "coverage",
        &["config", "control", "doctor", "health", "status", "wrap"],
        "it looks at programs, settings and processes of this user; the program lends it to the engine, which knows no agent",
    ),
    (
        "setup",
        &["config", "escape", "files", "instance", "logging", "wrap"],
        "it edits the user's files by `wrap`'s plan; who serves and what was seen is not its business",
    ),
    ("demo", &["config", "control", "status", "supervisor", "tasks"], "it drives the engine from outside"),
];

/// Which rooms a program may see.
const PROGRAMS: &[(&str, &[&str], &str)] = &[
    (
        "leeward",
        &[
            "authority",
            "config",
            "control",
            "coverage",
            "demo",
            "doctor",
            "escape",
            "examination",
            "health",
            "instance",
            "ledger",
            "logging",
            "service",
            "setup",
            "status",
            "supervisor",
            "tasks",
            "telemetry",
            "view",
            "wrap",
        ],
        "a program asks the supervisor; the proxy is nobody's to call",
    ),
    (
        "leeward-tray",
        &[
            "config",
            "control",
            "coverage",
            "doctor",
            "escape",
            "examination",
            "files",
            "health",
            "instance",
            "logging",
            "service",
            "status",
            "supervisor",
            "tasks",
            "telemetry",
            "view",
            "wrap",
        ],
        "the tray paints the status and passes commands on; it must not reach into the proxy",
    ),
];

/// The rooms that a request passes through, and what they count and share.
const ENGINE: &[&str] = &["admin", "exchange", "inbound", "message", "proxy", "status", "tasks", "telemetry", "upstream"];

/// Words a room must not contain: (rooms, empty = all of the library and `scripted`; word; reason).
const WORDS: &[(&[&str], &str, &str)] = &[
    (&[], "tauri", "the headless build must compile without a desktop; Tauri belongs to the tray's program"),
    (&[], "tokio::spawn", "a detached task outlives its owner; use a JoinSet or `tasks::Tasks`"),
    (&[], "task::spawn(", "a detached task outlives its owner; use a JoinSet or `tasks::Tasks`"),
    (&[], "process::exit", "ending the process skips every guard; return to the program's main"),
    (&[], "unbounded_channel", "a queue without a bound is a leak with a delay"),
    (&[], "static mut", "there is no global state"),
    (&["supervisor", "health", "control", "view"], "std::env", "only `config` reads the environment"),
    (ENGINE, "std::env", "only `config` reads the environment"),
    (&["supervisor", "view"], "stdout", "the engine has no terminal; facts go up through the status"),
    (ENGINE, "stdout", "the engine has no terminal; facts go up through the status"),
    (ENGINE, "ledger::", "the history is written by whoever watches, never on the request's path"),
    (&["view"], "tokio", "a painting does no I/O"),
];

/// Length limits in lines, by the start of the path. One idea a file; a longer file has two.
const LENGTHS: &[(&str, usize)] = &[
    ("src-tauri/", 400),
    ("scripted/", 400),
    ("windows/", 400),
    ("xtask/", 400),
    ("benches/", 400),
    ("fuzz/", 400),
    ("ui/src/", 400),
    ("tests/", 600),
    ("ARCHITECTURE.md", 150),
];

/// Dependencies that stand in a manifest though no source of the package names them: (package, dependency, reason).
const UNNAMED: &[(&str, &str, &str)] = &[];

#[test]
fn rooms_see_only_what_they_may() {
    none(forbidden_sights(&library(), ROOMS));
}

/// Where a room sees one that the table does not let it see.
fn forbidden_sights(library: &[Source], table: &[(&str, &[&str], &str)]) -> Vec<String> {
    let mut found = Vec::new();
    let rooms: Vec<_> = table.iter().map(|r| r.0).collect();
    for file in library {
        let Some(room) = file.room() else { continue };
        let Some((_, may, why)) = table.iter().find(|r| r.0 == room) else {
            found.push(format!("{}: the room `{room}` is not in the table ROOMS of tests/house.rs", file.path));
            continue;
        };
        for (line, seen) in crate_paths(&file.code, "crate", &rooms) {
            if seen != room && rooms.contains(&seen.as_str()) && !may.contains(&seen.as_str()) {
                found.push(format!("{}:{line}: `{room}` must not see `{seen}`: {why}", file.path));
            }
        }
    }
    found
}

#[test]
fn no_circle_in_a_room_has_more_than_two_files() {
    none(large_circles(&library()).into_iter().map(|circle| {
        format!(
            "a circle of {} files; who reads one must read all of them: give what they share a file of its own\n  {}",
            circle.len(),
            circle.join("\n  ")
        )
    }));
}

fn large_circles(library: &[Source]) -> Vec<Vec<String>> {
    Imports::of(library).circles().into_iter().filter(|circle| circle.len() > 2).collect()
}

#[test]
fn programs_see_only_what_they_may() {
    let mut found = Vec::new();
    let rooms: Vec<_> = ROOMS.iter().map(|r| r.0).collect();
    for (program, may, why) in PROGRAMS {
        let folder = format!("src-tauri/src/bin/{program}/");
        for file in sources().into_iter().filter(|f| f.path.starts_with(&folder)) {
            for (line, seen) in crate_paths(&file.code, "leeward", &[]) {
                if rooms.contains(&seen.as_str()) && !may.contains(&seen.as_str()) {
                    found.push(format!("{}:{line}: `{program}` must not see `{seen}`: {why}", file.path));
                }
            }
        }
    }
    none(found);
}

#[test]
fn forbidden_words_stay_out() {
    let mut found = Vec::new();
    for file in linked() {
        let room = file.room().unwrap_or_default();
        for (rooms, word, why) in WORDS {
            if (rooms.is_empty() || rooms.contains(&room.as_str())) && !file.in_tests() {
                let lines = file.code.lines().enumerate().filter(|(_, text)| text.contains(word));
                found.extend(lines.map(|(n, _)| format!("{}:{}: `{word}`: {why}", file.path, n + 1)));
            }
        }
    }
    none(found);
}

/// CI's package is built with the features that the tests ask of zbus (`xtask/src/bundle.rs`), a release without them.
#[test]
fn programs_need_no_feature_of_the_tests() {
    let ours = sources().into_iter().filter(|file| file.path.starts_with("src-tauri/src/") && !file.in_tests());
    let served = ["zbus::interface", "object_server", "serve_at"];
    none(ours.flat_map(|file| {
        let lines = file.code.lines().enumerate().filter(|(_, text)| served.iter().any(|word| text.contains(word)));
        lines.map(|(n, _)| format!("{}:{}: only the tests serve on D-Bus", file.path, n + 1)).collect::<Vec<_>>()
    }));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|f| !f.text.starts_with("//! "));
    none(silent.map(|f| format!("{}: begins without `//!`: a reader must learn what it is for and must not do", f.path)));
}

#[test]
fn files_stay_short() {
    let mut found = Vec::new();
    for (start, limit) in LENGTHS {
        for (path, text) in source::texts(start, &["rs", "ts", "svelte", "md"]) {
            let lines = text.lines().count();
            // Nobody writes or reads that from top to bottom.
            if !text.starts_with("// Generated") && lines > *limit {
                found.push(format!("{path}: {lines} lines, limit {limit}: split it by idea, one idea a file"));
            }
        }
    }
    none(found);
}

#[test]
fn tauri_is_optional() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let mut found = Vec::new();
    for table in ["dependencies", "build-dependencies"] {
        for (name, wanted) in manifest[table].as_table().unwrap() {
            let optional = wanted.get("optional").and_then(toml::Value::as_bool) == Some(true);
            if name.starts_with("tauri") && !optional {
                found.push(format!("Cargo.toml [{table}] {name}: must be `optional = true`, or the headless build needs WebKit"));
            }
        }
    }
    let dev = manifest["dev-dependencies"].as_table().unwrap();
    let strays = dev.keys().filter(|n| n.starts_with("tauri"));
    found.extend(strays.map(|n| format!("Cargo.toml [dev-dependencies] {n}: would pull WebKit into the headless tests")));
    none(found);
}

#[test]
fn every_dependency_is_used() {
    let manifests = source::texts("", &["toml"]).into_iter();
    let manifests = manifests.filter(|(path, _)| path == "Cargo.toml" || path.ends_with("/Cargo.toml"));
    let manifests: Vec<(String, toml::Table)> =
        manifests.map(|(path, text)| (path.trim_end_matches("Cargo.toml").to_owned(), text.parse().unwrap())).collect();
    let package = |manifest: &toml::Table| manifest["package"]["name"].as_str().unwrap().to_owned();
    let library = |manifest: &toml::Table| Some(manifest.get("lib")?.get("name")?.as_str()?.to_owned());
    let libraries: Vec<_> = manifests.iter().filter_map(|(_, m)| Some((package(m), library(m)?))).collect();
    let sources: Vec<_> = source::texts("", &["rs"]).into_iter().map(|(path, text)| (path, source::code(&text))).collect();
    // A source belongs to the package whose folder is nearest.
    let nearest =
        |path: &str| manifests.iter().map(|(folder, _)| folder).filter(|f| path.starts_with(*f)).max_by_key(|f| f.len());
    let mut found = Vec::new();
    for (folder, manifest) in &manifests {
        let own = sources.iter().filter(|(path, _)| nearest(path) == Some(folder));
        let own: Vec<_> = own.map(|(path, code)| (path[folder.len()..].to_owned(), code.clone())).collect();
        assert!(!own.is_empty(), "{folder}Cargo.toml: no source was found");
        let excepted =
            |line: &String| UNNAMED.iter().any(|(p, name, _)| *p == package(manifest) && line.ends_with(&format!(": {name}")));
        let lines = dependencies::unnamed(manifest, &own, &libraries).into_iter().filter(|line| !excepted(line));
        found.extend(
            lines.map(|line| format!("{folder}Cargo.toml: {line}: no source names it; what is not used costs builds and trust")),
        );
    }
    none(found);
}

#[test]
fn unsafe_code_is_in_one_crate() {
    let member =
        |folder: &str| fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse::<toml::Table>().unwrap();
    let workspace = member("");
    let members = workspace["workspace"]["members"].as_array().unwrap().iter().filter_map(toml::Value::as_str);
    let free = members.chain([""]).filter(|folder| *folder != "windows").filter(|folder| {
        let lints = member(folder).get("lints").and_then(|lints| lints.get("rust")?.get("unsafe_code").cloned());
        lints.and_then(|level| level.as_str().map(str::to_owned)).as_deref() != Some("forbid")
    });
    none(free.map(|folder| {
        format!("{folder}/Cargo.toml [lints.rust]: unsafe_code must be \"forbid\"; what needs it belongs to the crate `windows`")
    }));
}

#[test]
fn the_headless_build_has_no_desktop_in_it() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", "leeward-tray", "--edges", "normal,build", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    let names: Vec<_> = String::from_utf8_lossy(&tree.stdout).lines().skip(1).map(str::to_owned).collect();
    assert!(names.iter().any(|n| n.starts_with("tokio ")), "the tree was not read: {names:?}");
    let desktop = ["tauri", "wry", "tao ", "gtk", "gdk", "webkit2gtk", "muda", "tray-icon"];
    let strays = names.iter().filter(|n| desktop.iter().any(|d| n.starts_with(d)));
    none(strays.map(|n| format!("{n}: the headless build must compile on a machine without a desktop")));
}

#[test]
fn the_panel_has_one_transport() {
    let mut found = Vec::new();
    for (path, text) in source::texts("ui/src/", &["ts", "svelte"]) {
        let outside = !path.ends_with("/transport.ts") && !path.contains(".test.");
        for word in ["@tauri-apps", "fetch(", "EventSource", "XMLHttpRequest", "__TAURI"] {
            if outside && text.contains(word) {
                found.push(format!(
                    "{path}: `{word}` belongs to ui/src/transport.ts, the one file that knows how to reach the engine"
                ));
            }
        }
    }
    none(found);
}

#[test]
fn the_panel_calls_the_commands_that_exist() {
    let transport = source::texts("ui/src/transport.ts", &["ts"]).remove(0).1;
    let mut called = Vec::new();
    for rest in transport.split("invoke").skip(1) {
        // `invoke("name")` or `invoke<Type>("name")`; the import of the word itself has no bracket behind it.
        if let Some((kind, rest)) = rest.split_once("(\"")
            && (kind.is_empty() || kind.starts_with('<'))
        {
            called.extend(rest.split('"').next());
        }
    }
    let tray = source::texts("src-tauri/src/bin/leeward-tray/", &["rs"]);
    let tray: String = tray.into_iter().map(|(_, text)| text).collect();
    let (_, rest) = tray.split_once("generate_handler![").expect("the tray lists its commands in one generate_handler!");
    let offered = rest.split(']').next().unwrap().split(',');
    let mut offered: Vec<_> = offered.filter_map(|name| name.trim().rsplit("::").next()).collect();
    for list in [&mut offered, &mut called] {
        list.retain(|name| !name.is_empty());
        list.sort_unstable();
        list.dedup();
    }
    assert_eq!(called, offered, "ui/src/transport.ts calls (left) and the tray offers (right) different commands");
}

#[test]
fn every_condition_is_documented() {
    let health = source::texts("src-tauri/src/health.rs", &["rs"]).remove(0).1;
    let (_, body) = health.split_once("fn as_str").expect("health::Code::as_str");
    let body = body.split("}\n\n").next().unwrap();
    let codes: Vec<_> = body.split('"').skip(1).step_by(2).collect();
    assert!(codes.contains(&"port-taken"), "the codes were not found: {codes:?}");
    let page = fs::read_to_string(root().join("docs/conditions.md")).unwrap();
    let missing = codes.iter().filter(|code| !page.contains(&format!("| `{code}` |")));
    none(missing.map(|code| format!("docs/conditions.md: no row for the condition `{code}`; codes are public")));
}

#[test]
fn the_command_line_is_documented() {
    let help = Command::new(env!("CARGO_BIN_EXE_leeward")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let first_words = |heading: &str| {
        let lines = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| line.starts_with("  "));
        lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect::<Vec<_>>()
    };
    let page = fs::read_to_string(root().join("docs/commands.md")).unwrap();
    let commands = first_words("Commands:");
    assert!(commands.iter().any(|c| c == "serve"), "the commands were not found: {help}");
    let commands = commands.iter().filter(|c| *c != "help" && !page.contains(&format!("| `leeward {c}")));
    let mut found: Vec<_> = commands.map(|c| format!("docs/commands.md: no row for the command `leeward {c}`")).collect();
    let codes = first_words("Exit codes:");
    assert!(codes.iter().any(|c| c == "64"), "the exit codes were not found: {help}");
    let codes = codes.iter().filter(|c| c.parse::<u8>().is_ok() && !page.contains(&format!("| {c} |")));
    found.extend(codes.map(|c| format!("docs/commands.md: no row for the exit code {c}; other people's scripts rely on it")));
    none(found);
}

#[test]
fn every_agent_is_documented() {
    let agents = fs::read_to_string(root().join("src-tauri/src/wrap/agents.toml")).unwrap();
    let names: Vec<_> = agents.lines().filter_map(|line| line.strip_prefix("name = ")?.trim().trim_matches('"').into()).collect();
    assert!(names.contains(&"claude"), "the agents were not found: {names:?}");
    let page = fs::read_to_string(root().join("docs/commands.md")).unwrap();
    // `anything` is `leeward run`.
    let missing = names.iter().filter(|name| **name != "anything" && !page.contains(&format!("\n| `{name}`")));
    none(missing.map(|name| format!("docs/commands.md: no row for the agent `{name}`")));
}

#[test]
fn lock_files_name_no_registry() {
    let locks = source::texts("", &["json"]).into_iter().filter(|(path, _)| path.ends_with("package-lock.json"));
    let strays = locks.filter(|(_, text)| text.contains("\"resolved\""));
    none(
        strays
            .map(|(path, _)| format!("{path}: has `resolved` lines; they tie the build to one registry (see .npmrc beside it)")),
    );
}

#[test]
fn the_architecture_shows_the_table_that_is_enforced() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with('|')).filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let room = cells[0].strip_prefix('`')?.strip_suffix('`')?.to_owned();
        Some((room, cells.last()?.replace("nothing", "")))
    });
    let shown: Vec<_> = rows.collect();
    let enforced: Vec<_> = ROOMS.iter().map(|(room, may, _)| ((*room).to_owned(), may.join(", "))).collect();
    let sorted = |mut list: Vec<(String, String)>| {
        list.sort();
        list
    };
    assert_eq!(sorted(shown), sorted(enforced), "ARCHITECTURE.md (left) and ROOMS of tests/house.rs (right) differ");
}

fn library() -> Vec<Source> {
    let ours = |f: &Source| f.path.starts_with("src-tauri/src/") && !f.path.starts_with("src-tauri/src/bin/");
    sources().into_iter().filter(ours).collect()
}

/// What both programs are linked with.
fn linked() -> impl Iterator<Item = Source> {
    library().into_iter().chain(sources().into_iter().filter(|f| f.path.starts_with("scripted/")))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn none(found: impl IntoIterator<Item = String>) {
    let found: Vec<_> = found.into_iter().collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}
