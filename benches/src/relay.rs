//! What tunnels are measured beside and with: a bare relay of sockets, and a source of bytes, each a process of its own.

use crate::args;
use anyhow::Result;
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

/// What is read and written at once.
const PIECE: usize = 64 << 10;

/// Serves until it is killed.
pub(crate) fn run(args: &args::Relay) -> Result<()> {
    let listener = TcpListener::bind(args.address)?;
    for stream in listener.incoming().flatten() {
        let to = args.to;
        thread::spawn(move || match to {
            Some(to) => relay(stream, to),
            None => source(stream),
        });
    }
    Ok(())
}

/// Both directions, by reads and writes as a program makes them.
fn relay(near: TcpStream, to: SocketAddr) -> Option<()> {
    let far = TcpStream::connect(to).ok()?;
    near.set_nodelay(true).ok()?;
    far.set_nodelay(true).ok()?;
    let up = (near.try_clone().ok()?, far.try_clone().ok()?);
    let upwards = thread::spawn(move || copy(up.0, up.1));
    copy(far, near);
    upwards.join().ok()
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = vec![0; PIECE];
    while let Ok(n) = from.read(&mut piece) {
        if n == 0 || to.write_all(&piece[..n]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}

/// Reads how many bytes are wanted, and sends as many.
fn source(mut stream: TcpStream) -> Option<()> {
    let mut wanted = [0; 8];
    stream.read_exact(&mut wanted).ok()?;
    let (mut left, piece) = (u64::from_be_bytes(wanted), vec![7; PIECE]);
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        stream.write_all(&piece[..n]).ok()?;
        left -= n as u64;
    }
    Some(())
}
