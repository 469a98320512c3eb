//! What the engine writes while it works: counters, histograms, tickets and traces of requests, the listener's counts.
//!
//! Others read it as the shapes of `status`. Never content, headers or credentials; decides nothing.

mod activities;
mod fill;
mod last_seen;
mod listener;
mod reach;
mod recent;
mod session_counts;
mod ticket;
mod today;
mod totals;
mod trace;
mod traffic;
mod tunnel_ticket;
mod tunnels;
mod websocket_ticket;
mod websockets;

pub use activities::{Activities, Seen};
pub use listener::{Counters, OpenConnection};
pub use reach::Reaching;
pub use ticket::Ticket;
pub use totals::Totals;
pub use trace::Trace;
pub use traffic::{Traffic, UpstreamTraffic, histogram};
pub use tunnel_ticket::TunnelTicket;
pub use tunnels::Tunnels;
pub use websocket_ticket::WebSocketTicket;
pub use websockets::WebSockets;
