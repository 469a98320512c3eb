//! What was heard while a dial went in vain: a machine that is near and says no says the same a moment later. Tells the two
//! apart, and tries nothing again.

use std::{
    io,
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// What systems say of a name that is nobody's, as opposed to a resolver that did not answer. The standard library keeps the
/// words and drops the number.
const NO_SUCH_NAME: [&str; 5] = [
    "Name or service not known",
    "No address associated with hostname",
    "nodename nor servname provided",
    "Name does not resolve",
    "Name has no usable address",
];
/// `WSAHOST_NOT_FOUND` and `WSANO_DATA`.
const NO_SUCH_NAME_ON_WINDOWS: [i32; 2] = [11_001, 11_004];

/// Written by one dial or several in a row.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    no: AtomicBool,
    else_: AtomicBool,
}

impl Heard {
    /// True when nothing but a plain no was heard.
    pub(crate) fn is_no(&self) -> bool {
        self.no.load(Relaxed) && !self.else_.load(Relaxed)
    }

    pub(super) fn note(&self, is_no: bool) {
        if is_no { &self.no } else { &self.else_ }.store(true, Relaxed);
    }
}

/// The resolver says that there is no such name.
pub(super) fn is_no_such_name(error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(number) => cfg!(windows) && NO_SUCH_NAME_ON_WINDOWS.contains(&number),
        None => {
            let text = error.to_string();
            NO_SUCH_NAME.iter().any(|no| text.contains(no))
        }
    }
}

/// A machine of this network refused. What is far away may be refused by something in between, for a moment.
pub(super) fn is_refused_nearby(error: &io::Error, address: IpAddr) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused && !is_public_address(address)
}

/// True for what the Internet routes.
pub(crate) fn is_public_address(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (b & 0xc0) == 64;
            // For documents and measurements (RFC 5737, RFC 2544).
            let lent = matches!((a, b, c), (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (198, 18 | 19, _));
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || a == 0
                || a >= 240
                || shared
                || lent)
        }
        IpAddr::V6(v6) => (v6.segments()[0] & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_no_is_one() {
        for (notes, no) in [(&[][..], false), (&[true], true), (&[true, true], true), (&[true, false], false), (&[false], false)]
        {
            let heard = Heard::default();
            notes.iter().for_each(|note| heard.note(*note));
            assert_eq!(heard.is_no(), no, "{notes:?}");
        }
    }

    #[test]
    fn a_refusal_counts_by_who_is_near() {
        for (kind, address, no) in [
            (io::ErrorKind::ConnectionRefused, "127.0.0.1", true),
            (io::ErrorKind::ConnectionRefused, "10.1.2.3", true),
            (io::ErrorKind::ConnectionRefused, "fd00::1", true),
            (io::ErrorKind::ConnectionRefused, "93.184.216.34", false),
            (io::ErrorKind::ConnectionReset, "127.0.0.1", false),
            (io::ErrorKind::HostUnreachable, "10.1.2.3", false),
        ] {
            assert_eq!(is_refused_nearby(&kind.into(), address.parse().unwrap()), no, "{kind:?} {address}");
        }
    }

    #[test]
    fn a_name_that_is_nobodys_is_told_from_a_resolver_that_does_not_answer() {
        for (text, no) in [
            ("failed to lookup address information: Name or service not known", true),
            ("failed to lookup address information: nodename nor servname provided, or not known", true),
            ("failed to lookup address information: Temporary failure in name resolution", false),
            ("failed to lookup address information: Non-recoverable failure in name resolution", false),
        ] {
            assert_eq!(is_no_such_name(&io::Error::other(text)), no, "{text}");
        }
        assert_eq!(is_no_such_name(&io::Error::from_raw_os_error(11_001)), cfg!(windows));
        assert!(!is_no_such_name(&io::Error::from_raw_os_error(11_002)), "try again");
    }

    #[test]
    fn public_addresses_are_those_that_the_internet_routes() {
        for (text, public) in [
            ("93.184.216.34", true),
            ("192.0.2.2", false),
            ("198.18.0.1", false),
            ("2606:4700::1111", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("192.168.0.1", false),
            ("172.16.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("::1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(is_public_address(text.parse().unwrap()), public, "{text}");
        }
    }
}
