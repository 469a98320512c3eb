//! What is said of an agent and of its sessions. Pure. What could not be asked is never called unprotected.

use super::{leads::Leads, process::Process, recognise::Family};
use crate::{
    config::Mode,
    control::Session,
    status::coverage::{By, Heard, LastRequest, Protection, Running},
};
use std::path::PathBuf;

/// What is known of the Leeward that agents ask.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    /// What the engine knows, or why it could not be asked; `None`: there is none.
    pub(super) heard: Option<Result<&'a Heard, &'a str>>,
}

impl Ground<'_> {
    fn sessions(&self) -> &[Session] {
        match self.heard {
            Some(Ok(heard)) => &heard.sessions,
            Some(Err(_)) | None => &[],
        }
    }

    /// What becomes of requests to Leeward; `None`: they are answered.
    fn refusal(&self) -> Option<(Protection, String)> {
        match self.heard {
            Some(Ok(_)) => None,
            Some(Err(why)) => Some((Protection::NotKnown, format!("whether Leeward responds there is not known ({why})"))),
            None => Some((Protection::NotProtected, "no Leeward is running, so requests there are refused".to_owned())),
        }
    }

    /// When an agent's last request came; `names`: how it and its programs call themselves.
    pub(super) fn last_request(&self, names: &[&str]) -> LastRequest {
        let heard = match self.heard {
            Some(Ok(heard)) => heard,
            Some(Err(why)) => return LastRequest::NotKnown { why: format!("the running Leeward could not be asked ({why})") },
            None => return LastRequest::NotKnown { why: "no Leeward is running".to_owned() },
        };
        let is = |seen: &&String| names.iter().any(|name| name.eq_ignore_ascii_case(seen));
        let seen = heard.last_seen_unix_ms.iter().filter(|(name, _)| is(name)).map(|(_, at)| *at).max();
        match seen {
            Some(at_unix_ms) => LastRequest::Seen { at_unix_ms },
            None if heard.last_seen_unix_ms.contains_key("other") => {
                LastRequest::NotKnown { why: "more programs have asked than Leeward tells apart".to_owned() }
            }
            None => LastRequest::NotSeen { since_unix_ms: heard.since_unix_ms },
        }
    }
}

/// What is said of a session. `leads`: where its own variables and settings lead.
pub(super) fn session(
    process: &Process,
    folder: Option<PathBuf>,
    family: &Family,
    ground: &Ground<'_>,
    leads: &Leads,
) -> Running {
    let above = family.ancestors(process.pid);
    let wrap = ground.sessions().iter().find(|session| session.pid == process.pid || above.contains(&session.pid));
    let (verdict, by, why) = match (wrap, leads) {
        (Some(wrap), _) => {
            let by = if wrap.covers.mode == Mode::Intercept { By::Intercept } else { By::Wrap };
            (
                Protection::Protected,
                Some(by),
                format!("Started by `leeward wrap` (pid {}); {}.", wrap.pid, wrap.covers.sentence()),
            )
        }
        (None, Leads::ToLeeward(by, place)) => match ground.refusal() {
            None => (Protection::Protected, Some(*by), format!("{place} points at Leeward.")),
            Some((verdict, why)) => (verdict, None, format!("{place} points at Leeward, and {why}.")),
        },
        (None, Leads::Elsewhere(what)) => (Protection::NotProtected, None, format!("Started without `leeward wrap`; {what}.")),
        (None, Leads::ToApi) => {
            let why = "Started without `leeward wrap`, and no variable or setting of it points at Leeward.";
            (Protection::NotProtected, None, why.to_owned())
        }
        (None, Leads::Unclear(why)) => (Protection::NotKnown, None, capitalised(why)),
    };
    // A session of a Leeward that cannot be asked may be this one's.
    let (verdict, why) = match ground.heard {
        Some(Err(asked)) if verdict == Protection::NotProtected => (
            Protection::NotKnown,
            format!("Not known whether `leeward wrap` started it: the running Leeward could not be asked ({asked})."),
        ),
        _ => (verdict, why),
    };
    Running { pid: process.pid, folder, since_unix_ms: process.since_unix_ms, verdict, by, why }
}

/// What is said of an agent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) verdict: Protection,
    pub(super) by: Vec<By>,
    pub(super) why: String,
    pub(super) advice: Option<String>,
}

