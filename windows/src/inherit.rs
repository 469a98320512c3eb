//! Which handles a program inherits that is started here.

use windows_sys::Win32::{
    Foundation::{GetHandleInformation, HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation},
    System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE},
};

/// Starts a program that inherits none of this process's own standard handles. Those that are made for it are handles of their
/// own. A program that another thread starts meanwhile has its standard handles all the same: the standard library makes it
/// duplicates.
pub fn keeping_standard_handles<T>(start: impl FnOnce() -> T) -> T {
    // SAFETY: the call takes no pointer.
    let standard = [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE].map(|which| unsafe { GetStdHandle(which) });
    let _kept: Vec<_> = standard.into_iter().filter_map(Kept::keep).collect();
    start()
}

/// A handle that may be inherited again afterwards.
struct Kept(HANDLE);

impl Kept {
    /// `None` for one that nobody inherits, or that there is none.
    fn keep(handle: HANDLE) -> Option<Self> {
        (is_inherited(handle) && set_inherited(handle, 0)).then_some(Self(handle))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        set_inherited(self.0, HANDLE_FLAG_INHERIT);
    }
}

fn is_inherited(handle: HANDLE) -> bool {
    let mut flags = 0;
    // SAFETY: there is space for the flags, and the system judges what is no handle.
    let known = unsafe { GetHandleInformation(handle, &raw mut flags) } != 0;
    known && flags & HANDLE_FLAG_INHERIT != 0
}

fn set_inherited(handle: HANDLE, flag: u32) -> bool {
    // SAFETY: the call takes no pointer but the handle, which the system judges.
    unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, flag) != 0 }
}
