//! Class files that v4run makes itself, a few bytes each.
//!
//! Used for the two classes of v4run's own that Maven loads: the goal that does nothing in place of a
//! plugin's ([`rehearsal`](super::rehearsal)), and the listener that tells which artifacts the projects
//! consist of ([`listener`](super::listener)). Written here and not compiled, so that a build of v4run
//! needs no JDK and what is loaded can be read in this source. No method branches, so that the virtual
//! machine verifies it without further tables. Nothing foreign is written into a class.
//!
//! The Java Virtual Machine Specification, chapter 4.

use std::collections::BTreeMap;

/// Java 8, the oldest that Maven 3.8 runs on.
const VERSION: u16 = 52;

/// `public`, and for a class the mark that every compiler sets.
const PUBLIC: u16 = 0x0001;
const SUPER: u16 = 0x0020;

/// Instructions.
pub(super) mod op {
    pub(in crate::manager::mvn) const LDC_W: u8 = 0x13;
    pub(in crate::manager::mvn) const ICONST_1: u8 = 0x04;
    pub(in crate::manager::mvn) const ALOAD_0: u8 = 0x2a;
    pub(in crate::manager::mvn) const ALOAD_1: u8 = 0x2b;
    pub(in crate::manager::mvn) const ALOAD_2: u8 = 0x2c;
    pub(in crate::manager::mvn) const ASTORE_2: u8 = 0x4d;
    pub(in crate::manager::mvn) const DUP: u8 = 0x59;
    pub(in crate::manager::mvn) const RETURN: u8 = 0xb1;
    pub(in crate::manager::mvn) const INVOKEVIRTUAL: u8 = 0xb6;
    pub(in crate::manager::mvn) const INVOKESPECIAL: u8 = 0xb7;
    pub(in crate::manager::mvn) const INVOKESTATIC: u8 = 0xb8;
    pub(in crate::manager::mvn) const NEW: u8 = 0xbb;
}

/// A class in the making.
#[derive(Debug, Default)]
pub(super) struct Class {
    pool: Vec<u8>,
    known: BTreeMap<Vec<u8>, u16>,
    methods: Vec<u8>,
    count: u16,
}

impl Class {
    /// A constant, written once.
    fn constant(&mut self, bytes: Vec<u8>) -> u16 {
        // Zero is no constant.
        let next = u16::try_from(self.known.len()).unwrap_or(u16::MAX);
        let index = *self
            .known
            .entry(bytes.clone())
            .or_insert(next.saturating_add(1));
        if index == next.saturating_add(1) {
            self.pool.extend(bytes);
        }
        index
    }

    fn text(&mut self, text: &str) -> u16 {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let bytes = [&[1], &length.to_be_bytes()[..], text.as_bytes()].concat();
        self.constant(bytes)
    }

    fn pair(&mut self, tag: u8, first: u16, second: u16) -> u16 {
        let bytes = [&[tag], &first.to_be_bytes()[..], &second.to_be_bytes()[..]];
        self.constant(bytes.concat())
    }

    fn class(&mut self, name: &str) -> u16 {
        let name = self.text(name);
        let bytes = [&[7], &name.to_be_bytes()[..]].concat();
        self.constant(bytes)
    }

    /// An instruction about a class.
    pub(super) fn of_class(&mut self, code: &mut Vec<u8>, instruction: u8, name: &str) {
        let index = self.class(name);
        code.push(instruction);
        code.extend(index.to_be_bytes());
    }

    /// An instruction about a text.
    pub(super) fn of_text(&mut self, code: &mut Vec<u8>, text: &str) {
        let text = self.text(text);
        let bytes = [&[8], &text.to_be_bytes()[..]].concat();
        let index = self.constant(bytes);
        code.push(op::LDC_W);
        code.extend(index.to_be_bytes());
    }

    /// A call of a class's method.
    pub(super) fn call(
        &mut self,
        code: &mut Vec<u8>,
        instruction: u8,
        (class, name, kind): (&str, &str, &str),
    ) {
        let class = self.class(class);
        let (name, kind) = (self.text(name), self.text(kind));
        let name = self.pair(12, name, kind);
        let index = self.pair(10, class, name);
        code.push(instruction);
        code.extend(index.to_be_bytes());
    }

    /// A public method. What it needs of stack and variables is the same small number for all.
    pub(super) fn method(&mut self, name: &str, kind: &str, code: &[u8]) {
        let (name, kind) = (self.text(name), self.text(kind));
        let attribute = self.text("Code");
        let length = u32::try_from(code.len()).unwrap_or(u32::MAX);
        for number in [PUBLIC, name, kind, 1, attribute] {
            self.methods.extend(number.to_be_bytes());
        }
        self.methods.extend(length.saturating_add(12).to_be_bytes());
        for number in [4_u16, 4] {
            self.methods.extend(number.to_be_bytes());
        }
        self.methods.extend(length.to_be_bytes());
        self.methods.extend(code);
        // No handlers, no attributes.
        self.methods.extend([0; 4]);
        self.count = self.count.saturating_add(1);
    }

    /// The constructor that does what that of the class above does.
    pub(super) fn constructor(&mut self, above: &str) {
        let mut code = vec![op::ALOAD_0];
        self.call(&mut code, op::INVOKESPECIAL, (above, "<init>", "()V"));
        code.push(op::RETURN);
        self.method("<init>", "()V", &code);
    }

    /// The file, with these interfaces and annotations without values.
    pub(super) fn finish(
        mut self,
        name: &str,
        above: &str,
        interfaces: &[&str],
        annotations: &[&str],
    ) -> Vec<u8> {
        let (this, above) = (self.class(name), self.class(above));
        let interfaces: Vec<u16> = interfaces.iter().map(|one| self.class(one)).collect();
        let annotations: Vec<u16> = annotations.iter().map(|one| self.text(one)).collect();
        let attribute = self.text("RuntimeVisibleAnnotations");
        let short = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes();
        let mut file = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0];
        file.extend(VERSION.to_be_bytes());
        file.extend(short(self.known.len().saturating_add(1)));
        file.extend(&self.pool);
        for number in [PUBLIC | SUPER, this, above] {
            file.extend(number.to_be_bytes());
        }
        file.extend(short(interfaces.len()));
        interfaces
            .iter()
            .for_each(|one| file.extend(one.to_be_bytes()));
        // No fields.
        file.extend([0; 2]);
        file.extend(self.count.to_be_bytes());
        file.extend(&self.methods);
        file.extend(short(1));
        file.extend(attribute.to_be_bytes());
        let length = annotations.len().saturating_mul(4).saturating_add(2);
        file.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        file.extend(short(annotations.len()));
        for annotation in annotations {
            file.extend(annotation.to_be_bytes());
            file.extend([0; 2]);
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_written_once_and_named_by_their_place() {
        let mut class = Class::default();
        assert_eq!(class.class("a/B"), 2);
        assert_eq!(class.text("a/B"), 1);
        assert_eq!(class.class("a/B"), 2);
        assert_eq!(class.class("a/C"), 4);
        let mut code = Vec::new();
        class.call(&mut code, op::INVOKESTATIC, ("a/B", "m", "()V"));
        // m, ()V, the pair, the method.
        assert_eq!(code, [op::INVOKESTATIC, 0, 8]);
        class.constructor("a/B");
        let file = class.finish("a/C", "a/B", &[], &["La/D;"]);
        assert!(file.starts_with(b"\xca\xfe\xba\xbe\0\0\0\x34"));
    }
}
