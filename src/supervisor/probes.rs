//! Refusals that a profile expects: recorded as suppressed, never as violations.

use globset::{Glob, GlobBuilder, GlobMatcher};

use crate::model::Probe;

/// Compiled patterns of the profile's probes.
#[derive(Debug)]
pub(super) struct Probes(Vec<(GlobMatcher, GlobMatcher, String)>);

impl Probes {
    pub(super) fn new(probes: &[Probe]) -> Result<Self, globset::Error> {
        let compile = |probe: &Probe| {
            let glob = GlobBuilder::new(&probe.subject)
                .literal_separator(true)
                .build()?;
            let call = Glob::new(&probe.call)?.compile_matcher();
            Ok((call, glob.compile_matcher(), probe.why.clone()))
        };
        Ok(Self(
            probes
                .iter()
                .map(compile)
                .collect::<Result<_, globset::Error>>()?,
        ))
    }

    /// Why this refusal is harmless, if the profile says so.
    pub(super) fn why(&self, call: &str, subject: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, glob, _)| name.is_match(call) && glob.is_match(subject))
            .map(|(_, _, why)| why.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_call_and_subject_match() {
        let probes = Probes::new(&[Probe {
            call: "openat".into(),
            subject: "/home/*/package.json".into(),
            why: "search for a workspace root".into(),
        }])
        .unwrap();
        assert!(probes.why("openat", "/home/a/package.json").is_some());
        assert!(probes.why("open", "/home/a/package.json").is_none());
        assert!(probes.why("openat", "/home/a/b/package.json").is_none());
    }
}
