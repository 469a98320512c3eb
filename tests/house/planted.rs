//! The rules read source text, so the reading itself is tested: what is planted here must be found, and nothing else.

use super::{
    dependencies, forbidden_sights,
    imports::Imports,
    large_circles,
    source::{self, Source, crate_paths},
};

#[test]
fn the_reader_sees_through_groups_and_comments() {
    let code =
        source::code("use crate::{view, proxy::{a, b}, config};\n// crate::wrap\nlet s = \"crate::demo\"; super::health::x();\n");
    let seen: Vec<_> =
        crate_paths(&code, "crate", &["health"]).into_iter().map(|(line, room)| format!("{line} {room}")).collect();
    assert_eq!(seen, ["1 view", "1 proxy", "1 config", "3 health"]);
    let types =
        "interface A {\n  // no: field\n  one: { inner: number };\n  two?: {\n    deep: string;\n  };\n}\ninterface B { }\n";
    assert_eq!(source::interface(types, "A").unwrap(), ["one", "two"]);
    assert_eq!(source::interface(types, "C"), None);
}

/// A library that does not exist: paths below `src-tauri/src/`, and texts.
fn planted(files: &[(&str, &str)]) -> Vec<Source> {
    let source = |(path, text): &(&str, &str)| Source {
        path: format!("src-tauri/src/{path}"),
        text: (*text).to_owned(),
        code: source::code(text),
    };
    files.iter().map(source).collect()
}

#[test]
fn the_reader_follows_re_exports_and_chosen_modules() {
    let library = planted(&[
        (
            "room.rs",
            "mod a;\nmod b;\npub(crate) mod c;\n#[cfg(unix)]\n#[path = \"room/unix.rs\"]\nmod platform;\n\
             #[cfg(windows)]\n#[path = \"room/windows.rs\"]\nmod platform;\n#[cfg(test)]\nmod checks;\n\
             pub use a::{A, inner::Deep as Shallow};\npub(crate) use b::{self as other, HandedOn};\nuse c::Own;\n",
        ),
        ("room/a.rs", "fn f() { super::platform::f(); std::mem::take(x); let a = crate::outside::f(); }"),
        ("room/b.rs", "pub use super::c::HandedOn;\npub(in crate::room) fn f() -> super::A {}"),
        ("room/c.rs", "use crate::room::{\n    Shallow as S,\n    other::f,\n};"),
        ("room/unix.rs", "use super::HandedOn; // use super::b::B;"),
        ("room/windows.rs", "macro_rules! m { () => { use $crate::room::{a::A, c}; } }"),
        ("room/private.rs", "use super::Own;"),
        ("room/glob.rs", "use super::a::*;\n#[cfg(test)]\nmod tests {\n    use super::super::b;\n}\n"),
        ("room/checks.rs", "use super::a::A;"),
        ("outside.rs", "use crate::room;"),
    ]);
    let imports = Imports::of(&library);
    let named = |file: &str| {
        let named = imports.named_by(&format!("src-tauri/src/{file}")).into_iter();
        named.map(|path| path.trim_start_matches("src-tauri/src/")).collect::<Vec<_>>()
    };
    assert_eq!(named("room.rs"), ["room/a.rs", "room/b.rs", "room/c.rs"], "`HandedOn` leads on to its own file");
    assert_eq!(named("room/a.rs"), ["outside.rs", "room/unix.rs", "room/windows.rs"], "either platform's half");
    assert_eq!(named("room/b.rs"), ["room/a.rs", "room/c.rs"], "a re-export is no edge to the door");
    assert_eq!(named("room/c.rs"), ["room/a.rs", "room/b.rs"], "nor is a group, nor a name that was changed");
    assert_eq!(named("room/unix.rs"), ["room/c.rs"], "through two doors, and not from a comment");
    assert_eq!(named("room/windows.rs"), ["room/a.rs", "room/c.rs"], "a macro's own crate");
    assert_eq!(named("room/private.rs"), ["room.rs"], "what the door imports for itself is the door's");
    assert_eq!(named("room/glob.rs"), ["room/a.rs"], "tests are left out");
    assert_eq!(named("outside.rs"), ["room.rs"]);
    assert_eq!(imports.named_by("src-tauri/src/room/checks.rs"), [""; 0], "a file of tests alone");
}

