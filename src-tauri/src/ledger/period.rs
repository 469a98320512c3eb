//! The counts of five minutes: made from the traffic's totals, kept as one row, added up again. Exact at every length.

use super::{file::StoreError, latencies};
use crate::{
    status::{
        faults::Outcome,
        history::{Counts, Latency},
        stats::Percentiles,
    },
    telemetry::Totals,
};
use hdrhistogram::Histogram;
use rusqlite::{Connection, Row, named_params};
use std::collections::BTreeMap;

/// Counts of one or several periods.
#[derive(Debug)]
pub(super) struct Period {
    requests: u64,
    outcomes: BTreeMap<String, u64>,
    retried: u64,
    rescued: u64,
    failed: u64,
    replays: u64,
    replays_unknown: u64,
    pub(super) lost: u64,
    total: Histogram<u32>,
    first_byte: Histogram<u32>,
}

impl Default for Period {
    fn default() -> Self {
        Self::counted(&Totals::default(), 0)
    }
}

impl Period {
    /// What was counted, and the faults that could not be written down one by one.
    pub(super) fn counted(totals: &Totals, lost: u64) -> Self {
        let outcomes = Outcome::ALL.iter().zip(totals.outcomes).filter(|(_, count)| *count > 0);
        Self {
            requests: totals.requests,
            outcomes: outcomes.map(|(outcome, count)| (outcome.as_str().to_owned(), count)).collect(),
            retried: totals.retried,
            rescued: totals.rescued,
            failed: totals.failed,
            replays: totals.replays,
            replays_unknown: totals.replays_unknown,
            lost,
            total: totals.total.clone(),
            first_byte: totals.first_byte.clone(),
        }
    }

    /// True when nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.requests == 0 && self.retried == 0 && self.failed == 0 && self.outcomes.is_empty() && self.lost == 0
    }

    /// Adds a row of the table.
    pub(super) fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        for (name, sum) in [
            ("requests", &mut self.requests),
            ("retried", &mut self.retried),
            ("rescued", &mut self.rescued),
            ("failed", &mut self.failed),
            ("replays", &mut self.replays),
            ("replays_unknown", &mut self.replays_unknown),
            ("lost", &mut self.lost),
        ] {
            // A negative count was not written by us; it must not bring a whole history down.
            *sum = sum.saturating_add(u64::try_from(row.get::<_, i64>(name)?).unwrap_or_default());
        }
        let outcomes: BTreeMap<String, u64> = serde_json::from_str(row.get_ref("outcomes")?.as_str()?).unwrap_or_default();
        for (name, count) in outcomes {
            let sum = self.outcomes.entry(name).or_default();
            *sum = sum.saturating_add(count);
        }
        latencies::read(row.get_ref("total")?.as_blob()?, &mut self.total);
        latencies::read(row.get_ref("first_byte")?.as_blob()?, &mut self.first_byte);
        Ok(())
    }

    /// Adds itself to what stands there already: of this process a moment ago, or of one before it.
    pub(super) fn write(mut self, db: &Connection, at: i64) -> Result<(), StoreError> {
        let mut find = db.prepare("SELECT * FROM period WHERE at = ?")?;
        let mut rows = find.query([at])?;
        if let Some(row) = rows.next()? {
            self.add(row)?;
        }
        drop(rows);
        let outcomes = serde_json::to_string(&self.outcomes).map_err(|e| StoreError::Unusable(e.to_string()))?;
        let mut put = db.prepare(
            "REPLACE INTO period (at, requests, outcomes, retried, rescued, failed, replays, replays_unknown, lost, total, first_byte)
             VALUES (:at, :requests, :outcomes, :retried, :rescued, :failed, :replays, :replays_unknown, :lost, :total, :first_byte)",
        )?;
        put.execute(named_params! {
            ":at": at,
            ":requests": self.requests.cast_signed(),
            ":outcomes": outcomes,
            ":retried": self.retried.cast_signed(),
            ":rescued": self.rescued.cast_signed(),
            ":failed": self.failed.cast_signed(),
            ":replays": self.replays.cast_signed(),
            ":replays_unknown": self.replays_unknown.cast_signed(),
            ":lost": self.lost.cast_signed(),
            ":total": latencies::write(&self.total),
            ":first_byte": latencies::write(&self.first_byte),
        })?;
        Ok(())
    }

    /// As it is shown.
    pub(super) fn counts(self) -> Counts {
        Counts {
            requests: self.requests,
            outcomes: self.outcomes,
            retried_total: self.retried,
            failed_total: self.failed,
            rescued: self.rescued,
            replays: self.replays,
            replays_unknown: self.replays_unknown,
            latency_ms: Latency { total: Percentiles::of(&self.total), first_byte: Percentiles::of(&self.first_byte) },
        }
    }
}
