//! The vocabulary of traffic: how requests end, what goes wrong, when, and whose fault it is. Names and data only.

use std::time::Duration;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl $name {
            /// All of them, in the order in which they are counted.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The name in JSON, metrics and logs; public and stable.
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }
        }
    };
}

named! {
    /// How a request ended.
    Outcome {
        /// Answered by the upstream with a status below 400.
        Answered = "answered",
        /// Answered by the upstream with a status of 400 or more, forwarded unchanged.
        Declined = "declined",
        /// Refused by the guard before it reached an upstream.
        Refused = "refused",
        /// Failed for good; the client got an error in its own dialect.
        Failed = "failed",
        /// Cut after the response had begun; the client's stream was aborted.
        Cut = "cut",
        /// The client went away first.
        ClientGone = "client-gone",
    }
}

named! {
    /// What went wrong on the upstream side.
    Cause {
        /// The name could not be resolved.
        Dns = "dns",
        /// No TCP connection.
        Connect = "connect",
        /// The TLS handshake was reset or timed out.
        Tls = "tls",
        /// The certificate is not trusted.
        Certificate = "certificate",
        /// The certificate would be trusted at another time: this machine's clock is wrong, or the certificate has expired.
        Clock = "clock",
        /// The other side speaks no TLS, or none that fits.
        NotTls = "not-tls",
        /// A pooled connection was found dead before it was used.
        StalePooled = "stale-pooled",
        /// The connection broke before the whole request was out.
        WriteFailed = "write-failed",
        /// A reused connection broke after the request, before any byte of the response.
        ReusedReset = "reused-reset",
        /// A fresh connection broke after the request, before any byte of the response.
        FreshReset = "fresh-reset",
        /// A reused connection broke before any byte of the response, but so long after the request that it may be running.
        LateReset = "late-reset",
        /// No response headers within the client's own deadline.
        ResponseTimeout = "response-timeout",
        /// The response was not HTTP.
        BadResponse = "bad-response",
        /// What came instead of a response is no HTTP at all.
        NotHttp = "not-http",
        /// The response broke off in the middle.
        CutMidStream = "cut-mid-stream",
        /// The upstream is Leeward itself.
        Loop = "loop",
        /// The company proxy was not reached, or did not reach the upstream.
        CompanyProxy = "company-proxy",
        /// The company proxy wants a user and password, or others than the ones it got.
        ProxyLogin = "proxy-login",
        /// The network took no byte of the request for too long.
        WriteStalled = "write-stalled",
        /// The response broke off before its first content, and the client had seen nothing of it.
        CutBeforeContent = "cut-before-content",
        /// The response broke off while Leeward buffered it; the client had seen nothing of it.
        CutWhileBuffered = "cut-while-buffered",
        /// The API refused for the moment and said when to come back.
        Declined = "declined",
        /// No connection to the upstream could be made for so long that requests were not even tried any more.
        CircuitOpen = "circuit-open",
        /// All connections that Leeward may have to the upstream were in use.
        PoolFull = "pool-full",
    }
}

named! {
    /// How far a request was when something went wrong.
    Phase {
        /// The name was being resolved.
        Resolve = "resolve",
        /// A connection was being made, company proxy included.
        Connect = "connect",
        /// The TLS handshake.
        Handshake = "handshake",
        /// A pooled connection was being looked at; nothing was sent.
        Pool = "pool",
        /// The request was on its way out.
        Request = "request",
        /// The request was out; no byte of the response had come.
        Wait = "wait",
        /// The response had begun.
        Response = "response",
    }
}

named! {
    /// Who has to look at it.
    Whose {
        /// The program that asks.
        Agent = "agent",
        /// Leeward or its config.
        Leeward = "leeward",
        /// This machine's network, up to the API.
        Network = "network",
        /// A company proxy, or TLS inspection.
        CompanyProxy = "company-proxy",
        /// The servers in front of the API.
        Edge = "api-edge",
        /// The API itself.
        Api = "api",
    }
}

impl Cause {
    /// The phase in which it strikes.
    pub fn phase(self) -> Phase {
        match self {
            Self::Dns => Phase::Resolve,
            Self::Connect | Self::Loop | Self::CompanyProxy | Self::ProxyLogin | Self::CircuitOpen => Phase::Connect,
            Self::Tls | Self::Certificate | Self::Clock | Self::NotTls => Phase::Handshake,
            Self::StalePooled | Self::PoolFull => Phase::Pool,
            Self::WriteFailed | Self::WriteStalled => Phase::Request,
            Self::ReusedReset | Self::FreshReset | Self::LateReset | Self::ResponseTimeout => Phase::Wait,
            Self::BadResponse
            | Self::NotHttp
            | Self::CutMidStream
            | Self::CutBeforeContent
            | Self::CutWhileBuffered
            | Self::Declined => Phase::Response,
        }
    }

    /// Whose fault it is, as far as can be seen from here.
    pub fn whose(self) -> Whose {
        match self {
            Self::Dns | Self::Connect | Self::Tls | Self::WriteStalled | Self::CircuitOpen | Self::Clock => Whose::Network,
            Self::Certificate | Self::CompanyProxy | Self::ProxyLogin => Whose::CompanyProxy,
            Self::Loop | Self::NotTls | Self::PoolFull => Whose::Leeward,
            Self::StalePooled
            | Self::WriteFailed
            | Self::ReusedReset
            | Self::FreshReset
            | Self::LateReset
            | Self::BadResponse
            | Self::NotHttp
            | Self::CutMidStream
            | Self::CutBeforeContent
            | Self::CutWhileBuffered => Whose::Edge,
            Self::ResponseTimeout | Self::Declined => Whose::Api,
        }
    }
}

/// One fault as the history keeps it: never content, never credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// The program that asked.
    pub agent: Option<String>,
    /// The upstream's name.
    pub upstream: String,
    /// What went wrong; phase and owner follow from it.
    pub cause: Cause,
    /// True when Leeward tried again, false when the request failed with it.
    pub retried: bool,
    /// The attempt that failed, from 1.
    pub attempt: u32,
    /// Time since the request's head was read.
    pub took: Duration,
}
