//! `v4run explain CODE|CONTROL`.

use clap::Args;

use super::{complain, print};
use crate::assess;
use crate::diag;
use crate::examine;

/// What is to be explained.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A finding code (`integrity-mismatch`), a control (`4.13`) or a rule of the look.
    topic: String,
}

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        let controls = assess::texts();
        if let Some(text) = diag::explain(&self.topic, &controls) {
            print(&text);
            return 0;
        }
        if let Some(rule) = examine::RULES.iter().find(|rule| rule.id == self.topic) {
            print(&format!(
                "{} (rule of the static look, {:?})\n\n{}\n\nA finding in findings.sarif, no verdict. \
                 `look = \"refuse\"` in the policy refuses rules of weight Error.",
                rule.id, rule.weight, rule.about
            ));
            return 0;
        }
        let topics = diag::topics(&self.topic, &controls).join(", ");
        let topic = diag::sanitize(&self.topic);
        complain(&format!(
            "v4run: nothing is called `{topic}`; there are: {topics}"
        ));
        diag::ERROR
    }
}
