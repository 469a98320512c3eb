//! The self-probe: a real HTTP request over the real port, as any client would make it (L9). Decides nothing about what
//! comes of it.

use super::recovery::{MISSES, Probe as Outcome};
use crate::{
    config::{Config, Watch},
    health::unix_ms,
    instance::reachable,
    shortage::{is_shortage, is_shortage_of_connect},
    status::Probe,
};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

/// One that could not ask is made again after this, where probes are not closer together anyway.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What came of one request.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200 within the limit.
    Answered,
    /// Anything else, or nothing.
    Missed,
    /// The system had nothing left to ask with: that says nothing about the engine.
    CouldNotAsk(io::Error),
}

/// Asks `/livez`. Also says how long it took.
pub(super) async fn probe(config: &Config, address: SocketAddr) -> (Answer, Duration) {
    let began = Instant::now();
    let asked = timeout(config.watch.probe_timeout, ask(reachable(address))).await;
    (asked.map_or(Answer::Missed, judge), began.elapsed())
}

/// Where a request failed.
#[derive(Debug)]
enum Failed {
    Connecting(io::Error),
    Talking(io::Error),
}

fn judge(asked: Result<bool, Failed>) -> Answer {
    match asked {
        Ok(true) => Answer::Answered,
        Err(Failed::Connecting(e)) if is_shortage_of_connect(&e) => Answer::CouldNotAsk(e),
        Err(Failed::Talking(e)) if is_shortage(&e) => Answer::CouldNotAsk(e),
        Ok(false) | Err(_) => Answer::Missed,
    }
}

async fn ask(address: SocketAddr) -> Result<bool, Failed> {
    let mut stream = TcpStream::connect(address).await.map_err(Failed::Connecting)?;
    let request = format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(Failed::Talking)?;
    let mut answer = [0u8; 512];
    let mut filled = 0;
    while filled < answer.len() {
        let n = stream.read(&mut answer[filled..]).await.map_err(Failed::Talking)?;
        if n == 0 {
            break;
        }
        filled += n;
    }
    // Own paths are answered over the connection cap as well, so nothing but a 200 is a sign of life.
    Ok(answer[..filled].starts_with(b"HTTP/1.1 200"))
}

/// When to probe, and what came of the last time.
#[derive(Debug)]
pub(super) struct Probing {
    pub(super) next_at: Instant,
    pub(super) is_under_way: bool,
    /// Something was mended since the probe began that is under way.
    pub(super) mended: bool,
    /// Accepts that had failed when it began.
    pub(super) errors_before: u64,
    /// The condition of a shortage was set for a probe, and not by the accept loop.
    pub(super) says_short: bool,
    /// The last one that could ask.
    pub(super) last: Option<Probe>,
}

impl Probing {
    pub(super) fn new(watch: &Watch) -> Self {
        let next_at = Instant::now() + watch.probe;
        Self { next_at, is_under_way: false, mended: false, errors_before: 0, says_short: false, last: None }
    }

    /// Somebody waits to hear that all is well again, and the next probe's turn is seconds away. What was mended in vain
    /// waits.
    pub(super) fn mended(&mut self, misses: u32) {
        self.mended = self.is_under_way;
        if (1..=MISSES).contains(&misses) {
            self.next_at = Instant::now();
        }
    }

