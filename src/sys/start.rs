//! How this program was started, and how a copy of it is told from other programs.
//!
//! The path that the kernel was asked to execute is in the auxiliary vector: unlike the first
//! argument, the caller cannot make it name another file than the one that was started. The program
//! carries an ELF note near its beginning, so that any copy of it is known by its bytes.
//! Kernel: getauxval(3), `AT_EXECFN`; elf(5), `Elf64_Nhdr`.

use std::ffi::{CStr, OsStr, OsString, c_char};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// An ELF note; the layout is the kernel's: three words, name, content.
#[repr(C)]
#[derive(Debug)]
pub struct Note {
    name_size: u32,
    content_size: u32,
    kind: u32,
    name: [u8; 8],
    content: [u8; 16],
}

/// Tells this program from every other.
const CONTENT: [u8; 16] = *b"v4run interposer";

/// The note of this program.
pub const NOTE: Note = Note {
    name_size: 6,
    content_size: 16,
    kind: 1,
    name: *b"v4run\0\0\0",
    content: CONTENT,
};

/// Puts the note into the program that is being built. In `main.rs` and nowhere else: tests and
/// examples use this crate and are other programs.
#[macro_export]
macro_rules! carry_note {
    () => {
        // SAFETY: the section is for notes only, and the value has the layout of one.
        #[used]
        #[unsafe(link_section = ".note.v4run")]
        static PLACED: $crate::sys::start::Note = $crate::sys::start::NOTE;
    };
}

/// Notes stand right behind the program headers.
const HEAD: u64 = 8192;

/// The path that the kernel was asked to execute, as the caller wrote it.
pub fn executed() -> Option<OsString> {
    // SAFETY: the call reads a number that the kernel gave at the start.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if address == 0 {
        return None;
    }
    let text = std::ptr::with_exposed_provenance::<c_char>(address as usize);
    // SAFETY: the kernel put a terminated text there at the start, on the first page of the stack,
    // which stays mapped and which nothing of this program writes.
    let text = unsafe { CStr::from_ptr(text) };
    Some(OsStr::from_bytes(text.to_bytes()).to_owned())
}

/// Whether a file is a v4run: this one, a copy, or another version that carries the note.
pub fn is_own_kind(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(false);
    }
    file.take(HEAD).read_to_end(&mut head)?;
    Ok(carries(&head))
}

fn carries(head: &[u8]) -> bool {
    let mut note = Vec::with_capacity(NOTE.name.len() + CONTENT.len());
    note.extend_from_slice(&NOTE.name);
    note.extend_from_slice(&NOTE.content);
    head.starts_with(b"\x7fELF") && head.windows(note.len()).any(|window| window == note)
}

/// When this process was started, in the kernel's ticks: with its number it names it for good.
pub fn process_start() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name may hold blanks and brackets; what follows the last bracket does not.
    let rest = text.rsplit_once(')')?.1;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_was_executed() {
        let executed = executed().unwrap();
        let own = std::env::current_exe().unwrap();
        assert_eq!(Path::new(&executed).file_name(), own.file_name());
        assert!(process_start().unwrap() > 0);
    }

    #[test]
    fn a_copy_is_known_by_its_note_and_other_programs_are_not() {
        let mut head = b"\x7fELF".to_vec();
        head.extend([0; 900]);
        assert!(!carries(&head));
        head.extend_from_slice(b"v4run\0\0\0v4run interposer");
        head.extend([0; 10]);
        assert!(carries(&head));
        assert!(!carries(head.get(1..).unwrap()), "no program");
        assert!(!is_own_kind(Path::new("/bin/sh")).unwrap());
        assert!(!is_own_kind(Path::new("/")).unwrap());
    }
}
