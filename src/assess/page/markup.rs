//! HTML that foreign text cannot break out of.
//!
//! Everything of the page goes through here. What must always hold: markup comes from constants of
//! this program only, by type; every other text is shown, never obeyed, also where it would reorder
//! or hide what stands around it. HTML Living Standard, "Writing HTML documents".

use crate::diag::sanitize;

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Html {
    text: String,
}

impl Html {
    /// Adds markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.text.push_str(markup);
        self
    }

    /// Adds text, in an element or in a quoted attribute.
    pub(super) fn text(&mut self, foreign: &str) -> &mut Self {
        for character in sanitize(foreign).chars() {
            match character {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\'' => self.text.push_str("&#39;"),
                plain => self.text.push(plain),
            }
        }
        self
    }

    /// Adds text of several lines.
    pub(super) fn lines(&mut self, foreign: &str) -> &mut Self {
        for (number, line) in foreign.lines().enumerate() {
            if number > 0 {
                self.raw("\n");
            }
            self.text(line);
        }
        self
    }

    /// Adds a whole element.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        class: &'static str,
        foreign: &str,
    ) -> &mut Self {
        self.raw("<").raw(tag);
        if !class.is_empty() {
            self.raw(" class=\"").raw(class).raw("\"");
        }
        self.raw(">").text(foreign);
        self.raw("</").raw(tag).raw(">")
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        let mut html = Html::default();
        html.element(
            "p",
            "x",
            "<script>alert('a' & \"b\")</script>\u{202e}\u{1b}",
        );
        assert_eq!(
            html.finish(),
            "<p class=\"x\">&lt;script&gt;alert(&#39;a&#39; &amp; &quot;b&quot;)&lt;/script&gt;\
             \\u{202e}\\u{1b}</p>"
        );
    }

    proptest! {
        #[test]
        fn nothing_foreign_opens_or_closes_anything(foreign in any::<String>()) {
            let mut html = Html::default();
            let shown = html.text(&foreign).lines(&foreign).text.clone();
            let active = shown.contains(['<', '>', '"', '\'', '\u{202e}', '\u{0}']);
            prop_assert!(!active);
        }
    }
}
