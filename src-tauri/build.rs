//! Build script: how the programs are linked, where somebody says so, and the tray's resources with feature `tray`.

fn main() {
    // Without one rerun-if-changed line Cargo watches the whole package, ui/node_modules included.
    println!("cargo:rerun-if-changed=src-tauri/build.rs");
    link();
    #[cfg(feature = "tray")]
    tray();
}

/// Words for the linker of both programs. `cargo xtask` sets them where it makes releases; nobody needs them.
#[allow(clippy::disallowed_methods, reason = "a build script's only input is its environment")]
fn link() {
    println!("cargo:rerun-if-env-changed=LEEWARD_LINK_ARGS");
    let words = std::env::var("LEEWARD_LINK_ARGS").unwrap_or_default();
    words.split_whitespace().for_each(|word| println!("cargo:rustc-link-arg-bins={word}"));
}

#[cfg(feature = "tray")]
fn tray() {
    // `generate_context!` fails where frontendDist does not exist: a fresh clone must still check.
    std::fs::create_dir_all("ui/dist").expect("ui/dist can be created");
    if !std::path::Path::new("ui/dist/index.html").exists() {
        println!("cargo:warning=ui/dist is empty: run `npm --prefix ui ci && npm --prefix ui run build`");
    }
    println!("cargo:rerun-if-changed=ui/dist");
    tauri_build::build();
}
