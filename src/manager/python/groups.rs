//! Dependency groups of a `pyproject.toml`, for `--group`.
//!
//! Read here and handed to pip as plain requirements, so that pip of any version installs what was
//! checked. Groups may include others; a circle is refused.
//! Form: <https://packaging.python.org/en/latest/specifications/dependency-groups/>.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::python;

/// Requirements of one group, included ones counted.
const LONGEST: usize = 10_000;

/// Why a group cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::manager) enum GroupError {
    /// The file is no TOML of this form.
    #[error("cannot be read: {0}")]
    Form(String),
    /// There is no such group.
    #[error("has no dependency group `{0}`")]
    Absent(String),
    /// Two groups of one name.
    #[error("has the dependency group `{0}` twice")]
    Twice(String),
    /// It includes itself, or is too long.
    #[error("has a dependency group that includes itself: `{0}`")]
    Circle(String),
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "dependency-groups", default)]
    groups: BTreeMap<String, Vec<Item>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Requirement(String),
    Include(Include),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Include {
    #[serde(rename = "include-group")]
    group: String,
}

/// The requirements of a group.
pub(in crate::manager) fn requirements(text: &str, group: &str) -> Result<Vec<String>, GroupError> {
    let document: Document =
        toml::from_str(text).map_err(|error| GroupError::Form(error.message().to_owned()))?;
    let mut groups: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for (name, items) in document.groups {
        let normal =
            python::normalize_name(&name).ok_or_else(|| GroupError::Absent(name.clone()))?;
        if groups.insert(normal, items).is_some() {
            return Err(GroupError::Twice(name));
        }
    }
    let mut found = Vec::new();
    collect(&groups, group, &mut Vec::new(), &mut found)?;
    Ok(found)
}

fn collect(
    groups: &BTreeMap<String, Vec<Item>>,
    group: &str,
    open: &mut Vec<String>,
    found: &mut Vec<String>,
) -> Result<(), GroupError> {
    let absent = || GroupError::Absent(group.to_owned());
    let name = python::normalize_name(group).ok_or_else(absent)?;
    if open.contains(&name) || found.len() > LONGEST {
        return Err(GroupError::Circle(name));
    }
    let items = groups.get(&name).ok_or_else(absent)?;
    open.push(name);
    for item in items {
        match item {
            Item::Requirement(text) => found.push(text.clone()),
            Item::Include(include) => collect(groups, &include.group, open, found)?,
        }
    }
    open.pop();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[dependency-groups]\ntest = ['pytest>7', {include-group = 'Base_x'}]\nbase-x = ['a', 'b']\nloop = [{include-group = 'loop'}]\nodd = [{other = 1}]\n";

    #[test]
    fn groups_include_others() {
        let text = TEXT.replace("odd = [{other = 1}]\n", "");
        assert_eq!(requirements(&text, "Test").unwrap(), ["pytest>7", "a", "b"]);
        assert!(matches!(
            requirements(&text, "loop"),
            Err(GroupError::Circle(_))
        ));
        assert!(matches!(
            requirements(&text, "none"),
            Err(GroupError::Absent(_))
        ));
        assert!(matches!(
            requirements(TEXT, "test"),
            Err(GroupError::Form(_))
        ));
        let twice = "[dependency-groups]\na-b = []\nA_B = []\n";
        assert!(matches!(
            requirements(twice, "a-b"),
            Err(GroupError::Twice(_))
        ));
    }
}
