//! How whoever serves proves that it is the Leeward of a state folder: a keyed hash of a challenge and its address, which only
//! holders of the control token can make. Pure; sends nothing, and never shows the token.

use crate::config::Secret;
use aws_lc_rs::hmac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The path that answers a challenge, which is its query `challenge`.
pub const PATH: &str = "/_leeward/v1/proof";
/// What else the control token may be used for one day must not answer challenges.
const PURPOSE: &str = "leeward proof 1";
/// Digits of a challenge: 256 random bits.
const DIGITS: usize = 64;

/// What whoever asks has made up, for one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// One of 64 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one = text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_one.then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The answer of whoever holds `token` and accepts on `address`: HMAC-SHA256 in hexadecimal digits. The address keeps a
    /// stranger from passing the challenge on to the true Leeward elsewhere.
    pub fn answer(&self, token: &Secret, address: SocketAddr) -> String {
        let tag = hmac::sign(&key(token), self.message(address).as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether that is the answer. Compares in a time that does not tell how much of it is right.
    pub fn is_answer(&self, token: &Secret, address: SocketAddr, answer: &str) -> bool {
        Secret::new(self.answer(token, address)).matches(answer)
    }

    fn message(&self, address: SocketAddr) -> String {
        format!("{PURPOSE}\n{}\n{}", self.0, reachable(address))
    }
}

fn key(token: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, token.reveal().as_bytes())
}

/// Where a listener is reached from this machine: one on the unspecified address over loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "127.0.0.1:8787";

    fn challenge(digit: &str) -> Challenge {
        Challenge::parse(&digit.repeat(DIGITS)).unwrap()
    }

    #[test]
    fn only_the_token_answers_and_only_once_and_here() {
        let (token, asked, here) = (Secret::new("t".repeat(64)), challenge("a"), HERE.parse().unwrap());
        let answer = asked.answer(&token, here);
        assert!(asked.is_answer(&token, here, &answer));
        assert!(asked.is_answer(&token, "0.0.0.0:8787".parse().unwrap(), &answer), "reached over loopback");
        for (what, token, asked, address) in [
            ("another token", Secret::new("u".repeat(64)), asked.clone(), HERE),
            ("replayed for another challenge", token.clone(), challenge("b"), HERE),
            ("another port", token.clone(), asked.clone(), "127.0.0.1:8788"),
            ("another address", token.clone(), asked.clone(), "[::1]:8787"),
        ] {
            assert!(!asked.is_answer(&token, address.parse().unwrap(), &answer), "{what}");
        }
        for wrong in ["", "0", &answer[1..], &answer.to_uppercase(), &format!("{answer} ")] {
            assert!(!asked.is_answer(&token, here, wrong), "{wrong}");
        }
        assert!(!answer.contains(token.reveal()));
    }

    #[test]
    fn a_challenge_is_64_digits() {
        for wrong in ["", "a", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Challenge::parse(wrong), None, "{wrong}");
        }
    }
}
