//! What the tray's own commands answer, as TypeScript: `ui/src/generated-tray.ts` is what the structs say. A test.

use crate::{
    autostart::Autostart,
    commands::Refusal,
    desktop::Surroundings,
    doctor::SavedBundle,
    launch::{Agent, Launched},
};
use leeward_typescript::keep;
use ts_rs::TypeVisitor;

#[test]
fn the_panels_types_are_those_of_the_tray() {
    keep(
        concat!(env!("CARGO_MANIFEST_DIR"), "/ui/src/generated-tray.ts"),
        "cargo test --features tray --bin leeward-tray typescript",
        |all| {
            all.visit::<Agent>();
            all.visit::<Launched>();
            all.visit::<Autostart>();
            all.visit::<Surroundings>();
            all.visit::<SavedBundle>();
            all.visit::<Refusal>();
        },
    );
}
