//! The client's side of SOCKS 5 (RFC 1928, RFC 1929): the crate `tokio-socks` speaks it, this file says what a response means.
//!
//! Reads not a byte more than the proxy's own reply. Does not flush: SOCKS stands on a plain socket.

use super::{Wanted, broke, failed, refused_login};
use crate::message::Failure;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_socks::{Error, IntoTargetAddr, TargetAddr, tcp::Socks5Stream};
use tokio_util::io::InspectReader;

/// Of the response to the greeting: version and method.
const METHOD_BYTES: usize = 2;

/// Greets, logs in where that is asked for, and has the connection made.
pub(super) async fn open<S>(stream: &mut S, wanted: &Wanted<'_>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (proxy, endpoint) = (wanted.proxy, wanted.endpoint);
    let target = match wanted.address {
        Some(ip) => Ok(TargetAddr::Ip((ip, endpoint.port).into())),
        None => (endpoint.host.as_str(), endpoint.port).into_target_addr(),
    };
    let target = target.map_err(|_| failed(proxy, "takes no host name longer than 255 bytes"))?;
    // The library's errors say less than the proxy did.
    let mut heard = Vec::new();
    let stream = InspectReader::new(stream, |bytes: &[u8]| heard.extend_from_slice(bytes));
    let tunnel = match &proxy.login {
        Some((user, password)) => {
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password.reveal()).await.map(drop)
        }
        None => Socks5Stream::connect_with_socket(stream, target).await.map(drop),
    };
    tunnel.map_err(|error| failure(&error, &heard, wanted))
}

/// Whose fault it is, by what the proxy said last.
fn failure(error: &Error, heard: &[u8], wanted: &Wanted<'_>) -> Failure {
    let proxy = wanted.proxy;
    // RFC 1928 section 6.
    let meaning = match error {
        Error::GeneralSocksServerFailure => "it failed in general",
        Error::ConnectionNotAllowedByRuleset => "its rules forbid it",
        Error::NetworkUnreachable => "the network cannot be reached",
        Error::HostUnreachable => "the host cannot be reached",
        Error::ConnectionRefused => "the upstream refused",
        Error::TtlExpired => "it took too long",
        Error::CommandNotSupported => "it does not make connections",
        Error::AddressTypeNotSupported => "it does not know this kind of address",
        // The library's word for an unknown code, too.
        Error::UnknownAuthMethod if heard.len() > METHOD_BYTES => "it gives no known reason",
        Error::UnknownAuthMethod
        | Error::NoAcceptableAuthMethods
        | Error::AuthorizationRequired
        | Error::InvalidAuthValues(_)
        | Error::PasswordAuthFailure(_) => return refused_login(proxy, ""),
        Error::Io(error) => return broke(proxy, error),
        _ => return failed(proxy, "answered something that is not SOCKS 5"),
    };
    // After the code come a reserved byte and the kind of an address.
    let code = heard.iter().rev().nth(2).copied().unwrap_or_default();
    failed(proxy, format_args!("made no connection to {}: {meaning} (code {code})", wanted.endpoint))
}
