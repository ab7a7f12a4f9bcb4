//! The runs of this machine: the records of a folder, and an index to find what they installed.
//!
//! The index lies in a folder of its own beside the records and is never believed over them: a record
//! counts as indexed only while inode, size and both times of its journal are what they were when it
//! was read; every other record is read again. What of the index is broken, half-written or of
//! another version is made anew; where it cannot be kept, the answer is the same and takes longer.
//! Records that are broken or not sealed are named and answer nothing.
//!
//! It does not look at records elsewhere, and it judges nobody.

use std::collections::{BTreeMap, HashMap};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use uuid::Uuid;

use super::EVENTS;
use super::RecordError;

mod entry;
mod segment;

pub use entry::Run;
pub(super) use entry::without_version;
use segment::{Builder, Placed, Row, Segment, Stamp};

/// Folder of the index in a folder of records.
const INDEX: &str = ".index";
/// Ending of the index's files.
const ENDING: &str = "segment";
/// Runs whose details are read one by one.
const FEW: usize = 32;

/// What an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Work {
    /// Records in the folder.
    pub records: usize,
    /// Records that had to be read.
    pub read: usize,
    /// Files of the index that were opened.
    pub segments: usize,
}

/// A run that has something of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Hit {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// What of it: package URLs.
    pub found: Vec<String>,
}

/// The records of a folder.
#[derive(Debug)]
pub struct History {
    segments: Vec<Loaded>,
    work: Work,
    unkept: Option<String>,
}

#[derive(Debug)]
struct Loaded {
    path: Option<PathBuf>,
    segment: Segment,
    rows: Vec<Placed>,
    /// Whether each run is still what it was, and in no newer segment.
    live: Vec<bool>,
}

impl Loaded {
    fn new(path: Option<PathBuf>, segment: Segment) -> io::Result<Self> {
        let rows = segment.rows()?;
        let live = vec![false; rows.len()];
        Ok(Self {
            path,
            segment,
            rows,
            live,
        })
    }

    fn lives(&self, run: u32) -> bool {
        let at = usize::try_from(run).ok();
        at.and_then(|at| self.live.get(at))
            .copied()
            .unwrap_or_default()
    }
}

/// Brings the index of a folder of records up to date and asks it. A folder that is not there has no
/// records. An index that turns out to be broken is made anew, once.
pub fn ask<T>(
    folder: &Path,
    question: impl Fn(&History) -> io::Result<T>,
) -> Result<(History, T), RecordError> {
    let ask = |fresh| {
        let history = History::open(folder, fresh)?;
        let answer = question(&history).map_err(|source| RecordError::Io {
            path: folder.join(INDEX),
            source,
        })?;
        Ok((history, answer))
    };
    ask(false).or_else(|_broken: RecordError| ask(true))
}

