//! The shapes that the panel reads, as TypeScript: `ui/src/generated.ts` is what the structs say. For tests alone; the
//! program knows nothing of it.

mod keep;

use crate::{
    config::{Complaint, View},
    control::Restarted,
    logging::Tail,
    status::{Status, activity::Activity, history::History, stats::Stats},
};
use keep::keep;
use ts_rs::TypeVisitor;

#[test]
fn the_panels_types_are_those_of_the_engine() {
    keep("generated.ts", "cargo test --lib typescript", |all| {
        all.visit::<Status>();
        all.visit::<Stats>();
        all.visit::<Activity>();
        all.visit::<History>();
        all.visit::<View>();
        all.visit::<Complaint>();
        all.visit::<Tail>();
        all.visit::<Restarted>();
    });
}
