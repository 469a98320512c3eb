//! What the environment of a program says about its way out: company proxies, and certificates that it trusts. Each wrapped
//! agent has its own; the engine has that of whoever started it. May hold a password, so it is never shown nor written down.

use super::{
    company_proxy::{ProxyChoice, Proxying},
    types::{Config, Trust},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

const PROXIES: [&str; 4] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];
/// Node.js, and so most agents; OpenSSL, and so Python's.
const ROOTS: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"];

/// The system's own bundles, which containers and Nix name in the variables: nothing in them is new to the engine.
const SYSTEM: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cacert.pem",
];

/// The way out of one program.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Proxy variables by their names in upper case.
    #[serde(default)]
    proxies: BTreeMap<String, String>,
    /// Files of certificates that are trusted besides the system's.
    #[serde(default)]
    roots: Vec<PathBuf>,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("roots", &self.roots).finish_non_exhaustive()
    }
}

impl Egress {
    /// What an agent has that starts in this environment and folder. A file that is not `usable` is of no use to the agent either.
    pub fn of_agent(env: &dyn Fn(&str) -> Option<String>, folder: &Path, usable: &dyn Fn(&Path) -> bool) -> Self {
        let roots = ROOTS.iter().filter_map(|name| env(name)).filter(|file| !file.is_empty()).map(|file| folder.join(file));
        Self { roots: roots.filter(|file| usable(file)).collect(), ..Self::of_engine(env) }
    }

    /// What the engine has. On Linux the platform's store is what its own SSL_CERT_FILE says.
    pub(super) fn of_engine(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| [name.to_owned(), name.to_ascii_lowercase()].iter().find_map(|name| set(env, name));
        let mut proxies: BTreeMap<_, _> = PROXIES.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect();
        if let Some(direct) = proxies.remove("NO_PROXY").map(|direct| elsewhere(&direct)).filter(|direct| !direct.is_empty()) {
            proxies.insert("NO_PROXY".into(), direct);
        }
        let store = set(env, "SSL_CERT_FILE").filter(|_| cfg!(target_os = "linux"));
        Self { proxies, roots: store.map(PathBuf::from).into_iter().collect() }
    }

    /// Whether a proxy wants a user or password.
    pub fn has_login(&self) -> bool {
        self.proxies.iter().any(|(name, url)| name != "NO_PROXY" && url.contains('@'))
    }

    /// Whether an agent with this egress is served as well by the engine's own.
    pub fn is_served_by(&self, config: &Config) -> bool {
        let extra = if let Trust::Platform { extra } = &config.trust { extra.as_ref() } else { None };
        let store: Vec<_> = match &config.egress.roots[..] {
            [] => SYSTEM.map(PathBuf::from).into(),
            roots => roots.to_vec(),
        };
        let known: Vec<_> = extra.into_iter().chain(&store).map(|file| real(file)).collect();
        let trusted = |file: &PathBuf| known.contains(&real(file));
        let proxies = config.proxy.url != ProxyChoice::Auto || self.proxies == config.egress.proxies;
        proxies && self.roots.iter().all(trusted)
    }

    /// The config for an agent with this egress. What the config says itself holds for every agent. `own`: where Leeward accepts.
    ///
    /// # Errors
    /// A sentence about a variable that is no proxy.
    pub fn applied(&self, config: &Config, own: SocketAddr) -> Result<Config, String> {
        let mut applied = config.clone();
        if config.proxy.url == ProxyChoice::Auto {
            let env = |name: &str| self.proxies.get(name).cloned();
            let proxy = Proxying::resolve(Some("auto"), config.proxy.no_proxy.clone(), &env, own);
            applied.proxy = proxy.map_err(|(variable, why)| format!("{variable} {why}"))?;
        }
        if !self.roots.is_empty() {
            applied.trust = Trust::Also { base: Box::new(config.trust.clone()), roots: self.roots.clone() };
        }
        Ok(applied)
    }
}

/// The file that a name or link leads to.
fn real(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}

