//! Keeps a proxy of the user's from being asked for loopback. Pure: variables in, variables out.

use std::collections::BTreeMap;

/// The proxy variables that clients read.
pub(super) const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// The variables that name hosts which no proxy is asked for.
pub(super) const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What must be set so that a proxy is not asked for loopback, and ours not for these hosts either; empty when there is no proxy, neither the user's nor ours.
/// Appends to what is there, in both spellings, because clients differ in which one they read.
pub(super) fn bypass(var: &dyn Fn(&str) -> Option<String>, base: &str, ours: Option<&[String]>) -> BTreeMap<String, String> {
    let mut set = BTreeMap::new();
    if ours.is_none() && !PROXIES.iter().any(|name| var(name).is_some()) {
        return set;
    }
    let host = base.trim_start_matches("http://").rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
    for (name, other) in [("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")] {
        let own = var(name);
        let current = own.clone().or_else(|| var(other)).unwrap_or_default();
        let listed: Vec<&str> = current.split([',', ' ']).map(str::trim).collect();
        let mut wanted = vec!["localhost", "127.0.0.1", "::1"];
        if !wanted.contains(&host) {
            wanted.push(host);
        }
        wanted.extend(ours.into_iter().flatten().map(String::as_str));
        wanted.retain(|w| !listed.contains(w) && !listed.contains(&"*"));
        let parts: Vec<&str> = Some(current.as_str()).filter(|c| !c.is_empty()).into_iter().chain(wanted).collect();
        let value = parts.join(",");
        if own.as_deref() != Some(value.as_str()) {
            set.insert(name.to_owned(), value);
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_kept_away_from_a_proxy_without_losing_the_users_list() {
        let all = "localhost,127.0.0.1,::1";
        let table: [(&[(&str, &str)], &[(&str, &str)]); 6] = [
            (&[], &[]),
            (&[("NO_PROXY", "x.corp")], &[]),
            (&[("https_proxy", "http://p:1")], &[("NO_PROXY", all), ("no_proxy", all)]),
            (
                &[("ALL_PROXY", "http://p:1"), ("NO_PROXY", "x.corp,127.0.0.1")],
                &[("NO_PROXY", "x.corp,127.0.0.1,localhost,::1"), ("no_proxy", "x.corp,127.0.0.1,localhost,::1")],
            ),
            (&[("HTTP_PROXY", "http://p:1"), ("no_proxy", all)], &[("NO_PROXY", all)]),
            (&[("HTTP_PROXY", "http://p:1"), ("no_proxy", "*"), ("NO_PROXY", "*")], &[]),
        ];
        for (vars, expected) in table {
            let vars: BTreeMap<&str, &str> = vars.iter().copied().collect();
            let set = bypass(&|name| vars.get(name).map(|v| (*v).to_owned()), "http://127.0.0.1:8787", None);
            let set: Vec<(&str, &str)> = set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(set, expected, "{vars:?}");
        }
        let set = bypass(&|name| (name == "HTTP_PROXY").then(|| "http://p".into()), "http://10.0.0.7:8787", None);
        assert_eq!(set["NO_PROXY"], format!("{all},10.0.0.7"));
        let ours = bypass(&|_| None, "http://127.0.0.1:8787", Some(&[]));
        assert_eq!(ours.values().collect::<Vec<_>>(), [all, all], "ours is a proxy too");
    }
}
