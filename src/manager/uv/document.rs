//! TOML documents of a project with the line of every key.
//!
//! Read once; what is shown to uv are these very bytes. Foreign text: bounded, and never panics.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::manager::read;
use crate::model::{Code, Event, Finding};

/// Locks of large projects have a few megabytes.
const LIMIT: u64 = 64 << 20;

/// A document that was read.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// Canonical path.
    pub(super) path: PathBuf,
    /// How messages name it.
    pub(super) shown: String,
    /// Its text.
    pub(super) text: String,
}

impl Document {
    /// Reads a file; `None` when there is none. A link of the project stays in it.
    pub(super) fn read(
        path: &Path,
        project: Option<&Path>,
        events: &mut Vec<Event>,
    ) -> Result<Option<Self>, Finding> {
        let shown = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let invalid = |why: &str| {
            Finding::new(
                Code::ConfigRefused,
                path.display().to_string(),
                format!("cannot be used: it {why}"),
            )
        };
        let bytes = match project {
            Some(project) => read::inside(project, path, LIMIT),
            None => read::file(path, LIMIT),
        };
        let bytes = bytes.map_err(|error| invalid(&error.to_string()))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let path = path
            .canonicalize()
            .map_err(|error| invalid(&format!("cannot be found: {error}")))?;
        if let Some(sha256) = read::sha256(&bytes) {
            events.push(Event::InputRead {
                name: shown.clone(),
                path: path.display().to_string(),
                sha256,
            });
        }
        let text = String::from_utf8(bytes).map_err(|_error| invalid("is not UTF-8"))?;
        Ok(Some(Self { path, shown, text }))
    }

    /// The document as TOML.
    pub(super) fn parse(&self) -> Result<DeTable<'_>, Finding> {
        match DeTable::parse(&self.text) {
            Ok(table) => Ok(table.into_inner()),
            Err(error) => {
                let place = match error.span() {
                    Some(span) => self.place(span.start),
                    None => self.shown.clone(),
                };
                let message = format!("cannot be read: {}", error.message());
                Err(Finding::new(Code::ConfigRefused, place, message))
            }
        }
    }

    /// File and line of a position.
    pub(super) fn place(&self, position: usize) -> String {
        let before = self.text.as_bytes().get(..position).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{}:{line}", self.shown)
    }
}

/// The value of a key, with its position.
pub(super) fn value<'a, 'b>(table: &'a DeTable<'b>, key: &str) -> Option<(usize, &'a DeValue<'b>)> {
    let found = table.iter().find(|(name, _)| name.get_ref() == key);
    found.map(|(name, value)| (name.span().start, value.get_ref()))
}

/// The table at a key.
pub(super) fn table<'a, 'b>(table: &'a DeTable<'b>, key: &str) -> Option<&'a DeTable<'b>> {
    match value(table, key)? {
        (_, DeValue::Table(inner)) => Some(inner),
        _ => None,
    }
}

/// The text at a key.
pub(super) fn text<'a>(table: &'a DeTable<'_>, key: &str) -> Option<&'a str> {
    match value(table, key)? {
        (_, DeValue::String(text)) => Some(text),
        _ => None,
    }
}

/// The items of an array, or the value itself where it is none.
pub(super) fn items<'a, 'b>(
    position: usize,
    value: &'a DeValue<'b>,
) -> Vec<(usize, &'a DeValue<'b>)> {
    let DeValue::Array(items) = value else {
        return vec![(position, value)];
    };
    let items = items.iter();
    items
        .map(|item: &Spanned<DeValue<'b>>| (item.span().start, item.get_ref()))
        .collect()
}

/// A scalar as it would be written, for comparing with what is harmless.
pub(super) fn scalar(value: &DeValue<'_>) -> String {
    if let DeValue::String(text) = value {
        text.to_string()
    } else if let DeValue::Boolean(yes) = value {
        yes.to_string()
    } else if matches!(value, DeValue::Array(items) if items.is_empty()) {
        "[]".to_owned()
    } else if matches!(value, DeValue::Table(items) if items.is_empty()) {
        "{}".to_owned()
    } else {
        String::new()
    }
}
