//! Writes an element of a document as it was read, with some of it left out and texts resolved.
//!
//! For settings that are handed on. What is written is well-formed whatever the texts hold; comments,
//! processing instructions and namespace prefixes are not kept. It decides nothing.
//! XML 1.0, section 2.4.

use roxmltree::Node;

/// Writes an element. `keep` says which of its elements stay, `resolve` changes texts.
pub(super) fn element(
    node: Node<'_, '_>,
    keep: &dyn Fn(Node<'_, '_>) -> bool,
    resolve: &dyn Fn(&str) -> String,
    output: &mut String,
) {
    let name = node.tag_name().name();
    output.push('<');
    output.push_str(name);
    for attribute in node.attributes() {
        // Only Maven's own attributes, which have no namespace, mean something.
        if attribute.namespace().is_none() {
            output.push(' ');
            output.push_str(attribute.name());
            output.push_str("=\"");
            output.push_str(&escaped(&resolve(attribute.value())));
            output.push('"');
        }
    }
    output.push('>');
    for child in node.children() {
        if child.is_element() && keep(child) {
            element(child, keep, resolve, output);
        } else if child.is_text() {
            output.push_str(&escaped(&resolve(child.text().unwrap_or_default())));
        }
    }
    output.push_str("</");
    output.push_str(name);
    output.push('>');
}

/// A text as it may stand in a document. Characters that no document may hold are left out.
pub(super) fn escaped(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => output.push_str("&amp;"),
            '<' => output.push_str("&lt;"),
            '>' => output.push_str("&gt;"),
            '"' => output.push_str("&quot;"),
            '\r' => output.push_str("&#13;"),
            '\n' | '\t' => output.push(character),
            _ if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {}
            _ => output.push(character),
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_the_same_and_the_rest_is_gone() {
        let text = "<s a='1&quot;'><!-- c --><x>a &lt;b></x><secret>s</secret><y><z/>${k}</y></s>";
        let document = roxmltree::Document::parse(text).unwrap();
        let mut output = String::new();
        let keep = |node: Node<'_, '_>| !node.has_tag_name("secret");
        let resolve = |text: &str| text.replace("${k}", "</y><evil/>");
        element(document.root_element(), &keep, &resolve, &mut output);
        let again = roxmltree::Document::parse(&output).unwrap();
        let root = again.root_element();
        assert_eq!(root.attribute("a"), Some("1\""));
        let names: Vec<_> = root.children().map(|node| node.tag_name().name()).collect();
        assert_eq!(names, ["x", "y"]);
        assert_eq!(root.first_element_child().unwrap().text(), Some("a <b>"));
        assert!(output.contains("&lt;/y&gt;&lt;evil/&gt;"), "{output}");
    }
}
