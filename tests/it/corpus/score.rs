//! The figures of the corpus: printed, left as a file for the figures page, and required.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::canaries::filtered;

/// What the three ways came to.
pub(crate) struct Score {
    /// Cases that work bare.
    pub(crate) valid: usize,
    /// Cases that v4run does not answer as expected.
    pub(crate) unblocked: Vec<String>,
    /// Cases that stay closed without their layers.
    pub(crate) survivors: Vec<String>,
    /// Cases that one layer fewer lets through, of those with several.
    pub(crate) through: Vec<String>,
    /// How often one layer of several was taken out.
    pub(crate) tries: usize,
    /// Cases that do not work bare, with what they met.
    pub(crate) invalid: Vec<(String, String)>,
}

impl Score {
    fn line(&self) -> String {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, met) in &self.invalid {
            reasons.entry(met).or_default().push(id);
        }
        let reasons: Vec<String> = reasons
            .into_iter()
            .map(|(met, ids)| format!("{}: {}", explained(met), ids.join(" ")))
            .collect();
        format!(
            "corpus: blocked {}/valid {}, mutants killed {}/total {}, one layer of several held \
             {}/{}, not runnable here: {} ({})",
            self.valid - self.unblocked.len(),
            self.valid,
            self.valid - self.survivors.len(),
            self.valid,
            self.tries - self.through.len(),
            self.tries,
            self.invalid.len(),
            reasons.join("; ")
        )
    }

    pub(crate) fn tell(&self, name: &str) {
        let data = json!({
            "blocked": self.valid - self.unblocked.len(),
            "valid": self.valid,
            "killed": self.valid - self.survivors.len(),
            "mutants": self.valid,
            "held": self.tries - self.through.len(),
            "single": self.tries,
            "invalid": self.invalid,
        });
        tell(name, &self.line(), &data);
    }

    /// Nothing let through, nothing that proves nothing.
    #[track_caller]
    pub(crate) fn holds(&self) {
        let wrong = [&self.unblocked, &self.survivors, &self.through];
        let none = wrong.iter().all(|list| list.is_empty());
        assert!(none, "[not blocked, dead rules, single layers]: {wrong:#?}");
        // Most must be valid, or the machine says nothing about the sandbox.
        assert!(self.invalid.len() < self.valid, "{:#?}", self.invalid);
    }
}

/// Prints a line past the harness, which swallows what passing tests print, and leaves it as a file
/// where the suite asks for that.
pub(crate) fn tell(name: &str, line: &str, data: &Value) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    if let Some(folder) = std::env::var_os("V4RUN_SCORES") {
        let user = nix::unistd::geteuid();
        let filter = if filtered() { "-filtered" } else { "" };
        let who = format!("{user}{filter}");
        std::fs::create_dir_all(&folder).unwrap();
        let path = std::path::Path::new(&folder).join(format!("{name}-{who}.json"));
        let text = json!({ "line": line, "user": user.as_raw(), "data": data });
        std::fs::write(path, text.to_string()).unwrap();
    }
}

/// An answer of the kernel in words.
fn explained(met: &str) -> String {
    let number = met
        .strip_prefix("errno ")
        .and_then(|text| text.parse().ok());
    match number {
        Some(number) => format!("bare {}", nix::errno::Errno::from_raw(number)),
        None => format!("bare {met}"),
    }
}
