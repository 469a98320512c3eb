//! How cost grows with the number of clients that all ask at the same time, from 1 to 5,000.

use super::{Subject, speed};
use crate::record::Record;
use anyhow::Result;

/// The steps.
pub(crate) const CLIENTS: [usize; 7] = [1, 4, 16, 64, 256, 1024, 5000];

pub(crate) async fn measure(subject: &Subject<'_>, record: &mut Record) -> Result<()> {
    let mut apart = Record::default();
    for clients in CLIENTS {
        speed::one(subject, clients, &mut apart).await?;
        for figure in ["rate", "p50", "p99", "cpu", "failed"] {
            if let Some(value) = apart.median(subject.name, &format!("{figure}/{clients}")) {
                record.add(subject.name, &format!("growth {figure}/{clients}"), value);
            }
        }
    }
    Ok(())
}
