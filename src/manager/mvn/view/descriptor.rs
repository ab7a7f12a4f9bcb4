//! Whether a class file is the descriptor of a module and nothing else.
//!
//! Such a file is marked as a module, has no superclass, interface, field or method, and the virtual
//! machine refuses to define a class from it. Before version 53 of the format the mark meant nothing
//! and a file with it was a class, so older ones are none.
//!
//! The Java Virtual Machine Specification, sections 4.1 and 4.4.

/// First version of the format that knows modules.
const MODULES: u16 = 53;
/// The mark of a module; no other flag may stand beside it.
const MODULE: u16 = 0x8000;

/// Whether that is one.
pub(super) fn is_descriptor(file: &[u8]) -> bool {
    read(file).is_some()
}

fn read(file: &[u8]) -> Option<()> {
    let mut rest = Bytes(file.strip_prefix(b"\xca\xfe\xba\xbe")?);
    let _minor = rest.short()?;
    let major = rest.short()?;
    let count = rest.short()?;
    let mut names: Vec<Option<&[u8]>> = vec![None];
    let mut classes = vec![None];
    while names.len() < usize::from(count) {
        let tag = rest.take(1)?.first().copied()?;
        let (mut name, mut class) = (None, None);
        match tag {
            1 => {
                let length = rest.short()?;
                name = Some(rest.take(usize::from(length))?);
            }
            7 => class = Some(rest.short()?),
            8 | 16 | 19 | 20 => {
                rest.short()?;
            }
            3 | 4 | 9..=12 | 17 | 18 => {
                rest.take(4)?;
            }
            // These take two places.
            5 | 6 => {
                rest.take(8)?;
                names.push(None);
                classes.push(None);
            }
            15 => {
                rest.take(3)?;
            }
            _ => return None,
        }
        names.push(name);
        classes.push(class);
    }
    let flags = rest.short()?;
    let this = usize::from(rest.short()?);
    let at = usize::from((*classes.get(this)?)?);
    let own = (*names.get(at)?)?;
    // Superclass, interfaces, fields, methods.
    let nothing = (0..4).all(|_| rest.short() == Some(0));
    (major >= MODULES && flags == MODULE && own == b"module-info" && nothing).then_some(())
}

/// What of a file is still to be read.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        let bytes: [u8; 2] = self.take(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    }
}

/// A class file with these properties, for tests.
#[cfg(test)]
pub(super) fn class(major: u16, flags: u16, name: &str, methods: u16) -> Vec<u8> {
    let mut file = b"\xca\xfe\xba\xbe\0\0".to_vec();
    file.extend(major.to_be_bytes());
    // A long constant first: it takes two places.
    file.extend(5_u16.to_be_bytes());
    file.extend([5, 0, 0, 0, 0, 0, 0, 0, 1]);
    file.push(1);
    file.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
    file.extend(name.as_bytes());
    file.extend([7, 0, 3]);
    file.extend(flags.to_be_bytes());
    file.extend(4_u16.to_be_bytes());
    for count in [0, 0, 0, methods, 0] {
        file.extend(u16::to_be_bytes(count));
    }
    file
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_module_is_a_descriptor() {
        assert!(is_descriptor(&class(53, 0x8000, "module-info", 0)));
        assert!(is_descriptor(&class(61, 0x8000, "module-info", 0)));
        for other in [
            class(52, 0x8000, "module-info", 0),
            class(53, 0x8021, "module-info", 0),
            class(53, 0x0021, "module-info", 0),
            class(53, 0x8000, "a/B", 0),
            class(53, 0x8000, "module-info", 1),
            b"\xca\xfe\xba\xbe".to_vec(),
            Vec::new(),
        ] {
            assert!(!is_descriptor(&other), "{other:?}");
        }
        let mut broken = class(53, 0x8000, "module-info", 0);
        broken[10] = 99;
        assert!(!is_descriptor(&broken));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let file = [&b"\xca\xfe\xba\xbe\0\0\0\x35"[..], &bytes].concat();
            let _ = is_descriptor(&file);
        }
    }
}
