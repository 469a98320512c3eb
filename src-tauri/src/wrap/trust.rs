//! What an agent must trust so that Leeward may decrypt its connections: the certificate authority of this installation, made
//! when it is first asked for, in one file with the certificates that the agent trusts already. Starts nothing.

use super::{
    claude,
    context::AgentContext,
    table::{Profile, Special},
};
use crate::{
    authority::{self, Authority},
    config::Config,
};
use std::{ffi::OsString, path::PathBuf};

/// Node's variable for further certificates.
const NODE: &str = "NODE_EXTRA_CA_CERTS";
/// Codex reads it where its own variable is not set.
const SECOND_OF_CODEX: (&str, &str) = ("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE");

/// The certificate authority that an agent is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Its eight digits; the engine signs for the session with this one as long as it lasts.
    pub authority: String,
    /// The file that the agent reads.
    pub bundle: PathBuf,
    /// Files of the user's that could not be used, each in a sentence.
    pub unusable: Vec<String>,
}

/// Makes sure that there is one, and the file for this agent.
///
/// # Errors
/// Why it cannot be used, as a sentence without a full stop.
pub fn trust(profile: &Profile, args: &[OsString], config: &Config, context: &AgentContext<'_>) -> Result<Trust, String> {
    let folder = config.paths.authority_dir();
    let id = Authority::new(folder.clone()).current().map_err(|why| why.to_string())?;
    let inherited = inherited(profile, args, context);
    let made = authority::bundle(&folder, &id, &inherited).map_err(|why| why.to_string())?;
    Ok(Trust { authority: id, bundle: made.path, unusable: made.unusable })
}

/// The file as it is named before there is one, for whoever only looks.
pub fn bundle_to_be(config: &Config) -> PathBuf {
    config.paths.authority_dir().join("bundles").join("made-at-the-start.pem")
}

/// The files that the agent would read without us: their certificates stay trusted.
fn inherited(profile: &Profile, args: &[OsString], context: &AgentContext<'_>) -> Vec<PathBuf> {
    let stated = |name: &str| match profile.special {
        Some(Special::Claude) if name == NODE => claude::stated_certificates(context, args),
        _ => None,
    };
    let mut files = Vec::new();
    for name in &profile.ca {
        let own = stated(name).or_else(|| context.var(name));
        let second = || (*name == SECOND_OF_CODEX.0).then(|| context.var(SECOND_OF_CODEX.1)).flatten();
        files.extend(own.or_else(second).filter(|file| !file.is_empty()).map(|file| context.cwd.join(file)));
    }
    files.dedup();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wrap::profiles;
    use std::{collections::BTreeMap, io};

    #[test]
    fn files_that_an_agent_trusts_already_stay_trusted() {
        let settings = r#"{"env":{"NODE_EXTRA_CA_CERTS":"/settings.pem"}}"#;
        for (agent, vars, settings, expected) in [
            ("claude", &[("NODE_EXTRA_CA_CERTS", "/company.pem")][..], None, &["/company.pem"][..]),
            ("claude", &[("NODE_EXTRA_CA_CERTS", "company.pem")], None, &["/work/company.pem"]),
            ("claude", &[("NODE_EXTRA_CA_CERTS", "/company.pem")], Some(settings), &["/settings.pem"]),
            ("claude", &[("SSL_CERT_FILE", "/other.pem")], None, &[]),
            ("claude", &[("NODE_EXTRA_CA_CERTS", "")], None, &[]),
            ("codex", &[("CODEX_CA_CERTIFICATE", "/codex.pem"), ("SSL_CERT_FILE", "/other.pem")], None, &["/codex.pem"]),
            ("codex", &[("SSL_CERT_FILE", "/other.pem")], None, &["/other.pem"]),
            ("opencode", &[("NODE_EXTRA_CA_CERTS", "/company.pem")], None, &["/company.pem"]),
            ("goose", &[("NODE_EXTRA_CA_CERTS", "/company.pem")], None, &[]),
        ] {
            let profile = profiles().unwrap().into_iter().find(|p| p.name == agent).unwrap();
            let vars: BTreeMap<_, _> = vars.iter().copied().collect();
            let context = AgentContext {
                env: &|name| vars.get(name).map(|&value| value.to_owned()),
                read: &|path| match settings {
                    Some(text) if path.ends_with(".claude/settings.json") && path.starts_with("/home/me") => Ok(text.into()),
                    _ => Err(io::ErrorKind::NotFound.into()),
                },
                list: &|_| Vec::new(),
                home: Some("/home/me".into()),
                cwd: "/work".into(),
            };
            let files = inherited(&profile, &[], &context);
            assert_eq!(files, expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{agent} {vars:?}");
        }
    }
}
