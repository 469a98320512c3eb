//! What of this machine's network matters to connections that leave it, and how two such pictures differ. Pure, but for
//! asking the system which address it would leave from.

use super::news::NetworkWhy;
use crate::shortage::is_shortage;
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
};

/// Two addresses in the open internet (a root name server's: they do not move), to ask the system for the way to them.
/// Nothing is ever sent there. A way to them is what "the default route" means, however it was made: a VPN may cover the
/// default route by two halves of it, or by a table of its own.
pub(super) const OUTSIDE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4)), IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 0x2, 0x30))];

/// The way out for one address family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Way {
    pub(super) v6: bool,
    /// Its name: numbers change with each dial of a VPN.
    pub(super) interface: String,
    /// `None`: no gateway, or not known here.
    pub(super) gateway: Option<IpAddr>,
}

/// Everything that matters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Picture {
    ways: BTreeSet<Way>,
    addresses: BTreeSet<(String, IpAddr)>,
}

impl Picture {
    /// From the ways out and the addresses of the interfaces that matter.
    pub(super) fn new(ways: impl IntoIterator<Item = Way>, addresses: impl IntoIterator<Item = (String, IpAddr)>) -> Self {
        let lasting = addresses.into_iter().filter_map(|(interface, address)| Some((interface, lasting(address)?)));
        Self { ways: ways.into_iter().collect(), addresses: lasting.collect() }
    }

    /// The same for the same picture, in this and in other processes of the same build; never 0.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish().max(1)
    }

    /// What the change from this one to `later` is, if there is one.
    pub(super) fn difference(&self, later: &Self) -> Option<NetworkWhy> {
        if self.ways != later.ways {
            Some(NetworkWhy::Routes)
        } else {
            (self.addresses != later.addresses).then_some(NetworkWhy::Addresses)
        }
    }
}

/// The part of an address that lasts. Of IPv6 it is the network: a machine takes new temporary addresses in it all day
/// (RFC 8981), and the old ones go on working. `None`: no connection leaves from it.
fn lasting(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => (!v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified()).then_some(address),
        IpAddr::V6(v6) => {
            let outside = !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified();
            outside.then(|| IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))))
        }
    }
}

/// The address this machine would leave from towards `outside`, if there is a way: connecting a UDP socket asks for the
/// route and sends nothing.
pub(super) fn own_address(outside: IpAddr) -> io::Result<Option<IpAddr>> {
    let any = if outside.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = match UdpSocket::bind((any, 0)) {
        Ok(socket) => socket,
        Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable || no_such_family(&e) => return Ok(None),
        // Out of files, say: that says nothing about the network.
        Err(e) => return Err(e),
    };
    // Port 9 is discard (RFC 863).
    way(socket.connect((outside, 9)).and_then(|()| socket.local_addr()).map(|address| address.ip()))
}

/// There are many errors for the lack of a way, and some for the lack of memory to ask with.
fn way<T>(asked: io::Result<T>) -> io::Result<Option<T>> {
    match asked {
        Ok(own) => Ok(Some(own)),
        Err(e) if is_shortage(&e) => Err(e),
        Err(_) => Ok(None),
    }
}

/// True for the error of a socket of a family that is switched off.
fn no_such_family(e: &io::Error) -> bool {
    #[cfg(windows)]
    const NO_FAMILY: i32 = 10047; // WSAEAFNOSUPPORT
    #[cfg(not(windows))]
    const NO_FAMILY: i32 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    e.raw_os_error() == Some(NO_FAMILY)
}

#[cfg(test)]
mod tests {
    use super::{NetworkWhy, Picture, Way, way as way_out};
    use std::io;

    fn way(interface: &str, gateway: &str) -> Way {
        let gateway = gateway.parse().ok();
        Way { v6: gateway.is_some_and(|g: std::net::IpAddr| g.is_ipv6()), interface: interface.into(), gateway }
    }

    fn picture(ways: &[(&str, &str)], addresses: &[(&str, &str)]) -> Picture {
        let ways: Vec<_> = ways.iter().map(|(i, g)| way(i, g)).collect();
        Picture::new(ways, addresses.iter().map(|(i, a)| ((*i).to_owned(), a.parse().unwrap())))
    }

    #[test]
    fn a_shortage_is_no_lack_of_a_way() {
        #[cfg(unix)]
        let (short, none) = {
            use rustix::io::Errno;
            let short = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN].map(Errno::raw_os_error);
            (short.to_vec(), [Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::ACCESS].map(Errno::raw_os_error))
        };
        #[cfg(windows)]
        let (short, none) = (vec![10_024, 10_055, 8], [10_051, 10_065, 10_013]);
        for code in short {
            assert!(way_out(Err::<(), _>(io::Error::from_raw_os_error(code))).is_err(), "{code}");
        }
        for code in none {
            assert_eq!(way_out(Err::<(), _>(io::Error::from_raw_os_error(code))).unwrap(), None, "{code}");
        }
        assert_eq!(way_out(Ok(7)).unwrap(), Some(7));
    }

    #[test]
    fn only_what_matters_is_a_difference() {
        let home =
            picture(&[("wlan0", "192.168.1.1"), ("wlan0", "fe80::1")], &[("wlan0", "192.168.1.7"), ("wlan0", "2001:db8:1:1::7")]);
        let rows = [
            ("nothing", home.clone(), None),
            (
                "temporary and link-local addresses come and go",
                picture(
                    &[("wlan0", "192.168.1.1"), ("wlan0", "fe80::1")],
                    &[
                        ("wlan0", "192.168.1.7"),
                        ("wlan0", "2001:db8:1:1:abcd::9"),
                        ("wlan0", "fe80::9"),
                        ("wlan0", "169.254.3.3"),
                    ],
                ),
                None,
            ),
            (
                "another network of the same provider",
                picture(
                    &[("wlan0", "192.168.1.1"), ("wlan0", "fe80::1")],
                    &[("wlan0", "192.168.1.7"), ("wlan0", "2001:db8:1:2::7")],
                ),
                Some(NetworkWhy::Addresses),
            ),
            (
                "a VPN's own address",
                picture(
                    &[("wlan0", "192.168.1.1"), ("wlan0", "fe80::1")],
                    &[("wlan0", "192.168.1.7"), ("wlan0", "2001:db8:1:1::7"), ("wg0", "10.8.0.2")],
                ),
                Some(NetworkWhy::Addresses),
            ),
            ("the VPN takes everything", picture(&[("wg0", "")], &[("wg0", "10.8.0.2")]), Some(NetworkWhy::Routes)),
            ("the network is gone", picture(&[], &[]), Some(NetworkWhy::Routes)),
            (
                "another gateway",
                picture(
                    &[("wlan0", "192.168.1.254"), ("wlan0", "fe80::1")],
                    &[("wlan0", "192.168.1.7"), ("wlan0", "2001:db8:1:1::7")],
                ),
                Some(NetworkWhy::Routes),
            ),
        ];
        for (what, later, expected) in rows {
            assert_eq!(home.difference(&later), expected, "{what}");
            assert_eq!(home.fingerprint() == later.fingerprint(), expected.is_none(), "{what}");
        }
        assert_ne!(Picture::default().fingerprint(), 0);
    }
}
