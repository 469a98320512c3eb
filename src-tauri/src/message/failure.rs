//! Why an attempt failed, and how that is said to people. Names and words only: what follows from it, `exchange` decides.

use crate::{escape, shortage::is_shortage, status::faults::Cause};
use std::io;

/// Why an attempt failed, and what follows for the origin.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What went wrong; see `Cause` for what each says about the origin.
    pub(crate) cause: Cause,
    /// One clause for the log: host and reason with the system's own words, nothing of the request.
    pub(crate) detail: String,
    /// What is known beyond the cause, for people.
    pub(crate) known: Option<Known>,
}

/// What is known of a failure beyond its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// There is no way to the upstream: why, in a word or two.
    Unreached(&'static str),
    /// Something else: a clause that names it, and the next step.
    Fact {
        /// Without a full stop.
        says: String,
        /// What to do; without a full stop.
        next: &'static str,
    },
}

/// A failure in words for people: no number of the system's and no name of the code's is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// What is the matter, as a clause without a full stop.
    pub(crate) says: String,
    /// Why the upstream cannot be reached, where that is it: it stands in brackets in `says`.
    pub(crate) unreached: Option<&'static str>,
    /// What to do; without a full stop.
    pub(crate) next: &'static str,
}

impl Told {
    /// What is the matter, as a sentence of its own; names of hosts stay as they are written.
    pub(crate) fn sentence(&self) -> String {
        ["can't", "nothing", "the ", "all "]
            .iter()
            .find(|word| self.says.starts_with(**word))
            .map_or_else(|| self.says.clone(), |word| format!("{}{}", word[..1].to_uppercase(), &self.says[1..]))
    }
}

const CHECK_NETWORK: &str = "Check network or VPN";
const TRY_AGAIN: &str = "Try again";

impl Failure {
    /// `detail` may hold what an upstream, its certificate or a proxy says.
    pub(crate) fn new(cause: Cause, detail: impl AsRef<str>) -> Self {
        Self { cause, detail: escape::line(detail.as_ref()).into_owned(), known: None }
    }

    /// The detail without numbers of the system's, for people.
    pub(crate) fn plain_detail(&self) -> String {
        escape::plain(&self.detail).into_owned()
    }

    /// With what is known beyond the cause.
    pub(crate) fn known(self, known: Known) -> Self {
        Self { known: Some(known), ..self }
    }

    /// The upstream cannot be reached, for this reason.
    pub(crate) fn unreached(self, reason: &'static str) -> Self {
        self.known(Known::Unreached(reason))
    }

    /// Something is the matter that has its own clause and its own cure. `says` may hold foreign text.
    pub(crate) fn fact(self, says: impl AsRef<str>, next: &'static str) -> Self {
        let says = escape::plain(&escape::line(says.as_ref())).into_owned();
        self.known(Known::Fact { says, next })
    }

    /// What its cause alone says, for a failure that follows from it.
    pub(crate) fn by_cause(&self, name: &str) -> Known {
        let Told { says, unreached, next } = self.told(name);
        unreached.map_or(Known::Fact { says, next }, Known::Unreached)
    }

    /// In words for people. `name`: what the upstream is called.
    pub(crate) fn told(&self, name: &str) -> Told {
        let is = |says: String, next| Told { says, unreached: None, next };
        let unreached = |reason| {
            let next = match reason {
                DNS_FAILS | NO_SUCH_NAME => "Check network, VPN or DNS",
                NOT_ASKED => "End programs that are not needed",
                _ => CHECK_NETWORK,
            };
            Told { says: format!("can't reach {name} ({reason})"), unreached: Some(reason), next }
        };
        match &self.known {
            Some(Known::Unreached(reason)) => return unreached(reason),
            Some(Known::Fact { says, next }) => return is(says.clone(), next),
            None => {}
        }
        match self.cause {
            Cause::Dns => unreached(DNS_FAILS),
            Cause::Connect | Cause::CircuitOpen => unreached("no connection"),
            Cause::Tls => unreached("the TLS handshake breaks"),
            Cause::Certificate => {
                is(format!("the certificate of {name} is not trusted"), "If your company inspects TLS, set extra_ca")
            }
            Cause::Clock => is(format!("the certificate of {name} is out of its time, by this clock"), "Set the clock"),
            Cause::NotTls => is(format!("{name} does not speak TLS"), "Check the URL of the upstream"),
            Cause::StalePooled | Cause::WriteFailed => {
                is(format!("the edge of {name} broke the connection while the request went out"), TRY_AGAIN)
            }
            Cause::ReusedReset | Cause::FreshReset | Cause::LateReset => {
                is(format!("the edge of {name} broke the connection before it answered"), TRY_AGAIN)
            }
            Cause::BadResponse => is(format!("the edge of {name} sent a response that breaks the rules of HTTP"), TRY_AGAIN),
            Cause::NotHttp => is(format!("{name} sent something that is not HTTP"), "Check the URL of the upstream"),
            Cause::CutMidStream => is(format!("the edge of {name} broke off the response"), TRY_AGAIN),
            Cause::CutBeforeContent | Cause::CutWhileBuffered => {
                is(format!("the edge of {name} broke off the response before the agent got any of it"), TRY_AGAIN)
            }
            Cause::ResponseTimeout => is(format!("{name} did not answer in time"), TRY_AGAIN),
            Cause::Declined => is(format!("{name} cannot answer for now"), "Try again later"),
            Cause::Loop => is(format!("the upstream {name} is Leeward itself"), "Set upstream to the API's URL"),
            Cause::CompanyProxy => is(format!("the company proxy makes no connection to {name}"), "Check proxy.url"),
            Cause::ProxyLogin => is("the company proxy wants user and password".into(), "Put them into proxy.url"),
            Cause::WriteStalled => {
                is(format!("the network takes no more data to {name}"), "Check the VPN: a smaller MTU may help")
            }
            Cause::PoolFull => is(format!("all connections to {name} are in use (pool.size)"), "Raise pool.size"),
        }
    }
}

