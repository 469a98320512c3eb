//! The head of a CONNECT and the TLS hello after it: the same in any slicing, and what is kept is what came.
#![no_main]

use leeward::inbound::tunnel::{
    hello::Hello,
    request::{is_connect, parse},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let cut = usize::from(cut).min(bytes.len());
    let end = match parse(bytes) {
        Ok((asked, end)) => {
            assert!(end <= bytes.len() && bytes[..end].ends_with(b"\n"));
            let shown = asked.shown();
            let (host, port) = shown.rsplit_once(':').unwrap();
            assert!(!host.is_empty() && port.parse::<u16>().unwrap() > 0, "{shown}");
            assert!(!shown.contains(char::is_whitespace) && !shown.contains('@') && !shown.contains('/'), "{shown}");
            // What it shows is read alike.
            if is_connect(bytes) {
                let again = format!("CONNECT {shown} HTTP/1.1\r\nhost: x\r\n\r\n");
                assert_eq!(parse(again.as_bytes()).unwrap().0.shown(), shown);
            }
            end
        }
        Err(_) => 0,
    };
    let sent = &bytes[end..];
    let cut = cut.min(sent.len());
    let (mut whole, mut sliced) = (Hello::default(), Hello::default());
    whole.add(sent);
    sliced.add(&sent[..cut]);
    sliced.add(&sent[cut..]);
    assert!(whole.again().is_none_or(|kept| kept == sent));
    assert_eq!(whole.again().is_some(), sliced.again().is_some(), "cut at {cut}");
});
