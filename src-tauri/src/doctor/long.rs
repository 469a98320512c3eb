//! Checks that take a minute: requests one after another, and a connection that nobody uses.

use super::{
    finding::{Finding, Verdict},
    way::{Way, unreached},
};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// As in the report of a user who ruled the network out.
const HEADS: usize = 30;
const ONE_WITHIN: Duration = Duration::from_secs(5);
/// All of them, with room for the check's own end.
const ALL_WITHIN: Duration = Duration::from_secs(70);
const IDLE: Duration = Duration::from_secs(60);

pub(super) fn heads(way: Way) -> BoxFuture<'static, Finding> {
    Box::pin(async move {
        let (began, mut failures, mut asked) = (Instant::now(), Vec::<String>::new(), 0);
        while asked < HEADS && began.elapsed() + ONE_WITHIN <= ALL_WITHIN {
            asked += 1;
            let one = async {
                let mut probed = way.connect().await.map_err(|failure| failure.detail)?;
                probed.head(way.url.path()).await.map(|_| ())
            };
            if let Err(why) = timeout(ONE_WITHIN, one).await.unwrap_or_else(|_| Err("no response".into())) {
                failures.push(why);
            }
        }
        judge_heads(&way.host(), asked, &failures)
    })
}

fn judge_heads(host: &str, asked: usize, failures: &[String]) -> Finding {
    let facts = json!({ "host": host, "requests": asked, "failed": failures.len(), "errors": failures });
    let said =
        format!("{} of {asked} requests to {host}, each on a connection of its own, were answered.", asked - failures.len());
    match failures.len() {
        0 => Finding::new(Verdict::Ok, said, facts),
        n if n == asked => Finding::new(Verdict::Broken, said, facts).advise("see the rows about names and connections"),
        _ => Finding::new(Verdict::Warning, said, facts)
            .advise("this network loses connections now and then; Leeward repairs that for agents behind it"),
    }
}

pub(super) fn idle(way: Way) -> BoxFuture<'static, Finding> {
    Box::pin(async move {
        let mut probed = match way.connect().await {
            Ok(probed) => probed,
            Err(failure) => return unreached(&failure),
        };
        match probed.head(way.url.path()).await {
            Err(why) => return Finding::not_run(format!("the first request failed: {why}")),
            Ok(answered) if !answered.is_kept => {
                return Finding::not_run("the server closes connections after each response by itself");
            }
            Ok(_) => {}
        }
        let began = Instant::now();
        let ended = timeout(IDLE, probed.ended()).await;
        let held_s = began.elapsed().as_secs();
        let facts = |reused: bool| json!({ "host": way.host(), "held_s": held_s, "reused": reused });
        if let Ok(why) = ended {
            return Finding::new(Verdict::Warning, format!("After {held_s} s without traffic: {why}."), facts(false))
                .advise("something on the way closes idle connections early; Leeward notices that before it uses one");
        }
        match timeout(ONE_WITHIN, probed.head(way.url.path())).await {
            Ok(Ok(_)) => Finding::new(Verdict::Ok, format!("It served again after {held_s} s without traffic."), facts(true)),
            Ok(Err(why)) => Finding::new(
                Verdict::Broken,
                format!("After {held_s} s without traffic the next request failed: {why}."),
                facts(false),
            )
            .advise("a firewall or NAT forgets idle connections; Leeward's keep-alive probes keep them known"),
            Err(_) => Finding::new(Verdict::Broken, format!("After {held_s} s without traffic nothing answered."), facts(false))
                .advise("a firewall or NAT forgets idle connections; Leeward's keep-alive probes keep them known"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_judged_by_how_many_failed() {
        let failed = |n: usize| vec!["no response".to_owned(); n];
        for (n, verdict) in [(0, Verdict::Ok), (1, Verdict::Warning), (29, Verdict::Warning), (30, Verdict::Broken)] {
            assert_eq!(judge_heads("x", 30, &failed(n)).verdict, verdict, "{n}");
        }
    }
}
