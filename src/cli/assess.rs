//! `v4run assess DIR`.

use std::path::PathBuf;

use clap::Args;

use super::{print, told};
use crate::assess;
use crate::record::RecordError;

/// Which record, and in which form.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A record directory.
    directory: PathBuf,
    /// Form of the answer on standard output.
    #[arg(long, value_name = "FORMAT", value_parser = ["human", "json", "html", "markdown"], default_value = "human")]
    format: String,
}

impl Arguments {
    pub(super) fn run(&self) -> u8 {
        match self.format.as_str() {
            "html" => return self.page(assess::page(&self.directory)),
            "markdown" => return self.page(assess::markdown(&self.directory)),
            _ => {}
        }
        match assess::report(&self.directory) {
            Ok(report) if self.format == "json" => {
                let text = serde_json::to_string_pretty(&assess::json(&report));
                print(&text.unwrap_or_default());
                0
            }
            Ok(report) => {
                print(&assess::human(&report));
                0
            }
            Err(error) => told(&error.finding()),
        }
    }

    fn page(&self, page: Result<String, RecordError>) -> u8 {
        match page {
            Ok(page) => {
                print(&page);
                0
            }
            Err(error) => told(&error.finding()),
        }
    }
}