/// The name service does not answer, or says that it cannot.
pub(crate) const DNS_FAILS: &str = "DNS fails";
/// The name service says that there is none.
pub(crate) const NO_SUCH_NAME: &str = "no such name in DNS";
/// There is no way out of this machine.
pub(crate) const NO_NETWORK: &str = "no network";
/// Leeward itself could not ask: there was no file descriptor, memory or thread for it.
pub(crate) const NOT_ASKED: &str = "this machine is out of file descriptors or memory";
/// Nothing came back in time.
pub(crate) const NO_ANSWER: &str = "no answer";

/// The system's reason for a connection that was not made, in words.
pub(crate) fn reason(error: &io::Error) -> &'static str {
    use io::ErrorKind as K;
    match error.kind() {
        _ if is_shortage(error) => NOT_ASKED,
        K::ConnectionRefused => "connection refused",
        K::NetworkUnreachable | K::NetworkDown | K::AddrNotAvailable => NO_NETWORK,
        K::HostUnreachable => "no route",
        K::TimedOut => NO_ANSWER,
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof => "the connection breaks",
        K::PermissionDenied => "blocked on this machine",
        _ => "no connection",
    }
}

/// The resolver's reason, in words: it has no kind of its own, but its texts are few.
pub(crate) fn dns_reason(error: &io::Error) -> &'static str {
    let text = error.to_string();
    let unknown = ["not known", "nodename nor servname", "No such host", "no address"];
    if is_shortage(error) {
        return NOT_ASKED;
    }
    if unknown.iter().any(|known| text.contains(known)) { NO_SUCH_NAME } else { DNS_FAILS }
}

/// The innermost reason, without what a library says around it.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the system said, people read words.
    #[test]
    fn no_failure_shows_a_number_of_the_systems_or_a_name_of_the_codes() {
        let codes = [1, 2, 4, 13, 24, 32, 54, 60, 61, 99, 101, 103, 104, 110, 111, 113, 10_050, 10_054, 10_060, 10_061, 11_001];
        for error in codes.map(io::Error::from_raw_os_error) {
            for cause in Cause::ALL {
                let raw = Failure::new(*cause, format!("no connection to x ({error})"));
                let fact = format!("x cannot be read: {error}");
                for failure in [raw.clone(), raw.clone().unreached(reason(&error)), raw.clone().fact(&fact, "Mend it")] {
                    let Told { says, next, .. } = failure.told("api.x:8443");
                    let all = format!("{says}. {next}.");
                    assert!(!all.contains("os error") && !all.contains("::") && !all.contains(".rs"), "{cause:?}: {all}");
                    assert!(!says.is_empty() && !next.is_empty() && !says.ends_with('.') && !next.ends_with('.'), "{all}");
                }
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_could_not_be_asked_is_no_fault_of_the_network() {
        use rustix::io::Errno;
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!((reason(&error), dns_reason(&error)), (NOT_ASKED, NOT_ASKED), "{error}");
            let told = Failure::new(Cause::Connect, "detail").unreached(reason(&error)).told("api.x");
            assert!(told.says.contains("out of file descriptors") && !told.next.contains("network"), "{told:?}");
        }
    }

    #[test]
    fn what_is_known_goes_before_what_the_cause_says() {
        let failure = Failure::new(Cause::Connect, "detail");
        assert_eq!(failure.told("api.x").says, "can't reach api.x (no connection)");
        let refused = reason(&io::ErrorKind::ConnectionRefused.into());
        assert_eq!(failure.clone().unreached(refused).told("api.x").says, "can't reach api.x (connection refused)");
        let fact = failure.fact("nothing listens on 127.0.0.1:11434", "Start it").told("api.x");
        assert_eq!(fact.sentence(), "Nothing listens on 127.0.0.1:11434");
        assert_eq!((fact.says.as_str(), fact.next), ("nothing listens on 127.0.0.1:11434", "Start it"));
    }
}
