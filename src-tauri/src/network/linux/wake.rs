//! When the machine resumes: the kernel cancels a timer that wants to know of jumps of the clock. Sets no clock.

use super::registered::registered;
use crate::network::source::Hint;
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use std::{io, os::fd::OwnedFd};
use tokio::{io::Interest, sync::mpsc};

/// Sends a hint whenever the wall clock has jumped, which it does when the machine resumes: within milliseconds, where
/// reading the clocks once a second takes up to a second.
pub(super) async fn listen(hints: mpsc::Sender<Hint>) -> io::Result<()> {
    let timer = registered(timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)?;
    loop {
        arm(timer.get_ref())?;
        let jumped = timer.async_io(Interest::READABLE, |timer| Ok(rustix::io::read(timer, &mut [0u8; 8])?)).await;
        match jumped {
            Ok(_) => {}
            Err(e) if Errno::from_io_error(&e) == Some(Errno::CANCELED) => {}
            Err(e) => return Err(e),
        }
        if hints.send(Hint::Clocks).await.is_err() {
            return Ok(());
        }
    }
}

/// A timer that never fires and is cancelled by each jump of the wall clock (timerfd_create(2)).
fn arm(timer: &OwnedFd) -> io::Result<()> {
    let never =
        Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: Timespec { tv_sec: i64::MAX / 4, tv_nsec: 0 } };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &never)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::listen;
    use std::time::Duration;
    use tokio::{sync::mpsc, time::timeout};

    /// The clock cannot be made to jump in a test; that the kernel takes the timer and does not cancel it at once can.
    #[tokio::test]
    async fn a_clock_that_does_not_jump_tells_nothing() {
        let (hints, mut hinted) = mpsc::channel(4);
        assert!(timeout(Duration::from_millis(50), listen(hints)).await.is_err(), "it goes on listening");
        assert!(hinted.recv().await.is_none());
    }
}
