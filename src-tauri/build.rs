//! Build script: nothing for the headless build; the tray's resources with feature `tray`.

fn main() {
    // Without one rerun-if-changed line Cargo watches the whole package, ui/node_modules included.
    println!("cargo:rerun-if-changed=src-tauri/build.rs");
    #[cfg(feature = "tray")]
    tray();
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