#[test]
fn a_planted_circle_is_found_and_a_pair_is_none() {
    let door = ("room.rs", "mod a;\nmod b;\nmod c;\nmod d;\nmod e;\npub use a::A;\npub use b::B;");
    let pair = [("room/d.rs", "use super::e::E;"), ("room/e.rs", "fn f(d: &super::d::D) {}")];
    let planted_circle = [("room/a.rs", "use super::B;"), ("room/b.rs", "use super::c::C;"), ("room/c.rs", "use super::A;")];
    let library = planted(&[&[door][..], &pair, &planted_circle].concat());
    let files = |names: &[&str]| names.iter().map(|name| format!("src-tauri/src/room/{name}.rs")).collect::<Vec<_>>();
    assert_eq!(Imports::of(&library).circles(), [files(&["a", "b", "c"]), files(&["d", "e"])]);
    assert_eq!(large_circles(&library), [files(&["a", "b", "c"])]);
    let open = [planted_circle[0], planted_circle[1], ("room/c.rs", "#[cfg(test)]\nmod tests {\n    use super::super::A;\n}")];
    assert_eq!(large_circles(&planted(&[&[door][..], &pair, &open].concat())), [[""; 0]; 0]);
}

#[test]
fn a_planted_import_of_a_room_above_is_found() {
    let table: &[(&str, &[&str], &str)] = &[
        ("message", &[], "parts"),
        ("upstream", &["message"], "knows no client"),
        ("inbound", &["message", "upstream"], "the top"),
    ];
    let library = |upstream| {
        planted(&[
            ("upstream/dial.rs", upstream),
            ("inbound.rs", "use crate::{message::Body, upstream::dial};"),
            ("message/body.rs", "use super::head;\n// crate::inbound"),
        ])
    };
    assert_eq!(forbidden_sights(&library("use crate::message::Body;\nuse super::dial::x;"), table), [""; 0]);
    for above in [
        "use std::io;\nuse crate::inbound::Guard;",
        "\nuse crate::{message::{Body, Head}, inbound::Guard};",
        "\nfn f() { crate::inbound::f() }",
        "\nuse super::super::message;\nuse super::{inbound, message::Body};",
    ] {
        let line = if above.contains("super::{") { 3 } else { 2 };
        let expected = format!("src-tauri/src/upstream/dial.rs:{line}: `upstream` must not see `inbound`: knows no client");
        assert_eq!(forbidden_sights(&library(above), table), [expected]);
    }
    let unknown = planted(&[("cellar.rs", "")]);
    assert!(forbidden_sights(&unknown, table)[0].contains("the room `cellar` is not in the table"));
}

#[test]
fn a_planted_dependency_is_found() {
    let manifest = "
        [dependencies]
        used = '1'
        in-a-group = '1'
        derived = '1'
        our-package = { path = 'x' }
        planted = '1'
        only-in-tests = '1'
        [target.'cfg(windows)'.dependencies]
        far = '1'
        planted-far = '1'
        [dev-dependencies]
        only-in-dev = '1'
        [build-dependencies]
        planted-build = '1'
    ";
    let main = "use used; use ::in_a_group::{A, B}; #[derive(derived::D)] struct S; fn f() { ours::f(crate::planted::X) }";
    let more =
        "mod planted; use unplanted::A; use planted_build_too; fn f() { far::g(Self::planted::X, x.planted, a::planted::b()) }";
    let tests = "use only_in_tests::A; use only_in_dev as dev;";
    let sources = [("src/main.rs", main), ("src/more.rs", more), ("tests/it.rs", tests)].map(|(p, c)| (p.into(), c.into()));
    let found = dependencies::unnamed(&manifest.parse().unwrap(), &sources, &[("our-package".into(), "ours".into())]);
    let planted = ["target.cfg(windows).dependencies: planted-far", "dependencies: only-in-tests", "dependencies: planted"];
    assert_eq!(found, [&planted[..], &["build-dependencies: planted-build"]].concat());
}
