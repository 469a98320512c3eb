//! The rule for words: code says what the field says, and a word that was given up does not come back.
//!
//! Judges identifiers in the code, and public names wherever they stand. How people are written to is nobody's test.

use super::{none, source};
use source::{Source, sources, texts};

/// Identifiers that were given up: (old, what the code says instead). A newcomer had to learn each of them.
const IDENTIFIERS: &[(&str, &str)] = &[
    ("Wish", "Command"),
    ("Said", "ConnectionState"),
    ("Unspoken", "AwaitingFirstRequest"),
    ("Busy", "InFlightGuard"),
    ("may_retry", "wait_before_retry"),
    ("Gathering", "ResponseBuffer"),
    ("Later", "DeferredBody"),
    ("dress", "add_response_headers"),
    ("Wire", "Connection"),
    ("bear_gaps", "disable_user_timeout"),
    ("Ways", "DialContext"),
    ("Slot", "ConnectionPermit"),
    ("Naming", "IssuerVerifier"),
    ("Parting", "SocketRelease"),
    ("Coming", "PendingGeneration"),
    ("Seams", "TestHooks"),
    ("doorstep", "handover_socket"),
    ("Keeper", "Writer"),
    ("Tempo", "Intervals"),
    ("Sheltered", "Proxied"),
    ("Deed", "WriteOutcome"),
    ("Contrast", "Comparison"),
    ("absorb", "count_retried"),
    ("take_absorbed", "take_dial_faults"),
];

/// Public names that were given up: (old, new). Strings and comments count too, because JSON and SQL are strings here.
const NAMES: &[(&str, &str)] = &[
    ("absorbed", "retried"),
    ("absorbed_total", "retried_total"),
    ("passed_on", "failed"),
    ("passed_on_total", "failed_total"),
    ("passedOn", "failed"),
    ("streams-held", "responses-buffered"),
    ("cut-while-held", "cut-while-buffered"),
];

/// Where an old public name must stay: files of users have it as a column or a value.
const LEDGER: &str = "src-tauri/src/ledger/";

/// Phrases that were given up in comments and pages: (old, what they say instead).
const PHRASES: &[(&str, &str)] = &[
    ("passed on", "forwarded"),
    ("passes on", "forwards"),
    ("is told", "is notified, or gets"),
    ("are told", "are notified, or get"),
    ("has told", "has reported"),
    ("Told ", "Reported, or notified"),
    ("right answer", "right response"),
    ("complete answer", "complete response"),
];

#[test]
fn old_phrases_do_not_come_back() {
    let folders = ["src-tauri/src/", "scripted/", "xtask/", "benches/", "fuzz/", "windows/", "docs/"];
    let files = folders.iter().flat_map(|start| texts(start, &["rs", "md"]));
    none(files.flat_map(|(path, text)| old_phrases(&path, &text)));
}

#[test]
fn old_words_do_not_come_back() {
    let ours = sources().into_iter().filter(|file| file.path.starts_with("src-tauri/src/"));
    none(ours.flat_map(|file| old_identifiers(&file)));
}

#[test]
fn old_public_names_do_not_come_back() {
    let mut files = texts("src-tauri/src/", &["rs"]);
    files.extend(texts("tests/", &["rs", "mjs", "py"]));
    files.extend(["benches/", "scripted/"].iter().flat_map(|start| texts(start, &["rs"])));
    files.extend(texts("ui/", &["ts", "svelte", "mjs"]));
    files.extend(texts("docs/", &["md"]));
    let here = |path: &str| path.starts_with(LEDGER) || path == "tests/house/words.rs";
    none(files.iter().filter(|(path, _)| !here(path)).flat_map(|(path, text)| old_names(path, text)));
}

/// The rules above read code, so the reading itself is tested.
#[test]
fn a_planted_word_is_found() {
    let file = |text: &str| Source { path: "a.rs".into(), text: text.into(), code: source::code(text) };
    assert_eq!(old_identifiers(&file("struct Wishes; // Wish\nlet s = \"Wish\"; enum Wish {}")).len(), 1);
    let found = old_identifiers(&file("struct A;\nfn f(w: Wire) {}"));
    assert_eq!(found, ["a.rs:2: `Wire` is called `Connection` here: one word for one thing, the one of the field"]);
    assert_eq!(old_phrases("a.rs", "/// It is told apart.\nlet s = \"is told\";").len(), 0);
    assert_eq!(old_phrases("a.rs", "    /// It is told, and passed on.").len(), 2);
    assert_eq!(old_phrases("a.md", "It is passed on.").len(), 1);
    assert_eq!(old_names("a.rs", "was_absorbed absorbed_by streams-held-up").len(), 0);
    assert_eq!(old_names("a.rs", "json[\"absorbed\"]\nstats.passed_on_total, `cut-while-held`").len(), 3);
}

fn old_phrases(path: &str, text: &str) -> Vec<String> {
    let is_prose = |line: &str| path.ends_with(".md") || line.trim_start().starts_with("//");
    // "Told apart" is the field's as well.
    let says =
        |line: &str, old: &str| line.match_indices(old).any(|(at, _)| !line[at + old.len()..].trim_start().starts_with("apart"));
    let lines = text.lines().enumerate().filter(|(_, line)| is_prose(line));
    let found = lines.flat_map(|(at, line)| {
        let old = PHRASES.iter().filter(move |(old, _)| says(line, old));
        old.map(move |(old, new)| format!("{path}:{}: \"{old}\" is \"{new}\": a newcomer needs no dictionary", at + 1))
    });
    found.collect()
}

fn old_identifiers(file: &Source) -> Vec<String> {
    let why = "one word for one thing, the one of the field";
    let old = |(old, new): &(&str, &str), word: &str| (word == *old).then(|| format!("`{old}` is called `{new}` here: {why}"));
    found(&file.path, &file.code, |c| c.is_alphanumeric() || c == '_', |word| IDENTIFIERS.iter().find_map(|pair| old(pair, word)))
}

fn old_names(path: &str, text: &str) -> Vec<String> {
    let why = "scripts rely on it, and only the ledger's files have the old one";
    let old = |(old, new): &(&str, &str), word: &str| (word == *old).then(|| format!("`{old}` is called `{new}`: {why}"));
    let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    found(path, text, in_word, |word| NAMES.iter().find_map(|pair| old(pair, word)))
}

/// What `judge` says of each word, with its place.
fn found(path: &str, text: &str, in_word: impl Fn(char) -> bool, judge: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let lines = text.lines().enumerate();
    let words = lines.flat_map(|(at, line)| line.split(|c| !in_word(c)).map(move |word| (at + 1, word)));
    words.filter_map(|(line, word)| Some(format!("{path}:{line}: {}", judge(word)?))).collect()
}