impl History {
    /// `fresh` leaves out what is there of the index.
    fn open(folder: &Path, fresh: bool) -> Result<Self, RecordError> {
        let stamps = stamps(folder).map_err(|source| RecordError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let place = folder.join(INDEX);
        // One at a time makes it better; whoever cannot write reads what is there.
        let lock = if stamps.is_empty() {
            Ok(None)
        } else {
            lock(&place).map(Some)
        };
        let mut history = Self {
            segments: Vec::new(),
            work: Work {
                records: stamps.len(),
                ..Work::default()
            },
            unkept: None,
        };
        history.load(&place, lock.is_ok(), fresh);
        let missing = history.settle(&stamps);
        if missing.is_empty() {
            return Ok(history);
        }
        let kept = history.extend(folder, &missing, &stamps);
        let kept = kept.and_then(|bytes| match lock {
            Ok(_) => history.keep(&place, bytes),
            Err(error) => {
                history.unkept = Some(error.to_string());
                Segment::from_bytes(bytes).and_then(|segment| Loaded::new(None, segment))
            }
        });
        let loaded = kept.map_err(|source| RecordError::Io {
            path: place,
            source,
        })?;
        history.segments.insert(0, loaded);
        history.settle(&stamps);
        Ok(history)
    }

    /// What it took so far.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Why the index could not be kept, if it could not.
    pub fn unkept(&self) -> Option<&str> {
        self.unkept.as_deref()
    }

    /// Opens the files of the index, newest first. Those that are no good are removed.
    fn load(&mut self, place: &Path, writable: bool, fresh: bool) {
        let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
            .collect();
        paths.sort_unstable_by(|one, other| other.cmp(one));
        for path in paths {
            self.work.segments += 1;
            let opened = match fresh {
                true => Err(io::ErrorKind::InvalidData.into()),
                false => Segment::open(&path),
            };
            match opened.and_then(|segment| Loaded::new(Some(path.clone()), segment)) {
                Ok(loaded) => self.segments.push(loaded),
                Err(_broken) if writable => {
                    let _ = std::fs::remove_file(&path);
                }
                Err(_broken) => {}
            }
        }
    }

    /// Says which runs of the index still are what they were; gives the records that are in none.
    fn settle(&mut self, stamps: &BTreeMap<String, Stamp>) -> Vec<String> {
        let mut open: HashMap<&str, &Stamp> = stamps
            .iter()
            .map(|(name, stamp)| (name.as_str(), stamp))
            .collect();
        for loaded in &mut self.segments {
            for (row, live) in loaded.rows.iter().zip(&mut loaded.live) {
                *live = open.get(row.name.as_str()) == Some(&&row.stamp);
                if *live {
                    open.remove(row.name.as_str());
                }
            }
        }
        open.into_keys().map(str::to_owned).collect()
    }

    /// A new segment: records that are in none, and smaller segments, so that there are never many.
    fn extend(
        &mut self,
        folder: &Path,
        missing: &[String],
        stamps: &BTreeMap<String, Stamp>,
    ) -> io::Result<Vec<u8>> {
        let mut builder = Builder::default();
        for name in missing {
            self.work.read += 1;
            let (run, components) = entry::of(&folder.join(name));
            let row = Row {
                name: name.clone(),
                stamp: stamps.get(name).copied().unwrap_or_default(),
                broken: run.broken.is_some(),
                detail: serde_json::to_vec(&run)?,
            };
            builder.add(row, components)?;
        }
        self.segments.sort_by_key(|loaded| loaded.segment.len());
        let mut absorbed = Vec::new();
        for (at, loaded) in self.segments.iter().enumerate() {
            let alive = loaded.live.iter().filter(|live| **live).count();
            let small = alive <= builder.len().saturating_mul(2);
            if small || alive * 2 < loaded.segment.len() {
                // What cannot be read here was read before; then it stays as it is.
                builder.absorb(&loaded.segment, |run| loaded.lives(run))?;
                absorbed.push(at);
            }
        }
        let bytes = builder.encode()?;
        for at in absorbed.into_iter().rev() {
            let gone = self.segments.remove(at);
            if let Some(path) = gone.path.filter(|_| self.unkept.is_none()) {
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(bytes)
    }

    /// Writes a segment and opens it.
    fn keep(&mut self, place: &Path, bytes: Vec<u8>) -> io::Result<Loaded> {
        let now = humantime::format_rfc3339_nanos(std::time::SystemTime::now()).to_string();
        let name = format!(
            "{}-{}.{ENDING}",
            now.replace(':', ""),
            Uuid::new_v4().simple()
        );
        let path = place.join(name);
        let written = tempfile::NamedTempFile::new_in(place).and_then(|mut file| {
            io::Write::write_all(&mut file, &bytes)?;
            file.persist_noclobber(&path).map_err(|error| error.error)
        });
        let (path, segment) = match written {
            Ok(_file) => {
                self.work.segments += 1;
                (Some(path.clone()), Segment::open(&path)?)
            }
            Err(error) => {
                self.unkept = Some(error.to_string());
                (None, Segment::from_bytes(bytes)?)
            }
        };
        Loaded::new(path, segment)
    }

    /// All runs, newest first; broken records come last.
    pub fn runs(&self) -> io::Result<Vec<Run>> {
        let mut runs = Vec::new();
        for loaded in &self.segments {
            let details = loaded.segment.details()?;
            for (row, _) in loaded
                .rows
                .iter()
                .zip(&loaded.live)
                .filter(|(_, live)| **live)
            {
                runs.push(run(row, &details.of(row)?)?);
            }
        }
        runs.sort_by(|one, other| {
            let key = |run: &Run| {
                (
                    run.broken.is_none(),
                    run.started.clone(),
                    run.record.clone(),
                )
            };
            key(other).cmp(&key(one))
        });
        Ok(runs)
    }

    /// The runs that have what a text names, newest first.
    pub fn find(&self, text: &str) -> io::Result<Vec<Hit>> {
        let mut hits = Vec::new();
        for loaded in &self.segments {
            let mut found: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for key in entry::asked(text) {
                for (component, run) in loaded.segment.lookup(&key)? {
                    if loaded.lives(run) {
                        found.entry(run).or_default().push(component);
                    }
                }
            }
            let mut texts = HashMap::new();
            let details = match found.len() > FEW {
                true => Some(loaded.segment.details()?),
                false => None,
            };
            for (at, components) in found {
                let row = usize::try_from(at).ok().and_then(|at| loaded.rows.get(at));
                let Some(row) = row else { continue };
                let mut found = Vec::new();
                for component in components {
                    if let std::collections::hash_map::Entry::Vacant(text) = texts.entry(component)
                    {
                        text.insert(loaded.segment.text(component)?);
                    }
                    found.extend(texts.get(&component).cloned());
                }
                found.sort_unstable();
                found.dedup();
                let detail = match &details {
                    Some(details) => details.of(row)?,
                    None => loaded.segment.detail(row)?,
                };
                hits.push(Hit {
                    run: run(row, &detail)?,
                    found,
                });
            }
        }
        hits.sort_by(|one, other| other.run.started.cmp(&one.run.started));
        Ok(hits)
    }

    /// The records that are not believed, with the reason.
    pub fn broken(&self) -> io::Result<Vec<Run>> {
        let mut runs = Vec::new();
        for loaded in &self.segments {
            let rows = loaded.rows.iter().zip(&loaded.live);
            for (row, _) in rows.filter(|(row, live)| **live && row.broken) {
                runs.push(run(row, &loaded.segment.detail(row)?)?);
            }
        }
        runs.sort_by(|one, other| one.record.cmp(&other.record));
        Ok(runs)
    }
}

fn run(row: &Placed, detail: &[u8]) -> io::Result<Run> {
    Ok(Run {
        record: row.name.clone(),
        ..serde_json::from_slice(detail)?
    })
}

/// Every record of a folder with the identity of its journal; nothing for a journal that is missing.
fn stamps(folder: &Path) -> io::Result<BTreeMap<String, Stamp>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut stamps = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let data = std::fs::metadata(entry.path().join(EVENTS)).ok();
        let time =
            |seconds: i64, nanos: i64| (seconds.cast_unsigned() << 30) | nanos.cast_unsigned();
        let stamp = data.map(|data| {
            [
                data.ino(),
                data.size(),
                time(data.mtime(), data.mtime_nsec()),
                time(data.ctime(), data.ctime_nsec()),
            ]
        });
        stamps.insert(name, stamp.unwrap_or_default());
    }
    Ok(stamps)
}

fn lock(place: &Path) -> io::Result<Flock<File>> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(place)?;
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(place.join("lock"))?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_file, errno)| errno.into())
}

#[cfg(test)]
mod tests;
