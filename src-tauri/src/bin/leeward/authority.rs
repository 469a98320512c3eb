//! `leeward authority`: shows, replaces and removes the certificate authority of intercept mode. It works on the files, with
//! or without a Leeward that runs; one that does has to look at them again. Prints nothing of a key.

use crate::{
    args, block_on, config,
    exit::{Exit, Failure, Outcome},
    out::{Out, say},
};
use leeward::{authority::Authority, config::Config, instance};
use serde_json::json;
use std::time::Duration;

const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Runs `leeward authority`.
pub(crate) fn run(asked: &args::Authority, out: &mut Out) -> Outcome {
    let config = config::load(None)?;
    let authority = Authority::new(config.paths.authority_dir());
    match asked {
        args::Authority::Show => show(&authority, out),
        args::Authority::Rotate => {
            let id = authority.rotate()?;
            out.line(format!("made Leeward CA {id}; agents started from now on use it"))?;
            tell(&config)
        }
        args::Authority::Remove => {
            let folder = authority.folder().display();
            authority.remove().map_err(|e| Failure::new(Exit::CannotWrite, format!("cannot remove {folder}: {e}")))?;
            out.line(format!("removed: nothing of a certificate authority is left in {folder}"))?;
            tell(&config)
        }
    }
}

fn show(authority: &Authority, out: &mut Out) -> Outcome {
    let all = authority.show()?;
    if all.is_empty() {
        out.line("There is none: it is made when an agent is first started in intercept mode.")?;
    }
    let mut exit = Exit::Ok;
    for one in all {
        match one {
            Ok(shown) => {
                let [from, until] = [shown.valid.0, shown.valid.1].map(humantime::format_rfc3339_seconds);
                out.line(out.bold(shown.name))?;
                out.line(format!("  certificate  {}", shown.certificate.display()))?;
                out.line(format!("  SHA-256      {}", shown.fingerprint))?;
                out.line(format!("  valid        {from} to {until}"))?;
                out.line(format!("  can sign for {}", shown.hosts.join(", ")))?;
            }
            Err(trouble) => {
                exit = Exit::Unavailable;
                say(format!("{trouble}"));
            }
        }
    }
    Ok(exit as i32)
}

/// Has the Leeward that runs look at the files; without one there is nobody to tell.
fn tell(config: &Config) -> Outcome {
    let told = block_on(async {
        match instance::running(config).await? {
            Some(client) => client.post("/_leeward/v1/authority", &json!(null), TOLD_WITHIN).await.map(drop),
            None => Ok(()),
        }
    })?;
    if let Err(e) = told {
        say(format!("the Leeward that runs could not be told ({e}); `leeward restart` has it look again"));
    }
    Ok(Exit::Ok as i32)
}