    /// Writes down what came of it, and when the next one's turn is.
    pub(super) fn ended(&mut self, outcome: Outcome, took: Duration, watch: &Watch) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let probe = |ok, misses| Some(Probe { at_unix_ms: unix_ms(), ok, took_us, misses, unasked: 0 });
        let pause = match outcome {
            // A first miss may be chance: ask again at once.
            Outcome::Missed(1) => Duration::ZERO,
            Outcome::CouldNotAsk => watch.probe.min(ASK_AGAIN),
            _ => watch.probe,
        };
        self.next_at = Instant::now() + pause;
        match (outcome, &mut self.last) {
            (Outcome::Answered, _) => self.last = probe(true, 0),
            (Outcome::Missed(misses), _) => self.last = probe(false, misses),
            // What is known is as old as it was.
            (Outcome::CouldNotAsk, Some(last)) => last.unasked = last.unasked.saturating_add(1),
            (Outcome::CouldNotAsk, None) | (Outcome::NotEnded, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn code(name: &str) -> i32 {
        use rustix::io::Errno;
        let errno = match name {
            "no descriptor" => Errno::MFILE,
            "no descriptor in the system" => Errno::NFILE,
            "no memory" => Errno::NOMEM,
            "no buffer" => Errno::NOBUFS,
            "no port" => Errno::ADDRNOTAVAIL,
            "refused" => Errno::CONNREFUSED,
            "reset" => Errno::CONNRESET,
            _ => Errno::TIMEDOUT,
        };
        errno.raw_os_error()
    }

    /// winerror.h and winsock2.h.
    #[cfg(windows)]
    fn code(name: &str) -> i32 {
        match name {
            "no descriptor" => 10_024,
            "no descriptor in the system" => 4,
            "no memory" => 8,
            "no buffer" => 10_055,
            "no port" => 10_048,
            "refused" => 10_061,
            "reset" => 10_054,
            _ => 10_060,
        }
    }

    #[test]
    fn who_could_not_ask_has_no_answer() {
        let rows = [
            ("no descriptor", true, true),
            ("no descriptor in the system", true, true),
            ("no memory", true, true),
            ("no buffer", true, true),
            ("no port", true, false),
            ("refused", false, false),
            ("reset", false, false),
            ("timed out", false, false),
        ];
        for (name, connecting, talking) in rows {
            let error = || io::Error::from_raw_os_error(code(name));
            let could_not = |answer| matches!(answer, Answer::CouldNotAsk(_));
            assert_eq!(could_not(judge(Err(Failed::Connecting(error())))), connecting, "connecting: {name}");
            assert_eq!(could_not(judge(Err(Failed::Talking(error())))), talking, "talking: {name}");
        }
        assert!(matches!(judge(Ok(true)), Answer::Answered));
        assert!(matches!(judge(Ok(false)), Answer::Missed));
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_asked_leaves_the_last_answer_as_old_as_it_is() {
        let watch = Watch { probe: Duration::from_secs(5), probe_timeout: Duration::from_secs(2), stall: Duration::from_secs(2) };
        let mut probing = Probing::new(&watch);
        let next = |probing: &Probing| probing.next_at - Instant::now();
        probing.ended(Outcome::CouldNotAsk, Duration::ZERO, &watch);
        assert_eq!((&probing.last, next(&probing)), (&None, ASK_AGAIN), "nothing is known yet");
        probing.ended(Outcome::Answered, Duration::from_micros(7), &watch);
        let answered = probing.last.clone().unwrap();
        assert_eq!((answered.ok, answered.took_us, answered.unasked, next(&probing)), (true, 7, 0, watch.probe));
        for unasked in 1..=3 {
            probing.ended(Outcome::CouldNotAsk, Duration::from_micros(9), &watch);
            assert_eq!(probing.last, Some(Probe { unasked, ..answered.clone() }));
        }
        probing.ended(Outcome::Missed(1), Duration::ZERO, &watch);
        let missed = probing.last.clone().unwrap();
        assert_eq!((missed.ok, missed.misses, missed.unasked, next(&probing)), (false, 1, 0, Duration::ZERO));
        probing.ended(Outcome::Missed(2), Duration::ZERO, &watch);
        assert_eq!(next(&probing), watch.probe);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_mended_is_probed_at_once_unless_it_was_mended_in_vain() {
        let watch = Watch { probe: Duration::from_secs(5), probe_timeout: Duration::from_secs(2), stall: Duration::from_secs(2) };
        for (misses, at_once) in [(0, false), (1, true), (2, true), (3, false)] {
            let mut probing = Probing { is_under_way: true, ..Probing::new(&watch) };
            probing.mended(misses);
            assert!(probing.mended, "the one under way asked what was there before");
            assert_eq!(probing.next_at == Instant::now(), at_once, "{misses} misses");
        }
    }
}
