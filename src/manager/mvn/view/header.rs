//! A class without what it does: names, types, constants and annotations, but no instruction.
//!
//! The compiler needs no more of the classes that it compiles against. The virtual machine refuses to
//! define a class from it: a method that is neither abstract nor native must have instructions, and
//! every class that can do anything has such a method. What is left over (interfaces, annotations) has
//! nothing that could run. Everything but the instructions is copied byte for byte.
//!
//! The Java Virtual Machine Specification, sections 4.6, 4.7.3.

use super::descriptor::Bytes;

/// Name of the attribute with a method's instructions.
const CODE: &[u8] = b"Code";

/// Attributes, fields and methods together; the format allows some 65 thousand of each.
const MANY: u32 = 400_000;

/// The class without instructions; `None` when it is no class file that can be read to its end.
pub(super) fn of(file: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader {
        rest: Bytes(file.strip_prefix(b"\xca\xfe\xba\xbe")?),
        output: Vec::with_capacity(file.len()),
        code: Vec::new(),
        left: MANY,
    };
    reader.output.extend_from_slice(b"\xca\xfe\xba\xbe");
    reader.copy(4)?;
    reader.constants()?;
    // Flags, own name, superclass.
    reader.copy(6)?;
    let interfaces = reader.count()?;
    reader.copy(usize::from(interfaces).checked_mul(2)?)?;
    // Fields, methods, and the attributes of the class itself.
    for _ in 0..2 {
        for _ in 0..reader.count()? {
            reader.copy(6)?;
            reader.attributes()?;
        }
    }
    reader.attributes()?;
    reader.rest.0.is_empty().then_some(reader.output)
}

struct Reader<'a> {
    rest: Bytes<'a>,
    output: Vec<u8>,
    /// Constants that are the name of the attribute.
    code: Vec<u16>,
    left: u32,
}

impl Reader<'_> {
    fn copy(&mut self, count: usize) -> Option<()> {
        self.output.extend_from_slice(self.rest.take(count)?);
        Some(())
    }

    /// A count that is copied.
    fn count(&mut self) -> Option<u16> {
        let count = self.rest.short()?;
        self.left = self.left.checked_sub(u32::from(count))?;
        self.output.extend_from_slice(&count.to_be_bytes());
        Some(count)
    }

    fn constants(&mut self) -> Option<()> {
        let count = self.rest.short()?;
        self.output.extend_from_slice(&count.to_be_bytes());
        let mut index = 1_u16;
        while index < count {
            let tag = self.rest.take(1)?.first().copied()?;
            self.output.push(tag);
            match tag {
                1 => {
                    let length = self.rest.short()?;
                    self.output.extend_from_slice(&length.to_be_bytes());
                    let text = self.rest.take(usize::from(length))?;
                    if text == CODE {
                        self.code.push(index);
                    }
                    self.output.extend_from_slice(text);
                }
                7 | 8 | 16 | 19 | 20 => self.copy(2)?,
                3 | 4 | 9..=12 | 17 | 18 => self.copy(4)?,
                5 | 6 => self.copy(8)?,
                15 => self.copy(3)?,
                _ => return None,
            }
            // Long and double constants take two places.
            index = index.checked_add(if matches!(tag, 5 | 6) { 2 } else { 1 })?;
        }
        Some(())
    }

    fn attributes(&mut self) -> Option<()> {
        let count = self.rest.short()?;
        self.left = self.left.checked_sub(u32::from(count))?;
        let place = self.output.len();
        self.output.extend_from_slice(&[0, 0]);
        let mut kept = 0_u16;
        for _ in 0..count {
            let name = self.rest.short()?;
            let length: [u8; 4] = self.rest.take(4)?.try_into().ok()?;
            let size = usize::try_from(u32::from_be_bytes(length)).ok()?;
            let content = self.rest.take(size)?;
            if self.code.contains(&name) {
                continue;
            }
            kept = kept.checked_add(1)?;
            self.output.extend_from_slice(&name.to_be_bytes());
            self.output.extend_from_slice(&length);
            self.output.extend_from_slice(content);
        }
        let end = place.checked_add(2)?;
        let count = self.output.get_mut(place..end)?;
        count.copy_from_slice(&kept.to_be_bytes());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A class with one field and one method that has instructions and another attribute.
    fn class() -> Vec<u8> {
        let mut file = b"\xca\xfe\xba\xbe\0\0\0\x34".to_vec();
        file.extend(5_u16.to_be_bytes());
        for text in ["Code", "Other", "x", "()V"] {
            file.push(1);
            file.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            file.extend(text.as_bytes());
        }
        // Flags, names, no interface, no field, one method.
        for short in [1_u16, 0, 0, 0, 0, 1] {
            file.extend(short.to_be_bytes());
        }
        for short in [9_u16, 3, 4, 2] {
            file.extend(short.to_be_bytes());
        }
        for (name, content) in [(1_u16, &b"instructions"[..]), (2, b"kept")] {
            file.extend(name.to_be_bytes());
            file.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
            file.extend(content);
        }
        file.extend(0_u16.to_be_bytes());
        file
    }

    #[test]
    fn instructions_go_and_the_rest_stays() {
        let header = of(&class()).unwrap();
        let has = |text: &[u8]| header.windows(text.len()).any(|bytes| bytes == text);
        assert!(!has(b"instructions") && has(b"kept") && has(b"()V"));
        // Nothing is left to take away.
        assert_eq!(of(&header).unwrap(), header);
        assert_eq!(header.len(), class().len() - 18);
        for cut in 0..class().len() {
            assert!(of(&class()[..cut]).is_none(), "{cut}");
        }
        let more = [class(), b"x".to_vec()].concat();
        assert!(of(&more).is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            let file = [&b"\xca\xfe\xba\xbe\0\0\0\x34"[..], &bytes].concat();
            let _ = of(&file);
        }
    }
}
