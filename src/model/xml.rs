//! XML documents that somebody else wrote, read whole and within bounds.
//!
//! Repository metadata, POMs and settings files are read through this one door, so that none of them
//! can define an entity, nest without end or name its place in no line. Pure functions over bytes.
//!
//! Read is what any XML reader would read: UTF-8, UTF-16 with its mark, and the Latin alphabets that
//! old files declare. A named entity that XML itself does not know stands for one replacement
//! character and is never expanded, because old POMs use those of HTML in names of people. Namespaces
//! are not looked at: Maven's own readers do not, and a prefix must not hide an element.
//!
//! Extensible Markup Language 1.0, <https://www.w3.org/TR/xml/>.

use std::borrow::Cow;

use roxmltree::{Document, Node, ParsingOptions};

/// More than any honest document nests.
const DEPTH: usize = 128;
/// Nodes of one document: large parent POMs have some ten thousand.
const NODES: u32 = 1_000_000;
/// Longest name of an entity that is looked for.
const ENTITY: usize = 16;

/// Why a document could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// The bytes are no text of the encoding that the document declares.
    #[error("the text cannot be read as `{0}`")]
    Encoding(String),
    /// Not well-formed, with a DTD, or with more nodes than any honest document has.
    #[error("not a document that can be read: {0}")]
    Malformed(String),
    /// Nested too deeply.
    #[error("elements are nested more than {DEPTH} deep")]
    Depth,
    /// Another document than was looked for.
    #[error("the document is `{found}`, not `{expected}`")]
    Root {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

/// The text of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Decodes it.
    pub fn decode(bytes: &[u8]) -> Result<Self, XmlError> {
        let text = decoded(bytes)?;
        Ok(Self(without_entities(&text).into_owned()))
    }

    /// The tree, if its outermost element has that name.
    pub fn tree(&self, root: &'static str) -> Result<Tree<'_>, XmlError> {
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: NODES,
            ..ParsingOptions::default()
        };
        // Before the tree is made, so that depth costs nothing.
        let document = Document::parse_with_options(&self.0, options)
            .map_err(|error| XmlError::Malformed(error.to_string()))?;
        let deep = |node: Node<'_, '_>| node.ancestors().nth(DEPTH).is_some();
        if document.descendants().any(deep) {
            return Err(XmlError::Depth);
        }
        let found = document.root_element().tag_name().name();
        if found != root {
            return Err(XmlError::Root {
                expected: root,
                found: found.chars().take(64).collect(),
            });
        }
        Ok(Tree(document))
    }
}

/// A document as a tree.
#[derive(Debug)]
pub struct Tree<'a>(Document<'a>);

impl Tree<'_> {
    /// Its outermost element.
    pub fn root(&self) -> Element<'_> {
        Element(self.0.root_element())
    }
}

/// An element.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a>(Node<'a, 'a>);

impl<'a> Element<'a> {
    /// Its name without prefix.
    pub fn name(self) -> &'a str {
        self.0.tag_name().name()
    }

    /// The elements directly in it.
    pub fn children(self) -> impl Iterator<Item = Self> {
        self.0.children().filter(Node::is_element).map(Self)
    }

    /// The elements of that name directly in it.
    pub fn all(self, name: &str) -> impl Iterator<Item = Self> {
        self.children().filter(move |child| child.name() == name)
    }

    /// The first element of that name directly in it.
    pub fn child(self, name: &str) -> Option<Self> {
        self.all(name).next()
    }

    /// The elements `item` in the lists `list` directly in it.
    pub fn list(self, list: &str, item: &str) -> impl Iterator<Item = Self> {
        self.all(list).flat_map(move |list| list.all(item))
    }

    /// Every element below it, in document order, itself first.
    pub fn below(self) -> impl Iterator<Item = Self> {
        self.0.descendants().filter(Node::is_element).map(Self)
    }

    /// Its own text, comments and elements left out, trimmed.
    pub fn text(self) -> Cow<'a, str> {
        let mut pieces = self.0.children().filter_map(|child| match child.is_text() {
            true => child.text(),
            false => None,
        });
        match (pieces.next(), pieces.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only.trim()),
            (Some(first), Some(second)) => {
                let mut whole = format!("{first}{second}");
                whole.extend(pieces);
                Cow::Owned(whole.trim().to_owned())
            }
        }
    }

    /// The text of the first element of that name directly in it; `None` for an empty one.
    pub fn value(self, name: &str) -> Option<Cow<'a, str>> {
        let text = self.child(name)?.text();
        (!text.is_empty()).then_some(text)
    }

    /// Value of an attribute.
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        self.0
            .attributes()
            .find(|attribute| attribute.name() == name)
            .map(|attribute| attribute.value())
    }

    /// The line it begins in, from 1.
    pub fn line(self) -> u32 {
        self.0.document().text_pos_at(self.0.range().start).row
    }
}

fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return utf8(rest);
    }
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, odd) = rest.as_chunks::<2>();
        let units = pairs.iter().map(|pair| unit(*pair));
        match String::from_utf16(&units.collect::<Vec<u16>>()) {
            Ok(text) if odd.is_empty() => Ok(Cow::Owned(text)),
            Ok(_) | Err(_) => Err(XmlError::Encoding("UTF-16".to_owned())),
        }
    };
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return wide(rest, u16::from_be_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return wide(rest, u16::from_le_bytes);
    }
    let Some(encoding) = declared(bytes) else {
        return utf8(bytes);
    };
    match encoding.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => utf8(bytes),
        "us-ascii" | "ascii" => match bytes.is_ascii() {
            true => utf8(bytes),
            false => Err(XmlError::Encoding(encoding)),
        },
        // What differs among these is letters that no name or version has.
        "iso-8859-1" | "iso8859-1" | "latin1" | "iso-8859-15" | "windows-1252" | "cp1252" => {
            Ok(bytes.iter().copied().map(char::from).collect())
        }
        _ => Err(XmlError::Encoding(encoding)),
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|_invalid| XmlError::Encoding("UTF-8".to_owned()))
}

/// The encoding that an XML declaration names.
fn declared(bytes: &[u8]) -> Option<String> {
    let rest = bytes.strip_prefix(b"<?xml")?;
    let end = rest.iter().take(256).position(|byte| *byte == b'>')?;
    let head = std::str::from_utf8(rest.get(..end)?).ok()?;
    let (_, after) = head.split_once("encoding")?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (name, _) = value.get(1..)?.split_once(quote)?;
    Some(name.to_owned())
}

/// Puts one replacement character for each entity that XML itself does not define.
fn without_entities(text: &str) -> Cow<'_, str> {
    const KNOWN: [&str; 5] = ["lt", "gt", "amp", "quot", "apos"];
    let name = |rest: &str| {
        let end = rest.bytes().take(ENTITY).position(|byte| byte == b';')?;
        let name = rest.get(..end)?;
        let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
        (begins && letters && !KNOWN.contains(&name)).then_some(end)
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, after) = rest.split_at(at);
        let after = after.get(1..).unwrap_or_default();
        out.push_str(before);
        match name(after) {
            Some(end) => {
                out.push(char::REPLACEMENT_CHARACTER);
                rest = after.get(end.saturating_add(1)..).unwrap_or_default();
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<String, XmlError> {
        let text = Text::decode(bytes)?;
        let tree = text.tree("a")?;
        let root = tree.root();
        Ok(root.value("b").map(Cow::into_owned).unwrap_or_default())
    }

    #[test]
    fn text_is_read_in_the_encodings_of_old_files() {
        let latin = b"<?xml version='1.0' encoding = 'ISO-8859-1'?><a><b>\xe9</b></a>";
        assert_eq!(read(latin).unwrap(), "é");
        assert_eq!(read("\u{feff}<a><b>é</b></a>".as_bytes()).unwrap(), "é");
        let wide: Vec<u8> = "\u{feff}<a><b>é</b></a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(read(&wide).unwrap(), "é");
        for broken in [
            &b"<a><b>\xe9</b></a>"[..],
            b"<?xml version='1.0' encoding='us-ascii'?><a><b>\xe9</b></a>",
            b"<?xml version='1.0' encoding='ebcdic'?><a/>",
            b"\xff\xfe<",
        ] {
            assert!(matches!(read(broken), Err(XmlError::Encoding(_))));
        }
    }

    #[test]
    fn entities_are_never_expanded() {
        let names = read(b"<a><b>Laugst&oslash;l &amp; &#65; &lt;</b></a>").unwrap();
        assert_eq!(names, "Laugst\u{fffd}l & A <");
        for bomb in [
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a><b>&x;</b></a>",
            "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a><b>&x;</b></a>",
            "<a><b>&</b></a>",
            "<a><b>",
            "",
            "<a/><a/>",
        ] {
            let refused = read(bomb.as_bytes());
            assert!(matches!(refused, Err(XmlError::Malformed(_))), "{bomb}");
        }
    }

    #[test]
    fn depth_and_root_are_bounded() {
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        assert_eq!(read(deep.as_bytes()), Err(XmlError::Depth));
        assert!(matches!(read(b"<html/>"), Err(XmlError::Root { .. })));
    }

    #[test]
    fn elements_have_text_lines_and_no_namespace() {
        let text = Text::decode(
            b"<p:a xmlns:p='x'>\n <p:b>on<!-- - -->e</p:b><l><i>1</i><j/><i k='v'>2</i></l>\n</p:a>",
        )
        .unwrap();
        let tree = text.tree("a").unwrap();
        let root = tree.root();
        assert_eq!(root.value("b").unwrap(), "one");
        assert_eq!(root.child("b").unwrap().line(), 2);
        let items: Vec<_> = root.list("l", "i").collect();
        assert_eq!(items.len(), 2);
        assert_eq!(items[1].attribute("k"), Some("v"));
        assert_eq!(root.value("missing"), None);
        assert_eq!(root.below().count(), 6);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn nor_does_markup(text in "[<>&;/a-c \"'=!\\[\\]\u{80}-\u{90}-]{0,60}") {
            let _ = read(text.as_bytes());
        }
    }
}
