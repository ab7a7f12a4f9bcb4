//! Reads `settings.xml` and writes what Maven is shown of it.
//!
//! The user's and the global file are read before the start and written anew into the run's private
//! directory: mirrors, repositories, profiles, plugin groups stay as they are; servers, proxies and
//! the place of the local repository are v4run's. Credentials are handed to the proxy only. A file
//! that the project chose (`-s` in `.mvn/maven.config`) is read the same way, but does not allow a
//! repository. Values of the form `${env.NAME}` are resolved here, because Maven's environment is
//! another one.
//!
//! Maven's reference of the settings file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::xml;
use crate::manager::read;
use crate::model::{Code, Finding};

/// Settings are written by hand.
const LIMIT: u64 = 4 << 20;

/// More elements than any settings file has.
const NODES: u32 = 200_000;

/// Who chose a settings file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// The user, or the machine.
    User,
    /// The project.
    Project,
}

/// A mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) id: String,
    pub(super) of: String,
    pub(super) url: String,
    pub(super) blocked: bool,
    pub(super) place: String,
}

/// A repository that a profile names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) place: String,
}

/// What is sent to the repository of the same identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) id: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// Headers that the file asks for.
    pub(super) headers: Vec<(String, String)>,
    pub(super) place: String,
}

/// A proxy towards the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WayOut {
    pub(super) protocol: String,
    pub(super) host: String,
    pub(super) port: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) without: String,
    pub(super) place: String,
}

/// One settings file.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) path: PathBuf,
    pub(super) author: Author,
    pub(super) bytes: Vec<u8>,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) repositories: Vec<Named>,
    pub(super) servers: Vec<Server>,
    pub(super) proxies: Vec<WayOut>,
    pub(super) local: Option<String>,
    /// The root's content that is handed on, resolved.
    kept: String,
}

/// What values may refer to.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    pub(super) home: Option<&'a Path>,
    /// Properties of the command line.
    pub(super) properties: &'a BTreeMap<String, String>,
}

impl Scope<'_> {
    /// Replaces what is known; the rest stays for Maven.
    pub(super) fn resolve(&self, text: &str) -> String {
        let mut output = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            output.push_str(before);
            let known = behind
                .split_once('}')
                .and_then(|(key, after)| Some((self.value(key)?, after)));
            match known {
                Some((value, after)) => {
                    output.push_str(&value);
                    rest = after;
                }
                None => {
                    output.push_str("${");
                    rest = behind;
                }
            }
        }
        output.push_str(rest);
        output
    }

    fn value(&self, key: &str) -> Option<String> {
        if let Some(value) = self.properties.get(key) {
            return Some(value.clone());
        }
        if key == "user.home" {
            return Some(self.home?.to_str()?.to_owned());
        }
        let name = key.strip_prefix("env.")?;
        let value = self.environment.get(OsStr::new(name))?;
        Some(value.to_str()?.to_owned())
    }
}

/// Reads a settings file; nothing where there is none.
pub(super) fn load(
    path: &Path,
    author: Author,
    project: &Path,
    scope: &Scope<'_>,
) -> Result<Option<Settings>, Finding> {
    let read = match author {
        Author::User => read::file(path, LIMIT),
        Author::Project => read::inside(project, path, LIMIT),
    };
    let shown = path.display().to_string();
    let invalid = |message: String| Finding::new(Code::Usage, &shown, message);
    let bytes = read.map_err(|error| invalid(error.to_string()))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = std::str::from_utf8(&bytes)
        .map_err(|_error| invalid("is not UTF-8, and v4run reads no other encoding".to_owned()))?;
    let text = text.trim_start_matches('\u{feff}');
    let options = roxmltree::ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES,
        ..roxmltree::ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let place = format!("{shown}:{}", error.pos().row);
        Finding::new(
            Code::Usage,
            place,
            format!("settings cannot be read: {error}"),
        )
    })?;
    let root = document.root_element();
    if !root.has_tag_name("settings") {
        return Err(invalid("is no settings file of Maven".to_owned()));
    }
    let reader = Reader {
        document: &document,
        scope,
        path,
    };
    let mut settings = reader.read(root, author);
    settings.bytes.clone_from(&bytes);
    Ok(Some(settings))
}

