//! Linux: one question to the kernel about one socket (sock_diag(7)), else the kernel's table of sockets. Changes nothing.

mod diag;
mod held;
mod table;

use super::{owner::Owner, sought::Sought};
use held::Held;
use rustix::process::geteuid;
use std::{fs, io};

pub(super) fn owner(sought: &Sought) -> Owner {
    // "Not there" is also what a kernel says that has no sock_diag, and it may be forbidden; the table decides then.
    let held = match diag::ask(sought) {
        Ok(Some(held)) => Ok(vec![held]),
        Ok(None) | Err(_) => table::read().map(|sockets| sought.best(sockets)),
    };
    judge(held, geteuid().as_raw(), stands_for_many)
}

/// An address that is shared is ours only if nobody else shares it.
fn judge(held: io::Result<Vec<Held>>, own: u32, stands_for_many: impl Fn(u32) -> bool) -> Owner {
    let open: Vec<_> = match held {
        Ok(held) => held.into_iter().filter(|held| held.open).collect(),
        Err(e) => return Owner::Unknown(e.to_string()),
    };
    match open.iter().find(|held| held.user != own) {
        Some(held) => Owner::Other(Some(format!("user {}", held.user))),
        None if open.is_empty() => Owner::Nobody,
        None if stands_for_many(own) => Owner::Unknown(format!("here user {own} stands for all users without a number")),
        None => Owner::Own,
    }
}

/// In a user namespace one number stands for every user that the namespace has no number for.
fn stands_for_many(user: u32) -> bool {
    const OVERFLOW: u32 = 65_534;
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").ok().and_then(|text| text.trim().parse().ok());
    let map = || fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    user == overflow.unwrap_or(OVERFLOW) && !map().split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_names_ours_is_ours() {
        let held = |user, open| Held { user, open };
        let other = |user: u32| Owner::Other(Some(format!("user {user}")));
        for (told, want) in [
            (vec![], Owner::Nobody),
            (vec![held(1000, true)], Owner::Own),
            (vec![held(1000, true), held(1000, true)], Owner::Own),
            (vec![held(1001, true)], other(1001)),
            (vec![held(0, true)], other(0)),
            (vec![held(1000, true), held(1001, true)], other(1001)),
            (vec![held(0, false)], Owner::Nobody),
            (vec![held(0, false), held(1000, true)], Owner::Own),
        ] {
            assert_eq!(judge(Ok(told.clone()), 1000, |_| false), want, "{told:?}");
        }
        assert!(matches!(judge(Err(io::ErrorKind::PermissionDenied.into()), 1000, |_| false), Owner::Unknown(_)));
        assert!(matches!(judge(Ok(vec![held(1000, true)]), 1000, |_| true), Owner::Unknown(_)));
        assert_eq!(judge(Ok(vec![held(1001, true)]), 1000, |_| true), other(1001));
    }
}
