//! What a client has sent before the server's first byte, kept while it is a TLS hello and nothing more. Pure.
//!
//! A hello says only that somebody wants to talk, so it may be sent twice. Anything else may be a request: plain HTTP, or
//! data that rides on the hello (0-RTT).

/// Larger hellos are not kept. The largest of an agent is 1.8 kB.
const MOST: usize = 16 << 10;
const RECORD_HEAD: usize = 5;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// What has been sent.
#[derive(Debug, Default)]
pub struct Hello {
    kept: Vec<u8>,
    is_lost: bool,
}

impl Hello {
    /// More was sent.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.is_lost {
            return;
        }
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > MOST || !is_beginning_of_hello(&self.kept) {
            self.is_lost = true;
            self.kept = Vec::new();
        }
    }

    /// What may be sent again; `None` when something was sent that may not.
    pub fn again(&self) -> Option<&[u8]> {
        (!self.is_lost).then_some(&self.kept)
    }
}

/// The message in handshake records so far; `None` where there is another record, or bytes after it.
fn message(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(bytes.len());
    loop {
        let head = &bytes[..bytes.len().min(RECORD_HEAD)];
        if head.first().is_some_and(|kind| *kind != HANDSHAKE) || head.get(1).is_some_and(|major| *major != 3) {
            return None;
        }
        let &[_, _, _, high, low] = head else { return Some(message) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = &bytes[RECORD_HEAD..];
        message.extend_from_slice(&body[..length.min(body.len())]);
        if body.len() <= length {
            return Some(message);
        }
        bytes = &body[length..];
    }
}

/// Whether all of it is handshake records that hold one ClientHello, or its beginning.
fn is_beginning_of_hello(bytes: &[u8]) -> bool {
    let Some(message) = message(bytes) else { return false };
    match message[..] {
        [] => true,
        [kind, high, middle, low, ref body @ ..] => kind == CLIENT_HELLO && body.len() <= length([high, middle, low]),
        [kind, ..] => kind == CLIENT_HELLO,
    }
}

fn length([high, middle, low]: [u8; 3]) -> usize {
    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(length: usize) -> Vec<u8> {
        let message = length - RECORD_HEAD;
        let [high, low] = u16::try_from(message).unwrap().to_be_bytes();
        let [a, b] = u16::try_from(message - 4).unwrap().to_be_bytes();
        let mut bytes = vec![HANDSHAKE, 3, 1, high, low, CLIENT_HELLO, 0, a, b];
        bytes.resize(length, 7);
        bytes
    }

    #[test]
    fn a_hello_is_kept_however_it_arrives_and_nothing_else_is() {
        for length in [517, 1795, MOST] {
            let whole = hello(length);
            for cut in [0, 1, 4, 5, 6, 9, length / 2, length - 1, length] {
                let mut kept = Hello::default();
                kept.add(&whole[..cut]);
                kept.add(&whole[cut..]);
                assert_eq!(kept.again(), Some(&whole[..]), "{length} cut at {cut}");
                // Early data, a second message, a change of ciphers.
                for more in [&[23, 3, 3][..], &[HANDSHAKE, 3, 3, 0, 1, 2], &[20], b"GET"] {
                    let mut kept = Hello::default();
                    kept.add(&whole);
                    kept.add(more);
                    assert_eq!(kept.again(), None, "{length} and {more:?}");
                }
            }
        }
        for other in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"SSH-2.0-x\r\n",
            &[HANDSHAKE, 2],
            &[HANDSHAKE, 3, 1, 0, 4, 2, 0, 0, 0],
            &hello(MOST + 1),
        ] {
            let mut kept = Hello::default();
            kept.add(other);
            assert_eq!(kept.again(), None, "{:?}", &other[..other.len().min(12)]);
        }
        assert_eq!(Hello::default().again(), Some(&[][..]), "nothing sent is nothing sent twice");
    }
}
