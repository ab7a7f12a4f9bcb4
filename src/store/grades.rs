//! How versions of a package were published, across runs: the ground of the downgrade alarm (4.5).
//!
//! For each package and grade the first version that was seen with it, under
//! `v1/grade/<protocol>/ab/<sha256 of canonical origin, name, grade>`. Entries are never replaced and do
//! not expire. A later version with a lower grade is an alarm and no refusal: a fix of an old line may be
//! published in the old way.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Ledger, Store as _, StoreError};
use crate::model::Grade;
use crate::verify::hash::sha256;

/// More than any entry has.
const ENTRY: u64 = 16 * 1024;

/// A version with its grade to be.
#[derive(Clone, Copy, Debug)]
pub struct Graded<'a> {
    /// Protocol name.
    pub protocol: &'a str,
    /// Canonical origin.
    pub origin: &'a str,
    /// Package name.
    pub name: &'a str,
    /// Package version.
    pub version: &'a str,
    /// When it was published, as the repository states it.
    pub published: Option<&'a str>,
}

/// The first version that was seen with a grade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grading {
    /// The grade.
    pub grade: Grade,
    /// The version.
    pub version: String,
    /// When it was published, where that was stated.
    pub published: Option<String>,
    /// When it was noted, RFC 3339.
    pub time: String,
}

impl Graded<'_> {
    fn key(&self, grade: Grade) -> String {
        let text = [self.origin, self.name, grade.name()].join("\n");
        let hex = sha256(text.as_bytes()).hex();
        let two = hex.get(..2).unwrap_or_default();
        format!("v1/grade/{}/{two}/{hex}", self.protocol)
    }

    /// Whether that one was published before this one, or at least not after it, as far as both say so.
    fn follows(&self, earlier: &Grading) -> bool {
        match (self.published, &earlier.published) {
            (Some(this), Some(earlier)) => this >= earlier.as_str(),
            (_, _) => true,
        }
    }
}

impl Ledger {
    /// Notes the grade of a version. Gives an earlier version of the package that had a stronger one.
    pub fn grade(&self, item: Graded<'_>, grade: Grade) -> Result<Option<Grading>, StoreError> {
        let directory = self.directory();
        let stronger = [Grade::Approved, Grade::Workload].into_iter();
        let mut found = None;
        for other in stronger.filter(|other| *other > grade) {
            let known: Option<Grading> = directory.entry(&item.key(other), ENTRY)?;
            found = found
                .or(known.filter(|known| known.version != item.version && item.follows(known)));
        }
        let key = item.key(grade);
        // The weakest grade is no ground for an alarm.
        if grade > Grade::Unmarked && directory.head(&key)?.is_none() {
            let entry = Grading {
                grade,
                version: item.version.to_owned(),
                published: item.published.map(str::to_owned),
                time: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            };
            directory.note(&key, &entry)?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Directory;

    #[test]
    fn a_weaker_later_version_is_told_and_an_older_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let ledger = Ledger::new(&directory, "run");
        let version = |version: &'static str, published: Option<&'static str>| Graded {
            protocol: "npm",
            origin: "https://registry.invalid/",
            name: "left",
            version,
            published,
        };
        let grade = |item, grade| ledger.grade(item, grade).unwrap().map(|one| one.version);
        let second = version("2.0.0", Some("2026-02-01T00:00:00.000Z"));
        assert_eq!(grade(second, Grade::Approved), None);
        let third = version("3.0.0", Some("2026-03-01T00:00:00.000Z"));
        assert_eq!(grade(third, Grade::Workload), Some("2.0.0".to_owned()));
        assert_eq!(grade(third, Grade::Unmarked), Some("2.0.0".to_owned()));
        assert_eq!(grade(second, Grade::Workload), None);
        let first = version("1.0.0", Some("2026-01-01T00:00:00.000Z"));
        assert_eq!(grade(first, Grade::Unmarked), None);
        assert_eq!(
            grade(version("4.0.0", None), Grade::Unmarked),
            Some("2.0.0".to_owned())
        );
        let other = Graded {
            name: "right",
            ..third
        };
        assert_eq!(grade(other, Grade::Unmarked), None);
    }
}
