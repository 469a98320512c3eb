//! Looks at this machine's agents: off the workers that serve, one at a time, and not again while the last one is fresh. Looks at
//! nothing itself: the program that the engine runs in brings along how that is done.

use super::error::Error;
use crate::status::coverage::{Coverage, Heard, Scan};
use std::time::Duration;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, timeout},
};

/// Whoever asks again sooner gets the same: a look reads hundreds of files.
const FRESH: Duration = Duration::from_secs(1);
/// A look takes tenths of a second; one at a disk that hangs is left to itself.
const WITHIN: Duration = Duration::from_secs(8);

/// The looks of a generation. The lock is held while one is awaited: that is what makes it one at a time.
#[derive(Debug)]
pub(crate) struct Agents {
    scan: Option<Scan>,
    looks: Mutex<Looks>,
}

#[derive(Debug, Default)]
struct Looks {
    last: Option<(Instant, Coverage)>,
    /// The one that runs. It stays here when whoever asked for it leaves; the next one takes its result.
    running: JoinSet<Coverage>,
}

impl Agents {
    /// Looks by `scan`, where the program can.
    pub(crate) fn new(scan: Option<Scan>) -> Self {
        Self { scan, looks: Mutex::default() }
    }

    pub(super) async fn look(&self, heard: impl FnOnce() -> Heard) -> Result<Coverage, Error> {
        let scan = self.scan.clone().ok_or_else(|| Error::Undone("This Leeward cannot look for agents.".into()))?;
        let late = |_| Error::Undone(format!("Looking for agents takes longer than {WITHIN:?}; a disk may be slow. Ask again."));
        let mut looks = timeout(WITHIN, self.looks.lock()).await.map_err(late)?;
        if let Some((at, known)) = &looks.last
            && at.elapsed() < FRESH
        {
            return Ok(known.clone());
        }
        if looks.running.is_empty() {
            let heard = heard();
            looks.running.spawn_blocking(move || scan.look(heard));
        }
        let known = match timeout(WITHIN, looks.running.join_next()).await.map_err(late)? {
            Some(Ok(coverage)) => coverage,
            Some(Err(e)) => return Err(Error::Undone(format!("Looking for agents failed: {e}."))),
            None => return Err(Error::Undone("Nobody looks for agents.".into())),
        };
        looks.last = Some((Instant::now(), known.clone()));
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeMap,
        future::{Future, poll_fn},
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering::SeqCst},
            mpsc,
        },
        task::Poll,
    };

    fn heard() -> Heard {
        let address = ([127, 0, 0, 1], 8787).into();
        Heard { address, sessions: Vec::new(), last_seen_unix_ms: BTreeMap::new(), since_unix_ms: 0 }
    }

    fn coverage(at_unix_ms: u64) -> Coverage {
        Coverage { at_unix_ms, address: None, serving: true, agents: Vec::new(), unlisted: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_is_given_again_while_it_is_fresh() {
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        let agents = Agents::new(Some(Scan::new(move |_| coverage(counted.fetch_add(1, SeqCst)))));
        for (pause, want) in [(Duration::ZERO, 0), (FRESH / 2, 0), (FRESH, 1)] {
            tokio::time::advance(pause).await;
            assert_eq!(agents.look(heard).await.unwrap().at_unix_ms, want, "{pause:?}");
        }
    }

    #[tokio::test]
    async fn there_is_one_look_at_a_time_and_who_leaves_starts_no_second_one() {
        let (count, (go, wait)) = (Arc::new(AtomicU64::new(0)), mpsc::channel::<()>());
        let (counted, wait) = (count.clone(), std::sync::Mutex::new(wait));
        let agents = Agents::new(Some(Scan::new(move |_| {
            let at = counted.fetch_add(1, SeqCst);
            wait.lock().unwrap().recv().unwrap();
            coverage(at)
        })));
        let mut leaves = Box::pin(agents.look(heard));
        assert!(poll_fn(|context| Poll::Ready(leaves.as_mut().poll(context).is_pending())).await);
        drop(leaves);
        go.send(()).unwrap();
        let (one, other) = tokio::join!(agents.look(heard), agents.look(heard));
        assert_eq!((one.unwrap().at_unix_ms, other.unwrap().at_unix_ms, count.load(SeqCst)), (0, 0, 1));
    }

    #[tokio::test]
    async fn a_program_that_cannot_look_says_so_and_a_look_that_fails_is_no_result() {
        assert!(Agents::new(None).look(heard).await.is_err());
        let fails = Agents::new(Some(Scan::new(|_| panic!("scripted"))));
        assert!(fails.look(heard).await.is_err() && fails.look(heard).await.is_err());
    }
}
