//! Tables of JSON texts, as people and tools leave them: a value comes in and goes out without a trace.

use super::*;
use crate::setup::text;

const A: &str = "ANTHROPIC_BASE_URL";
const URL: &str = "http://127.0.0.1:8787";

fn env() -> Key {
    Key::of(&["env", A])
}

fn listed() -> Key {
    Key::listed("claudeCode.environmentVariables", A)
}

/// As the whole room does it: the value, then what had to be made for it.
fn taken_back(text: &str, key: &Key, change: &Change) -> String {
    let mut made = change.made.clone();
    made.sort_by_key(|made| std::cmp::Reverse(made.path.len()));
    made.iter().fold(restore(text, key, change.former.as_deref()).unwrap(), |text, made| clear(&text, made).unwrap())
}

const TEXTS: &[&str] = &[
    "",
    "\n",
    "{}",
    "{}\n",
    "{ }\r\n",
    "{\n}\n",
    "{\n  // nothing yet\n}\n",
    "// only a comment",
    "{\"env\":{\"A\":\"1\"}}",
    "{\"env\":{}}\n",
    "{\"env\": {\"A\": \"1\"}, \"model\": \"opus\"}",
    "{\"env\":{\"A\":\"1\",},}",
    "{\n  \"env\": {}\n}\n",
    "{\n  \"env\": {\n  }\n}\n",
    "{\n  \"env\": {\n    \"A\": \"1\"\n  },\n  \"model\": \"opus\"\n}\n",
    "{\n\t\"model\": \"opus\", // the large one\n\t\"env\": {\n\t\t\"A\": \"1\", // kept\n\t\t/* nothing after it */\n\t},\n}",
    "{\r\n    \"model\": \"opus\" /* x */\r\n    // y\r\n}\r\n",
    "{ \"a\": 1,\n  \"b\": [1, 2,\n 3] }",
    "{\n  \"claudeCode.environmentVariables\": [],\n  \"editor.fontSize\": 13,\n}\n",
    "{\n  \"claudeCode.environmentVariables\": [\n    { \"name\": \"A\", \"value\": \"1\" }\n  ]\n}\n",
    "{\"claudeCode.environmentVariables\":[{\"name\":\"A\",\"value\":\"1\"}]}",
    "{\n  \"x\": \"// no comment, }\",\n  \"y\": \"\\\"\"\n}\n",
];

#[test]
fn a_value_comes_and_goes_without_a_trace() {
    for text in TEXTS {
        for key in [env(), listed(), Key::of(&["provider", "anthropic", "options", "baseURL"])] {
            let change = set(text, &key, URL).unwrap_or_else(|why| panic!("{text:?} {key}: {why:?}"));
            assert_eq!(value(&change.text, &key).unwrap().as_deref(), Some(URL), "{text:?} {key}: {}", change.text);
            assert_eq!(taken_back(&change.text, &key, &change), *text, "{key}: {:?}", change.text);
        }
    }
}

#[test]
fn what_is_added_looks_like_what_is_there() {
    for (text, want) in [
        ("", "{\n  \"env\": {\n    \"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\"\n  }\n}\n"),
        ("{\"env\":{\"A\":\"1\"}}", "{\"env\":{\"A\":\"1\",\"ANTHROPIC_BASE_URL\":\"http://127.0.0.1:8787\"}}"),
        (
            "{\n\t\"env\": {\n\t\t\"A\": \"1\" // x\n\t}\n}",
            "{\n\t\"env\": {\n\t\t\"A\": \"1\", // x\n\t\t\"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\"\n\t}\n}",
        ),
        (
            "{\n    \"model\": \"opus\",\n}\r\n",
            "{\n    \"model\": \"opus\",\r\n    \"env\": {\r\n        \"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\"\r\n    },\n}\r\n",
        ),
        (
            "{\n  \"env\": {\n    \"ANTHROPIC_BASE_URL\": \"https://x\",\n    \"B\": \"2\"\n  }\n}\n",
            "{\n  \"env\": {\n    \"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:8787\",\n    \"B\": \"2\"\n  }\n}\n",
        ),
    ] {
        assert_eq!(set(text, &env(), URL).unwrap().text, want, "{text:?}");
    }
    let list = set("{\n  \"a\": 1\n}\n", &listed(), URL).unwrap().text;
    let entry = "    { \"name\": \"ANTHROPIC_BASE_URL\", \"value\": \"http://127.0.0.1:8787\" }";
    assert_eq!(list, format!("{{\n  \"a\": 1,\n  \"claudeCode.environmentVariables\": [\n{entry}\n  ]\n}}\n"));
}

#[test]
fn what_its_user_adds_afterwards_stays() {
    let set = |text: &str| set(text, &env(), URL).unwrap();
    for (text, edit, want) in [
        // A neighbour before, one after, one beside.
        (
            "{\n  \"env\": {\n    \"A\": \"1\"\n  }\n}\n",
            ("\"A\": \"1\",", "\"A\": \"2\", \"C\": \"3\","),
            "{\n  \"env\": {\n    \"A\": \"2\", \"C\": \"3\"\n  }\n}\n",
        ),
        (
            "{\n  \"model\": \"opus\"\n}\n",
            ("8787\"\n", "8787\",\n    \"C\": \"3\"\n"),
            "{\n  \"model\": \"opus\",\n  \"env\": {\n    \"C\": \"3\"\n  }\n}\n",
        ),
        ("", ("}\n}", "},\n  \"model\": \"opus\"\n}"), "{\n  \"model\": \"opus\"\n}\n"),
        ("{}", ("  \"env\"", "  // my own words\n  \"env\""), "{\n  // my own words\n}"),
        ("{\"env\":{}}", ("}}", "},\"b\":1}"), "{\"env\":{},\"b\":1}"),
    ] {
        let change = set(text);
        let edited = change.text.replacen(edit.0, edit.1, 1);
        assert_ne!(edited, change.text, "{text:?}: {edit:?} is not in {}", change.text);
        assert_eq!(taken_back(&edited, &env(), &change), want, "{text:?}");
    }
}

#[test]
fn a_way_that_is_not_unique_is_refused_with_its_lines() {
    for (text, line, word) in [
        ("{\n \"env\": {},\n \"env\": {}\n}", 3, "lines 2 and 3"),
        ("{\"env\": {\n\"ANTHROPIC_BASE_URL\": \"a\",\n\"ANTHROPIC_BASE_URL\": \"b\"}}", 3, "twice"),
        ("{\n\"env\": null}", 2, "not an object"),
        ("[\n]", 1, "not an object"),
        ("{\n \"a\": 1\n \"b\": 2\n}", 2, "not valid JSON"),
        ("{\n \"a\": 'x'\n}", 2, "not valid JSON"),
        ("{\n \"a\": 1,\n", 1, "not valid JSON"),
    ] {
        let trouble = set(text, &env(), URL).unwrap_err();
        assert_eq!(trouble.line, Some(line), "{text}: {trouble:?}");
        assert!(trouble.why.contains(word), "{text}: {trouble:?}");
    }
    let elsewhere = "{\"a\": 1, \"a\": 2, \"env\": {}}";
    assert!(set(elsewhere, &env(), URL).is_ok(), "what is not on the way is nobody's business");
    assert!(
        text::value(crate::setup::Form::Json, "{\"env\": {\"ANTHROPIC_BASE_URL\": 7}}", &env()).unwrap().as_deref() == Some("7")
    );
}
