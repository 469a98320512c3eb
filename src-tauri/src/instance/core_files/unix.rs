//! Unix half of `core_files`: the soft limit, which can be raised again.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(super) type Limit = Rlimit;

/// The limit as it was; `None` where it is none that was changed.
pub(super) fn lower() -> Option<Limit> {
    let former = getrlimit(Resource::Core);
    set(&Rlimit { current: Some(0), maximum: former.maximum }).then_some(former)
}

pub(super) fn set(limit: &Limit) -> bool {
    let done = setrlimit(Resource::Core, *limit);
    done.inspect_err(|e| tracing::debug!("the limit of core files stays as it is: {e}")).is_ok()
}

/// A limit is ignored where the kernel pipes core files to a program.
#[cfg(target_os = "linux")]
pub(super) fn hide() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(e) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!("this process stays open to debuggers: {e}");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn hide() {}
