//! The kernel's own account of links, addresses and routes (rtnetlink(7)). Changes nothing.

use super::registered::registered;
use crate::network::{
    picture::{OUTSIDE, Picture, Way},
    source::Hint,
};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage, AddressScope},
    link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkMessage},
    route::{RouteAddress, RouteAttribute, RouteMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::io::Errno;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
};

/// Groups of linux/rtnetlink.h: RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, _IPV6_RULE.
const GROUPS: [u32; 7] = [1, 5, 7, 8, 9, 11, 19];
/// The kernel fills buffers of at most 32 KiB (af_netlink.c); a message that is only counted needs no room.
const BUFFER: usize = 64 * 1024;
const DRAIN: usize = 256;

/// Sends a hint for each batch of messages.
pub(super) async fn listen(hints: mpsc::Sender<Hint>) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    let socket = nonblocking(socket)?;
    let mut buffer = Vec::with_capacity(DRAIN);
    // What changed before the subscription is seen in the first picture after it.
    while hints.send(Hint::Routes).await.is_ok() {
        match receive(&socket, &mut buffer).await {
            Ok(()) => {}
            // More than the kernel would keep for us: what was lost is seen in the next picture.
            Err(e) if Errno::from_io_error(&e) == Some(Errno::NOBUFS) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// What matters of routes and addresses, now.
pub(super) async fn picture() -> io::Result<Picture> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut asking = Asking { socket: nonblocking(socket)?, buffer: Vec::with_capacity(BUFFER), sequence: 0 };
    let links = asking.links().await?;
    let mut ways = Vec::new();
    let mut matter: BTreeSet<u32> = links.iter().filter(|(_, link)| link.tunnel).map(|(index, _)| *index).collect();
    for outside in OUTSIDE {
        let Some((index, gateway)) = asking.way(outside).await? else { continue };
        // Without a carrier the route is still there, and leads nowhere.
        if let Some(link) = links.get(&index).filter(|link| link.carrier) {
            matter.insert(index);
            ways.push(Way { v6: outside.is_ipv6(), interface: link.name.clone(), gateway });
        }
    }
    let addresses = asking.addresses().await?;
    let named = addresses.into_iter().filter(|(index, _)| matter.contains(index));
    Ok(Picture::new(ways, named.filter_map(|(index, address)| Some((links.get(&index)?.name.clone(), address)))))
}

struct Link {
    name: String,
    carrier: bool,
    /// Up, and a way to one other end: a VPN, even one that takes only some routes.
    tunnel: bool,
}

struct Asking {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Asking {
    async fn links(&mut self) -> io::Result<BTreeMap<u32, Link>> {
        let mut question = LinkMessage::default();
        // Without counters a link's description is half as long, which hosts with many containers feel.
        question.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let answers = self.ask(RouteNetlinkMessage::GetLink(question), NLM_F_DUMP).await?;
        let links = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(link),
            _ => None,
        });
        Ok(links
            .filter_map(|LinkMessage { header, attributes, .. }| {
                let name = attributes.into_iter().find_map(|a| match a {
                    LinkAttribute::IfName(name) => Some(name),
                    _ => None,
                })?;
                let up = header.flags.contains(LinkFlags::Up);
                let tunnel = up && header.flags.contains(LinkFlags::Pointopoint);
                Some((header.index, Link { name, carrier: up && header.flags.contains(LinkFlags::LowerUp), tunnel }))
            })
            .collect())
    }

    /// Interface and gateway of the route to `outside`, by the kernel's own choice among all tables and rules.
    async fn way(&mut self, outside: IpAddr) -> io::Result<Option<(u32, Option<IpAddr>)>> {
        let mut question = RouteMessage::default();
        question.header.address_family = if outside.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        question.header.destination_prefix_length = if outside.is_ipv4() { 32 } else { 128 };
        question.attributes.push(RouteAttribute::Destination(outside.into()));
        let answers = match self.ask(RouteNetlinkMessage::GetRoute(question), 0).await {
            Ok(answers) => answers,
            Err(e) if Errno::from_io_error(&e).is_some_and(no_way) => return Ok(None),
            Err(e) => return Err(e),
        };
        let route = answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(route) => Some(route),
            _ => None,
        });
        let Some(route) = route else { return Ok(None) };
        let (mut interface, mut gateway) = (None, None);
        for attribute in route.attributes {
            match attribute {
                RouteAttribute::Oif(index) => interface = Some(index),
                RouteAttribute::Gateway(RouteAddress::Inet(address)) => gateway = Some(address.into()),
                RouteAttribute::Gateway(RouteAddress::Inet6(address)) => gateway = Some(address.into()),
                _ => {}
            }
        }
        Ok(interface.map(|index| (index, gateway)))
    }

    /// Interface and address, of those that leave the link.
    async fn addresses(&mut self) -> io::Result<Vec<(u32, IpAddr)>> {
        let answers = self.ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP).await?;
        let addresses = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(address) if address.header.scope == AddressScope::Universe => Some(address),
            _ => None,
        });
        Ok(addresses
            .filter_map(|AddressMessage { header, attributes, .. }| {
                // Of a tunnel, `Address` is the other end and `Local` is ours.
                let (mut local, mut address) = (None, None);
                for attribute in attributes {
                    match attribute {
                        AddressAttribute::Local(ip) => local = Some(ip),
                        AddressAttribute::Address(ip) => address = Some(ip),
                        _ => {}
                    }
                }
                Some((header.index, local.or(address)?))
            })
            .collect())
    }

    async fn ask(&mut self, question: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.get_ref().send(&bytes, 0)?;
        let (many, mut answers) = (flags & NLM_F_DUMP != 0, Vec::new());
        loop {
            receive(&self.socket, &mut self.buffer).await?;
            let mut rest = &self.buffer[..];
            while !rest.is_empty() {
                let length = NetlinkBuffer::new_checked(rest).map_err(io::Error::other)?.length() as usize;
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest);
                // Messages stand at multiples of four bytes (NLMSG_ALIGNTO).
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                // An interface of a kind that the parser does not know is none of those that matter.
                let Ok(message) = message else { continue };
                if message.header.sequence_number != self.sequence {
                    continue; // the end of a response that was given up
                }
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(e) if e.code.is_some() => return Err(e.to_io()),
                    NetlinkPayload::InnerMessage(answer) => {
                        answers.push(answer);
                        if !many {
                            return Ok(answers);
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// How the kernel says that there is no route, or one that forbids, or none of this family (fib_props, fib_semantics.c).
fn no_way(e: Errno) -> bool {
    [
        Errno::NETUNREACH,
        Errno::HOSTUNREACH,
        Errno::SRCH,
        Errno::ACCESS,
        Errno::INVAL,
        Errno::NODEV,
        Errno::NETDOWN,
        Errno::AFNOSUPPORT,
    ]
    .contains(&e)
}

fn nonblocking(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    socket.set_non_blocking(true)?;
    registered(socket)
}

/// One datagram, cut to the buffer's capacity.
async fn receive(socket: &AsyncFd<Socket>, buffer: &mut Vec<u8>) -> io::Result<()> {
    let room = buffer.capacity();
    buffer.clear();
    socket
        .async_io(Interest::READABLE, |socket| {
            let mut limited = bytes::BufMut::limit(&mut *buffer, room);
            socket.recv(&mut limited, 0)
        })
        .await?;
    Ok(())
}
