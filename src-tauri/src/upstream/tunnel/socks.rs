//! The client's side of SOCKS 5: RFC 1928, with user and password by RFC 1929.
//!
//! Own code because the phases and the proxy's reply code decide what the user is told; the libraries hide them.

use super::{Wanted, broke, failed, refused_login};
use crate::{config::CompanyProxy, message::Failure};
use std::{io, net::IpAddr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

/// Greets, logs in where that is asked for, and has the connection made.
pub(super) async fn open<S>(stream: &mut S, wanted: &Wanted<'_>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let proxy = wanted.proxy;
    let methods: &[u8] = if proxy.login.is_some() { &[VERSION, 2, NO_LOGIN, PASSWORD] } else { &[VERSION, 1, NO_LOGIN] };
    let [version, method] = ask::<S, 2>(stream, methods).await.map_err(|e| broke(proxy, &e))?;
    if version != VERSION {
        return Err(failed(proxy, "answered something that is not SOCKS 5"));
    }
    match method {
        NO_LOGIN => {}
        PASSWORD => log_in(stream, proxy).await?,
        _ => return Err(refused_login(proxy, "")),
    }
    let request = request(wanted).ok_or_else(|| failed(proxy, "takes no host name longer than 255 bytes"))?;
    let [version, reply, _, kind] = ask::<S, 4>(stream, &request).await.map_err(|e| broke(proxy, &e))?;
    if version != VERSION {
        return Err(failed(proxy, "answered something that is not SOCKS 5"));
    }
    if reply != 0 {
        return Err(failed(proxy, format_args!("made no connection to {}: {} (code {reply})", wanted.endpoint, meaning(reply))));
    }
    // The address that the proxy connected from: of no use here, and to be read past.
    let length = match kind {
        V4 => 4,
        V6 => 16,
        NAME => usize::from(stream.read_u8().await.map_err(|e| broke(proxy, &e))?),
        _ => return Err(failed(proxy, "answered something that is not SOCKS 5")),
    };
    let mut address = [0; 255 + 2];
    stream.read_exact(&mut address[..length + 2]).await.map_err(|e| broke(proxy, &e))?;
    Ok(())
}

async fn ask<S, const N: usize>(stream: &mut S, bytes: &[u8]) -> io::Result<[u8; N]>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(bytes).await?;
    stream.flush().await?;
    let mut answer = [0; N];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

async fn log_in<S>(stream: &mut S, proxy: &CompanyProxy) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some((user, password)) = &proxy.login else { return Err(refused_login(proxy, "")) };
    let mut said = vec![1];
    for part in [user.as_str(), password.reveal()] {
        said.push(u8::try_from(part.len()).map_err(|_| refused_login(proxy, ""))?);
        said.extend_from_slice(part.as_bytes());
    }
    let [_, status] = ask::<S, 2>(stream, &said).await.map_err(|e| broke(proxy, &e))?;
    if status == 0 { Ok(()) } else { Err(refused_login(proxy, "")) }
}

/// `None`: the name is too long for the protocol.
fn request(wanted: &Wanted<'_>) -> Option<Vec<u8>> {
    let endpoint = wanted.endpoint;
    let mut out = vec![VERSION, CONNECT, 0];
    match wanted.address.or_else(|| endpoint.host.parse().ok()) {
        Some(IpAddr::V4(ip)) => {
            out.push(V4);
            out.extend(ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            out.push(V6);
            out.extend(ip.octets());
        }
        None => {
            out.extend([NAME, u8::try_from(endpoint.host.len()).ok()?]);
            out.extend(endpoint.host.as_bytes());
        }
    }
    out.extend(endpoint.port.to_be_bytes());
    Some(out)
}

/// RFC 1928 section 6.
fn meaning(reply: u8) -> &'static str {
    match reply {
        1 => "it failed in general",
        2 => "its rules forbid it",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the upstream refused",
        6 => "it took too long",
        7 => "it does not make connections",
        8 => "it does not know this kind of address",
        _ => "it gives no known reason",
    }
}