/// The entries that are not this machine, which no variable's proxy is asked for anyway: `wrap` adds Leeward's own address.
fn elsewhere(direct: &str) -> String {
    let entries = direct.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
    let local = |entry: &&str| ["127.0.0.1", "localhost", "[::1]", "::1"].iter().any(|own| entry.starts_with(own));
    entries.filter(|entry| !local(entry)).collect::<Vec<_>>().join(",")
}

fn set(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Sources, load};

    fn engine(file: &str, vars: &[(&str, &str)]) -> Config {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), file).unwrap();
        let env = |name: &str| match name {
            "LEEWARD_HOME" => Some(home.path().display().to_string()),
            _ => vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        load(&Sources { env: &env, flags: Flags::default() }).unwrap()
    }

    fn agent(vars: &[(&str, &str)]) -> Egress {
        let env = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Egress::of_agent(&env, Path::new("/"), &|file| crate::config::read_certificates(file).is_ok())
    }

    #[test]
    fn an_agent_with_another_way_out_is_not_served_by_the_engines() {
        let own = "127.0.0.1:8787".parse().unwrap();
        let (a, b) = (("HTTPS_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://me:hush@b:2"));
        for (file, engines, agents, served) in [
            ("", &[][..], &[][..], true),
            ("", &[a], &[a], true),
            ("", &[a], &[("https_proxy", "http://a:1")], true),
            ("", &[a], &[b], false),
            ("", &[a], &[], false),
            ("", &[], &[b], false),
            ("", &[a], &[a, ("NO_PROXY", "x")], false),
            ("", &[a], &[a, ("NO_PROXY", "127.0.0.1:8787, localhost")], true),
            ("[proxy]\nurl = 'none'", &[a], &[b], true),
            ("[proxy]\nurl = 'http://c:3'", &[], &[b], true),
        ] {
            let config = engine(file, engines);
            let egress = agent(agents);
            assert_eq!(egress.is_served_by(&config), served, "{file} {engines:?} {agents:?}");
            let route = egress.applied(&config, own).unwrap().proxy.route(true, "api.example", 443).map(|proxy| proxy.host);
            let expected = if config.proxy.url == ProxyChoice::Auto {
                agents
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case("HTTPS_PROXY"))
                    .map(|(_, url)| &url[url.len() - 3..][..1])
            } else {
                file.contains("c:3").then_some("c")
            };
            assert_eq!(route.as_deref(), expected, "{file} {engines:?} {agents:?}");
        }
        assert!(!format!("{:?}", agent(&[b])).contains("hush"));
        assert!(agent(&[b]).has_login() && !agent(&[a]).has_login());
        assert!(agent(&[("HTTPS_PROXY", "ftp://x")]).applied(&engine("", &[]), own).unwrap_err().contains("HTTPS_PROXY names"));
    }

    #[test]
    fn certificates_of_an_agent_are_trusted_besides_the_engines_where_they_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, rcgen::generate_simple_self_signed(vec!["h".into()]).unwrap().cert.pem()).unwrap();
        let file = file.display().to_string();
        let config = engine("", &[]);
        for name in ROOTS {
            let egress = agent(&[(name, &file)]);
            assert!(!egress.is_served_by(&config), "{name}");
            let trust = egress.applied(&config, config.listen).unwrap().trust;
            assert!(matches!(trust, Trust::Also { roots, .. } if roots == [PathBuf::from(&file)]), "{name}");
            assert!(agent(&[(name, "/no/such/file")]).is_served_by(&config), "{name}");
        }
        if cfg!(target_os = "linux") {
            let store = engine("", &[("SSL_CERT_FILE", &file)]);
            assert!(agent(&[("NODE_EXTRA_CA_CERTS", &file)]).is_served_by(&store), "it is its store already");
        }
        for file in SYSTEM.into_iter().filter(|file| Path::new(file).exists()) {
            assert!(agent(&[("SSL_CERT_FILE", file)]).is_served_by(&config), "{file} is the system's own");
        }
        assert!(agent(&[("NODE_EXTRA_CA_CERTS", &file)]).is_served_by(&engine(&format!("extra_ca = '{file}'"), &[])));
    }
}
