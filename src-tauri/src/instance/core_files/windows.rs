//! Windows half of `core_files`: there is nothing to set.

#[derive(Clone, Copy, Debug)]
pub(super) struct Limit;

pub(super) fn lower() -> Option<Limit> {
    None
}

pub(super) fn set(_limit: &Limit) -> bool {
    false
}

pub(super) fn hide() {}
