//! A bounded queue of log lines and the thread that writes them. A full disk or a stuck terminal delays nobody: it costs
//! lines, and how many is written as soon as there is room again. It knows nothing of what the lines say.
//!
//! tracing-appender's own queue leaves its thread to itself when it ends; here the end of the guard is the end of the
//! thread, so that a process never ends in the middle of one (Wine then loses the exit code).

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait; some 200 bytes each.
const LINES: usize = 2048;
/// While no lines come, the target is flushed this often: twice within the second in which a file that was deleted comes back.
const IDLE: Duration = Duration::from_millis(500);
/// How long the end of the process waits for a disk or terminal that does not take the last lines.
const LIMIT: Duration = Duration::from_secs(1);

/// Puts lines into the queue; a line that finds it full is lost and counted.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    lines: SyncSender<Word>,
    lost: Arc<AtomicU64>,
}

/// Dropping it writes what is queued and ends the thread.
#[derive(Debug)]
pub(super) struct Writer {
    lines: SyncSender<Word>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Word {
    Line(Vec<u8>),
    End,
}

/// Starts the thread. Each line reaches `target` in one write.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(target: impl Write + Send + 'static, name: &str) -> io::Result<(Queue, Writer)> {
    let (lines, wanted) = sync_channel(LINES);
    let (tell, done) = channel::<()>();
    let lost = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&lost);
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
        write(&wanted, target, &counted);
        drop(tell);
    })?;
    Ok((Queue { lines: lines.clone(), lost }, Writer { lines, done, thread: Some(thread) }))
}

fn write(wanted: &Receiver<Word>, mut target: impl Write, lost: &AtomicU64) {
    loop {
        match wanted.recv_timeout(IDLE) {
            // There is nobody to notify of a line that cannot be written; the next one may find room.
            Ok(Word::Line(line)) if target.write_all(&line).is_err() => drop(lost.fetch_add(1, Ordering::Relaxed)),
            Ok(Word::Line(_)) => tell_lost(&mut target, lost),
            Ok(Word::End) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                target.flush().ok();
                tell_lost(&mut target, lost);
            }
        }
    }
    target.flush().ok();
}

fn tell_lost(target: &mut impl Write, lost: &AtomicU64) {
    let missing = lost.swap(0, Ordering::Relaxed);
    if missing > 0 {
        let line = format!("({missing} lines of the log were lost here: they could not be written, or not fast enough)\n");
        if target.write_all(line.as_bytes()).is_err() {
            lost.fetch_add(missing, Ordering::Relaxed);
        }
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Word::Line(line.to_vec())) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let end = std::time::Instant::now() + LIMIT;
        while let Err(TrySendError::Full(_)) = self.lines.try_send(Word::End) {
            if std::time::Instant::now() > end {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // A thread that hangs in a write keeps nobody from ending.
        if self.done.recv_timeout(LIMIT) == Err(RecvTimeoutError::Disconnected)
            && let Some(thread) = self.thread.take()
        {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes nothing until it is released.
    struct Gate(mpsc::Receiver<()>, Page);

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.recv().ok();
            self.1.write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_queued_is_written_before_the_guard_is_gone() {
        let page = Page::default();
        let (mut queue, writer) = start(page.clone(), "test").unwrap();
        (0..100).for_each(|n| writeln!(queue, "line {n}").unwrap());
        drop(writer);
        assert_eq!(page.text().lines().count(), 100);
        // Lines after the end are nobody's, and no error.
        queue.write_all(b"late\n").unwrap();
        assert!(!page.text().contains("late"));
    }

    #[test]
    fn a_full_queue_delays_nobody_and_tells_how_much_was_lost() {
        let (open, gate) = mpsc::channel();
        let page = Page::default();
        let (mut queue, writer) = start(Gate(gate, page.clone()), "test").unwrap();
        // The thread holds at most one line beside those that wait.
        (0..LINES + 11).for_each(|n| queue.write_all(format!("line {n}\n").as_bytes()).unwrap());
        drop(open);
        drop(writer);
        let text = page.text();
        let lost: usize = text.lines().find_map(|line| line.strip_prefix('(')?.split(' ').next()?.parse().ok()).expect(&text);
        assert!((10..=11).contains(&lost), "{lost}");
        assert_eq!(text.lines().filter(|line| line.starts_with("line ")).count(), LINES + 11 - lost);
    }

    #[test]
    fn a_target_that_hangs_does_not_hang_the_end() {
        let (open, gate) = mpsc::channel();
        let (mut queue, writer) = start(Gate(gate, Page::default()), "test").unwrap();
        queue.write_all(b"stuck\n").unwrap();
        drop(writer); // returns
        drop(open);
    }
}
