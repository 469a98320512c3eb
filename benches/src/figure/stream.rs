//! A stream of 200 events, one a millisecond: the time to the first, how long after it was sent each is here, and what an
//! event costs the proxy. Once as it is, once in gzip, as APIs send it to agents that ask for it.

use super::Subject;
use crate::{clock, load::histogram, record::Record, wire};
use anyhow::{Result, ensure};
use std::{io::Write, time::Instant};

/// Events a stream.
const EVENTS: usize = 200;
/// Streams a round.
const STREAMS: usize = 10;
/// What stands before the time in an event.
const MARK: &[u8] = b"t=";
/// Digits of the time.
const DIGITS: usize = 20;

pub(crate) async fn measure(subject: &Subject<'_>, record: &mut Record) -> Result<()> {
    streams(subject, record, false).await?;
    streams(subject, record, true).await
}

async fn streams(subject: &Subject<'_>, record: &mut Record, gzip: bool) -> Result<()> {
    let (query, coding, kind) = if gzip { ("&gzip=1", Some("gzip"), "gzip ") } else { ("", None, "") };
    let request = wire::request_taking(subject.address, &format!("?events={EVENTS}&gap_ms=1{query}"), coding, 1024);
    let (mut firsts, mut delays) = (histogram()?, histogram()?);
    let mut line = wire::Line::open(subject.address).await?;
    let count = if subject.slow { 3 } else { STREAMS };
    let before = subject.process.map(|process| process.cpu());
    for _ in 0..count {
        let began = Instant::now();
        let mut text = if gzip { Text::gzip() } else { Text::Plain(Vec::new()) };
        let (mut seen, mut count, mut first, mut broken) = (0, 0, None, None);
        let answer = line
            .ask_seeing(&request, |piece| {
                if let Err(why) = text.take(piece) {
                    broken.get_or_insert(why);
                }
                let (now, text) = (clock::now(), text.so_far());
                while let Some(at) = memchr::memmem::find(&text[seen..], MARK) {
                    let digits = seen + at + MARK.len();
                    let Some(sent) = text.get(digits..digits + DIGITS) else { break };
                    // A time that a chunk's border cuts in two is left out; the count below says how many there were.
                    if let Ok(sent) = String::from_utf8_lossy(sent).parse::<u64>() {
                        delays.saturating_record(now.saturating_sub(sent));
                        first.get_or_insert_with(|| began.elapsed());
                        count += 1;
                    }
                    seen = digits + DIGITS;
                }
            })
            .await?;
        ensure!(answer.status == 200, "a stream was answered {}", answer.status);
        ensure!(broken.is_none(), "a stream was no gzip: {broken:?}");
        ensure!(count * 100 >= EVENTS * 95, "{count} of {EVENTS} events were readable");
        firsts.saturating_record(u64::try_from(first.unwrap_or_default().as_nanos())?);
        if answer.closes {
            line = wire::Line::open(subject.address).await?;
        }
    }
    let mut add = |what: &str, value: f64| record.add(subject.name, &format!("{kind}{what}"), value);
    add("first event", firsts.value_at_percentile(50.0) as f64 / 1e3);
    add("event delay p50", delays.value_at_percentile(50.0) as f64 / 1e3);
    add("event delay p99", delays.value_at_percentile(99.0) as f64 / 1e3);
    if let (Some(before), Some(process)) = (before, subject.process) {
        add("stream cpu", (process.cpu() - before).as_secs_f64() * 1e6 / (count * EVENTS) as f64);
    }
    Ok(())
}

/// A chunked body, as far as it has come.
enum Text {
    /// Looked through with its framing.
    Plain(Vec<u8>),
    /// What is not a whole chunk yet, and the decoder of all before.
    Gzip(Vec<u8>, Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
}

impl Text {
    fn gzip() -> Self {
        Self::Gzip(Vec::new(), Box::new(flate2::write::MultiGzDecoder::new(Vec::new())))
    }

    fn take(&mut self, piece: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(text) => text.extend_from_slice(piece),
            Self::Gzip(waiting, decoder) => {
                waiting.extend_from_slice(piece);
                let mut rest = waiting.as_slice();
                while let Some((content, behind)) = wire::first_chunk(rest) {
                    decoder.write_all(content)?;
                    rest = behind;
                }
                let used = waiting.len() - rest.len();
                waiting.drain(..used);
                decoder.flush()?;
            }
        }
        Ok(())
    }

    fn so_far(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text,
            Self::Gzip(_, decoder) => decoder.get_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_stream_is_read_however_it_is_cut() {
        let events: [&[u8]; 2] = [b"data: calm t=1\n\n", b"data: calm t=2\n\n"];
        let mut body = Vec::new();
        for chunk in scripted::coding::chunks("gzip", &events).unwrap() {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(&chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        for cut in 0..body.len() {
            let mut text = Text::gzip();
            text.take(&body[..cut]).unwrap();
            text.take(&body[cut..]).unwrap();
            assert_eq!(text.so_far(), events.concat(), "cut at {cut}");
        }
    }
}
