//! Which signals the wrap stands in for. Sends none.

use rustix::process::Signal;

/// Every signal that a program can receive from outside and that would end it, or that it may wait for. Not those of a
/// program's own faults (SEGV, BUS, ILL, FPE, TRAP, SYS): a handler that returns from one repeats it for ever. Not TTIN and
/// TTOU: they stop whoever uses the terminal from the background, and the wrap may be the one. Not CHLD, whose children are
/// the wrap's own.
const NAMED: &[Signal] = &[
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::ABORT,
    Signal::USR1,
    Signal::USR2,
    Signal::PIPE,
    Signal::ALARM,
    Signal::TERM,
    Signal::CONT,
    Signal::TSTP,
    Signal::URG,
    Signal::XCPU,
    Signal::XFSZ,
    Signal::VTALARM,
    Signal::PROF,
    Signal::WINCH,
    Signal::IO,
    #[cfg(target_os = "linux")]
    Signal::STKFLT,
    #[cfg(target_os = "linux")]
    Signal::POWER,
    #[cfg(target_os = "macos")]
    Signal::EMT,
    #[cfg(target_os = "macos")]
    Signal::INFO,
];

/// Numbers without a name, which end a program too. The C library keeps the first ones for itself and refuses them.
const REAL_TIME: std::ops::Range<i32> = 32..if cfg!(target_os = "linux") { 65 } else { 32 };

/// The named ones, but for those that this process was started to ignore (`nohup`, a shell's `&`): the agent ignores them too,
/// because what is ignored stays so in a program that is started, and what is caught does not.
pub(super) fn named() -> impl Iterator<Item = i32> {
    let ignored = ignored();
    NAMED.iter().map(|signal| signal.as_raw()).filter(move |signal| ignored & bit(*signal) == 0)
}

/// The numbers beyond them, which the system may refuse.
pub(super) fn real_time() -> impl Iterator<Item = i32> {
    let ignored = ignored();
    REAL_TIME.filter(move |signal| ignored & bit(*signal) == 0)
}

fn bit(signal: i32) -> u64 {
    u32::try_from(signal - 1).ok().and_then(|shift| 1u64.checked_shl(shift)).unwrap_or(0)
}

/// What is ignored, a bit for each, where the system shows it. PIPE is not counted: every Rust program ignores it.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    mask(&status) & !bit(Signal::PIPE.as_raw())
}

fn mask(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_status() {
        let mask = mask("Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001003\nSigCgt:\tff\n");
        for (signal, ignored) in [(Signal::HUP, true), (Signal::INT, true), (Signal::QUIT, false), (Signal::PIPE, true)] {
            assert_eq!(mask & bit(signal.as_raw()) != 0, ignored, "{signal:?}");
        }
        assert_eq!((bit(0), bit(64), bit(65)), (0, 1 << 63, 0));
    }
}
