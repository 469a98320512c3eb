//! What Leeward's own paths answer to the panel, as TypeScript: `ui/src/generated.ts` is what the structs say. A test.

use super::connection_test::ConnectionTest;
use crate::{
    config::{Complaint, View},
    control::Restarted,
    logging::Tail,
    status::{Status, activity::Activity, coverage::Coverage, history::History, stats::Stats},
};
use leeward_typescript::keep;
use ts_rs::TypeVisitor;

#[test]
fn the_panels_types_are_those_of_the_engine() {
    keep(concat!(env!("CARGO_MANIFEST_DIR"), "/ui/src/generated.ts"), "cargo test --lib typescript", |all| {
        all.visit::<Status>();
        all.visit::<Stats>();
        all.visit::<Activity>();
        all.visit::<History>();
        all.visit::<Coverage>();
        all.visit::<View>();
        all.visit::<Complaint>();
        all.visit::<Tail>();
        all.visit::<Restarted>();
        all.visit::<ConnectionTest>();
    });
}
