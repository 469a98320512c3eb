//! The base URLs of an agent that takes them from variables: what the user has set, and where, becomes the upstream.

use super::{
    context::value_in_lines,
    draft::{Draft, Heeded, PlanError},
    gemini,
    route::FirstParty,
    table::{Base, Special},
};
use std::collections::BTreeMap;

/// Base URLs that an agent's own settings name: by variable, the place and the value.
pub(super) type Stated = BTreeMap<&'static str, (String, String)>;

/// A base URL that the user has set.
struct Inherited {
    place: String,
    value: String,
    /// It stands in a file, or under a name, that outranks the variable in the environment.
    outranks: bool,
}

/// Sets every base URL of the table. What the environment and the agent's files leave open is taken from `stated`.
pub(super) fn draft(draft: &mut Draft<'_>, stated: &Stated) -> Result<(), PlanError> {
    let profile = draft.profile;
    let mut options: Vec<String> = Vec::new();
    for base in &profile.base {
        let inherited = inherited(draft, base).or_else(|| {
            let (place, value) = stated.get(base.variable.as_str())?.clone();
            Some(Inherited { place, value, outranks: false })
        });
        let is_geminis = profile.special == Some(Special::Gemini) && base.variable == gemini::KEYED;
        let is_open = !is_geminis || gemini::may_set_base_url(draft, inherited.is_some());
        let is_set = is_open && (base.only.is_none() || inherited.is_some());
        let outranked = profile.special == Some(Special::Aider) && !inherited.as_ref().is_some_and(|i| i.outranks);
        of_project(draft, base, if is_set && !outranked { Heeded::BelowOurs } else { Heeded::Always });
        if !is_set {
            continue;
        }
        let first = FirstParty { upstream: base.upstream.as_deref(), path: &base.path };
        let place = inherited.as_ref().map_or(&base.variable, |i| &i.place).clone();
        let url = draft.route(&place, inherited.as_ref().map(|i| i.value.as_str()), first)?;
        if inherited.is_some_and(|i| i.outranks) {
            options.extend(aider_option(&base.variable, &url));
            draft.notes.push(format!("{place} outranks {}; this session overrules it with an option", base.variable));
        }
        draft.set.insert(base.variable.clone(), url);
    }
    // Before the user's own, so that the user has the last word.
    draft.args.splice(0..0, options.into_iter().map(Into::into));
    Ok(())
}

/// aider loads `.env` files over its environment; its options come after that.
fn aider_option(variable: &str, url: &str) -> [String; 2] {
    match variable {
        "OPENAI_API_BASE" => ["--openai-api-base".into(), url.into()],
        _ => ["--set-env".into(), format!("{variable}={url}")],
    }
}

/// What the user has set for a base URL and where: the environment first, then the agent's files, or the other way
/// round where the agent does so. Files of the project are reported and left to the agent.
fn inherited(draft: &mut Draft<'_>, base: &Base) -> Option<Inherited> {
    let outranks = draft.profile.special == Some(Special::Aider);
    let found = if outranks {
        in_files(draft, base, true).or_else(|| in_environment(draft, base))
    } else {
        in_environment(draft, base).or_else(|| in_files(draft, base, false))
    };
    found.filter(|found| !found.value.is_empty())
}

/// The names of a base URL, the strongest first, and whether they outrank the variable.
fn names(base: &Base) -> impl Iterator<Item = (&String, bool)> {
    let over = base.over.iter().map(|name| (name, true));
    over.chain(std::iter::once(&base.variable).chain(&base.also).map(|name| (name, false)))
}

fn in_environment(draft: &Draft<'_>, base: &Base) -> Option<Inherited> {
    names(base).find_map(|(name, outranks)| {
        let value = draft.context.var(name)?;
        Some(Inherited { place: name.clone(), value, outranks })
    })
}

fn in_files(draft: &mut Draft<'_>, base: &Base, files_outrank: bool) -> Option<Inherited> {
    let context = draft.context;
    let mut own = draft.profile.files.iter().filter(|file| !context.is_of_project(file));
    own.find_map(|file| {
        let path = context.path(file)?;
        let text = context.text(&path, &mut draft.warnings)?;
        let (name, outranks, value) = names(base).find_map(|(name, over)| Some((name, over, value_in_lines(&text, name)?)))?;
        Some(Inherited { place: format!("{}: {name}", path.display()), value, outranks: outranks || files_outrank })
    })
}

fn of_project(draft: &mut Draft<'_>, base: &Base, heeded: Heeded) {
    let context = draft.context;
    for file in draft.profile.files.iter().filter(|file| context.is_of_project(file)) {
        let Some((path, text)) =
            context.path(file).and_then(|path| Some((path.clone(), context.text(&path, &mut draft.warnings)?)))
        else {
            continue;
        };
        for (name, _) in names(base) {
            if let Some(value) = value_in_lines(&text, name) {
                draft.leave_to_agent(&format!("{}: {name}", path.display()), &value, heeded);
            }
        }
    }
}
