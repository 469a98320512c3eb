//! The page of the torture: for each fault a row, for each program a column.

use super::{Verdict, Verdicts, rows, soak::Soak};
use crate::{
    args, machine,
    peer::Peer,
    table::{Table, figure},
};
use std::{collections::BTreeMap, time::Duration};

/// The whole page as Markdown.
pub(super) fn page(
    verdicts: &Verdicts,
    soaks: &BTreeMap<String, Soak>,
    peers: &[Box<dyn Peer>],
    args: &args::Torture,
    took: Duration,
) -> String {
    let names: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
    let mut out = String::from("# Torture\n\n");
    out += &format!(
        "Made by `{}` on {}: {}; {} % of the plan, {:.0} min in all. The programs: {}.\n\n",
        args.field.said,
        machine::said("date", &["+%Y-%m-%d"]),
        machine::description(),
        args.percent,
        took.as_secs_f64() / 60.0,
        peers.iter().map(|peer| format!("{} ({})", peer.name(), peer.version())).collect::<Vec<_>>().join(", "),
    );
    out += "The same faults for each, by the same upstream and the same clients. A cell says how many requests in a hundred \
            their client saw fail; **dead** where no request succeeds any more at the end; in brackets the time until one \
            succeeded again. `nginx-retry`, `haproxy-retry` and `envoy` are set to send again what failed, as far as they can.\n\n";
    let mut table = Table::new(["fault", "what is done"].into_iter().chain(names.iter().copied()));
    for (name, what) in rows() {
        let Some(of) = verdicts.get(name) else { continue };
        let cells = names.iter().map(|name| of.get(*name).map_or("-".to_owned(), cell));
        table.row([name.to_owned(), what.to_owned()].into_iter().chain(cells));
    }
    out += &table.markdown();
    out += "\n## Notes\n\n";
    for (fault, _) in rows() {
        let Some(of) = verdicts.get(fault) else { continue };
        let notes: Vec<_> = names
            .iter()
            .filter_map(|name| Some((name, of.get(*name)?)))
            .filter(|(_, verdict)| !verdict.note.is_empty())
            .map(|(name, verdict)| format!("{name}: {} of {}, {}", verdict.failed, verdict.asked, verdict.note))
            .collect();
        if !notes.is_empty() {
            out += &format!("- `{fault}`: {}\n", notes.join("; "));
        }
    }
    if !soaks.is_empty() {
        out += &format!(
            "\n## Soak\n\nAll of them side by side for {} minutes, 50 requests a second each, an upstream each that resets one \
             connection or kept request in twenty. Three resets of one request in a row are more than two replays repair: that is \
             reported (502). The slope is that of the resident memory in the second half.\n\n",
            args.soak_minutes
        );
        let mut table = Table::new(["", "requests", "faults", "failed", "memory MiB", "slope KiB a minute"]);
        for name in &names {
            let Some(soak) = soaks.get(*name) else { continue };
            table.row([
                (*name).to_owned(),
                figure(Some(soak.asked as f64)),
                figure(Some(soak.faults as f64)),
                format!("{}", soak.failed),
                figure(Some(soak.memory)),
                format!("{:.1}", soak.slope),
            ]);
        }
        out += &table.markdown();
        for (name, soak) in soaks.iter().filter(|(_, soak)| soak.failed > 0) {
            let reasons = soak.reasons.iter().map(|(why, count)| format!("{count} times \"{why}\""));
            out += &format!("\n- {name}: {}", reasons.collect::<Vec<_>>().join(", "));
        }
        out += "\n";
    }
    out
}

fn cell(verdict: &Verdict) -> String {
    if verdict.asked == 0 {
        return verdict.note.clone();
    }
    let hundred = verdict.failed as f64 * 100.0 / verdict.asked as f64;
    let failed = match hundred {
        0.0 => "0".to_owned(),
        few if few < 1.0 => format!("{few:.2}"),
        some => format!("{some:.0}"),
    };
    let back = verdict.recovery_ms.map_or(String::new(), |ms| format!(" ({} ms)", figure(Some(ms))));
    if verdict.alive == Some(false) { format!("{failed} **dead**") } else { format!("{failed}{back}") }
}