/// What is known of an agent as a whole.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    pub(super) name: &'a str,
    pub(super) about: &'a str,
    pub(super) has_setup: bool,
    pub(super) installed: bool,
    pub(super) running: &'a [Running],
    /// Why the processes are not known, where they are not.
    pub(super) unlisted: Option<&'a str>,
    /// Where a session leads that is started plainly.
    pub(super) leads: &'a Leads,
}

impl Whole<'_> {
    pub(super) fn judge(&self, ground: &Ground<'_>) -> Judged {
        let has = |verdict| self.running.iter().filter(move |one| one.verdict == verdict);
        let wrapped = ground.sessions().iter().filter(|session| session.agent == self.name).count();
        let all = self.running.len();
        if !self.installed && all == 0 && wrapped == 0 {
            let advice = format!("how to install it is described at {}", self.about);
            return self.said(Protection::NotInstalled, "It was not found on this machine.".into(), Some(advice));
        }
        match has(Protection::NotProtected).count() {
            0 => {}
            count => {
                let why = match (count, all) {
                    (1, 1) => "Its running session bypasses Leeward.".to_owned(),
                    (1, _) => format!("1 of its {all} running sessions bypasses Leeward."),
                    _ => format!("{count} of its {all} running sessions bypass Leeward."),
                };
                let start = if count == 1 { "end it and start it again" } else { "end them and start them again" };
                return self.said(Protection::NotProtected, why, Some(self.again(start)));
            }
        }
        if let Some(one) = has(Protection::NotKnown).next() {
            let why = format!("Whether its session with pid {} goes through Leeward is not known.", one.pid);
            return self.said(Protection::NotKnown, why, None);
        }
        let sessions = has(Protection::Protected).count().max(wrapped);
        if sessions > 0 {
            let mut why = match sessions {
                1 => "Its running session goes through Leeward.".to_owned(),
                count => format!("Its {count} running sessions go through Leeward."),
            };
            if let Some(unlisted) = self.unlisted {
                why.push_str(&format!(" Whether another one runs past it is not known: {unlisted}."));
            }
            let of_running = self.running.iter().filter_map(|one| one.by);
            let of_wrap = (wrapped > 0 && all == 0).then_some(By::Wrap);
            let plain = match self.leads {
                Leads::ToLeeward(by, _) if ground.refusal().is_none() => Some(*by),
                _ => None,
            };
            let mut by: Vec<By> = of_running.chain(of_wrap).chain(plain).collect();
            by.sort_unstable();
            by.dedup();
            return Judged { by, ..self.said(Protection::Protected, why, None) };
        }
        self.at_rest(ground)
    }

    /// No session of it is known to run.
    fn at_rest(&self, ground: &Ground<'_>) -> Judged {
        match (self.leads, self.unlisted) {
            (Leads::ToLeeward(by, place), _) => match ground.refusal() {
                None => Judged { by: vec![*by], ..self.said(Protection::Protected, format!("{place} points at Leeward."), None) },
                Some((Protection::NotKnown, why)) => {
                    self.said(Protection::NotKnown, format!("{place} points at Leeward, and {why}."), None)
                }
                Some((verdict, why)) => {
                    let advice = "start Leeward: the tray application, or `leeward serve`".to_owned();
                    self.said(verdict, format!("{place} points at Leeward, and {why}."), Some(advice))
                }
            },
            (Leads::Unclear(why), _) => self.said(Protection::NotKnown, capitalised(why), None),
            (_, Some(why)) => {
                let why = format!("Whether a session of it runs past Leeward is not known: {why}.");
                self.said(Protection::NotKnown, why, Some(self.again("start it")))
            }
            (Leads::Elsewhere(what), None) => {
                let why = format!("No session runs. Started without `leeward wrap` it bypasses Leeward: {what}.");
                self.said(Protection::NotProtected, why, Some(self.again("start it")))
            }
            (Leads::ToApi, None) => {
                let why = "No session runs. Started without `leeward wrap` it bypasses Leeward.".to_owned();
                self.said(Protection::NotProtected, why, Some(self.again("start it")))
            }
        }
    }

    fn said(&self, verdict: Protection, why: String, advice: Option<String>) -> Judged {
        Judged { verdict, by: Vec::new(), why, advice }
    }

    /// What protects it from now on.
    fn again(&self, start: &str) -> String {
        let (name, wrap) = (self.name, format!("{start} with `leeward wrap {}`", self.name));
        if self.has_setup { format!("{wrap}, or set it up for good with `leeward setup {name}`") } else { wrap }
    }
}

/// As a sentence of its own.
fn capitalised(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(letters).chain(['.']).collect()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
