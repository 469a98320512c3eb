//! The rules for what people read: README.md stays short, no link between the documents leads nowhere, and each threat of
//! docs/security.md names tests that exist.
//!
//! Judges links, length and names only; what a page must document stands in `house.rs`.

use super::{none, root, source};
use std::{collections::HashMap, fs, path::Path};

/// Whoever has a broken agent reads that much at most; everything else is a page in docs/.
const README_WORDS: usize = 1_200;

/// The pages whose links are followed: these, and every one in docs/.
const PAGES: [&str; 5] = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"];

#[test]
fn the_readme_stays_short() {
    let words = fs::read_to_string(root().join("README.md")).unwrap().split_whitespace().count();
    assert!(words <= README_WORDS, "README.md has {words} words, limit {README_WORDS}: move what few need to a page in docs/");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut pages: Vec<_> = PAGES.map(|page| (page.to_owned(), fs::read_to_string(root().join(page)).unwrap())).into();
    pages.extend(source::texts("docs/", &["md"]));
    let links: usize = pages.iter().map(|(_, text)| links(text).len()).sum();
    assert!(links > 50, "the links were not found: {links}");
    none(pages.iter().flat_map(|(page, text)| dead_links(root(), page, text)));
}

/// The checks above read Markdown, so the reading itself is tested.
#[test]
fn a_dead_link_is_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("docs/other.md"), "# A `b --c` [d](e): f!\n## Twice\n```sh\n# comment\n```\n## Twice\n")
        .unwrap();
    let dead = |text: &str| dead_links(folder.path(), "docs/page.md", text);
    let good = "# Here\n[a](other.md) [b](other.md#a-b---c-d-f) [c](#here) ![d](../docs/other.md#twice-1) [e](https://x.example/y)\n\
                `[f](gone.md)`\n```md\n[g](gone.md)\n```\n";
    assert_eq!(dead(good), [""; 0]);
    for bad in ["[a](gone.md)", "[a](other.md#gone)", "[a](#gone)", "[a](other.md#comment)", "[a](other.md#twice-2)"] {
        let found = dead(bad);
        assert!(found.len() == 1 && found[0].starts_with("docs/page.md:1: "), "{bad}: {found:?}");
    }
}

#[test]
fn every_threat_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let code: Vec<_> = ["tests/", "src-tauri/src/"].iter().flat_map(|folder| source::texts(folder, &["rs"])).collect();
    let tests: Vec<_> = code.iter().flat_map(|(path, text)| tests(path, text)).collect();
    assert!(tests.len() > 200, "the tests were not found: {}", tests.len());
    let rows = threats(&page);
    assert!(rows.len() > 10, "the threats were not found: {rows:?}");
    none(rows.iter().flat_map(|row| untested(row, &tests)));
}

/// The check above reads a table and code, so the reading itself is tested.
#[test]
fn a_threat_without_a_test_is_found() {
    let page = "# P\n| a | `x::y` |\n## Threat model\n| who | tests |\n| --- | --- |\n| a | `one::tests::does`, `two::is` |\n\n## N\n| b | |";
    let rows = threats(page);
    assert_eq!(rows, ["| a | `one::tests::does`, `two::is` |"]);
    let known = |path: &str, text: &str| tests(path, text);
    let mut found = known("src-tauri/src/one.rs", "    #[test]\n    fn does() {}\n    fn does_not() {}\n");
    found.extend(known("tests/two.rs", "#[tokio::test(flavor = \"x\")]\n#[cfg(unix)]\nasync fn is() {}\n"));
    assert_eq!(untested(rows[0], &found), [""; 0]);
    for bad in [
        "| a | |",
        "| a | one::tests::does |",
        "| a | `one::does_not` |",
        "| a | `two::does` |",
        "| a | `one::does`, `gone::is` |",
    ] {
        assert_eq!(untested(bad, &found).len(), 1, "{bad}");
    }
}

/// The rows of the table of threats.
fn threats(page: &str) -> Vec<&str> {
    let section = page.split("\n## Threat model\n").nth(1).unwrap_or_default().split("\n## ").next().unwrap_or_default();
    section.lines().filter(|line| line.starts_with('|')).skip(2).collect()
}

/// What is wrong with the tests that a row names in its last cell, as `cargo test` names them.
fn untested(row: &str, tests: &[(String, String)]) -> Vec<String> {
    let cell = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    let names: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
    if names.is_empty() {
        return vec![format!("docs/security.md: `{row}` names no test; what no test holds is no promise")];
    }
    let exists = |name: &str| {
        let (room, function) = (name.split("::").next().unwrap(), name.rsplit("::").next().unwrap());
        tests.iter().any(|(path, test)| test == function && path.split('/').any(|part| part.trim_end_matches(".rs") == room))
    };
    let gone = names.into_iter().filter(|name| !exists(name));
    gone.map(|name| format!("docs/security.md: there is no test `{name}`")).collect()
}

/// The tests of a file, by path and name.
fn tests(path: &str, text: &str) -> Vec<(String, String)> {
    let (mut found, mut is_test) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let (true, Some((_, rest))) = (is_test, line.split_once("fn ")) {
            found.push((path.to_owned(), rest.split(['(', '<']).next().unwrap().to_owned()));
            is_test = false;
        }
    }
    found
}

/// What is wrong with each relative link of a page. `root` is the folder that `page` is named from.
fn dead_links(root: &Path, page: &str, text: &str) -> Vec<String> {
    let folder = root.join(page).parent().unwrap().to_owned();
    let mut found = Vec::new();
    for (line, link) in links(text).into_iter().filter(|(_, link)| !link.contains("://") && !link.starts_with("mailto:")) {
        let (path, heading) = link.split_once('#').map_or((link.as_str(), None), |(path, heading)| (path, Some(heading)));
        let target = match path {
            "" => Some(text.to_owned()),
            // A picture or a folder has no headings.
            _ => folder.join(path).exists().then(|| fs::read_to_string(folder.join(path)).unwrap_or_default()),
        };
        let Some(target) = target else {
            found.push(format!("{page}:{line}: `{link}`: there is no such file"));
            continue;
        };
        if heading.is_some_and(|heading| !anchors(&target).iter().any(|anchor| anchor == heading)) {
            found.push(format!("{page}:{line}: `{link}`: the file has no such heading"));
        }
    }
    found
}

/// The targets of the links and pictures in a page, with their lines. Code holds no links.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, prose) in prose(text) {
        // Every second piece stands between two backticks.
        let plain: String = prose.split('`').step_by(2).collect();
        let targets = plain.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        found.extend(targets.map(|target| (line, target.to_owned())));
    }
    found
}

/// The names of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut found = Vec::new();
    for (_, line) in prose(text) {
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        let Some(title) = line[level..].strip_prefix(' ').filter(|_| (1..=6).contains(&level)) else { continue };
        // Of a link only its text counts.
        let title: String = title
            .split("](")
            .enumerate()
            .map(|(at, part)| if at == 0 { part } else { part.split_once(')').map_or("", |p| p.1) })
            .collect();
        let kept = title.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        let name = kept.replace(' ', "-");
        let again = seen.entry(name.clone()).or_default();
        found.push(if *again == 0 { name } else { format!("{name}-{again}") });
        *again += 1;
    }
    found
}

/// The lines outside fenced code, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.map(|(index, line)| (index + 1, line)).collect()
}
