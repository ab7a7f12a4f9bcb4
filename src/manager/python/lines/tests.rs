//! Files that are easy to read wrongly; what is expected was compared with pip 22.2 and 26.3.

use proptest::prelude::*;

use super::*;
use crate::manager::python::argv::render;

fn variables(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("t0".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// `line|requirement|options` of each entry.
fn shown(bytes: &[u8]) -> Result<Vec<String>, LinesError> {
    let entries = read(bytes, variables)?;
    let text = |entry: &Entry| {
        let given = entry.options.given.iter();
        let options: Vec<String> = given
            .map(|one| render(one.option, one.value.as_deref()))
            .collect();
        format!("{}|{}|{}", entry.line, entry.requirement, options.join(" "))
    };
    Ok(entries.iter().map(text).collect())
}

#[test]
fn lines_are_joined_and_comments_taken_off_as_pip_does() {
    for (text, expected) in [
        ("flask==1 # c\n", &["1|flask==1|"][..]),
        ("flask==1# c\n", &["1|flask==1# c|"]),
        ("# c\\\nflask\n", &["2|flask|"]),
        (
            "a==1 \\\n  --hash=sha256:ab \\\n  --hash=sha256:cd\nb\n",
            &["1|a==1|--hash=sha256:ab --hash=sha256:cd", "4|b|"],
        ),
        ("a \\\n# c\nb\n", &["1|a|", "3|b|"]),
        ("a\\\n", &["1|a|"]),
        ("a\\\n\nb\n", &["1|a|", "3|b|"]),
        ("\\\na\n", &["1|a|"]),
        ("a\\\\\nb\n", &["1|ab|"]),
        ("a==1 \\ # c\nb\n", &["1|a==1 \\|", "2|b|"]),
        ("a\r\nb\r\n", &["1|a|", "2|b|"]),
        ("  flask  \n", &["1|flask|"]),
        ("a ##\n#\n\n#\n", &["1|a|"]),
        ("a @ file:///x#y\n", &["1|a @ file:///x#y|"]),
        ("a @ file:///x #y\n", &["1|a @ file:///x|"]),
    ] {
        assert_eq!(shown(text.as_bytes()).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn a_comment_ends_at_every_line_end_that_python_knows() {
    for end in [
        "\n", "\r", "\x0b", "\x0c", "\x1c", "\x1e", "\u{85}", "\u{2028}", "\u{2029}",
    ] {
        assert_eq!(
            shown(format!("# c{end}evil\n").as_bytes()).unwrap(),
            ["2|evil|"],
            "{end:?}"
        );
    }
    for space in ["\u{a0}", "\x1f", "\t", "\u{2003}"] {
        assert_eq!(
            shown(format!("{space}# c\nx{space}# c\n").as_bytes()).unwrap(),
            ["2|x|"],
            "{space:?}"
        );
    }
}

#[test]
fn options_are_split_off_at_the_first_dash() {
    for (text, expected) in [
        ("a --pre\n", "1|a|--pre"),
        ("a\t--pre\n", "1|a\t--pre|"),
        (
            "a; python_version<'3' --hash=sha256:ab\n",
            "1|a; python_version<'3'|--hash=sha256:ab",
        ),
        ("a -e .\n", "1|a|--editable=."),
        ("a --ha sha256:ab\n", "1|a|--hash=sha256:ab"),
        ("-i https://h # c\n", "1||--index-url=https://h"),
        ("-i https://h#c\n", "1||--index-url=https://h#c"),
        (
            "--extra-index https://x\n",
            "1||--extra-index-url=https://x",
        ),
        ("-f \"a b\" --pre\n", "1||--find-links=a b --pre"),
        ("-r a\\ b.txt\n", "1||--requirement=a b.txt"),
        ("-rreq.txt\n", "1||--requirement=req.txt"),
        ("-f \"a\\\"b\\n\"\n", "1||--find-links=a\"b\\n"),
        ("-f a'b c'd\n", "1||--find-links=ab cd"),
        ("--no-binary :all:\n", "1||--no-binary=:all:"),
        ("a -C x=y\n", "1|a|--config-settings=x=y"),
    ] {
        assert_eq!(shown(text.as_bytes()).unwrap(), [expected], "{text:?}");
    }
}

#[test]
fn variables_are_replaced_in_options_only() {
    assert_eq!(
        shown(b"--index-url https://${TOKEN}@h/${lower}/${EMPTY}\n").unwrap(),
        ["1||--index-url=https://t0@h/${lower}/${EMPTY}"]
    );
    assert!(matches!(
        shown(b"\na==${TOKEN}\n"),
        Err(LinesError::Line { line: 2, .. })
    ));
}

#[test]
fn encodings_are_those_that_the_file_names() {
    assert_eq!(shown(b"\xef\xbb\xbfflask\n").unwrap(), ["1|flask|"]);
    assert_eq!(shown(b"\xff\xfef\0l\0\n\0").unwrap(), ["1|fl|"]);
    assert_eq!(shown(b"\xfe\xff\0f\0l\0\n").unwrap(), ["1|fl|"]);
    assert_eq!(shown(b"\xff\xfe\0\0f\0\0\0").unwrap(), ["1|f|"]);
    assert_eq!(
        shown(b"# coding: latin-1\n-f \xe4\n").unwrap(),
        ["2||--find-links=\u{e4}"]
    );
    assert_eq!(
        shown(b"\n# vim: set fileencoding=ascii :\na\n").unwrap(),
        ["3|a|"]
    );
    assert!(matches!(
        shown(b"a\n\n# coding: latin-1\n-f \xe4\n"),
        Err(LinesError::Encoding("UTF-8"))
    ));
    assert!(matches!(
        shown(b"# coding: utf-7\na\n"),
        Err(LinesError::Unsupported(_))
    ));
    assert!(shown(b"\xff\xfef\0l").is_err());
}

#[test]
fn mistakes_have_a_line() {
    for text in [
        "\n--nonsense\n",
        "\n--pre=1\n",
        "\n-f 'x\n",
        "\n--pre flask\n",
        "\n--req x\n",
        "\n-- a\n",
        "\na - b\n",
        "\n-r\n",
    ] {
        assert!(
            matches!(
                shown(text.as_bytes()),
                Err(LinesError::Line { line: 2, .. })
            ),
            "{text:?}"
        );
    }
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, variables);
    }

    #[test]
    fn quoted_words_are_read_back(word in "[ -~\u{e4}]{0,30}") {
        prop_assert_eq!(words(&format!("x {}", quote(&word))), Some(vec!["x".to_owned(), word]));
    }
}
