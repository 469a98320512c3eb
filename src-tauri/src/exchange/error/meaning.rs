//! What an error means, before it is put into a dialect: status, code, sentence, whether trying again helps.

use crate::{message::Failure, status::faults::Cause};
use http::StatusCode;
use std::time::Duration;

/// What an error means.
#[derive(Clone, Debug)]
pub(crate) struct Meaning {
    pub(crate) status: StatusCode,
    /// Stable and public: `x-leeward-error`.
    pub(crate) code: &'static str,
    pub(crate) sentence: String,
    /// Whether trying again can help; SDKs obey `x-should-retry`.
    pub(crate) retry: bool,
    /// When trying again is worth it, where that is known.
    pub(crate) retry_after: Option<Duration>,
}

impl Meaning {
    pub(crate) fn new(status: u16, code: &'static str, retry: bool, sentence: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, sentence: sentence.into(), retry, retry_after: None }
    }
}

/// Whose fault an upstream failure is, in one sentence, and whether another try can help.
pub(super) fn of_failure(Failure { cause, detail }: &Failure) -> Meaning {
    let m = Meaning::new;
    match cause {
        Cause::Dns => m(503, "dns", true, format!("This machine's network: {detail}. Check the connection, VPN or DNS.")),
        Cause::Connect => m(503, "connect", true, format!("The network between this machine and the API: {detail}.")),
        Cause::Tls => m(503, "tls", true, format!("The network between this machine and the API: {detail}.")),
        Cause::Certificate => m(
            502,
            "certificate",
            false,
            format!(
                "Company proxy or TLS inspection, most likely: {detail}. If your company inspects TLS, name its root certificate with extra_ca in Leeward's config; do not go on if you know of none."
            ),
        ),
        Cause::Clock => m(502, "clock", false, format!("{detail}.")),
        Cause::NotTls => m(502, "not-tls", false, format!("Leeward's config: {detail}.")),
        Cause::Loop => m(
            508,
            "loop",
            false,
            format!("Leeward's config: {detail}, so the request would go round in a circle. Set `upstream` to the API's URL."),
        ),
        Cause::StalePooled | Cause::WriteFailed => {
            m(503, "write-failed", true, format!("The API's edge broke the connection before the request was out: {detail}."))
        }
        Cause::ReusedReset | Cause::FreshReset | Cause::LateReset => m(
            502,
            "reset",
            true,
            format!("The API's edge broke the connection after the request and before the response: {detail}."),
        ),
        Cause::BadResponse | Cause::NotHttp => m(502, "bad-response", true, format!("The API's edge: {detail}.")),
        Cause::CutMidStream => m(502, "cut", true, format!("The API's edge broke off the response: {detail}.")),
        Cause::CutBeforeContent | Cause::CutWhileBuffered => {
            m(502, "cut", true, format!("The API's edge broke off the response before your agent got any of it: {detail}."))
        }
        Cause::Declined => m(503, "declined", true, format!("The API: {detail}.")),
        Cause::WriteStalled => m(
            503,
            "write-stalled",
            true,
            format!(
                "The network between this machine and the API: {detail}. Large packets may be lost on the way (VPN, PPPoE): a smaller MTU helps."
            ),
        ),
        Cause::CompanyProxy => m(503, "company-proxy", true, format!("The company proxy: {detail}.")),
        Cause::ProxyLogin => m(
            502,
            "proxy-login",
            false,
            format!(
                "The company proxy: {detail}. Put user and password into proxy.url in Leeward's config, or into HTTPS_PROXY."
            ),
        ),
        // It names who has to look at it itself, by what the last dial met.
        Cause::CircuitOpen => m(503, "circuit-open", true, format!("{detail}.")),
        Cause::PoolFull => m(503, "pool-full", true, format!("Leeward's config: {detail}.")),
        Cause::ResponseTimeout => m(504, "response-timeout", true, format!("The API: {detail}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_says_whose_fault_it_is_and_ends_well() {
        for cause in Cause::ALL {
            let m = of_failure(&Failure { cause: *cause, detail: "detail".into() });
            assert!(m.sentence.ends_with('.') && m.sentence.contains("detail"), "{cause:?}: {}", m.sentence);
            assert!(m.status.is_server_error());
        }
    }
}
