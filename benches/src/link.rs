//! A long way, in this process: bytes arrive half a round trip after they were sent, and a connection's first bytes wait
//! for the round trip that its handshake would have taken (loopback connects at once).

use anyhow::Result;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};

/// Pieces on their way in one direction.
const PIECES: usize = 1024;

/// A running link. Dropping it cuts it.
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Link {
    /// A link to `target`.
    pub(crate) async fn start(target: SocketAddr, round_trip: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        connections.spawn(async move { carry(stream, target, round_trip).await.ok(); });
                    }
                    Some(_) = connections.join_next() => (),
                }
            }
        });
        Ok(Self { address, _tasks: tasks })
    }
}

async fn carry(near: TcpStream, target: SocketAddr, round_trip: Duration) -> io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let handshake = Instant::now() + round_trip;
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    let half = round_trip / 2;
    // A reset ends both directions at once; the end of one of them does not end the other.
    tokio::try_join!(one_way(near_read, far_write, half, handshake), one_way(far_read, near_write, half, handshake))?;
    Ok(())
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, not_before: Instant) -> io::Result<()> {
    let (send, mut on_the_way) = mpsc::channel::<(Instant, io::Result<Vec<u8>>)>(PIECES);
    let reading = async move {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let piece = from.read(&mut buffer).await.map(|read| buffer[..read].to_vec());
            let last = piece.as_ref().map_or(true, Vec::is_empty);
            if send.send((Instant::now().max(not_before) + delay, piece)).await.is_err() || last {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((at, piece)) = on_the_way.recv().await {
            tokio::time::sleep_until(at).await;
            match piece {
                Ok(piece) => to.write_all(&piece).await?,
                Err(reset) => {
                    socket2::SockRef::from(to.as_ref()).set_linger(Some(Duration::ZERO))?;
                    return Err(reset);
                }
            }
        }
        to.shutdown().await
    };
    let ((), written) = tokio::join!(reading, writing);
    written
}
