//! Windows half of `core_files`: there is nothing to set.

/// There is none.
pub(super) type Limit = std::convert::Infallible;

pub(super) fn lower() -> Option<Limit> {
    None
}

pub(super) fn set(limit: &Limit) -> bool {
    match *limit {}
}

pub(super) fn hide() {}
