//! What an ELF program needs to start: its interpreter and its libraries.
//!
//! The launcher execs the manager's real ELF; Landlock must grant execution of the program
//! interpreter (`PT_INTERP`) too, and code may be mapped from where the libraries lie. Libraries
//! are looked for as ld.so(8) does, without running it. The program itself is trusted (the user
//! installed it); reads are bounded all the same.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use elf::ElfStream;
use elf::abi;
use elf::endian::AnyEndian;

/// Directories that loaders search without being told.
const DEFAULT_DIRECTORIES: &[&str] = &[
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/lib64",
];

/// No program or library has more dependencies, and no name is longer.
const MANY: usize = 512;

/// What one ELF file states.
#[derive(Debug, Default)]
struct Stated {
    interpreter: Option<PathBuf>,
    needed: Vec<Vec<u8>>,
    search: Vec<Vec<u8>>,
}

/// What a program needs to start. Paths are canonical.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The program interpreter; none for a static program.
    pub(super) interpreter: Option<PathBuf>,
    /// Shared libraries, transitively.
    pub(super) libraries: BTreeSet<PathBuf>,
}

/// Whether a file starts like an ELF program.
pub(super) fn is_elf(path: &Path) -> bool {
    let mut magic = [0_u8; 4];
    path.is_file()
        && File::open(path)
            .and_then(|mut file| file.read_exact(&mut magic))
            .is_ok()
        && magic == *b"\x7fELF"
}

/// Reads the needs of a program. Libraries that cannot be found are left out: the loader will name
/// them.
pub(super) fn needs(program: &Path) -> io::Result<Needs> {
    let first = stated(program)?;
    let interpreter = first
        .interpreter
        .as_ref()
        .and_then(|path| path.canonicalize().ok());
    let mut directories: Vec<PathBuf> = configured();
    if let Some(directory) = interpreter.as_deref().and_then(Path::parent) {
        directories.push(directory.to_path_buf());
    }
    directories.extend(DEFAULT_DIRECTORIES.iter().map(PathBuf::from));
    let mut found = Needs {
        interpreter,
        libraries: BTreeSet::new(),
    };
    let mut queue = VecDeque::from([(program.to_path_buf(), first)]);
    while let Some((origin, file)) = queue.pop_front() {
        let own = file
            .search
            .iter()
            .filter_map(|entry| expand(entry, &origin));
        let places: Vec<PathBuf> = own.chain(directories.iter().cloned()).collect();
        for name in file.needed.iter().take(MANY) {
            let name = Path::new(std::ffi::OsStr::from_bytes(name));
            let hit = places
                .iter()
                .find_map(|place| place.join(name).canonicalize().ok());
            let Some(library) = hit.filter(|_| found.libraries.len() < MANY) else {
                continue;
            };
            if found.libraries.insert(library.clone())
                && let Ok(next) = stated(&library)
            {
                queue.push_back((library, next));
            }
        }
    }
    Ok(found)
}

/// The program interpreter that a program states, without a look at anything else.
pub fn interpreter(program: &Path) -> io::Result<Option<PathBuf>> {
    Ok(stated(program)?.interpreter)
}

/// `$ORIGIN` in a search path.
fn expand(entry: &[u8], file: &Path) -> Option<PathBuf> {
    let text = std::str::from_utf8(entry).ok()?;
    let origin = file.parent()?.to_str()?;
    let path = text.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

/// Directories of `/etc/ld.so.conf.d`, as the loader's index would name them.
fn configured() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/etc/ld.so.conf.d") else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let texts = files
        .iter()
        .filter_map(|file| super::read::file(file, 1 << 16).ok().flatten());
    let lines = texts.flat_map(|bytes| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.lines()
            .map(|line| PathBuf::from(line.trim()))
            .collect::<Vec<_>>()
    });
    lines.filter(|path| path.is_absolute()).take(MANY).collect()
}

fn stated(path: &Path) -> io::Result<Stated> {
    let file = File::open(path)?;
    let bytes = file.try_clone()?;
    let invalid = |error: elf::ParseError| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut stream = ElfStream::<AnyEndian, _>::open_stream(file).map_err(invalid)?;
    let segments = stream.segments().clone();
    let mut stated = Stated::default();
    if let Some(header) = segments
        .iter()
        .find(|header| header.p_type == abi::PT_INTERP)
    {
        let name = text_at(&bytes, header.p_offset)?;
        stated.interpreter = Some(PathBuf::from(std::ffi::OsStr::from_bytes(&name)));
    }
    let dynamic: Vec<(i64, u64)> = match stream.dynamic().map_err(invalid)? {
        Some(table) => table
            .iter()
            .take(MANY)
            .map(|entry| (entry.d_tag, entry.d_val()))
            .collect(),
        None => return Ok(stated),
    };
    let Some(table) = dynamic.iter().find(|(tag, _)| *tag == abi::DT_STRTAB) else {
        return Ok(stated);
    };
    let load = segments.iter().find(|header| {
        header.p_type == abi::PT_LOAD
            && header.p_vaddr <= table.1
            && table.1 - header.p_vaddr < header.p_filesz
    });
    let Some(load) = load else { return Ok(stated) };
    let base = (table.1 - load.p_vaddr).saturating_add(load.p_offset);
    for (tag, value) in dynamic {
        let text = || text_at(&bytes, base.saturating_add(value));
        match tag {
            abi::DT_NEEDED => stated.needed.push(text()?),
            abi::DT_RPATH | abi::DT_RUNPATH => {
                stated
                    .search
                    .extend(text()?.split(|byte| *byte == b':').map(<[u8]>::to_vec));
            }
            _ => {}
        }
    }
    Ok(stated)
}

/// A zero-ended text at a position of a file.
fn text_at(file: &File, position: u64) -> io::Result<Vec<u8>> {
    let mut buffer = [0_u8; 4096];
    let read = file.read_at(&mut buffer, position)?;
    let text = buffer.get(..read).unwrap_or_default();
    let end = text.iter().position(|byte| *byte == 0);
    let end = end.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(text.get(..end).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_program_itself_is_understood() {
        let program = std::env::current_exe().unwrap();
        assert!(is_elf(&program));
        let needs = needs(&program).unwrap();
        let stated = interpreter(&program).unwrap();
        let stated = stated.map(|path| path.canonicalize().unwrap());
        assert_eq!(stated, needs.interpreter);
        if let Some(interpreter) = &needs.interpreter {
            assert!(interpreter.is_absolute() && interpreter.exists());
            assert!(!needs.libraries.is_empty());
        }
    }

    #[test]
    fn other_files_are_no_programs() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("node");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(!is_elf(&script) && !is_elf(directory.path()));
        std::fs::write(&script, b"\x7fELF\x02\x01\x01broken").unwrap();
        assert!(is_elf(&script) && needs(&script).is_err());
    }
}
