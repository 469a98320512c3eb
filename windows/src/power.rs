//! Notified when the machine resumes, without a window: Windows calls back on a thread of its own.

use std::{
    ffi::c_void,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::null_mut,
};
use windows_sys::Win32::{
    Foundation::ERROR_SUCCESS,
    System::Power::{
        DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS, HPOWERNOTIFY, PowerRegisterSuspendResumeNotification,
        PowerUnregisterSuspendResumeNotification,
    },
    UI::WindowsAndMessaging::{DEVICE_NOTIFY_CALLBACK, PBT_APMRESUMEAUTOMATIC},
};

/// What is called; it stands for itself, so that one pointer names it.
struct Told(Box<dyn Fn() + Send + Sync>);

/// A subscription. Ends when it is dropped.
pub struct Resumes {
    registration: HPOWERNOTIFY,
}

impl fmt::Debug for Resumes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resumes")
    }
}

/// Calls `told` on a thread of the system's each time the machine has resumed; it must be quick.
///
/// # Errors
/// What the system says.
pub fn on_resume(told: impl Fn() + Send + Sync + 'static) -> io::Result<Resumes> {
    // Never freed: nothing promises that no call is under way when a registration has ended. It is a few bytes for each
    // registration, of which a process makes one.
    let told: &'static Told = Box::leak(Box::new(Told(Box::new(told))));
    let mut recipient =
        DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS { Callback: Some(called), Context: std::ptr::from_ref(told).cast_mut().cast() };
    let mut registration: *mut c_void = null_mut();
    // SAFETY: the recipient is read, and the registration written, before the call returns; the context lives for ever.
    let error = unsafe {
        PowerRegisterSuspendResumeNotification(
            DEVICE_NOTIFY_CALLBACK,
            std::ptr::from_mut(&mut recipient).cast(),
            &mut registration,
        )
    };
    match error {
        ERROR_SUCCESS => Ok(Resumes { registration: registration as HPOWERNOTIFY }),
        error => Err(io::Error::from_raw_os_error(error.cast_signed())),
    }
}

impl Drop for Resumes {
    fn drop(&mut self) {
        // SAFETY: the registration was given to `self` alone and is ended once. An error leaves nothing to be done.
        unsafe { PowerUnregisterSuspendResumeNotification(self.registration) };
    }
}

/// `PBT_APMRESUMEAUTOMATIC` comes at each resume; `PBT_APMRESUMESUSPEND` follows it when somebody is there, any time later.
unsafe extern "system" fn called(context: *const c_void, event: u32, _setting: *const c_void) -> u32 {
    if event == PBT_APMRESUMEAUTOMATIC {
        // SAFETY: the context is the one of `on_resume`, which is never freed.
        let told = unsafe { &*context.cast::<Told>() };
        // A panic must not pass through the system's frames; its message has been printed by now.
        catch_unwind(AssertUnwindSafe(|| told.0())).ok();
    }
    ERROR_SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use windows_sys::Win32::UI::WindowsAndMessaging::{PBT_APMRESUMESUSPEND, PBT_APMSUSPEND};

    static CALLS: AtomicU32 = AtomicU32::new(0);

    /// No test can put the machine to sleep: what the system would do is done by hand.
    #[test]
    fn a_resume_is_told_once() {
        let registered = on_resume(|| ()).expect("the system takes the registration");
        drop(registered);
        let told = Told(Box::new(|| {
            CALLS.fetch_add(1, Relaxed);
            panic!("it goes no further");
        }));
        for event in [PBT_APMSUSPEND, PBT_APMRESUMEAUTOMATIC, PBT_APMRESUMESUSPEND] {
            // SAFETY: the context lives until the end of the test.
            assert_eq!(unsafe { called(std::ptr::from_ref(&told).cast(), event, std::ptr::null()) }, ERROR_SUCCESS);
        }
        assert_eq!(CALLS.load(Relaxed), 1);
    }
}