/// Settings as Maven is shown them. `own` are elements of v4run's.
pub(super) fn written(settings: Option<&Settings>, own: &str) -> String {
    let kept = settings.map_or("", |settings| settings.kept.as_str());
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<settings>{kept}{own}</settings>\n")
}

struct Reader<'a> {
    document: &'a Document<'a>,
    scope: &'a Scope<'a>,
    path: &'a Path,
}

impl Reader<'_> {
    fn read(&self, root: Node<'_, '_>, author: Author) -> Settings {
        let below = |name: &'static str, inner: &'static str| {
            let groups = root.children().filter(move |node| node.has_tag_name(name));
            groups.flat_map(move |group| {
                let inner = move |node: &Node<'_, '_>| node.has_tag_name(inner);
                group.children().filter(inner)
            })
        };
        let profiles = below("profiles", "profile");
        let repositories = profiles.flat_map(|profile| {
            let names = ["repository", "pluginRepository"];
            let found = profile.descendants();
            found.filter(move |node| names.iter().any(|name| node.has_tag_name(*name)))
        });
        let handed = ["servers", "proxies", "localRepository", "interactiveMode"];
        let mut kept = String::new();
        for child in root.children().filter(Node::is_element) {
            if !handed.iter().any(|name| child.has_tag_name(*name)) {
                let resolve = |text: &str| self.scope.resolve(text);
                xml::element(child, &|_| true, &resolve, &mut kept);
            }
        }
        Settings {
            path: self.path.to_path_buf(),
            author,
            bytes: Vec::new(),
            mirrors: below("mirrors", "mirror")
                .map(|node| self.mirror(node))
                .collect(),
            repositories: repositories.map(|node| self.named(node)).collect(),
            servers: below("servers", "server")
                .map(|node| self.server(node))
                .collect(),
            proxies: below("proxies", "proxy")
                .filter(|node| self.text(*node, "active").as_deref() != Some("false"))
                .map(|node| self.way_out(node))
                .collect(),
            local: self.text(root, "localRepository"),
            kept,
        }
    }

    fn mirror(&self, node: Node<'_, '_>) -> Mirror {
        let text = |name: &str| self.text(node, name).unwrap_or_default();
        Mirror {
            id: self
                .text(node, "id")
                .unwrap_or_else(|| "default".to_owned()),
            of: text("mirrorOf"),
            url: text("url"),
            blocked: text("blocked") == "true",
            place: self.place(node),
        }
    }

    fn named(&self, node: Node<'_, '_>) -> Named {
        let text = |name: &str| self.text(node, name).unwrap_or_default();
        Named {
            id: text("id"),
            url: text("url"),
            place: self.place(node),
        }
    }

    fn server(&self, node: Node<'_, '_>) -> Server {
        let headers = node.descendants().filter(|node| {
            let parent = node.parent_element();
            node.has_tag_name("property")
                && parent.is_some_and(|parent| parent.has_tag_name("httpHeaders"))
        });
        Server {
            id: self
                .text(node, "id")
                .unwrap_or_else(|| "default".to_owned()),
            user: self.text(node, "username"),
            password: self.text(node, "password"),
            headers: headers
                .filter_map(|node| Some((self.text(node, "name")?, self.text(node, "value")?)))
                .collect(),
            place: self.place(node),
        }
    }

    fn way_out(&self, node: Node<'_, '_>) -> WayOut {
        let text = |name: &str| self.text(node, name);
        WayOut {
            protocol: text("protocol").unwrap_or_else(|| "http".to_owned()),
            host: text("host").unwrap_or_default(),
            port: text("port").unwrap_or_else(|| "8080".to_owned()),
            user: text("username"),
            password: text("password"),
            without: text("nonProxyHosts").unwrap_or_default(),
            place: self.place(node),
        }
    }

    /// The text of a child element, resolved.
    fn text(&self, node: Node<'_, '_>, name: &str) -> Option<String> {
        let mut children = node.children();
        let child = children.find(|child| child.has_tag_name(name))?;
        let texts = child.children().filter(Node::is_text);
        let text: String = texts.filter_map(|text| text.text()).collect();
        let text = self.scope.resolve(text.trim());
        (!text.is_empty()).then_some(text)
    }

    fn place(&self, node: Node<'_, '_>) -> String {
        let row = self.document.text_pos_at(node.range().start).row;
        format!("{}:{row}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, author: Author) -> Result<Option<Settings>, Finding> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory
            .path()
            .canonicalize()
            .unwrap()
            .join("settings.xml");
        std::fs::write(&path, text).unwrap();
        let environment = BTreeMap::from([("TOKEN".into(), "t&<".into())]);
        let properties = BTreeMap::from([("p".to_owned(), "v".to_owned())]);
        let scope = Scope {
            environment: &environment,
            home: Some(Path::new("/home/u")),
            properties: &properties,
        };
        load(&path, author, path.parent().unwrap(), &scope)
    }

    const FULL: &str = "<settings xmlns='http://maven.apache.org/SETTINGS/1.2.0'>
<localRepository>${user.home}/r</localRepository>
<servers><server><id>m</id><username>u</username><password>${env.TOKEN}</password>
 <configuration><httpHeaders><property><name>X</name><value>y</value></property></httpHeaders></configuration>
</server></servers>
<mirrors>
 <mirror><id>m</id><mirrorOf>*,!x</mirrorOf><url>https://m.invalid/${p}</url></mirror>
 <mirror><id>b</id><mirrorOf>external:http:*</mirrorOf><url>http://0.0.0.0/</url><blocked>true</blocked></mirror>
</mirrors>
<proxies><proxy><active>false</active><host>h</host></proxy><proxy><host>o.invalid</host></proxy></proxies>
<profiles><profile><id>a</id><repositories><repository><id>r</id><url>https://r.invalid/</url></repository></repositories>
 <properties><q>${project.basedir}</q></properties></profile></profiles>
</settings>";

    #[test]
    fn what_counts_is_read_and_what_is_v4run_s_is_not_handed_on() {
        let settings = parse(FULL, Author::User).unwrap().unwrap();
        assert_eq!(settings.local.as_deref(), Some("/home/u/r"));
        let [first, second] = settings.mirrors.as_slice() else {
            panic!("{settings:?}");
        };
        assert_eq!(first.url, "https://m.invalid/v");
        assert!(first.place.ends_with("settings.xml:7"), "{}", first.place);
        assert!(second.blocked && !first.blocked);
        assert_eq!(settings.servers[0].password.as_deref(), Some("t&<"));
        assert_eq!(settings.servers[0].headers, [("X".into(), "y".into())]);
        assert_eq!(settings.proxies.len(), 1);
        assert_eq!(settings.repositories[0].id, "r");
        let written = written(Some(&settings), "<proxies/>");
        assert!(written.contains("https://m.invalid/v") && written.contains("${project.basedir}"));
        for gone in [
            "password",
            "t&amp;",
            "o.invalid",
            "localRepository",
            "httpHeaders",
        ] {
            assert!(!written.contains(gone), "{gone}: {written}");
        }
        assert!(Document::parse(&written).is_ok());
    }

    #[test]
    fn entities_and_other_documents_are_refused() {
        for text in [
            "<!DOCTYPE settings [<!ENTITY a 'b'>]><settings>&a;</settings>",
            "<settings><mirrors></settings>",
            "<project/>",
            "",
        ] {
            let finding = parse(text, Author::User).unwrap_err();
            assert_eq!(finding.code, Code::Usage, "{text}");
        }
    }
}
